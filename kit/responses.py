"""Responses for what plain results cannot say: Werkzeug's Response, safe redirects, aborts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn

from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import abort as _abort
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as WerkzeugResponse

__all__ = ["Response", "abort", "redirect", "safe_next"]

_LONGEST_NEXT = 2000
_DROPPED = re.compile(r"[\x00- \\\x7f\ud800-\udfff]")
_PLAIN = re.compile(r"[A-Za-z0-9/_.~-]+(?:\?[A-Za-z0-9/_.~=&-]+)?")  # as it stands in a URL


class Response(WerkzeugResponse):
    """Werkzeug's response, with cookies that scripts and other sites do not get by default.

    Its body is text, bytes, an iterator of these, or an open file. Data is for a handler to
    return as it is, with a status in a tuple: raises TypeError for a mapping.
    """

    def __init__(self, response: Any = None, *args: Any, **options: Any) -> None:
        if isinstance(response, Mapping):
            raise TypeError("a Response takes text or bytes: return data itself, (data, status)")
        super().__init__(response, *args, **options)

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: timedelta | int | None = None,
        expires: str | datetime | int | float | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = True,
        samesite: str | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Set a cookie: HttpOnly and SameSite=Lax unless said otherwise, for this host alone.

        What goes out over https is Secure in any case.
        """
        super().set_cookie(
            key, value, max_age, expires, path, domain, secure, httponly, samesite, partitioned
        )


def redirect(location: str, status: int = 303, *, external: bool = False) -> Response:
    """Return a redirect, by default to be followed with GET (303, RFC 9110 section 15.4.4).

    Only a path of the same host is taken, unless `external`, and then only http and https: raises
    ValueError for anything else, so that a location from a request cannot lead elsewhere.
    """
    outside = external and location.startswith(("https://", "http://")) and _is_clean(location)
    if not (outside or _is_local(location)):
        raise ValueError(f"{location!r} is no safe location for a redirect")
    location = location if _PLAIN.fullmatch(location) else iri_to_uri(location)
    return Response(status=status, headers={"Location": location})


def safe_next(url: str | None, default: str = "/") -> str:
    """Return `url` if it is a path of the same host, else `default`.

    For where to go on after a login, which stands in the address (``?next=/orders``), so that
    anybody can have written it. The result is always good for `redirect`.
    """
    return url if url and len(url) <= _LONGEST_NEXT and _is_local(url) else default


def _is_local(location: str) -> bool:
    leads_out = location.startswith("//") or not location.startswith("/")
    return not leads_out and _is_clean(location)


def _is_clean(location: str) -> bool:
    """Say whether browsers read a location as it stands: they drop control characters first."""
    return _DROPPED.search(location) is None


def abort(status: int | WerkzeugResponse, description: str | None = None) -> NoReturn:
    """End the request with the error page of a status; `description` is shown to the client.

    A Response in place of the status is the answer itself. What was stored is rolled back in
    either case.
    """
    if isinstance(status, WerkzeugResponse):
        raise HTTPException(response=status)
    _abort(status, description)
