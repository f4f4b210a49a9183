"""Headers that protect every answer, and the nonce of a page's own scripts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from werkzeug.datastructures import Headers

from kit.answers import Answer, Environ, Header
from kit.providers import provider
from kit.security.options import NONCE, SecurityOptions

CSP = "Content-Security-Policy"
REPORT_ONLY = "Content-Security-Policy-Report-Only"
_SCRIPTS = {"script-src", "script-src-elem"}
_TAKE_NONCE = _SCRIPTS | {"style-src", "style-src-elem"}


def security_headers(options: SecurityOptions) -> tuple[Header, ...]:
    """Return the headers that every answer carries, errors and static files included."""
    headers = [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", options.referrer_policy),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        (CSP, policy(options.csp)),
        (REPORT_ONLY, policy(options.csp_report_only)),
    ]
    return tuple(header for header in headers if header[1])


def https_headers(options: SecurityOptions) -> tuple[Header, ...]:
    """Return the headers that answers over https carry beside those: HSTS, where it is set."""
    if not options.hsts:
        return ()
    value = f"max-age={int(options.hsts)}"
    value += "; includeSubDomains" if options.hsts_subdomains else ""
    value += "; preload" if options.hsts_preload else ""
    return (("Strict-Transport-Security", value),)


def secure_cookies(
    environ: Environ, line: str, headers: list[Header], body: Iterable[bytes]
) -> Answer:
    """Mark every cookie of an answer, over https, as Secure: no browser sends it over http then."""
    headers = [
        (name, f"{value}; Secure")
        if name.lower() == "set-cookie" and _is_plain(value)
        else (name, value)
        for name, value in headers
    ]
    return line, headers, body


def _is_plain(cookie: str) -> bool:
    return "secure" not in {part.strip().lower() for part in cookie.split(";")[1:]}


@provider(inline=True)
def csp_nonce(response_headers: Headers, security_options: SecurityOptions) -> str:
    """The nonce of this answer's own scripts: ``<script nonce="...">``, new each time.

    The answer's policy names it wherever ``[security] csp`` has ``{nonce}``. Where that has none,
    it goes to the scripts, and to the styles if there is a rule for them; and without any rule
    for scripts there is one from then on: those of the own host, and those with the nonce.
    """
    nonce = secrets.token_urlsafe(18)
    response_headers[CSP] = policy(security_options.csp, nonce)
    if security_options.csp_report_only:
        response_headers[REPORT_ONLY] = policy(security_options.csp_report_only, nonce)
    return nonce


def policy(text: str, nonce: str = "") -> str:
    """Return a Content-Security-Policy with `nonce` filled in, or without one."""
    parts = [part.split() for part in text.split(";") if part.strip()]
    if nonce and NONCE not in text:
        parts = _with_places(parts)
    return "; ".join(_filled(name, sources, nonce) for name, *sources in parts)


def _filled(name: str, sources: list[str], nonce: str) -> str:
    found = [one for one in sources if one != NONCE]
    if found != sources:
        found = [one for one in found if one.lower() != "'none'"] if nonce else found
        found = [*found, f"'nonce-{nonce}'"] if nonce else found or ["'none'"]
    return " ".join([name, *found])


def _with_places(parts: list[list[str]]) -> list[list[str]]:
    """Put the place of a nonce where a policy takes one; make a rule for scripts if it has none."""
    rules = {name.lower(): sources for name, *sources in parts}
    placed = [[*part, NONCE] if part[0].lower() in _TAKE_NONCE else part for part in parts]
    if not _SCRIPTS & rules.keys():
        placed.append(["script-src", *rules.get("default-src", ["'self'"]), NONCE])
    return placed
