"""Responses for what plain results cannot say: Werkzeug's Response, safe redirects, aborts."""

from __future__ import annotations

from typing import NoReturn

from werkzeug.exceptions import abort as _abort
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

__all__ = ["Response", "abort", "redirect"]


def redirect(location: str, status: int = 303, *, external: bool = False) -> Response:
    """Return a redirect, by default to be followed with GET (303, RFC 9110 section 15.4.4).

    Only a path of the same host is taken, unless `external`, and then only http and https: raises
    ValueError for anything else, so that a location from a request cannot lead elsewhere.
    """
    local = location.startswith("/") and not location.startswith(("//", "/\\"))
    outside = external and location.startswith(("https://", "http://"))
    if not (local or outside) or any(ord(c) <= 32 or c == "\\" for c in location):
        raise ValueError(f"{location!r} is no safe location for a redirect")
    return Response(status=status, headers={"Location": iri_to_uri(location)})


def abort(status: int, description: str | None = None) -> NoReturn:
    """End the request with the error page of a status; `description` is shown to the client."""
    _abort(status, description)
