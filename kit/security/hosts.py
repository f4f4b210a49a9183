"""Hosts: only requests that name a host of this application are served."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import BadRequest

from kit.answers import Environ
from kit.security import logs
from kit.security.options import SecurityOptions

Check = Callable[[Environ], None]

_LABEL = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_HOST = re.compile(
    rf"({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])\.?(?::[0-9]{{1,5}})?", re.IGNORECASE
).fullmatch
_LONGEST = 260
_REMEMBERED = 256
_USUAL = {"http": ":80", "https": ":443"}


def host_check(options: SecurityOptions) -> Check:
    """Return a function that raises 400 for a request whose Host is malformed or not allowed.

    Without a Host (HTTP/1.0) the name of the server counts. A target that is a whole URL has to
    name the same host. Hosts that were found good are remembered, as the client wrote them.
    """
    exact = {host for host in options.hosts if not host.startswith((".", "*"))}
    exact |= {host[1:] for host in options.hosts if host.startswith(".")}
    below = tuple(host for host in options.hosts if host.startswith("."))
    any_host = "*" in options.hosts
    good: dict[str, bool] = {}

    def check(environ: Environ) -> None:
        host = environ.get("HTTP_HOST")
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/"
        if target[0] != "/" and _names_another(target, host):
            logs.event("host_ambiguous", environ, host=host, target=target)
            raise BadRequest("The request names two hosts.")
        if host in good:
            return
        if host is None:
            host = environ.get("SERVER_NAME", "")
            host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        found = _HOST(host) if len(host) <= _LONGEST else None
        if found is None:
            logs.event("host_malformed", environ, host=host)
            raise BadRequest("The Host of the request is malformed.")
        name = found[1].lower()
        if not (any_host or name in exact or name.endswith(below)):
            logs.event("host_refused", environ, host=host, mend="add it to [security] hosts")
            raise BadRequest("This server does not answer for the host that was asked for.")
        if len(good) < _REMEMBERED:
            good[host] = True

    return check


def _names_another(target: str, host: str | None) -> bool:
    """Whether the target of a request is the URL of another host (RFC 9112, section 3.2.2)."""
    _, found, rest = target.partition("://")
    return bool(found) and rest.partition("/")[0].lower() != (host or "").lower()


def own_origin(environ: Mapping[str, Any]) -> str:
    """Return ``scheme://host[:port]`` of the server as this request names it, in small letters.

    The port is left out where it is the usual one, as browsers do in Origin.
    """
    scheme = environ.get("wsgi.url_scheme", "http")
    host = environ.get("HTTP_HOST")
    if host is None:
        host = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    return f"{scheme}://{host.lower().removesuffix(_USUAL.get(scheme, ' '))}"
