"""OpenAPI: the document says what the application does, no more and no less."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from markupsafe import Markup
from openapi_spec_validator import OpenAPIV31SpecValidator

from kit import App, Data, Digits, Meta, Private, Response, Routes, Unique, abort, openapi, redirect
from kit.contracts.identity import QuickPasswords
from kit.errors import Forbidden
from kit.patterns import Converter
from kit.slots.identity import Users, logged_in, may, role
from kit.slots.rates import rate
from kit.slots.validation import Body, Form, HeaderValues, Path, Query, Upload
from kit.testing import client

FORMATS = ["html", "json", "csv", "xml", "yaml", "msgpack", "jsonl", "text"]
PASSWORD = "a long enough secret"


class Kind(Enum):
    FRIEND = "friend"
    FAMILY = "family"


@dataclass
class Address:
    street: Annotated[str, Meta(min_length=1, max_length=80)]
    town: str = ""


@dataclass
class Contact:
    """Somebody in the book."""

    name: Annotated[str, Meta(min_length=1, max_length=80, title="Full name", description="As written")]
    email: Annotated[str, Meta(max_length=80), Unique] | None = None
    born: date | None = None
    kind: Kind = Kind.FRIEND
    debt: Annotated[Decimal, Digits(8, places=2)] = Decimal(0)
    owner: Annotated[int, Private] = 0
    id: int | None = None


@dataclass
class Order:
    items: list[Address]
    address: Address
    at: datetime
    key: UUID
    tags: set[str] = field(default_factory=set)
    amount: Annotated[int, Meta(ge=1, le=100)] = 1
    gift: bool = False


@dataclass
class Search:
    q: str = ""
    page: Annotated[int, Meta(ge=1, le=1000)] = 1
    kinds: list[Kind] = field(default_factory=list)


@dataclass
class Place:
    id: Annotated[int, Meta(le=1000)]


@dataclass
class Conditions:
    if_match: Annotated[str, Meta(max_length=40)] = ""
    x_count: int | None = None


@dataclass
class Photo:
    title: str
    file: Upload


@dataclass
class User:
    name: Annotated[str, Meta(max_length=80), Unique]
    password: Annotated[str, Meta(max_length=255)] = ""
    roles: Annotated[str, Meta(max_length=80)] = ""
    id: int | None = None

    __owner__ = "id"


CONFIG = {
    "app": {"secret_key": "0123456789abcdef" * 4},
    "formats": {"use": FORMATS, "etag": True},
    "passwords": {"use": "kit.contracts.identity:QuickPasswords"},
    "tokens": {"use": "itsdangerous"},
    "rates": {"use": "memory"},
    "identity": {"use": ["basic"]},
}


def make(folder: Any) -> App:
    """An application that uses everything there is."""
    (folder / "contacts.html").write_text("{% for one in contacts %}{{ one.name }}{% endfor %}")
    app = App(
        {
            **CONFIG,
            "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{folder}/test.db"},
            "templating": {"use": "jinja2", "folder": str(folder)},
        }
    )
    app.records(Contact, User)
    app.provider(scope="app", name="users")(lambda: Users(User, name="name", roles="roles"))
    app.converters["colour"] = Converter("red|green")
    contacts = Routes("/contacts", "contacts")

    @contacts.get("")
    def index(store, query: Query[Search]) -> Data[dict[str, list[Contact]]]:
        """List contacts.

        Those whose name has the text ``q`` in it, a *page* of `10`.
        """
        search = query.value
        found = store.find(Contact, name__contains=search.q, limit=10, offset=10 * (search.page - 1))
        return Data({"contacts": found}, "contacts.html")

    @contacts.post("")
    def add(store, body: Body[Contact]) -> tuple[Contact, Literal[201]]:
        """Add a contact."""
        return store.add(body.value), 201

    @contacts.get("/<int:id>")
    def show(id, store) -> Contact:
        return store.get(Contact, id)

    @contacts.put("/<int:id>")
    def change(id, store, form: Form[Contact], headers: HeaderValues[Conditions]) -> Contact:
        contact = store.get(Contact, id)
        headers.value
        form.update(contact)
        store.save(contact)
        return contact

    @contacts.delete("/<int:id>", requires=role("admin"))
    def remove(id, store) -> None:
        store.delete(store.get(Contact, id))

    app.include(contacts)

    @app.get("/rows")
    def rows() -> Data[Iterator[Address]]:
        return Data(Address(f"street {number}") for number in range(3))

    @app.post("/orders", requires=rate("100000 / minute"))
    def order(body: Body[Order]) -> Order:
        return body.value

    @app.post("/many")
    def many(body: Body[list[Address]]) -> list[Address]:
        return body.value

    @app.post("/photos")
    def photo(form: Form[Photo]) -> dict[str, int]:
        return {"size": len(form.value.file.read())}

    @app.get("/names/<name>/<float:x>/<uuid:key>/<colour:colour>")
    def names(name, x, key, colour) -> dict[str, Any]:
        return {"name": name, "x": x, "key": key, "colour": colour}

    @app.get("/files/<path:name>")
    def file(name) -> str:
        return name

    @app.get("/me", requires=logged_in)
    def me(user) -> dict[str, str]:
        return {"name": user.name}

    @app.get("/users/<int:id>", requires=may("view", User))
    def user_page(id, record) -> Markup:
        return Markup("<p>{}</p>").format(record.name)

    @app.route("/both", methods=["GET", "POST"], csrf=False)
    def both(request) -> bytes:
        return request.method.encode()

    @app.get("/elsewhere")
    def elsewhere():
        return redirect("/rows")

    @app.get("/gone")
    @openapi.raises(410)
    def gone() -> str:
        abort(410)

    @app.get("/hidden")
    @openapi.leave_out
    def hidden() -> str:
        return "hidden"

    app.include(openapi.routes("/api", title="Contacts & more", version="1.2", description="A `test`."))
    return app


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    made = make(tmp_path_factory.mktemp("openapi"))

    def fill(store):
        hashed = QuickPasswords().hash(PASSWORD)
        store.add(User("ada", hashed, "admin"))
        store.add(Contact("Grace"))

    made.start().call(fill)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def document(app) -> dict[str, Any]:
    answer = client(app).get("/api/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json


def test_the_document_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()
