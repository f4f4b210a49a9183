"""Users: the application's own records, and what their fields mean to the kit."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, replace
from enum import Enum
from hmac import compare_digest
from typing import Any, Literal

import msgspec

from kit.errors import ConfigError, InvalidValue, Problem, RecordNotFound, listing, nearest
from kit.providers import provider
from kit.slots.formats.negotiation import Negotiator
from kit.slots.persistence.portable import Store
from kit.slots.persistence.records import Column, Table, record_place

Purpose = Literal["login", "reset", "verify"]
Wanted = tuple[str, str, Callable[[Column], bool], str]
"""A field to check: what it is for, its name, whether a column will do, and what is wanted."""

LONGEST_HASH = 255  # in characters, as the slot ``passwords`` promises


@dataclass(frozen=True)
class Users:
    """Which record the users of an application are, and which of its fields mean what.

    An application returns it from a provider of application scope that is called ``users``::

        @app.provider(scope="app")
        def users():
            return Users(User, name="email", roles="roles")

    `name` is the field that people log in with: unique text, kept as `folded` returns it.
    `password` is text for a hash, empty for who has none. `roles` is text, names with spaces or
    commas between them, or an Enum of text. Who is not `active` is nobody; `verified` becomes
    True when a token proved the address. Both are bool.
    """

    record: type
    name: str = "email"
    password: str = "password"  # noqa: S105 - the name of a field
    roles: str | None = None
    active: str | None = None
    verified: str | None = None


def folded(name: str) -> str:
    """Return a name for the login as it is stored: NFC, small letters, no space around it."""
    return unicodedata.normalize("NFC", name).strip().lower()


class UserRecords:
    """The users of an application, checked: reads and writes the fields that `Users` names.

    Raises ConfigError with every mistake in `users`.
    """

    def __init__(self, users: Users, tables: Mapping[type, Table]) -> None:
        self.users = users
        self.record: Any = getattr(users, "record", None)
        problems = list(self._misfits(tables))
        if problems:
            raise ConfigError(problems)

    def _misfits(self, tables: Mapping[type, Table]) -> Iterator[Problem]:
        if not isinstance(self.users, Users):
            what = f"the provider 'users' returns {type(self.users).__name__}."
            yield Problem("", what, "Let it return kit.slots.identity.Users(...).")
            return
        named = self.users
        wanted: list[tuple[str, str | None, Callable[[Column], bool], str]] = [
            ("name", named.name, _is_text, "text that is unique: Annotated[str, Unique]"),
            ("password", named.password, _holds_hashes, f"text of {LONGEST_HASH} or more"),
            ("roles", named.roles, lambda c: c.kind == "str", "text, or an Enum of text"),
            ("active", named.active, _is_switch, "bool"),
            ("verified", named.verified, _is_switch, "bool"),
        ]
        chosen = [(use, name, fits, what) for use, name, fits, what in wanted if name is not None]
        yield from misfits("Users", named.record, tables, chosen, unique=named.name)

    def name(self, user: Any) -> str:
        """Return what a user logs in with."""
        return str(getattr(user, self.users.name))

    def password(self, user: Any) -> str:
        """Return the hash of a user's password; empty for who has none."""
        return str(getattr(user, self.users.password))

    def roles(self, user: Any) -> frozenset[str]:
        """Return the roles of a user; none where `Users` names no field for them."""
        value = getattr(user, self.users.roles) if self.users.roles else None
        text = value.value if isinstance(value, Enum) else value or ""
        return frozenset(re.findall(r"[^\s,]+", text))

    def is_active(self, user: Any) -> bool:
        """Say whether a user may log in, and be logged in."""
        return self.users.active is None or bool(getattr(user, self.users.active))

    def proof(self, user: Any, purpose: Purpose) -> str:
        """Return what a token for `purpose` is bound to: it changes when that is done with.

        A changed password ends logins and tokens for a reset; a changed name or a verification
        ends tokens for a verification.
        """
        named = self.users
        fields: dict[Purpose, list[str | None]] = {
            "login": [named.password],
            "reset": [named.name, named.password],
            "verify": [named.name, named.verified],
        }
        values = (getattr(user, name) for name in fields[purpose] if name)
        state = [purpose, user.id, *values]
        return hashlib.sha256(msgspec.json.encode(state)).hexdigest()[:32]

    def proves(self, user: Any, purpose: Purpose, proof: str) -> bool:
        """Say whether `proof` is that of the user as he is now."""
        return compare_digest(self.proof(user, purpose).encode(), proof.encode())


