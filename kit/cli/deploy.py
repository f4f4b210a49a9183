"""Findings for production: what is fine on a desk and not on a server. Their ids never change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kit.assembly import Stack
from kit.cli.secret_files import secret_file
from kit.config import Config
from kit.dispatch import SAFE
from kit.errors import ConfigError, Problem, listing, nearest
from kit.options import DatabaseURL, Duration, Secret
from kit.reader import Value
from kit.routes import Route
from kit.security.options import LOOPBACK, SecurityOptions

Found = Iterator[tuple[str, str]]  # where it was set, and what it is
Look = Callable[..., Found]
Looker = Callable[[Look], Look]

_YEAR = 365 * 86400
_PICKLES = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
_UNSAFE_SOURCES = {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:", "data:"}


@dataclass(frozen=True)
class Finding:
    """Something unfit for production: `where` it was set, `what` it is, and how to mend it."""

    id: str
    where: str
    what: str
    mend: str


FINDINGS: dict[str, tuple[Look, str]] = {}


def findings(config: Config, stack: Stack, routes: Iterable[Route] = ()) -> Iterator[Finding]:
    """Yield all findings on a checked stack and the routes on it, in the order of their ids."""
    routes = tuple(routes)
    for name, (look, mend) in FINDINGS.items():
        for where, what in look(config, stack, routes):
            yield Finding(name, where, what, mend)


def accepted(config: Config, stack: Stack) -> dict[str, str]:
    """Return why findings are accepted, by id; raise ConfigError for ids that there are not."""
    options: SecurityOptions = stack.tables["security"]
    problems = []
    for name in options.accepted:
        if name not in FINDINGS:
            setting = config.get("security", "accepted", name) or config.get("security", "accepted")
            what = f"[security] accepted: there is no finding {name!r}.{nearest(name, FINDINGS)}"
            where = setting.where if setting else config.place
            problems.append(Problem(where, what, f"Ids: {listing(FINDINGS)}."))
    if problems:
        raise ConfigError(problems)
    return options.accepted


def _finding(id: str, mend: str) -> Looker:
    def declare(look: Look) -> Look:
        FINDINGS[id] = look, mend
        return look

    return declare


def _values(stack: Stack, table: str, key: str) -> Iterator[Value]:
    """Yield the value of an option of a slot or its component, if it has one."""
    for value in stack.values:
        if value.keys[0] == table and value.keys[-1] == key:
            yield value


def _is(stack: Stack, table: str, key: str, bad: Any) -> Found:
    for value in _values(stack, table, key):
        if value.value == bad:
            yield value.where, f"[{'.'.join(value.keys[:-1])}] {key} = {value.shown()}"


@_finding("KIT-D001", "Set debug = false: errors of the application are for its log only.")
def _debug(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "app", "debug", True)


@_finding("KIT-D002", 'Keep it out of the file: "env:NAME", or "file:PATH" outside the repository.')
def _written_secret(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in stack.values:
        setting = config.get(*value.keys)
        if setting is None or setting.from_environment or not _is_secret(value.value):
            continue
        if not str(setting.value).startswith(("env:", "file:")):
            table = ".".join(value.keys[:-1])
            yield setting.where, f"[{table}] {value.keys[-1]} is written in the file itself"


def _is_secret(value: Any) -> bool:
    if isinstance(value, DatabaseURL):
        return value.shown() != value
    return isinstance(value, Secret) or (isinstance(value, tuple) and any(map(_is_secret, value)))


@_finding("KIT-D003", "Take the others' rights away: chmod 600, owned by the server's user.")
def _open_secret(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    file = secret_file(config)
    if file is not None and file.stat().st_mode & 0o077:
        yield str(file), f"others may read this secret (mode {file.stat().st_mode & 0o777:04o})"


@_finding("KIT-D004", "Serve over https, and set secure = true: the cookie is a login.")
def _insecure_cookie(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "sessions", "secure", False)


@_finding("KIT-D005", "Set reload = false: templates are then compiled once.")
def _reload(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "templating", "reload", True)


@_finding(
    "KIT-D006",
    'Run `kit create` when you deploy, and serve with create = "never" and fewer rights.',
)
def _creating(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "persistence", "create", "missing")


@_finding("KIT-D007", "Take PostgreSQL or MariaDB for more than one machine or many writers.")
def _sqlite(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "persistence", "url"):
        if str(value.value).startswith("sqlite:"):
            yield value.where, "SQLite takes one writer at a time, and lives on one machine"


@_finding("KIT-D008", "Take a component that keeps sessions on the server if there is a login.")
def _irrevocable(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    filling = stack.fillings.get("sessions")
    if filling and "revocation" in getattr(filling.factory, "lacks", {}):
        name = filling.component.name
        yield filling.where, f"sessions of {name!r} cannot be ended: a copied cookie stays valid"


@_finding("KIT-D009", "Choose a backend that all processes share, and that survives a restart.")
def _forgetful(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "sessions", "backend", "memory")


@_finding("KIT-D010", 'Name what browsers ask for: [security] hosts = ["example.org"].')
def _loopback_hosts(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "security", "hosts"):
        if set(value.value) <= set(LOOPBACK):
            yield value.where, "only this machine itself is served: no host is named"


@_finding(
    "KIT-D011", "Name your hosts: links in mail and redirects are made with the one asked for."
)
def _any_host(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "security", "hosts"):
        if "*" in value.value:
            yield value.where, "any host is served: [security] hosts has '*'"


@_finding("KIT-D012", 'Set [security] hsts = "365 days" as soon as all of the host is on https.')
def _no_hsts(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "security", "hsts"):
        if value.value < _YEAR:
            lasts = f"lasts {Duration(value.value)} only" if value.value else "is not sent"
            yield value.where, f"Strict-Transport-Security {lasts}: browsers may come over http"


@_finding("KIT-D013", "Take it back, or mark single scripts: script-src 'self' {nonce}.")
def _loose_policy(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "security", "csp"):
        missing = [text for text in _STRICT if not _holds(value.value, text)]
        loose = sorted(_UNSAFE_SOURCES & set(_scripts(value.value)))
        lacks = f"lacks {'; '.join(missing)}" if missing else ""
        lets = f"lets scripts come from {' '.join(loose)}" if loose else ""
        if lacks or lets:
            yield (
                value.where,
                f"the Content-Security-Policy {' and '.join(filter(None, [lacks, lets]))}",
            )


_STRICT = ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'")


def _directives(policy: str) -> dict[str, list[str]]:
    parts = [part.split() for part in policy.lower().split(";") if part.strip()]
    return {name: sources for name, *sources in parts}


def _holds(policy: str, strict: str) -> bool:
    """Say whether a policy has a directive; 'self' will do, but not for objects."""
    name, none = strict.split()
    rules = _directives(policy)
    sources = rules.get(name, rules.get("default-src") if name == "object-src" else None)
    return sources == [none] or (sources == ["'self'"] and name != "object-src")


def _scripts(policy: str) -> list[str]:
    """Return the sources of scripts, without those that a nonce switches off."""
    rules = _directives(policy)
    sources = rules.get("script-src", rules.get("default-src", []))
    has_nonce = "{nonce}" in sources
    return [one for one in sources if not (has_nonce and one == "'unsafe-inline'")]


@_finding(
    "KIT-D014", 'Name the origins that may read: [cors] origins = ["https://app.example.org"].'
)
def _any_origin(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "cors", "origins"):
        if "*" in value.value:
            yield value.where, "pages of any origin may read answers: [cors] origins = ['*']"


@_finding(
    "KIT-D015", "Leave csrf=False to what authenticates in another way, such as a signed hook."
)
def _exempt(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for route in routes:
        unsafe = [method for method in route.methods if method not in SAFE]
        if unsafe and not route.csrf:
            what = f"{'/'.join(unsafe)} {route.text} takes requests that pages of other sites send"
            yield route.where, what


@_finding("KIT-D016", "Write https: whoever is on the way can change pages that come over http.")
def _plain_origin(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for table, key in (("security", "trusted_origins"), ("cors", "origins")):
        for value in _values(stack, table, key):
            if plain := [one for one in value.value if one.startswith("http:")]:
                yield value.where, f"[{table}] {key} trusts pages over http: {', '.join(plain)}"


@_finding(
    "KIT-D017", 'Set same_site = "Lax" or "Strict", unless the pages are shown in frames elsewhere.'
)
def _sent_from_elsewhere(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "sessions", "same_site", "None")


@_finding(
    "KIT-D018", "Leave domain out: the cookie is then for the host that set it, and no other."
)
def _shared_cookie(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for value in _values(stack, "sessions", "domain"):
        if value.value:
            yield (
                value.where,
                f"every host below {value.value} gets the session cookie, and can set it",
            )


@_finding(
    "KIT-D019", 'Take the component "redis": what is counted in memory is counted by each process.'
)
def _forgetful_rates(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _component(stack, "rates", {"memory"}, "counts for one process, until it ends")


@_finding("KIT-D020", 'Take the component "smtp": [mail] use = "smtp".')
def _undelivered(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _component(stack, "mail", {"console", "file"}, "delivers nothing to anybody")


@_finding(
    "KIT-D021", 'Put "argon2" first; hashes made otherwise are still read, and renewed at login.'
)
def _old_hashes(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for filling in stack.filling("passwords")[:1]:
        if filling.component.name != "argon2":
            name = filling.component.name
            yield filling.where, f"new passwords are hashed with {name!r}, and not with argon2id"


@_finding("KIT-D022", "Take another one: whoever can write there runs code here.")
def _pickled(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for filling in stack.fillings.values():
        words = re.findall(r"[A-Z]?[a-z]+", filling.component.name)
        if _PICKLES & {word.lower() for word in words}:
            yield filling.where, f"[{filling.slot.name}] use = {filling.component.name!r} unpickles"
    for value in stack.values:
        if isinstance(value.value, str) and value.value.lower() in _PICKLES:
            yield value.where, f"[{'.'.join(value.keys[:-1])}] {value.keys[-1]} = {value.shown()}"


def _component(stack: Stack, slot: str, names: set[str], what: str) -> Found:
    for filling in stack.filling(slot):
        if filling.component.name in names:
            yield filling.where, f"[{slot}] use = {filling.component.name!r} {what}"


@_finding("KIT-D023", "Leave referrer_policy out: other sites then learn your host, and no paths.")
def _telling(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    for policy in ("unsafe-url", "no-referrer-when-downgrade"):
        yield from _is(stack, "security", "referrer_policy", policy)


@_finding("KIT-D024", 'Set tls = "starttls" or "implicit": mail and password are read on the way.')
def _open_mail(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "mail", "tls", "none")


@_finding("KIT-D025", "Leave formulas out: what users typed is run by whoever opens the table.")
def _formulas(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _is(stack, "formats", "formulas", True)


@_finding("KIT-D026", 'Take the component "redis": several workers share its channels.')
def _lonely_channels(config: Config, stack: Stack, routes: tuple[Route, ...]) -> Found:
    return _component(stack, "channels", {"memory"}, "reaches nobody in other processes")
