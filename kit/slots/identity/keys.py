"""API keys: records of the application, of which only the hash of a key is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import ConfigError
from kit.slots.identity.users import UserRecords, Wanted, misfits
from kit.slots.persistence.records import Column, Table

_KEY = re.compile(r"key_([0-9a-f]{16})_[A-Za-z0-9_-]{43}").fullmatch
_PREFIX_BYTES, _SECRET_BYTES = 8, 32
_LONGEST_PREFIX, _LONGEST_DIGEST = 16, 64


@dataclass(frozen=True)
class ApiKeys:
    """Which record the API keys of an application are, and which of its fields mean what.

    An application returns it from a provider of application scope that is called ``api_keys``.
    `prefix` is unique text of 16 characters: the part of a key that may be shown, and that it is
    found by. `digest` is text of 64 characters, the SHA-256 of the whole key. `user` references
    the record of the users. Whoever deletes such a record has revoked the key.
    """

    record: type
    prefix: str = "prefix"
    digest: str = "digest"
    user: str = "user"


def check_api_keys(keys: ApiKeys, users: UserRecords, tables: Mapping[type, Table]) -> None:
    """Raise ConfigError with every mistake in `keys`."""
    table = tables[users.record].name

    def is_text(column: Column, length: int) -> bool:
        return column.kind == "str" and not column.null and (column.length or length) >= length

    wanted: list[Wanted] = [
        (
            "prefix",
            keys.prefix,
            lambda c: is_text(c, _LONGEST_PREFIX),
            f"text of {_LONGEST_PREFIX} characters that is unique",
        ),
        (
            "digest",
            keys.digest,
            lambda c: is_text(c, _LONGEST_DIGEST),
            f"text of {_LONGEST_DIGEST} characters",
        ),
        (
            "user",
            keys.user,
            lambda c: c.references == table and not c.null,
            f"the id of a {users.record.__name__}: Annotated[int, References(...)]",
        ),
    ]
    problems = list(misfits("ApiKeys", keys.record, tables, wanted, unique=keys.prefix))
    if problems:
        raise ConfigError(problems)


def new_key() -> tuple[str, str]:
    """Return the text of a new key, of 256 random bits, and its prefix."""
    prefix = secrets.token_hex(_PREFIX_BYTES)
    return f"key_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}", prefix


def prefix_of(key: str) -> str | None:
    """Return the prefix of a key; None for what is no key."""
    found = _KEY(key)
    return found[1] if found else None


def digest_of(key: str) -> str:
    """Return what is stored of a key. A plain hash will do: nobody guesses 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_fields(keys: ApiKeys, user: Any, prefix: str, key: str) -> dict[str, Any]:
    """Return the fields of the record for a key."""
    return {keys.prefix: prefix, keys.digest: digest_of(key), keys.user: user.id}
