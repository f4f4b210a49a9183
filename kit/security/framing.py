"""Framing: a request that says in two ways how long it is was made to be read in two ways."""

from __future__ import annotations

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from kit.answers import Environ
from kit.security import logs


def framing_check(environ: Environ) -> None:
    """Refuse a request with Content-Length beside Transfer-Encoding (RFC 9112, section 6.3).

    Some servers believe the one and some proxies the other, so that what one takes for a body is
    another request for the next. The connection is closed, for what else may be on it.
    """
    if "HTTP_TRANSFER_ENCODING" in environ and "CONTENT_LENGTH" in environ:
        logs.event("framing_refused", environ)
        what = "Content-Length beside Transfer-Encoding.\n"
        headers = {"Connection": "close", "Content-Type": "text/plain"}
        raise HTTPException(response=Response(what, 400, headers))
