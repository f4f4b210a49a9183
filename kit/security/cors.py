"""Cross-origin resource sharing: which other origins may read answers (Fetch, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kit.answers import Header
from kit.security.options import CorsOptions

_VARY = "Origin"
_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class Cors:
    """Answers for the origins of ``[cors]``; false where there are none."""

    def __init__(self, options: CorsOptions) -> None:
        self._any = "*" in options.origins
        self._origins = frozenset(options.origins)
        self._credentials = [("Access-Control-Allow-Credentials", "true")]
        self._credentials = self._credentials if options.credentials else []
        self._headers = ", ".join(options.headers)
        self._expose = ", ".join(options.expose)
        self._max_age = str(int(options.max_age))

    def __bool__(self) -> bool:
        return bool(self._origins)

    def allows(self, origin: str) -> bool:
        """Say whether pages of `origin` may read answers."""
        return self._any or origin in self._origins

    def headers(self, environ: Mapping[str, Any]) -> list[Header]:
        """Return the headers for the answer to a request, for errors too.

        `Vary` is among them even if nothing is allowed: the next one may be. What any origin may
        read says so to everybody: a cache may keep it for a page that asks later.
        """
        headers = self._allowed(environ)
        if headers and self._expose:
            headers.append(("Access-Control-Expose-Headers", self._expose))
        return headers if self._any else [*headers, ("Vary", _VARY)]

    def preflight(
        self, environ: Mapping[str, Any], allowed_methods: Iterable[str]
    ) -> list[Header] | None:
        """Return the headers for the answer to a preflight request; None if this is none.

        A method or origin that is not allowed is told by what is missing, as browsers expect.
        """
        if environ["REQUEST_METHOD"] != "OPTIONS":
            return None
        if "HTTP_ORIGIN" not in environ or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        headers = self._allowed(environ)
        if headers:
            headers.append(("Access-Control-Allow-Methods", ", ".join(allowed_methods)))
            headers.append(("Access-Control-Max-Age", self._max_age))
            if self._headers:
                headers.append(("Access-Control-Allow-Headers", self._headers))
        return [*headers, ("Vary", _PREFLIGHT_VARY)]

    def _allowed(self, environ: Mapping[str, Any]) -> list[Header]:
        origin = "*" if self._any else environ.get("HTTP_ORIGIN")
        if origin is None or not self.allows(origin):
            return []
        return [("Access-Control-Allow-Origin", origin), *self._credentials]
