"""The address book of one user: what it holds, page by page."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Annotated, Literal
from urllib.parse import urlencode

from address_book.records import Contact, Details, Group, folded
from kit import Meta, Widget, provider


class Sort(Enum):
    """What comes first in a list."""

    NAME = "name"
    NEWEST = "newest"
    FAVOURITES = "favourites"
    GROUP = "group"


Among = Enum("Among", {"EVERYBODY": "all", **{one.name: one.value for one in Group}})

ORDERS = {
    Sort.NAME: ("search",),
    Sort.NEWEST: ("-id",),
    Sort.FAVOURITES: ("-favourite", "search"),
    Sort.GROUP: ("group", "search"),
}


@dataclass(frozen=True)
class Listing:
    """Which contacts are asked for: the query of the list, and of its exports."""

    q: Annotated[str, Meta(max_length=100, title="Search"), Widget("search")] = ""
    group: Among = Among.EVERYBODY
    sort: Sort = Sort.NAME
    size: Annotated[Literal["20", "50", "100", "all"], Meta(title="Per page")] = "20"
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1

    def query(self, **changes: object) -> str:
        """Return the query of a URL that asks for the same but for `changes`."""
        found = {}
        for field in fields(self):
            value = changes.get(field.name, getattr(self, field.name))
            if value != field.default:
                found[field.name] = value.value if isinstance(value, Enum) else value
        return urlencode(found)


@dataclass(frozen=True)
class Page:
    """Some of the contacts that were found, of all that were."""

    contacts: list[Contact]
    total: int
    number: int
    last: int
    first_shown: int


class Book:
    """The contacts of one user; nobody else's can be found in it."""

    def __init__(self, store, owner: int) -> None:
        self._store = store
        self._owner = owner

    def page(self, wanted: Listing) -> Page:
        """Return the page that is asked for, or the last one where there are not so many."""
        found: dict[str, object] = {"owner": self._owner}
        if wanted.q:
            found["search__contains"] = folded(wanted.q)
        if wanted.group is not Among.EVERYBODY:
            found["group"] = Group(wanted.group.value)
        total = self._store.count(Contact, **found)
        size = max(total, 1) if wanted.size == "all" else int(wanted.size)
        last = max(1, -(-total // size))
        number = min(wanted.page, last)
        offset = (number - 1) * size
        contacts = self._store.find(
            Contact, **found, order_by=ORDERS[wanted.sort], limit=size, offset=offset
        )
        return Page(contacts, total, number, last, offset + 1)

    def is_empty(self) -> bool:
        """Say whether nobody was ever added, or everybody deleted."""
        return not self._store.count(Contact, owner=self._owner)

    def add(self, details: Details, photo: str = "") -> Contact:
        """Store somebody new."""
        known = {one.name: getattr(details, one.name) for one in fields(Details)}
        contact = Contact(**known, owner=self._owner, photo=photo)
        contact.index()
        return self._store.add(contact)

    def save(self, contact: Contact) -> None:
        """Store what has changed."""
        contact.index()
        self._store.save(contact)

    def delete(self, contact: Contact) -> None:
        """Delete somebody for good."""
        self._store.delete(contact)


@provider
def book(store, user):
    """The address book of who is logged in."""
    return Book(store, user.id)
