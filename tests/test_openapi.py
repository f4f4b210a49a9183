"""OpenAPI: the document says what the application does, no more and no less."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import schemathesis
from markupsafe import Markup
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.engine import events, from_schema

from kit import App, Data, Digits, Meta, Private, Response, Routes, Unique, abort, openapi, redirect
from kit.contracts.identity import QuickPasswords
from kit.errors import Forbidden, RecordNotFound
from kit.openapi.returns import results
from kit.patterns import Converter
from kit.slots.identity import Users, logged_in, may, role
from kit.slots.rates import rate
from kit.slots.validation import Body, Form, HeaderValues, Patch, Path, Query, Upload
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

    name: Annotated[
        str, Meta(min_length=1, max_length=80, title="Full name", description="As written")
    ]
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
    "identity": {
        "use": ["basic"],
        "attempts": "1000000 / minute",
        "address_attempts": "1000000 / minute",
    },
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
        found = store.find(
            Contact, name__contains=search.q, limit=10, offset=10 * (search.page - 1)
        )
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
        assert headers.value
        form.update(contact)
        store.save(contact)
        return contact

    @contacts.patch("/<int:id>")
    def amend(id, store, patch: Patch[Contact]) -> Contact:
        contact = store.get(Contact, id)
        patch.update(contact)
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

    app.include(
        openapi.routes("/api", title="Contacts & more", version="1.2", description="A `test`.")
    )
    return app


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    made = make(tmp_path_factory.mktemp("openapi"))

    def fill(store):
        hashed = QuickPasswords().hash(PASSWORD)
        store.add(User("ada", hashed, "admin"))
        for name in ("Grace", "Alan", "Edsger"):
            store.add(Contact(name))

    made.start().call(fill)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def document(app) -> dict[str, Any]:
    answer = client(app).get("/api/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    return answer.json


def described(handler: Any, **options: Any) -> dict[str, Any]:
    """The operation of a single GET route."""
    app = App({"formats": {"use": ["json"]}})
    app.get("/it", **options)(handler)
    found = openapi.document(app, title="It", version="1")
    OpenAPIV31SpecValidator(found).validate()
    return found["paths"]["/it"]["get"]


# What it says


def test_the_document_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {
        "title": "Contacts & more",
        "version": "1.2",
        "description": "A `test`.",
    }


def test_it_describes_every_route_but_those_left_out(document, app):
    found = {(m, p) for p, methods in document["paths"].items() for m in methods}
    declared = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.text))
        for route in app.routes
        for method in route.methods
        if route.text != "/hidden" and not route.text.startswith("/api")
    }
    assert found == declared
    ids = [one["operationId"] for ms in document["paths"].values() for one in ms.values()]
    assert len(ids) == len(set(ids))
    assert {"contacts.index", "rows", "both.get", "both.post"} <= set(ids)


def test_operations_have_names_of_their_own():
    app = App()

    @app.get("/one")
    @app.get("/two", name="other")
    @app.get("/three", name="other")
    def handler() -> str:
        return ""

    document = openapi.document(app, title="x", version="1")
    OpenAPIV31SpecValidator(document).validate()
    ids = [one["get"]["operationId"] for one in document["paths"].values()]
    assert sorted(ids) == ["handler", "other", "other.2"]


def test_docstrings_are_summary_and_description(document):
    index = document["paths"]["/contacts"]["get"]
    assert index["summary"] == "List contacts."
    assert index["description"] == "Those whose name has the text ``q`` in it, a *page* of `10`."
    assert index["tags"] == ["contacts"]
    assert document["paths"]["/rows"]["get"]["summary"] == "rows"


def test_a_query_is_parameters(document):
    parameters = document["paths"]["/contacts"]["get"]["parameters"]
    assert [(one["name"], one["in"], one["required"]) for one in parameters] == [
        *(("q", "query", False), ("page", "query", False), ("kinds", "query", False))
    ]
    page, kinds = (one["schema"] for one in parameters[1:])
    assert {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1}.items() <= page.items()
    assert kinds["type"] == "array"
    assert kinds["items"]["enum"] == ["friend", "family"]


def test_headers_are_parameters(document):
    parameters = document["paths"]["/contacts/{id}"]["put"]["parameters"]
    found = {one["name"]: one["schema"] for one in parameters if one["in"] == "header"}
    assert found.keys() == {"If-Match", "X-Count"}
    assert found["If-Match"]["maxLength"] == 40
    assert (found["X-Count"]["type"], "anyOf" in found["X-Count"]) == ("integer", False)


def test_a_path_is_parameters(document):
    parameters = document["paths"]["/names/{name}/{x}/{key}/{colour}"]["get"]["parameters"]
    schemas = {one["name"]: one["schema"] for one in parameters}
    assert all(one["in"] == "path" and one["required"] for one in parameters)
    assert schemas["key"] == {"type": "string", "format": "uuid"}
    assert schemas["colour"]["pattern"] == "^(?:red|green)$"
    assert re.fullmatch(schemas["x"]["pattern"], "1.5")
    [usual] = document["paths"]["/contacts/{id}"]["delete"]["parameters"]
    assert usual["schema"]["maximum"] == 8_999_999_999_999_999_999


def test_a_class_refines_the_parameters_of_a_path():
    app = App()

    @app.get("/places/<int:id>/<name>")
    def place(id, name, path: Path[Place]) -> None:
        pass

    found = openapi.document(app, title="x", version="1")["paths"]["/places/{id}/{name}"]["get"]
    number, name = (one["schema"] for one in found["parameters"])
    assert number["maximum"] == 1000
    assert name == {"type": "string", "minLength": 1}
    assert "422" in found["responses"]


def test_a_body_has_the_formats_that_can_hold_it(document):
    one = document["paths"]["/orders"]["post"]["requestBody"]
    data = {"application/json", "application/xml", "application/yaml", "application/vnd.msgpack"}
    assert one["required"]
    assert one["content"].keys() == data
    many = document["paths"]["/many"]["post"]["requestBody"]["content"]
    assert many.keys() == data | {"text/csv", "application/jsonl"}
    assert many["text/csv"]["schema"]["items"] == {
        "$ref": "#/components/schemas/AddressInput",
    }
    form = document["paths"]["/contacts/{id}"]["put"]["requestBody"]["content"]
    forms = {"application/x-www-form-urlencoded", "multipart/form-data"}
    assert form.keys() == data | forms
    assert form["multipart/form-data"]["schema"]["properties"]["born"]["format"] == "date"
    [(kind, photo)] = document["paths"]["/photos"]["post"]["requestBody"]["content"].items()
    assert kind == "multipart/form-data"
    assert photo["schema"]["required"] == ["title", "file"]


def test_what_is_read_is_not_what_is_shown(document):
    schemas = document["components"]["schemas"]
    assert "owner" not in schemas["ContactInput"]["properties"]
    assert "id" not in schemas["ContactInput"]["properties"]
    assert schemas["ContactInput"]["required"] == ["name"]
    assert schemas["Contact"]["required"] == [*Contact.__annotations__]
    assert schemas["Contact"]["properties"]["name"]["description"] == "As written"
    assert schemas["OrderInput"]["properties"]["address"]["$ref"].endswith("/AddressInput")
    assert schemas["OrderInput"]["properties"]["items"]["xml"] == {"wrapped": True}


def test_a_patch_requires_nothing_and_has_no_defaults(document):
    body = document["paths"]["/contacts/{id}"]["patch"]["requestBody"]
    assert body["required"]
    reference = body["content"]["application/json"]["schema"]["$ref"]
    patch = document["components"]["schemas"][reference.rpartition("/")[2]]
    whole = document["components"]["schemas"]["ContactInput"]
    assert patch["properties"].keys() == whole["properties"].keys()
    assert "required" not in patch
    assert all("default" not in one for one in patch["properties"].values())


def test_answers_have_the_formats_that_can_show_them(document):
    page = document["paths"]["/contacts"]["get"]["responses"]["200"]["content"]
    assert len(page) == len(FORMATS)
    contacts = page["application/json"]["schema"]["additionalProperties"]
    assert contacts["items"] == {"$ref": "#/components/schemas/Contact"}
    assert page["text/csv"] == page["application/xml"] == {}
    shown = document["paths"]["/contacts/{id}"]["get"]["responses"]["200"]["content"]
    assert "text/html" not in shown
    assert shown["application/yaml"]["schema"] == {"$ref": "#/components/schemas/Contact"}
    rows = document["paths"]["/rows"]["get"]["responses"]["200"]["content"]["application/json"]
    assert rows["schema"]["items"] == {"$ref": "#/components/schemas/Address"}
    responses = document["paths"]["/files/{name}"]["get"]["responses"]
    assert responses["200"]["content"] == {"text/html": {"schema": {"type": "string"}}}
    assert "content" not in document["paths"]["/contacts/{id}"]["delete"]["responses"]["204"]


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/contacts", "200 304 404 406 413 422 500 503"),
        ("post", "/contacts", "201 400 403 404 406 409 413 415 422 500 503"),
        ("get", "/contacts/{id}", "200 304 404 406 500 503"),
        ("patch", "/contacts/{id}", "200 400 403 404 406 409 413 415 422 500 503"),
        ("delete", "/contacts/{id}", "204 401 403 404 409 422 429 500 503"),
        ("get", "/rows", "200 304 406 500"),
        ("post", "/orders", "200 400 403 406 413 415 422 429 500 503"),
        ("get", "/files/{name}", "200 308 400 404 500"),
        ("get", "/me", "200 304 401 406 429 500 503"),
        ("get", "/users/{id}", "200 401 403 404 429 500 503"),
        ("get", "/both", "200 500"),
        ("post", "/both", "200 500"),
        ("get", "/elsewhere", "304 406 500 default"),
        ("get", "/gone", "200 410 500"),
    ],
)
def test_only_what_can_happen_is_said(document, method, path, statuses):
    assert " ".join(document["paths"][path][method]["responses"]) == statuses


def test_errors_are_problems(document):
    reference = document["paths"]["/contacts"]["post"]["responses"]["422"]["$ref"]
    assert reference == "#/components/responses/UnprocessableEntity"
    answer = document["components"]["responses"]["UnprocessableEntity"]
    assert answer["content"].keys() == {"application/problem+json", "text/html"}
    assert "content" not in document["components"]["responses"]["NotModified"]


def test_it_says_how_to_say_who_one_is(document):
    assert document["components"]["securitySchemes"] == {
        "basic": {"type": "http", "scheme": "basic"}
    }
    assert document["paths"]["/me"]["get"]["security"] == [{"basic": []}]
    assert "security" not in document["paths"]["/rows"]["get"]


def test_a_component_may_have_a_scheme_of_its_own(tmp_path):
    class Badge:
        challenge = 'Badge realm="x"'
        headers = ("X-Badge",)
        openapi = {"type": "apiKey", "in": "header", "name": "X-Badge"}

        def identify(self, environ):
            return None

    config = {**CONFIG, "identity": {"use": [f"{__name__}:Badge"]}}
    globals()["Badge"] = Badge
    sys.modules.setdefault(__name__, sys.modules[Badge.__module__])
    app = App(
        {
            **config,
            "formats": {},
            "persistence": {"use": "peewee", "url": f"sqlite:///{tmp_path}/x.db"},
        }
    )
    app.records(User)
    app.provider(scope="app", name="users")(lambda: Users(User, name="name"))
    app.get("/who")(lambda user: str(user))
    found = openapi.document(app, title="x", version="1")
    assert found["components"]["securitySchemes"] == {"Badge": Badge.openapi}
    assert found["paths"]["/who"]["get"]["security"] == [{}, {"Badge": []}]


def test_a_form_that_is_shown_is_no_body():
    def edit(form: Form[Address]) -> str:
        return ""

    assert {*described(edit)["responses"]} == {"200", "500"}
    assert "requestBody" not in described(edit)


# Return annotations


def unread() -> Nothing:  # noqa: F821 - as with what is imported for type checkers alone
    """A handler whose annotation cannot be read."""


class Called:
    def __call__(self) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (None, {(204, "nothing")}),
        (str, {(200, "html")}),
        (Markup, {(200, "html")}),
        (bytes, {(200, "bytes")}),
        (Iterator[str], {(200, "html")}),
        (dict, {(200, "data")}),
        (Contact | None, {(200, "data"), (204, "nothing")}),
        (Data, {(200, "page")}),
        (Data[Contact], {(200, "page")}),
        (tuple[Contact, Literal[201]], {(201, "data")}),
        (tuple[Contact, Literal[200, 201], dict], {(200, "data"), (201, "data")}),
        (tuple[str, dict[str, str]], {(200, "html")}),
        (tuple[None, Literal[204]], {(204, "nothing")}),
        (tuple[Contact, int], {(None, "data")}),
        (Annotated[str, "x"], {(200, "html")}),
        (Response, {(None, "unknown")}),
        (Any, {(None, "unknown")}),
    ],
)
def test_a_return_annotation_says_how_a_handler_answers(annotation, expected):
    def handler():
        pass

    handler.__annotations__["return"] = annotation
    assert {(one.status, one.kind) for one in results(handler)} == expected


def test_handlers_of_all_kinds_are_understood():
    assert [one.kind for one in results(unread)] == ["unknown"]
    assert [one.kind for one in results(lambda: 1)] == ["unknown"]
    assert [one.kind for one in results(Called())] == ["bytes"]
    assert [one.kind for one in results(Called().__call__)] == ["bytes"]


@dataclass
class Labelled:
    label: Markup
    anything: object


def test_what_has_no_schema_has_an_empty_one():
    def handler():
        return {}

    handler.__annotations__["return"] = list[Labelled | Contact]
    content = described(handler)["responses"]["200"]["content"]
    assert content == {"application/json": {}}
    handler.__annotations__["return"] = Labelled
    content = described(handler)["responses"]["200"]["content"]
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Labelled"}}}
    handler.__annotations__["return"] = Labelled | Contact
    schema = described(handler)["responses"]["200"]["content"]["application/json"]["schema"]
    names = ("Labelled", "Contact")
    assert schema == {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}


def test_classes_of_one_name_are_told_apart():
    app = App()
    for number in (1, 2, 1):
        inner = make_dataclass("Inner", [("n", Annotated[int, Meta(ge=number)])])
        outer = make_dataclass("Outer", [("inner", inner)])

        def handler(body):
            return None

        handler.__annotations__["body"] = Body[outer]
        app.post(f"/{len(app.routes)}", name=f"{len(app.routes)}")(handler)
    document = openapi.document(app, title="x", version="1")
    OpenAPIV31SpecValidator(document).validate()
    schemas = document["components"]["schemas"]
    assert {*schemas} == {"OuterInput", "InnerInput", "OuterInput2", "InnerInput2", "Problem"}
    reference = schemas["OuterInput2"]["properties"]["inner"]["$ref"]
    assert reference == "#/components/schemas/InnerInput2"
    assert schemas["InnerInput2"]["properties"]["n"]["minimum"] == 2


# Guards, errors, and what an author says


def test_a_guard_may_say_what_it_refuses_with():
    def guard(environ):
        raise Forbidden("no")

    assert {*described(lambda: "x", requires=guard)["responses"]} == {
        *("403", "406", "500", "default")
    }
    openapi.raises(402, 451)(guard)
    assert {*described(lambda: "x", requires=guard)["responses"]} == {
        *("402", "406", "451", "500", "default")
    }
    with pytest.raises(ValueError, match="between 300 and 599"):
        openapi.raises(200)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (404, {"NotFound", "InternalServerError"}),  # that is a page, for browsers
        (RecordNotFound, {"InternalServerError"}),
        (Exception, set()),
    ],
)
def test_who_answers_for_a_class_of_errors_may_answer_anything(kind, statuses):
    app = App()
    app.get("/<int:n>")(lambda n: "x")
    app.error(kind)(lambda: "mine")
    responses = openapi.document(app, title="x", version="1")["components"]["responses"]
    described = {name for name, one in responses.items() if "content" in one}
    assert described & {"NotFound", "InternalServerError"} == statuses


@dataclass
class Refusal:
    errors: dict[str, list[str]]


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        (Exception, {"application/json"}),
        (RecordNotFound, {"application/problem+json", "text/html", "application/json"}),
    ],
)
def test_an_error_has_the_schema_that_its_handler_says(kind, types):
    def refuse() -> Refusal:
        return Refusal({})

    app = App()
    app.get("/<int:n>")(lambda n: "x")
    app.error(kind)(refuse)
    components = openapi.document(app, title="x", version="1")["components"]
    content = components["responses"]["NotFound"]["content"]
    assert content.keys() == types
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}
    assert components["schemas"]["Refusal"]["required"] == ["errors"]


# How it is served


def test_one_line_switches_it_on(tmp_path):
    app = App()
    app.get("/<int:n>", name="one")(lambda n: str(n))
    app.include(openapi.routes("/docs", title="One"))
    visitor = client(app)
    assert visitor.get("/docs/openapi.json").json["paths"].keys() == {"/{n}"}
    assert visitor.get("/docs").status_code == 308
    assert visitor.get("/docs/").status_code == 200
    assert visitor.get("/docs/style.css").headers["Content-Type"] == "text/css; charset=utf-8"
    assert app.url_for("openapi.page") == "/docs/"


def test_it_is_made_once_and_when_it_is_asked_for(monkeypatch):
    made = []
    real = openapi.described
    monkeypatch.setattr(openapi, "described", lambda *a: made.append(1) or real(*a))
    app = App()
    app.include(openapi.routes(title="One"))
    visitor = client(app)
    assert not made
    for path in ("/api/", "/api/openapi.json", "/api/openapi.json"):
        visitor.get(path)
    assert made == [1]


def test_it_says_where_the_application_is_mounted(app):
    mounted = client(app).get("/api/openapi.json", environ_overrides={"SCRIPT_NAME": "/shop"})
    assert mounted.json["servers"] == [{"url": "/shop"}]
    assert client(app).get("/api/openapi.json").json["servers"] == [{"url": "/"}]


def test_it_describes_what_is_below_a_path_and_may_be_guarded():
    app = App()
    app.get("/pages/<name>")(lambda name: name)
    app.get("/v1/things")(list)

    def guard():
        raise Forbidden("Not yours.")

    app.include(openapi.routes("/v1", title="Things", below="/v1/", requires=guard))
    assert client(app).get("/v1/openapi.json").status_code == 403
    assert client(app).get("/v1/").status_code == 403
    found = openapi.document(app, title="Things", version="1", below="/v1/")
    assert found["paths"].keys() == {"/v1/things"}


class Outline(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_the_document_and_loads_nothing_from_elsewhere(app, document):
    answer = client(app).get("/api/")
    page = Outline(answer.text)
    links = [value for _, name, value in page.attributes if name in ("href", "src", "action")]
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {link for link in links if not link.startswith("#")} == {"style.css", "openapi.json"}
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert not {"script", "style", "iframe", "img", "form"} & {*page.elements}
    assert not [one for one in page.attributes if one[1] == "style" or one[1].startswith("on")]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["operationId"] in ids
            assert operation["summary"] in page.text
    assert {*document["components"]["schemas"]} <= ids
    assert "Contacts & more 1.2" in page.text
    assert not re.search(r"url\(|@import|//", client(app).get("/api/style.css").text)


def test_what_an_author_writes_is_no_markup():
    app = App()

    def handler() -> str:
        """<script>alert(1)</script>

        `<b>` and ``<i>``
        """
        return ""

    app.get("/it")(handler)
    app.include(openapi.routes(title="<script>", description="<img src=x>"))
    page = Outline(client(app).get("/api/").text)
    assert not {"script", "i", "img"} & {*page.elements}
    assert "<script>alert(1)</script>" in page.text


# As a client sees it


def _explored(app: App, examples: int) -> tuple[Counter, list[str]]:
    """Let schemathesis use an application; return the statuses that it got, and what it found."""
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    schema.config.update(basic_auth=("ada", PASSWORD), headers={"Origin": "http://localhost"})
    schema.config.generation.update(max_examples=examples, deterministic=True, database="none")
    schema.config.phases.update(phases=["coverage", "fuzzing"])
    # Whether other input is refused is validation's own; ignored_auth does not work over WSGI.
    others = ["negative_data_rejection", "positive_data_acceptance", "ignored_auth"]
    schema.config.checks.update(excluded_check_names=others)
    statuses, found = Counter(), []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for case, checks in event.recorder.checks.items():
                statuses[event.recorder.interactions[case].response.status_code] += 1
                failures = [check.failure_info for check in checks if check.failure_info]
                found += [f"{one.failure}\n{one.code_sample}" for one in failures]
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            found.append(str(getattr(event, "value", event)))
    return statuses, found


@pytest.fixture
def formats_of_schemathesis(app):
    """Let schemathesis write the formats that it does not know."""
    for name in ("msgpack", "csv", "jsonl"):
        one = app.provided("formats")[name]

        @schemathesis.serializer(one.media_types[0].partition(";")[0])
        def serialize(context, value, one=one):
            try:
                return one.dump(value)
            except TypeError:
                return b"?"


def test_nothing_happens_that_the_document_does_not_say(app, formats_of_schemathesis):
    statuses, found = _explored(app, 4)
    assert not found, "\n\n".join(found)
    assert {200, 201, 204, 303, 400, 404, 405, 409, 410, 415, 422} <= statuses.keys()
    assert sum(statuses.values()) > 500
    assert all(status < 500 for status in statuses)


def test_a_document_that_says_too_little_is_found():
    app = App()

    @app.get("/<int:id>")
    def one(id) -> dict[str, int]:
        abort(418)

    @app.get("/bad")
    def bad() -> dict[str, int]:
        return {"x": "y"}

    @app.get("/failing")
    def failing() -> dict[str, int]:
        return 1 / 0

    app.include(openapi.routes(title="x"))
    _, found = _explored(app, 2)
    for what in ("Undocumented status code", "violates schema", "Server error"):
        assert any(what.lower() in one.lower() for one in found), found


def test_websockets_are_left_out():
    app = App()
    app.get("/")(dict)

    @app.websocket("/feed")
    async def feed(socket):
        return None

    document = openapi.document(app, title="Book", version="1")
    assert list(document["paths"]) == ["/"]
