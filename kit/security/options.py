"""The tables ``[security]`` and ``[cors]`` of a config file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from kit.errors import listing, nearest
from kit.options import Duration

ReferrerPolicy = Literal[
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
]
ProxyHeader = Literal[
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
]
LOOPBACK = ("localhost", ".localhost", "127.0.0.1", "[::1]")
NONCE = "{nonce}"

_NO_TIME = Duration(0)
_TEN_MINUTES = Duration(600)
_YEAR = 365 * 86400
_LABEL = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_LABELS = rf"{_LABEL}(?:\.{_LABEL})*"
_HOST = re.compile(rf"\*|\.?{_LABELS}|\[[0-9a-f:.]+\]").fullmatch
_ORIGIN = re.compile(rf"https?://(?:{_LABELS}|\[[0-9a-f:.]+\])(?::[0-9]{{1,5}})?").fullmatch
_USUAL_PORT = re.compile(r"http://[^/]+:80|https://[^/]+:443").fullmatch
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_NEED_QUOTES = re.compile(
    r"self|none|unsafe-inline|unsafe-eval|unsafe-hashes|strict-dynamic|report-sample"
    r"|(?:nonce|sha256|sha384|sha512)-.+",
    re.IGNORECASE,
).fullmatch
_NAMES = """
    base-uri child-src connect-src default-src fenced-frame-src font-src form-action
    frame-ancestors frame-src img-src manifest-src media-src object-src report-to report-uri
    require-trusted-types-for sandbox script-src script-src-attr script-src-elem style-src
    style-src-attr style-src-elem trusted-types upgrade-insecure-requests worker-src
"""
_DIRECTIVES = frozenset(_NAMES.split())


@dataclass(frozen=True, kw_only=True)
class SecurityOptions:
    """The table ``[security]``: what the kernel protects every answer and every handler with.

    A request is served if its Host is one of `hosts`: a name, ``".example.org"`` for a name and
    all below it, or ``"*"`` for any. A port is not part of it. `proxies` is how many reverse
    proxies of your own stand in front, each of which adds to, or sets, the `proxy_headers`; all
    other such headers are dropped, and without proxies all of them.

    Pages of `trusted_origins` (``"https://shop.example.org"``) may send forms here.

    `csp` is the Content-Security-Policy of every answer, in which ``{nonce}`` stands for the
    nonce of an answer whose handler names ``csp_nonce``; `csp_report_only` is a second one, that
    browsers only report on. `hsts` is for how long browsers come over https only; it goes out
    over https, for subdomains too with `hsts_subdomains`, and `hsts_preload` asks to be on the
    browsers' own list. `referrer_policy` says what other sites learn of the page a link was on;
    ``"no-referrer"`` is no choice, since browsers then hide where the site's own forms come from.

    `accepted` silences findings of ``kit check --deploy`` by id, each with the reason why:
    ``accepted = {"KIT-D007" = "one machine, few writers"}``.
    """

    hosts: tuple[str, ...] = LOOPBACK
    proxies: int = 0
    proxy_headers: tuple[ProxyHeader, ...] = ("X-Forwarded-For", "X-Forwarded-Proto")
    trusted_origins: tuple[str, ...] = ()
    csp: str = "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    csp_report_only: str = ""
    hsts: Duration = _NO_TIME
    hsts_subdomains: bool = False
    hsts_preload: bool = False
    referrer_policy: ReferrerPolicy = "strict-origin-when-cross-origin"
    accepted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_hosts(self.hosts)
        if not 0 <= self.proxies <= 16:
            raise ValueError(f"proxies = {self.proxies}: it is how many there are, from 0 to 16")
        _check_origins("trusted_origins", self.trusted_origins)
        _check_policy("csp", self.csp)
        _check_policy("csp_report_only", self.csp_report_only)
        if self.hsts_subdomains and not self.hsts:
            raise ValueError("hsts_subdomains needs hsts: write for example hsts = '365 days'")
        if self.hsts_preload and (self.hsts < _YEAR or not self.hsts_subdomains):
            raise ValueError("hsts_preload needs hsts = '365 days' or more, and hsts_subdomains")
        for name, reason in self.accepted.items():
            if not reason.strip():
                raise ValueError(f"accepted: {name!r} lacks the reason why it is accepted")


@dataclass(frozen=True, kw_only=True)
class CorsOptions:
    """The table ``[cors]``: which other origins may read answers in a browser; by default none.

    `origins` are exact (``"https://app.example.org"``), or ``["*"]`` for any, which then come
    without cookies. With `credentials` they may come with cookies. `headers` are those that a
    request may have beside the harmless ones, `expose` those of an answer that a script may read.
    Browsers keep what was allowed for `max_age`. Methods are those that the routes have.
    """

    origins: tuple[str, ...] = ()
    credentials: bool = False
    headers: tuple[str, ...] = ("Content-Type", "X-CSRF-Token")
    expose: tuple[str, ...] = ()
    max_age: Duration = _TEN_MINUTES

    def __post_init__(self) -> None:
        if "*" in self.origins:
            if len(self.origins) > 1:
                raise ValueError("origins: beside '*' no other one counts; leave one of them out")
            if self.credentials:
                raise ValueError("credentials = true needs exact origins, not '*'")
        else:
            _check_origins("origins", self.origins)
        for name in (*self.headers, *self.expose):
            if not _TOKEN(name) or name == "*":
                raise ValueError(f"headers and expose: {name!r} is no name of a header")


def _check_hosts(hosts: Iterable[str]) -> None:
    for host in hosts:
        if not _HOST(host):
            raise ValueError(
                f"hosts: {host!r} is no name of a host: write 'example.org', '.example.org' for"
                " all below it too, '[::1]', or '*'; in small letters, without scheme and port"
            )
    if not hosts:
        raise ValueError("hosts is empty, so that nothing would be served: name your host")


def _check_origins(key: str, origins: Iterable[str]) -> None:
    for origin in origins:
        if not _ORIGIN(origin):
            raise ValueError(
                f"{key}: {origin!r} is no origin: write 'https://shop.example.org', in small"
                " letters, with a port where it is not the usual one, and without a path"
            )
        if _USUAL_PORT(origin):
            raise ValueError(
                f"{key}: {origin!r}: leave the port out, as browsers do with the usual one"
            )


def _check_policy(key: str, policy: str) -> None:
    """Refuse what browsers would silently ignore in a Content-Security-Policy."""
    if not policy.isascii() or not policy.isprintable() or "," in policy:
        raise ValueError(f"{key} is one line of ASCII without commas")
    seen = set()
    for text in filter(None, map(str.strip, policy.split(";"))):
        name, *sources = text.split()
        lower = name.lower()
        if lower not in _DIRECTIVES:
            raise ValueError(
                f"{key}: {name!r} is no directive of a Content-Security-Policy."
                f"{nearest(lower, _DIRECTIVES)} Allowed: {listing(_DIRECTIVES)}"
            )
        if lower in seen:
            raise ValueError(f"{key}: {name!r} is there twice, and browsers read the first only")
        seen.add(lower)
        for source in sources:
            _check_source(key, name, source)


def _check_source(key: str, name: str, source: str) -> None:
    if _NEED_QUOTES(source):
        raise ValueError(f"{key}: in {name} write \"'{source}'\", in single quotes")
    if "{" in source and source != NONCE:
        raise ValueError(f"{key}: {source!r} in {name}: only {NONCE} is filled in, as it stands")
