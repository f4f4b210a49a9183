"""Cross-site request forgery: what changes something has to come from this site's own pages.

Three rules stand before every handler of an unsafe method, unless its route says ``csrf=False``:
`origin_check` reads what the browser says of the page that sent the request, and `token_check`
wants the token of a form. Without sessions `credentials_check` stands in for the token.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hmac import compare_digest
from typing import NoReturn

from markupsafe import Markup

from kit.answers import Environ
from kit.errors import Forbidden
from kit.providers import provider
from kit.requests import Request
from kit.security import logs
from kit.security.hosts import own_origin
from kit.security.options import CorsOptions, SecurityOptions
from kit.slots.sessions.lifecycle import CSRF_KEY, Session

CHECKED = "kit.csrf_checked"
FIELD = "csrf_token"
HEADER = "HTTP_X_CSRF_TOKEN"

_BYTES = 32
_ELSEWHERE = frozenset({"cross-site", "same-site"})
_OWN = frozenset({"same-origin", "none"})
_AMBIENT = frozenset({"basic", "digest", "negotiate", "ntlm"})
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data"})
_SIMPLE_TYPES = _FORM_TYPES | {"text/plain"}

_FOREIGN = "This request comes from a page of another site, and was not carried out."
_NOT_OURS = (
    "The form is out of date, or comes from another site: nothing was changed. Load the page"
    " again, and send it once more."
)
_NO_SOURCE = (
    "This request does not say which page it comes from, and was not carried out: send the header"
    " Origin."
)


def trusted_origins(security: SecurityOptions, cors: CorsOptions) -> dict[str, bool]:
    """Return the other origins that may send what changes something, ``"*"`` for any.

    The value says whether that holds for requests with cookies, too.
    """
    allowed = dict.fromkeys(cors.origins, cors.credentials)
    return {**allowed, **dict.fromkeys(security.trusted_origins, True)}


def origin_check(environ: Environ, trusted: Mapping[str, bool]) -> None:
    """Raise Forbidden for an unsafe request that a page of another origin sent (rules 1 and 2).

    `trusted` comes from `trusted_origins`. Requests that say nothing of where they come from
    pass: the other rules are for them.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    origin = environ.get("HTTP_ORIGIN")
    if site is None and origin is None:
        return
    if trusted and origin is not None and _is_trusted(environ, origin.lower(), trusted):
        return
    if site is not None and site.lower() in _ELSEWHERE:
        _refuse(environ, _FOREIGN, rule="Sec-Fetch-Site", found=site)
    if origin is not None and origin.lower() != (own := own_origin(environ)):
        _refuse(environ, _FOREIGN, rule="Origin", found=origin, own=own)


def _is_trusted(environ: Environ, origin: str, trusted: Mapping[str, bool]) -> bool:
    with_credentials = trusted.get(origin, trusted.get("*"))
    return with_credentials is not None and (with_credentials or not _is_ambient(environ))


def token_check(request: Request, session: Session) -> None:
    """Raise Forbidden where a form, or what may be one, lacks its token (rule 3, a guard)."""
    environ = request.environ
    if CHECKED in environ or not _needs_token(environ):
        return
    given = environ.get(HEADER)
    if given is None and environ.get("CONTENT_TYPE"):
        given = request.form.get(FIELD)
    if given is None or not is_valid(given, session.get(CSRF_KEY)):
        _refuse(environ, _NOT_OURS, rule="token", found="none" if given is None else "another")


def credentials_check(environ: Environ) -> None:
    """Raise Forbidden where a request has ambient credentials and no source (rule 3, a guard).

    It takes the place of `token_check` in an application without sessions.
    """
    if CHECKED not in environ and _is_ambient(environ) and not _has_source(environ):
        _refuse(environ, _NO_SOURCE, rule="source", found="none")


def _needs_token(environ: Environ) -> bool:
    if _is_simple(environ):
        return "HTTP_COOKIE" in environ or _scheme(environ) in _AMBIENT | {""}
    return _is_ambient(environ) and not _has_source(environ)


def _is_simple(environ: Environ) -> bool:
    """Whether the page of any site can send this without asking first (CORS-safelisted)."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return environ["REQUEST_METHOD"] == "POST" and kind in _SIMPLE_TYPES


def _is_ambient(environ: Environ) -> bool:
    """Whether a browser adds the credentials of this request by itself."""
    return "HTTP_COOKIE" in environ or _scheme(environ) in _AMBIENT


def _scheme(environ: Environ) -> str:
    scheme: str = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")[0]
    return scheme.lower()


def _has_source(environ: Environ) -> bool:
    return environ.get("HTTP_SEC_FETCH_SITE") in _OWN or "HTTP_ORIGIN" in environ


def _refuse(environ: Environ, message: str, **details: str) -> NoReturn:
    logs.event("csrf_refused", environ, **details)
    raise Forbidden(message)


@provider
def csrf_token(session: Session) -> str:
    """The token that a form of this session sends back as ``csrf_token``, or as X-CSRF-Token.

    It looks different each time, so that compression of the page cannot give it away (BREACH).
    """
    plain = _decoded(session.get(CSRF_KEY))
    if plain is None:
        plain = secrets.token_bytes(_BYTES)
        session[CSRF_KEY] = urlsafe_b64encode(plain).decode()
    return masked(plain)


@provider(inline=True)
def csrf_field(csrf_token: str) -> Markup:
    """The hidden field with the token, for every form that posts to this site."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, csrf_token)


def masked(plain: bytes) -> str:
    """Return a token for the bytes of a secret: a fresh mask, and the secret under that mask."""
    mask = secrets.token_bytes(len(plain))
    return urlsafe_b64encode(mask + _xor(plain, mask)).decode()


def is_valid(token: str, secret: object) -> bool:
    """Say whether `token` was made for the `secret` that a session keeps, if it keeps one."""
    plain = _decoded(secret)
    try:
        data = urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        return False
    if plain is None or len(data) != 2 * _BYTES:
        return False
    return compare_digest(_xor(data[_BYTES:], data[:_BYTES]), plain)


def _decoded(secret: object) -> bytes | None:
    """Return the bytes of the secret in a session; None where that is none of ours."""
    try:
        plain = urlsafe_b64decode(secret) if isinstance(secret, str) else b""
    except ValueError:
        return None
    return plain if len(plain) == _BYTES else None


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
