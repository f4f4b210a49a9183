"""Proxies: what reverse proxies say of a request counts only as far as the configuration says."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from werkzeug.exceptions import BadRequest

from kit.answers import Environ
from kit.security import logs
from kit.security.options import SecurityOptions

_NAMES = """
    FORWARDED X_FORWARDED_FOR X_FORWARDED_PROTO X_FORWARDED_HOST X_FORWARDED_PORT
    X_FORWARDED_PREFIX X_FORWARDED_SSL X_FORWARDED_SCHEME X_FORWARDED_PROTOCOL X_FORWARDED_SERVER
    X_FORWARDED_BY X_REAL_IP
"""
FORWARDING = frozenset(f"HTTP_{name}" for name in _NAMES.split())
_CLAIMS_HTTPS = {
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_PROTOCOL": "ssl",
    "HTTP_X_FORWARDED_SSL": "on",
}
_PREFIX = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)*/?").fullmatch


def proxy_trust(options: SecurityOptions) -> Callable[[Environ], None]:
    """Return a function that settles, in the environ, who asks and how.

    Without proxies it removes all forwarding headers. With `proxies` hops it takes from each of
    the `proxy_headers` the value that the outermost of them gave, the N-th from the right, as
    Werkzeug's ProxyFix does, and removes them as well. A value that is none is a 400.
    """
    hops = options.proxies
    trusted = [name for name in _TAKE if hops and name in options.proxy_headers]
    keys = {f"HTTP_{name.upper().replace('-', '_')}": name for name in trusted}

    def trust(environ: Environ) -> None:
        if not _is_forwarded(environ):
            return
        _undo_server_trust(environ)
        given = {name: environ[key] for key, name in keys.items() if key in environ}
        for key in environ.keys() & FORWARDING:
            del environ[key]
        for name, text in given.items():
            values = [value.strip().strip('"') for value in text.split(",")]
            if len(values) >= hops:
                _take(environ, name, values[-hops])

    return trust


def _is_forwarded(environ: Environ) -> bool:
    """Whether any of `FORWARDING` is there; written out, since every request is asked."""
    return (
        "HTTP_FORWARDED" in environ
        or "HTTP_X_FORWARDED_FOR" in environ
        or "HTTP_X_FORWARDED_PROTO" in environ
        or "HTTP_X_FORWARDED_HOST" in environ
        or "HTTP_X_FORWARDED_PORT" in environ
        or "HTTP_X_FORWARDED_PREFIX" in environ
        or "HTTP_X_FORWARDED_SSL" in environ
        or "HTTP_X_FORWARDED_SCHEME" in environ
        or "HTTP_X_FORWARDED_PROTOCOL" in environ
        or "HTTP_X_FORWARDED_SERVER" in environ
        or "HTTP_X_FORWARDED_BY" in environ
        or "HTTP_X_REAL_IP" in environ
    )


def _undo_server_trust(environ: Environ) -> None:
    """Take back https that a server believed a header for, as gunicorn does from loopback."""
    claimed = any(environ.get(key, "").lower() == value for key, value in _CLAIMS_HTTPS.items())
    ends_tls_itself = hasattr(environ.get("gunicorn.socket"), "cipher")  # an ssl.SSLSocket
    if claimed and not ends_tls_itself:
        environ["wsgi.url_scheme"] = "http"


def _take(environ: Environ, name: str, value: str) -> None:
    try:
        _TAKE[name](environ, value)
    except ValueError as error:
        logs.event("proxy_header_refused", environ, header=name, value=value)
        raise BadRequest(f"The header {name} is malformed.") from error


def _take_address(environ: Environ, value: str) -> None:
    host, colon, _ = value.rpartition(":")
    if colon and (host.endswith("]") or "." in host):
        value = host
    environ["REMOTE_ADDR"] = str(ipaddress.ip_address(value.removeprefix("[").removesuffix("]")))


def _take_scheme(environ: Environ, value: str) -> None:
    if value.lower() not in ("http", "https"):
        raise ValueError(value)
    environ["wsgi.url_scheme"] = value.lower()


def _take_host(environ: Environ, value: str) -> None:
    environ["HTTP_HOST"] = value  # the check of hosts comes after this


def _take_port(environ: Environ, value: str) -> None:
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 65536):
        raise ValueError(value)
    host: str = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    environ["HTTP_HOST"] = f"{re.sub(r':[0-9]*$', '', host)}:{value}"
    environ["SERVER_PORT"] = value


def _take_prefix(environ: Environ, value: str) -> None:
    if not _PREFIX(value):
        raise ValueError(value)
    environ["SCRIPT_NAME"] = value.rstrip("/")


_TAKE: dict[str, Callable[[Environ, str], None]] = {  # in this order: a port belongs to a host
    "X-Forwarded-For": _take_address,
    "X-Forwarded-Proto": _take_scheme,
    "X-Forwarded-Host": _take_host,
    "X-Forwarded-Port": _take_port,
    "X-Forwarded-Prefix": _take_prefix,
}