class UserDirectory:
    """Finds users, those who are active: for the components of the slot ``identity``."""

    def __init__(self, store: Store, records: UserRecords) -> None:
        self._store = store
        self._records = records

    def get(self, identity: object, proof: object = None, *, lock: bool = False) -> Any | None:
        """Return the user with this id, and with this proof for a login if one is given.

        None for anything else, of whatever type. `lock` is as for `Store.get`.
        """
        if type(identity) is not int:
            return None
        try:
            user = self._store.get(self._records.record, identity, lock=lock)
        except RecordNotFound:
            return None
        if proof is not None and not self._records.proves(user, "login", str(proof)):
            return None
        return user if self._records.is_active(user) else None

    def named(self, name: str) -> Any | None:
        """Return the active user with this name; None if there is none."""
        lookup: dict[str, Any] = {self._records.users.name: folded(name)}
        try:
            user: Any = self._store.first(self._records.record, **lookup)
        except InvalidValue:  # NUL and the like, which no name has
            return None
        return user if user is not None and self._records.is_active(user) else None


def assigned(record: Any, values: Mapping[str, Any]) -> Any:
    """Return a record with `values` in its fields: the same one, unless it is frozen."""
    try:
        for name, value in values.items():
            setattr(record, name, value)
    except FrozenInstanceError:
        return replace(record, **values)
    return record


def misfits(
    label: str,
    record: Any,
    tables: Mapping[type, Table],
    wanted: Iterable[Wanted],
    unique: str = "",
) -> Iterator[Problem]:
    """Say what is wrong with the fields of a record that plain data such as `Users` names."""
    table = tables.get(record) if isinstance(record, type) else None
    name = getattr(record, "__name__", repr(record))
    if table is None:
        known = [one.__name__ for one in tables]
        what = f"{label}({name}): that is none of the records.{nearest(name, known)}"
        yield Problem(record_place(record), what, f"Register it: app.records({name}).")
        return
    columns = {column.name: column for column in table.columns}
    for use, field, fits, what in wanted:
        if field not in columns:
            found = f"{label}({name}, {use}={field!r}): {name} has no such field."
            mend = f"Fields: {listing(columns)}.{nearest(field, columns)}"
            yield Problem(record_place(record), found, mend)
        elif not fits(columns[field]) or (field == unique and (field,) not in table.unique):
            found = f"{label}({name}, {use}={field!r}): {name}.{field} is not {what}."
            yield Problem(record_place(record), found, "Declare it so, or name another field.")


def _is_text(column: Column) -> bool:
    return column.kind == "str" and not column.enum and not column.null


def _holds_hashes(column: Column) -> bool:
    return _is_text(column) and (column.length is None or column.length >= LONGEST_HASH)


def _is_switch(column: Column) -> bool:
    return column.kind == "bool" and not column.null


@provider(scope="app")
def user_records(users: Users, tables: dict[type, Table], negotiator: Negotiator) -> UserRecords:
    """The users of the application, checked, with what their fields mean."""
    records = UserRecords(users, tables)
    negotiator.refuse(users.record, "it has a password; return what everybody may know of it")
    return records


@provider(blocks=True)
def user_directory(store: Store, user_records: UserRecords) -> UserDirectory:
    """Find active users by id or name."""
    return UserDirectory(store, user_records)
