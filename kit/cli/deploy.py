"""Findings for production: what is fine on a desk and not on a server. Their ids never change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kit.assembly import Stack
from kit.cli.secret_files import secret_file
from kit.config import Config
from kit.options import DatabaseURL, Secret
from kit.reader import Value

Look = Callable[[Config, Stack], Iterator[tuple[str, str]]]
Looker = Callable[[Look], Look]


@dataclass(frozen=True)
class Finding:
    """Something unfit for production: `where` it was set, `what` it is, and how to mend it."""

    id: str
    where: str
    what: str
    mend: str


FINDINGS: dict[str, tuple[Look, str]] = {}


def findings(config: Config, stack: Stack) -> Iterator[Finding]:
    """Yield all findings on a checked stack, in the order of their ids."""
    for name, (look, mend) in FINDINGS.items():
        for where, what in look(config, stack):
            yield Finding(name, where, what, mend)


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


def _is(stack: Stack, table: str, key: str, bad: Any) -> Iterator[tuple[str, str]]:
    for value in _values(stack, table, key):
        if value.value == bad:
            yield value.where, f"[{'.'.join(value.keys[:-1])}] {key} = {value.shown()}"


@_finding("KIT-D001", "Set debug = false: errors of the application are for its log only.")
def _debug(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    return _is(stack, "app", "debug", True)


@_finding("KIT-D002", 'Keep it out of the file: "env:NAME", or "file:PATH" outside the repository.')
def _written_secret(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
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
def _open_secret(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    file = secret_file(config)
    if file is not None and file.stat().st_mode & 0o077:
        yield str(file), f"others may read this secret (mode {file.stat().st_mode & 0o777:04o})"


@_finding("KIT-D004", "Serve over https, and set secure = true: the cookie is a login.")
def _insecure_cookie(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    return _is(stack, "sessions", "secure", False)


@_finding("KIT-D005", "Set reload = false: templates are then compiled once.")
def _reload(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    return _is(stack, "templating", "reload", True)


@_finding(
    "KIT-D006",
    'Run `kit create` when you deploy, and serve with create = "never" and fewer rights.',
)
def _creating(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    return _is(stack, "persistence", "create", "missing")


@_finding("KIT-D007", "Take PostgreSQL or MariaDB for more than one machine or many writers.")
def _sqlite(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    for value in _values(stack, "persistence", "url"):
        if str(value.value).startswith("sqlite:"):
            yield value.where, "SQLite takes one writer at a time, and lives on one machine"


@_finding("KIT-D008", "Take a component that keeps sessions on the server if there is a login.")
def _irrevocable(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    filling = stack.fillings.get("sessions")
    if filling and "revocation" in getattr(filling.factory, "lacks", {}):
        name = filling.component.name
        yield filling.where, f"sessions of {name!r} cannot be ended: a copied cookie stays valid"


@_finding("KIT-D009", "Choose a backend that all processes share, and that survives a restart.")
def _forgetful(config: Config, stack: Stack) -> Iterator[tuple[str, str]]:
    return _is(stack, "sessions", "backend", "memory")
