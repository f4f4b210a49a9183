"""Forms in applications: how fields look, and what becomes of what browsers send."""

from __future__ import annotations

import html
import io
import socket
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from typing import Annotated, Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from kit_msgspec.validation import MsgspecValidation
from markupsafe import Markup
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import encode_multipart

from kit import App, Conflict, Meta, Private
from kit.errors import ConfigError
from kit.slots.persistence.records import Digits
from kit.slots.validation import (
    Body,
    Form,
    HeaderValues,
    MaxSize,
    MediaTypes,
    Path,
    Query,
    Upload,
    ValidationOptions,
    Widget,
)
from kit.slots.validation.text import expand
from kit.slots.validation.widgets import attributes
from kit.testing import client

EVIL = "\"><i>&amp;'</i>"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Inner:
    street: Annotated[str, Meta(max_length=20)]
    flag: bool = False


@dataclass
class Contact:
    name: Annotated[str, Meta(max_length=20, title="Name <i>", description="Yours & <i>")]
    age: Annotated[int, Meta(gt=0, lt=150)] = 18
    id: int | None = None


@dataclass
class Photo:
    image: Annotated[Upload, MaxSize("1 MB"), MediaTypes("image/png")]
    more: list[Upload] = field(default_factory=list)


class Page(HTMLParser):
    """The elements of a page, each with its attributes and the text that follows it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute comes twice in {attrs}"
        self.elements.append((tag, dict(attrs), []))

    def handle_data(self, data):
        if self.elements:
            self.elements[-1][2].append(data)

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [about for name, about, _ in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return ["".join(text).strip() for name, _, text in self.elements if name == tag]


def form(cls: Any, data: dict[str, Any] | None = None, **options: Any) -> Form[Any]:
    given = ValidationOptions(**options)
    schema = MsgspecValidation(given).schema(cls)
    checked = None if data is None else schema.check(data, text=True)
    return Form(schema, data, checked, zone=given.place)


def one(hint: Any, default: Any = ..., sent: Any = ...) -> Page:
    """Show a form with one field, called ``value``."""

    @dataclass
    class One:
        value: Any

    One.__annotations__["value"] = hint
    if default is not ...:
        One.value = default
    made = dataclass(type("One", (), dict(vars(One))))
    return Page(form(made, None if sent is ... else {"value": sent}).__html__())


# How fields look


@pytest.mark.parametrize(
    ("hint", "default", "about"),
    [
        (str, "x", {"type": "text", "value": "x"}),
        (Annotated[str, Widget("email", autocomplete="email")], "", {"autocomplete": "email"}),
        (Annotated[str, Widget("password")], "secret", {"type": "password"}),
        (Annotated[str, Meta(min_length=3, max_length=9)], "", {"minlength": "3"}),
        (int, 5, {"type": "number", "value": "5"}),
        (Annotated[int, Meta(gt=3, lt=9, multiple_of=2)], 4, {"min": "4", "max": "8", "step": "2"}),
        (float, 1.5, {"type": "number", "value": "1.5", "step": "any"}),
        (Annotated[Decimal, Digits(5, places=2)], Decimal("1E+1"), {"value": "10", "step": "0.01"}),
        (date, date(2026, 1, 31), {"type": "date", "value": "2026-01-31"}),
        (time, time(12, 30), {"type": "time", "value": "12:30"}),
        (time, time(12, 30, 15), {"type": "time", "value": "12:30:15"}),
        (
            datetime,
            datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
            {"type": "datetime-local", "value": "2026-01-31T12:30"},
        ),
        (bool, True, {"type": "checkbox", "value": "on", "checked": None}),
        (Annotated[str, Widget("hidden")], EVIL, {"type": "hidden", "value": EVIL}),
        (Annotated[bytes, MediaTypes("image/png")], b"x", {"type": "file", "accept": "image/png"}),
        (Upload | None, None, {"type": "file"}),
        (list[Annotated[Upload, MaxSize(5)]], ..., {"type": "file", "multiple": None}),
        (Annotated[str, Widget("text", data_x=EVIL, autofocus=True)], "", {"data-x": EVIL}),
    ],
)
def test_a_field_has_the_widget_of_its_type(hint, default, about):
    elements = [found for found in one(hint, default).find("input") if found["name"] == "value"]
    assert about.items() <= elements[-1].items()
    if elements[-1]["type"] in ("password", "file"):
        assert "value" not in elements[-1]


def test_text_of_several_lines_has_an_area():
    page = one(Annotated[str, Widget("textarea", rows=3)], "\na\n<b>")
    assert page.find("textarea") == [{"id": "value", "name": "value", "rows": "3"}]
    assert "\n\na\n&lt;b&gt;</textarea>" in str(form_text("\na\n<b>"))


def form_text(default: str) -> Markup:
    @dataclass
    class Note:
        text: Annotated[str, Widget("textarea")]

    return form(Note).filled({"text": default})["text"].input()


def test_a_choice_is_a_list_to_select_from():
    page = one(Color)
    assert page.find("option") == [{"value": ""}, {"value": "red"}, {"value": "blue"}]
    assert page.text("option") == ["", "Red", "Blue"]
    assert [about for about in one(Color, Color.BLUE).find("option") if "selected" in about] == [
        {"value": "blue", "selected": None}
    ]
    assert "selected" in one(Color, sent="blue").find("option")[-1]


def test_a_choice_may_be_radio_buttons_in_a_group():
    page = one(Annotated[Literal["a", 2], Widget("radio")], sent="2")
    assert page.text("legend") == ["Value"]
    assert [(about["value"], "checked" in about) for about in page.find("input")] == [
        ("a", False),
        ("2", True),
    ]
    assert [about["for"] for about in page.find("label")] == [
        about["id"] for about in page.find("input")
    ]


def test_choices_are_boxes_that_can_all_be_unticked():
    page = one(list[Color], sent=["", "blue"])
    hidden, red, blue = page.find("input")
    assert hidden == {"type": "hidden", "name": "value", "value": ""}
    assert (red["value"], "checked" in red) == ("red", False)
    assert (blue["value"], "checked" in blue) == ("blue", True)
    several = one(Annotated[list[Color], Widget("select")], sent=["red", "blue"])
    assert len([about for about in several.find("option") if "selected" in about]) == 2
    assert "multiple" in several.find("select")[0]


def test_a_box_can_be_unticked_although_its_default_is_true():
    @dataclass
    class Settings:
        news: bool = True

    page = Page(form(Settings).__html__())
    sent = {about["name"]: about["value"] for about in page.find("input") if "checked" not in about}
    assert sent == {"news": ""}
    assert form(Settings, sent).value == Settings(news=False)
    assert "checked" not in Page(form(Settings, sent).__html__()).find("input")[-1]


def test_objects_and_lists_are_groups_with_a_row_for_one_more():
    @dataclass
    class House:
        main: Inner
        tags: list[str] = field(default_factory=list)
        others: Annotated[list[Inner], Meta(max_length=2)] = field(default_factory=list)
        second: Inner | None = None

    shown = form(House).filled(House(Inner("a"), ["x"], [Inner("b")]))
    page = Page(shown.__html__())
    found = {about["name"]: about for about in page.find("input") if about["type"] != "hidden"}
    assert [*found] == [
        *("main.street", "main.flag", "tags", "others.0.street", "others.0.flag"),
        *("others.1.street", "others.1.flag", "second.street", "second.flag"),
    ]
    assert [found[name].get("value") for name in ("main.street", "others.0.street")] == ["a", "b"]
    required = [name for name, about in found.items() if "required" in about]
    assert required == ["main.street", "others.0.street"]
    assert page.text("legend") == ["Main", "Tags", "Others", "1", "2", "Second"]
    ids = [about["id"] for _, about, _ in page.elements if "id" in about]
    assert len(ids) == len(set(ids))
    full = form(House).filled(House(Inner("a"), [], [Inner("b"), Inner("c")]))
    assert "others.2.street" not in full.__html__()
    assert shown["main.street"].value == "a"
    assert [row["street"].value for row in shown["others"]] == ["b", ""]


@dataclass
class Line:
    book: str
    count: int = 3


@dataclass
class Everything:
    text: Annotated[str, Widget("textarea")]
    exact: Annotated[Decimal, Digits(5, places=2)]
    moment: datetime
    clock: time
    color: Annotated[Color, Widget("radio")]
    inner: Inner
    maybe: Line | None = None
    rows: list[Line] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    colors: set[Color] = field(default_factory=lambda: {Color.RED})
    flag: bool = True
    level: Literal[1, 2] = 1
    count: int | None = 5


@pytest.mark.parametrize(
    "value",
    [
        Everything(
            '\na\n"<b>',
            Decimal("1.50"),
            datetime(2026, 7, 31, 12, 30, 15, tzinfo=UTC),
            time(1, 2, 3, 4),
            Color.BLUE,
            Inner("x", True),
            Line("y"),
            [Line("a"), Line("b", 5)],
            ["t", "u"],
            {Color.RED, Color.BLUE},
            level=2,
        ),
        Everything(
            *("x", Decimal(0), datetime(2026, 1, 1, tzinfo=UTC), time(0), Color.RED, Inner("x")),
            colors=set(),
            flag=False,
            count=None,
        ),
    ],
)
def test_what_a_browser_sends_of_a_form_is_what_was_shown(value):
    shown = form(Everything, zone="Europe/Berlin").filled(value)
    sent: dict[str, list[str]] = {}
    for name, text in browser_sends(shown.__html__()):
        sent.setdefault(name, []).append(text)
    schema = shown.schema
    again = schema.check(expand(sent.items(), schema.fields), text=True)
    assert again.failures == []
    # White space around text does not count, and browsers leave the first line break out.
    assert again.value == replace(value, text=value.text.strip())


def browser_sends(page: str) -> list[tuple[str, str]]:
    """Return what a browser sends of a form that nobody touched (HTML Standard, 4.10.21.4)."""
    sent = []
    select = ""
    for tag, about, text in Page(page).elements:
        if tag == "select":
            select, chosen = about["name"] or "", []
        elif tag == "option" and ("selected" in about or (select and not chosen)):
            if chosen:
                sent.pop()
            chosen = ["selected"] if "selected" in about else ["first"]
            sent.append((select, about["value"] or ""))
        elif tag == "textarea":
            sent.append((about["name"], "".join(text).removeprefix("\n").replace("\n", "\r\n")))
        elif tag == "input" and (
            about["type"] not in ("checkbox", "radio", "file") or "checked" in about
        ):
            sent.append((about["name"], about["value"] or ""))
    return sent


def test_rows_keep_their_messages_where_others_were_left_empty():
    @dataclass
    class House:
        rows: list[Inner]

    sent = form(House, {"rows": [{"street": " "}, {"street": "x" * 21}, {"street": "ok"}]})
    assert [row["street"].value for row in sent["rows"]] == ["x" * 21, "ok", ""]
    assert [bool(row["street"].errors) for row in sent["rows"]] == [True, False, False]


def test_everything_on_a_page_is_escaped():
    sent = form(Contact, {"name": EVIL * 3, "age": EVIL})
    page = Page(sent.__html__())
    assert not page.find("i")
    assert page.find("input")[0]["value"] == EVIL * 3
    assert page.text("label")[0] == "Name <i>"
    assert page.text("p") == ["Yours & <i>"]


def test_a_message_belongs_to_its_field():
    page = Page(form(Contact, {"name": "", "age": "x"}).__html__())
    for about in page.find("input"):
        told = about["aria-describedby"].split()
        assert about["aria-invalid"] == "true"
        assert {*told} <= {found.get("id") for _, found, _ in page.elements}
    assert page.text("li") == ["This field is required.", "Please give a whole number."]


def test_the_first_field_at_fault_gets_the_focus():
    def focused(data: dict[str, str] | None) -> list[str | None]:
        page = Page(form(Contact, data).__html__())
        return [about["name"] for about in page.find("input") if "autofocus" in about]

    assert focused(None) == focused({"name": "Ada"}) == []
    assert focused({"name": "", "age": "x"}) == ["name"]
    assert focused({"name": "Ada", "age": "x"}) == ["age"]


def test_a_field_shows_all_its_messages():
    page = one(Annotated[str, Meta(min_length=3, pattern="x")], sent="a")
    assert page.text("li") == [
        "Please use at least 3 characters.",
        "This does not have the form that is asked for.",
    ]


def test_parts_of_a_field_can_be_placed_one_by_one():
    name = form(Contact, {"name": ""})["name"]
    assert name.label == '<label for="name">Name &lt;i&gt;</label>\n'
    assert 'class="wide" aria-label="X"' in name.input(class_="wide", aria_label="X")
    assert 'id="other"' in name.input(id="other")
    assert "required" not in name.input(required=False)
    assert name.errors == ["This field is required."]
    assert name.help == "Yours & <i>"


def test_attributes_are_escaped_and_come_once():
    found = attributes({"aria_label": "a", "aria-label": EVIL, "x": None, "y": False, "for_": True})
    assert found == f' aria-label="{html.escape(EVIL)}" for'


def test_messages_of_no_field_are_summed_up():
    @dataclass
    class Span:
        first: int
        last: int
        token: Annotated[str, Widget("hidden")] = ""

        def __post_init__(self):
            raise ValueError("First <i> is last.")

    page = Page(form(Span, {"first": "1", "last": "2"}).__html__())
    assert page.text("li") == ["First <i> is last."]
    assert page.find("ul") == [{"class": "errors", "role": "alert"}]


def test_a_form_says_how_it_is_sent():
    assert form(Photo).enctype == "multipart/form-data"
    assert form(Contact).enctype == "application/x-www-form-urlencoded"


def test_times_are_shown_in_the_zone_that_they_are_read_in():
    @dataclass
    class Event:
        start: datetime

    moment = datetime(2026, 7, 31, 10, 30, tzinfo=UTC)
    shown = form(Event, zone="Europe/Berlin").filled(Event(moment))["start"].value
    assert shown == "2026-07-31T12:30"
    assert form(Event, {"start": shown}, zone="Europe/Berlin").value.start == moment


@pytest.mark.parametrize(
    ("engine", "source"),
    [
        ("jinja2", "{{ form.fields }}|{{ form['name'] }}|{{ form['name'].label }}"),
        ("mako", "${form.fields}|${form['name']}|${form['name'].label}"),
    ],
)
def test_every_engine_shows_the_same_markup(engine, source, tmp_path):
    (tmp_path / "page.html").write_text(source)
    app = App({"templating": {"use": engine, "folder": str(tmp_path)}})
    shown = form(Contact, {"name": EVIL})
    page = app.start().provided("render")("page.html", form=shown)
    name = shown["name"]
    assert page == f"{shown.fields.__html__()}|{name.__html__()}|{name.label}"


# In an application


def application(folder: Any = None, **config: Any) -> App:
    app = App(config)

    def show(form: Form[Contact]):
        return f"<form>{form.__html__()}</form>"

    def add(form: Form[Contact]):
        return repr(form.value)

    def photo(form: Form[Photo], failing):
        name = form.value.image.save(folder)
        for file in form.value.more:
            file.save(folder)
        return name

    def failing(request):
        yield
        if "fail" in request.args:
            raise Conflict("The database refuses.")

    app.provider(failing)
    app.get("/")(show)
    app.route("/", ["POST", "PUT", "DELETE"], again=show)(add)
    app.post("/small", limits={"body": 100, "fields": 2, "field": 20})(add)
    app.post("/photo", limits={"files": 2})(photo)
    return app


def test_head_shows_a_form_too():
    assert client(application()).head("/").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("mimetype", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_is_read_whatever_the_method(method, mimetype):
    browser = client(application())
    sent = browser.open("/", method=method, data={"name": " Ada "}, content_type=mimetype)
    assert sent.text == "Contact(name='Ada', age=18, id=None)"


def test_a_request_without_a_body_is_an_empty_form():
    answer = client(application()).delete("/")
    assert answer.status_code == 422
    assert "This field is required." in answer.text


def test_who_wants_a_page_gets_it_again_and_others_get_problems():
    browser = client(application())
    for headers, mimetype in (
        ({"Accept": "text/html,*/*;q=0.8"}, "text/html"),
        ({}, "text/html"),
        ({"Accept": "application/json"}, "application/problem+json"),
        ({"Accept": "application/problem+json"}, "application/problem+json"),
    ):
        answer = browser.post("/", data={"name": ""}, headers=headers)
        assert (answer.status_code, answer.mimetype) == (422, mimetype)
    page = browser.post("/small", data={"name": ""}).text
    assert "<li>name: This field is required.</li>" in page


def test_a_form_has_the_token_of_its_session_where_there_are_sessions():
    secret = {"app": {"secret_key": "x" * 32}}
    app = application(**secret, sessions={"use": "itsdangerous"})
    browser = client(app, csrf=True)
    page = Page(browser.get("/").text)
    token = next(about for about in page.find("input") if about["name"] == "csrf_token")
    assert browser.post("/", data={"name": "Ada"}).status_code == 403
    sent = {"name": "Ada", "csrf_token": token["value"]}
    assert browser.post("/", data=sent).text == "Contact(name='Ada', age=18, id=None)"


def test_the_token_is_no_unknown_field():
    app = application(validation={"unknown": "refuse"})
    browser = client(app)
    assert browser.post("/", data={"name": "Ada", "csrf_token": "x"}).status_code == 200
    assert browser.post("/", data={"name": "Ada", "id": "1"}).status_code == 422


def test_without_a_page_nobody_gets_a_session():
    app = application(app={"secret_key": "x" * 32}, sessions={"use": "itsdangerous"})
    answer = client(app).post("/", json={"name": "Ada"})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        ({"name": "x" * 200}, "application/x-www-form-urlencoded", 413),
        ("a=1&b=2&name=3", "application/x-www-form-urlencoded", 413),
        ("name=" + "x" * 21, "application/x-www-form-urlencoded", 413),
        ("name=%ff", "application/x-www-form-urlencoded", 400),
        ("name=%00", "application/x-www-form-urlencoded", 422),
        ("x", "multipart/form-data", 400),
        (
            "--b\r\nContent-Disposition: form-data; name=name\r\n\r\nA",
            "multipart/form-data; boundary=b",
            400,
        ),
        ('{"name": "Ada"', "application/json", 400),
        ('{"name": "Ada", "name": "Eve"}', "application/json", 400),
        ('{"age": NaN}', "application/json", 400),
        ("[" * 99, "application/json", 400),
        ('{"age": 99999999999999999999, "name": "x"}', "application/json", 422),
        ("5", "application/json", 422),
        ("name=x", "text/plain", 415),
        ("name=x", "application/json; charset=latin-1", 415),
        ("name=x", "x", 415),
        ("name=x", "", 415),
    ],
)
def test_bad_bodies_have_their_status(data, kind, status):
    answer = client(application()).post("/small", data=data, content_type=kind)
    assert answer.status_code == status


def test_limits_hold_without_a_content_length():
    """A server hands on a body in chunks, whose length nobody knows beforehand."""

    class Handler(WSGIRequestHandler):
        def get_environ(self):
            return {
                **super().get_environ(),
                "wsgi.input_terminated": True,
                "CONTENT_LENGTH": "",
                "kit.csrf_checked": True,
            }

        def log_message(self, *_: object) -> None:
            pass

    app = application().start()
    with make_server("127.0.0.1", 0, app, handler_class=Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with socket.create_connection(server.server_address) as connection:
            head = (
                b"POST /small HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
            )
            connection.sendall(head + b"name=" + b"x" * 1000)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").readline()
        thread.join()
    assert b"413" in answer


def files(*contents: bytes) -> list[tuple[io.BytesIO, str]]:
    return [(io.BytesIO(content), f"{number}.png") for number, content in enumerate(contents)]


def multipart(sent: dict[str, Any]) -> dict[str, Any]:
    """Return a form in memory, for which the client opens no file of its own."""
    boundary, body = encode_multipart(sent)
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


def test_files_are_stored_and_kept(tmp_path):
    browser = client(application(tmp_path))
    image, other = (FileStorage(*one) for one in files(PNG + b"x" * 900_000, b""))
    name = browser.post("/photo", **multipart({"image": image, "more": other})).text
    assert (tmp_path / name).stat().st_size == len(PNG) + 900_000
    assert len(list(tmp_path.iterdir())) == 2


def test_files_go_if_the_database_refuses_after_the_handler(tmp_path):
    browser = client(application(tmp_path))
    assert browser.post("/photo?fail=1", data={"image": files(PNG)}).status_code == 409
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({}, "no_file"),
        ({"image": (io.BytesIO(b""), "")}, "no_file"),
        ({"image": "text"}, "not_file"),
        ({"image": files(PNG, PNG)}, "repeated"),
        ({"image": files(b"<svg>")}, "file_type"),
        ({"image": files(PNG + b"x" * 1_000_000)}, "file_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_file_that_will_not_do(sent, code, tmp_path):
    headers = {"Accept": "application/json"}
    listed = {name: one if isinstance(one, list) else [one] for name, one in sent.items()}
    made = [
        (name, FileStorage(*one) if isinstance(one, tuple) else one)
        for name, several in listed.items()
        for one in several
    ]
    sent = multipart(MultiDict([*made, ("other", "x")]))
    answer = client(application(tmp_path)).post("/photo", **sent, headers=headers)
    assert [(error["field"], error["code"]) for error in answer.json["errors"]] == [("image", code)]
    assert list(tmp_path.iterdir()) == []


def test_there_are_not_too_many_files(tmp_path):
    sent = {"image": files(PNG), "more": files(b"1", b"2")}
    assert client(application(tmp_path)).post("/photo", data=sent).status_code == 413


def test_other_formats_come_in_by_their_type():
    app = App({"formats": {"use": ["json", "msgpack", "csv"]}})

    @app.post("/")
    def add(body: Body[list[Contact]]):
        return repr(body.value)

    @app.post("/form")
    def add_one(form: Form[Contact]):
        return repr(form.value)

    browser = client(app)
    ada = "Contact(name='Ada', age=5, id=None)"
    csv = browser.post("/", data="name,age,id\r\nAda,5,7\r\n", content_type="text/csv")
    assert csv.text == f"[{ada}]"
    packed = b"\x82\xa4name\xa3Ada\xa3age\x05"
    assert browser.post("/form", data=packed, content_type="application/msgpack").text == ada
    answer = browser.post("/", data="name,age\nAda,5\n,\nEve,x\n", content_type="text/csv")
    assert answer.status_code == 422
    found = [(error["field"], error["message"]) for error in answer.json["errors"]]
    assert ("1.name", "This field is required.") in found
    assert ("2.age", "Please give a whole number.") in found
    answer = browser.post("/", data="<a/>", content_type="application/xml")
    assert answer.status_code == 415
    assert "application/json, application/vnd.msgpack, text/csv" in answer.text


def test_queries_and_headers_are_read():
    @dataclass
    class Search:
        words: list[str] = field(default_factory=list)
        page: Annotated[int, Meta(ge=1)] = 1
        deep: bool = False

    @dataclass
    class Asked:
        accept_language: list[str]
        content_length: int | None = None

    globals().update(Search=Search, Asked=Asked)
    app = App({"validation": {"unknown": "refuse"}, "formats": {"parameter": "format"}})

    @app.get("/")
    def search(query: Query[Search]):
        return repr(query.value)

    @app.get("/headers")
    def headers(headers: HeaderValues[Asked]):
        return repr(headers.value)

    browser = client(app)
    found = browser.get("/?words=a&words=b+c&deep=on&format=json").text
    assert found.endswith("Search(words=['a', 'b c'], page=1, deep=True)")
    assert browser.get("/").text.endswith("Search(words=[], page=1, deep=False)")
    for query in ("page=0", "page=x", "page=1&page=2", "other=x", "page=%00"):
        assert browser.get(f"/?{query}").status_code == 422, query
    answer = browser.get("/headers", headers={"Accept-Language": "de, en"})
    assert answer.text.endswith("Asked(accept_language=['de', 'en'], content_length=None)")


@dataclass
class Place:
    year: Annotated[int, Meta(le=9999)]
    name: str


def test_path_values_are_read():
    app = App({})

    @app.get("/<int:year>/<name>")
    def show(path: Path[Place]):
        return repr(path.value)

    browser = client(app)
    assert browser.get("/2026/x%20").text == "Place(year=2026, name='x')"
    assert browser.get("/10000/x").status_code == 422
    assert browser.get("/x/x").status_code == 404


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Form", "annotate it as Form[...] with the class to read"),
        ("Query[Contact]", "annotate it as Form[...] with the class to read, not Query"),
        ("Form[int]", "int is no schema"),
        ("Form[list[Contact]]", "is a list, which only body: Body[...] can be"),
    ],
)
def test_a_wrong_annotation_is_told_at_start(annotation, words):
    app = App({})

    def add(form):
        return ""

    add.__annotations__["form"] = eval(annotation)
    app.post("/")(add)
    with pytest.raises(ConfigError) as info:
        app.start()
    assert words in str(info.value)
    assert "test_forms.py:" in str(info.value)


@dataclass
class NoteIn:
    text: str
    id: int
    owner: int = 0


@dataclass
class StoredNote:
    text: str
    owner: Annotated[int, Private]
    id: int | None = None


def test_what_is_private_in_a_record_is_not_updated():
    note = StoredNote("old", owner=1, id=5)
    form(NoteIn, {"text": "new", "id": "99", "owner": "42"}).update(note)
    assert note == StoredNote("new", owner=1, id=5)
