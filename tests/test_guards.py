"""Guards: by login, by role, and by the rules of a record, before any handler runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import pytest

from kit import App, ConfigError, KitError, Meta, References, Routes, Unique
from kit.slots.identity import ALL, Allow, Deny, Users, logged_in, may, role
from kit.slots.identity.acl import is_allowed
from kit.testing import client


class Rank(Enum):
    ADMIN = "admin"
    CLERK = "clerk"


@dataclass
class User:
    name: Annotated[str, Meta(max_length=80), Unique]
    password: Annotated[str, Meta(max_length=255)] = ""
    roles: Annotated[str, Meta(max_length=80)] = ""
    rank: Rank | None = None
    id: int | None = None


@dataclass
class Note:
    owner: Annotated[int, References(User)]
    text: Annotated[str, Meta(max_length=80)] = ""
    public: bool = False
    id: int | None = None

    __owner__ = "owner"

    def __acl__(self):
        return [
            (Deny, "role:banned", ALL),
            (Allow, "owner", ("view", "edit")),
            (Allow, "role:admin", ALL),
            *([(Allow, "everyone", "view")] if self.public else []),
        ]


@dataclass
class Diary:
    owner: Annotated[int, References(User)]
    id: int | None = None

    __owner__ = "owner"


@dataclass
class Plain:
    text: Annotated[str, Meta(max_length=80)] = ""
    id: int | None = None


NAMES = {"ada": "admin, clerk", "ben": "", "eve": "banned"}


def make(folder: Any, **fields: Any) -> App:
    app = App(
        {
            "app": {"secret_key": "0123456789abcdef" * 4},
            "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{folder}/test.db"},
            "passwords": {"use": ["scrypt"]},
            "tokens": {"use": "itsdangerous"},
            "rates": {"use": "memory"},
            "identity": {"use": ["kit.contracts.identity:NameOnly"]},
        }
    )
    app.records(User, Note, Diary)
    app.provider(scope="app", name="users")(
        lambda: Users(User, name="name", **{"roles": "roles", **fields})
    )
    return app
