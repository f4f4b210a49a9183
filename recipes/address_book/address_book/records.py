"""What is stored: users, and the contacts that each of them keeps."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated

from kit import Meta, Private, References, Unique, Widget

LONGEST_SEARCH = 700
EMAIL = r"^([^@\s]+@[^@\s]+\.[^@\s.]+)?$"  # or nothing, which the store checks, too


class Group(Enum):
    """Where somebody belongs."""

    FAMILY = "family"
    FRIENDS = "friends"
    WORK = "work"
    OTHER = "other"


@dataclass
class User:
    """Somebody who keeps an address book here."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    email: Annotated[str, Meta(max_length=254), Unique]
    password: Annotated[str, Meta(max_length=255)]
    id: int | None = None


@dataclass
class Details:
    """What is known of somebody: the columns of a file, and nearly all that a form asks for."""

    first_name: Annotated[str, Meta(min_length=1, max_length=100)]
    last_name: Annotated[str, Meta(max_length=100)] = ""
    company: Annotated[str, Meta(max_length=100)] = ""
    group: Group = Group.OTHER
    email: Annotated[
        str,
        Meta(max_length=254, pattern=EMAIL, title="E-mail", description="Such as ada@example.org"),
        Widget("email"),
    ] = ""
    phone: Annotated[str, Meta(max_length=40), Widget("tel")] = ""
    birthday: date | None = None
    address: Annotated[str, Meta(max_length=500), Widget("textarea", rows=3)] = ""
    notes: Annotated[str, Meta(max_length=5000), Widget("textarea", rows=5)] = ""
    favourite: bool = False


@dataclass
class Contact(Details):
    """Somebody in the address book of a user, who is the only one to see it."""

    owner: Annotated[int, References(User, on_delete="cascade"), Private] = 0
    photo: Annotated[str, Meta(max_length=50), Private] = ""
    search: Annotated[str, Meta(max_length=LONGEST_SEARCH), Private] = ""
    id: int | None = None

    __owner__ = "owner"

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def initials(self) -> str:
        return f"{self.first_name[:1]}{self.last_name[:1]}".upper()

    @property
    def dialled(self) -> str:
        """The phone number as a link has it."""
        return "".join(one for one in self.phone if one.isdigit() or one == "+")

    @property
    def born(self) -> str:
        day = self.birthday
        return f"{day.day} {day:%B} {day.year}" if day else ""

    @property
    def belongs(self) -> str:
        return self.group.name.capitalize()

    @property
    def is_reachable(self) -> bool:
        return bool(self.email or self.phone or self.address)

    def index(self) -> None:
        """Note what this contact is found by. It begins with what contacts are ordered by."""
        parts = (self.last_name, self.name, self.last_name, self.company, self.email, self.phone)
        self.search = folded(" ".join(parts))[:LONGEST_SEARCH]


def folded(text: str) -> str:
    """Return a text without capitals and accents, in which "muller" finds "Müller"."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in parts if not unicodedata.combining(one)).split())
