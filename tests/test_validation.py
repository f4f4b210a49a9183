"""The slot validation itself: descriptions, messages, uploads, inputs; components are elsewhere."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import InitVar, dataclass, field, make_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pytest
from kit_msgspec.validation import MsgspecValidation
from werkzeug.datastructures import FileStorage

import kit.slots.validation
from kit import App, Conflict, Meta, References, Unique
from kit.errors import ConfigError, Invalid, Unavailable
from kit.slots.persistence.records import Digits
from kit.slots.validation import (
    DataclassSchema,
    Form,
    MaxSize,
    MediaTypes,
    Patch,
    Private,
    Upload,
    ValidationOptions,
    Widget,
    uploads,
)
from kit.slots.validation.describing import read
from kit.slots.validation.messages import ENGLISH, Messages, text
from kit.slots.validation.reading import Failure
from kit.slots.validation.text import expand
from kit.slots.validation.uploads import SUFFIXES, sniffed


class Kind(Enum):
    HOME = "home"
    AT_WORK = "work"


@dataclass
class User:
    email: Annotated[str, Meta(max_length=100), Unique]
    id: int | None = None


@dataclass
class Contact:
    """A record with every marker of input."""

    name: Annotated[str, Meta(max_length=20, title="Full name"), Widget("text", autofocus=True)]
    price: Annotated[Decimal, Digits(6, places=2)] = Decimal(0)
    kind: Annotated[Kind, Widget("radio")] = Kind.HOME
    photo: Annotated[bytes, Meta(max_length=100), MediaTypes("image/png"), MaxSize("1 kB")] = b""
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    owner: Annotated[int | None, References(User), Private] = None
    id: int | None = None


@dataclass
class Inner:
    x: str = ""
    y: str = ""


@dataclass
class Outer:
    a: str
    other: str
    inner: Inner
    rows: list[Inner]
    tags: list[str]


SCHEMA = MsgspecValidation(ValidationOptions()).schema


def form(cls: Any, data: dict[str, Any] | None = None) -> Form[Any]:
    schema = SCHEMA(cls)
    checked = None if data is None else schema.check(data, text=True)
    return Form(schema, data, checked)


def upload(content: bytes = b"text", name: str = "a.txt", kind: str = "text/plain") -> Upload:
    return Upload(FileStorage(io.BytesIO(content), name, "file", kind))


# One class for input and for storing


@pytest.mark.parametrize("component", ["msgspec", "pydantic", "wtforms"])
@pytest.mark.parametrize("persistence", ["sqlalchemy", "peewee"])
def test_a_record_is_a_schema(component, persistence, tmp_path):
    url = f"sqlite:///{tmp_path}/test.db"
    app = App(
        {"validation": {"use": component}, "persistence": {"use": persistence, "url": url}},
    )
    app.records(User, Contact)
    app.start()
    schema = app.provided("validation").schema(Contact)
    raw = {"name": " Ada ", "price": "12.5", "kind": "work", "owner": "77", "id": "5"}
    checked = schema.check(raw, text=True)
    assert checked.failures == []

    def store_it(store):
        user = store.add(User("ada@example.org"))
        made = Form(schema, raw, checked).make(owner=user.id)
        return store.get(Contact, store.add(made).id)

    stored = app.call(store_it)
    assert stored == Contact("Ada", Decimal("12.5"), Kind.AT_WORK, owner=1, id=1)


# Descriptions


def test_all_mistakes_of_a_class_are_told_at_once():
    @dataclass
    class Wrong:
        one: int | str
        two: Annotated[str, Meta(ge=3)]
        three: Annotated[str, Widget("texarea")] = ""

    with pytest.raises(TypeError) as info:
        read(Wrong)
    message = str(info.value)
    assert re.search(r"one: .*no type for input.*; two: Meta\(ge=...\) cannot limit str", message)
    assert "Did you mean 'textarea'?" in message


def test_a_class_that_contains_itself_is_refused():
    @dataclass
    class Node:
        children: list[Node]

    Node.__annotations__["children"] = list[Node]
    with pytest.raises(TypeError, match="Node contains itself"):
        read(Node)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (set[User], "a set has no dataclasses"),
        (tuple[int, str], "elements of one type"),
        (list, "no type for input"),
        (Annotated[datetime, Meta(tz=False)], "has a time zone"),
        (Annotated[Upload, Meta(max_length=3)], "cannot limit file"),
    ],
)
def test_other_types_are_refused(hint, words):
    @dataclass
    class Wrong:
        value: int

    Wrong.__annotations__["value"] = hint
    with pytest.raises(TypeError, match=words):
        read(Wrong)


def test_a_class_takes_its_fields_and_nothing_else():
    @dataclass
    class Wrong:
        name: str
        key: InitVar[str]

    with pytest.raises(TypeError, match="Wrong takes key, which is no field of it"):
        read(Wrong)


def test_an_enum_has_texts_that_differ():
    class Odd(Enum):
        TEXT = "1"
        NUMBER = 1

    @dataclass
    class Wrong:
        value: Annotated[Odd, "x"]

    Wrong.__annotations__["value"] = Odd
    with pytest.raises(TypeError, match="look the same"):
        read(Wrong)


def test_an_enum_may_say_what_a_page_calls_its_members():
    class Size(Enum):
        S = "s"
        L = "l"

        @property
        def label(self):
            return {"s": "Small", "l": "Large"}[self.value]

    @dataclass
    class Shirt:
        size: Any

    Shirt.__annotations__["size"] = Size
    assert [choice.label for choice in read(Shirt).fields[0].choices] == ["Small", "Large"]


def test_a_private_field_in_another_class_needs_a_default():
    @dataclass
    class Inner:
        owner: Annotated[int, Private]
        name: str

    @dataclass
    class Outer:
        inner: Any

    Outer.__annotations__["inner"] = Inner
    with pytest.raises(TypeError, match="owner of Inner is private"):
        read(Outer)
    with pytest.raises(TypeError, match="owner of Inner is private"):
        read(list[Inner])


def test_a_default_is_made_anew_each_time():
    @dataclass
    class Tagged:
        tags: list[str] = field(default_factory=list)

    (tags,) = read(Tagged).fields
    assert tags.initial() == []
    assert tags.initial() is not tags.initial()


def test_an_id_is_input_where_no_store_gives_it():
    @dataclass
    class Search:
        id: int

    assert [one.name for one in read(Search).fields] == ["id"]


def test_a_component_need_not_know_what_could_not_be_read():
    def judge(root):
        return lambda values: [Failure("email", "too_long", {"limit": 1})]

    schema = DataclassSchema(User, judge, ValidationOptions())
    assert [f.code for f in schema.check({"email": "x"}, text=True).failures] == ["too_long"]
    assert [f.code for f in schema.check({"email": "\0"}, text=True).failures] == ["bad_text"]


def test_a_json_schema_says_what_data_may_be():
    @dataclass
    class Other:
        image: Upload
        born: date | None = None
        tags: Annotated[frozenset[str], Meta(max_length=3)] = frozenset()
        exact: Decimal = Decimal(0)

    refusing = MsgspecValidation(ValidationOptions(unknown="refuse")).schema
    contact = refusing(Contact).json_schema()
    assert contact["additionalProperties"] is False
    assert contact["required"] == ["name"]
    properties = contact["properties"]
    assert properties["name"] == {"type": "string", "maxLength": 20, "title": "Full name"}
    assert properties["kind"] == {"enum": ["home", "work"], "title": "Kind", "default": "home"}
    assert properties["photo"]["contentEncoding"] == "base64"
    assert properties["photo"]["contentMediaType"] == "image/png"
    assert re.fullmatch(properties["price"]["pattern"], "-1234.56")
    for wrong in ("12345", "1.234", "1.", "x", "1e3"):
        assert not re.fullmatch(properties["price"]["pattern"], wrong)
    other = SCHEMA(Other).json_schema()["properties"]
    assert other["image"]["format"] == "binary"
    assert other["born"]["anyOf"] == [{"type": "string", "format": "date"}, {"type": "null"}]
    assert (other["tags"]["uniqueItems"], other["tags"]["maxItems"]) == (True, 3)
    assert re.fullmatch(other["exact"]["pattern"], "1" * 50 + ".5")


def test_classes_of_one_name_have_definitions_of_their_own():
    first, second = (make_dataclass("Same", [("value", kind)]) for kind in (int, str))
    both = make_dataclass("Both", [("one", first), ("two", second), ("three", first)])
    schema = SCHEMA(both).json_schema()
    found = [one["$ref"] for one in schema["properties"].values()]
    assert found == ["#/$defs/Same", "#/$defs/Same2", "#/$defs/Same"]
    assert schema["$defs"]["Same2"]["properties"]["value"]["type"] == "string"


# Text


@pytest.mark.parametrize(
    ("pairs", "data"),
    [
        ([("a", ["1"])], {"a": "1"}),
        ([("a", ["1", "2"])], {"a": ["1", "2"]}),
        ([("inner.x", ["1"]), ("inner.y", ["2"])], {"inner": {"x": "1", "y": "2"}}),
        ([("rows.1.x", ["b"]), ("rows.0.x", ["a"])], {"rows": [{"x": "a"}, {"x": "b"}]}),
        ([("rows.999999999.x", ["a"])], {"rows": [], "rows.999999999.x": ["a"]}),
        ([("rows.-1.x", ["a"])], {"rows": [], "rows.-1.x": ["a"]}),
        ([("rows.\u0661.x", ["a"])], {"rows": [], "rows.\u0661.x": ["a"]}),
        ([("tags", ["a"])], {"tags": ["a"]}),
        ([("tags.0", ["a"])], {"tags.0": ["a"]}),
        ([("other.x", ["1"])], {"other.x": "1"}),
        ([("inner" + ".x" * 10_000, ["1"])], {"inner": {"x" + ".x" * 9_999: "1"}}),
    ],
)
def test_names_with_dots_become_nested_data(pairs, data):
    assert expand(pairs, read(Outer).fields) == data


# Messages


def test_every_code_has_a_text_and_every_text_is_used():
    folder = Path(kit.slots.validation.__file__).parent
    files = [file for file in folder.glob("*.py") if file.stem != "messages"]
    source = "".join(file.read_text("utf-8") for file in files)
    raised = set(re.findall(r'(?:Refusal|_refuse)\(\s*"(\w+)"', source))
    raised |= set(re.findall(r'Failure\([^()]+?, "(\w+)"', source))
    assert len(raised) > 20
    assert raised <= {*ENGLISH}
    assert {*ENGLISH} <= set(re.findall(r'"(\w+)"', source))


def test_a_size_is_written_in_words():
    failure = Failure("photo", "file_too_large", {"limit": 2 * 1024 * 1024})
    assert text(ENGLISH, failure) == "This file is too large: at most 2 MiB are accepted."


@pytest.fixture
def german(tmp_path):
    lines = [f'{code} = "{code}!"' for code in ENGLISH if code != "invalid"]
    (tmp_path / "de.toml").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-at-1901;q=0.8, en;q=0.2", "de"),
        ("en, de", "en"),
        ("fr, de;q=0.1", "de"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("", "en"),
        ("\xff;;q=x,,", "en"),
        ("x" * 10_000, "en"),
        ("d", "en"),
    ],
)
def test_the_language_that_fits_best_is_taken(german, accept, language):
    found = Messages(german).pick(accept)["missing"]
    assert found == {"de": "missing!", "en": ENGLISH["missing"]}[language]


def test_english_may_be_changed_in_part(tmp_path):
    (tmp_path / "en.toml").write_text('missing = "We need this."')
    texts = Messages(tmp_path).pick("")
    assert texts == {**ENGLISH, "missing": "We need this."}


def test_all_mistakes_in_languages_are_told_at_start(german):
    (german / "german.toml").write_text("")
    (german / "fr.toml").write_text('mising = "x"\ntoo_long = "{limits}"\nmissing = 5\n')
    (german / "nl.toml").write_text("missing =")
    (german / "it.toml").write_text('missing = "{"')
    with pytest.raises(ConfigError) as info:
        App({"validation": {"messages": str(german)}}).start()
    said = str(info.value)
    for words in (
        "german.toml: its name is no language tag",
        "there is no message 'mising'. Did you mean 'missing'?",
        "too_long = '{limits}': it can name limit, not limits.",
        "missing = 5: a message is text.",
        "nl.toml: it cannot be read",
        "it.toml: missing = '{': ",
        "it lacks bad_text, file_too_large",
    ):
        assert words in said, words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"zone": "Europe/Berlim"}, "'Europe/Berlim' is no time zone"),
        ({"zone": "../etc/passwd"}, "is no time zone"),
        ({"messages": "nowhere"}, "there is no folder"),
        ({"unknown": "refused"}, "Did you mean 'refuse'?"),
    ],
)
def test_wrong_options_are_told_at_start(options, words, tmp_path):
    with pytest.raises(ConfigError) as info:
        App({"validation": options})
    assert words in str(info.value)


# Uploads


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\Ada\\a b.png", "a b.png"),
        ("a\0\r\n\u202e.png", "a.png"),
        ("..", ".."),
        ("x" * 1000, "x" * 200),
    ],
)
def test_the_name_of_a_file_can_be_shown(sent, shown):
    assert upload(name=sent).filename == shown


def test_a_stored_file_has_a_name_of_its_own(tmp_path):
    file = upload(b"a,b", "../../evil.csv", "text/csv")
    names = {file.save(tmp_path / "new" / "folder"), file.save(tmp_path / "new" / "folder")}
    assert len(names) == 2
    for name in names:
        stored = tmp_path / "new" / "folder" / name
        assert re.fullmatch(r"[0-9a-f]{32}\.csv", name)
        assert stored.read_bytes() == file.read() == b"a,b"
        assert stored.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("content", "claimed", "kind", "suffix"),
    [
        (b"\x89PNG\r\n\x1a\n", "text/html", "image/png", ".png"),
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg", ".jpg"),
        (b"GIF89a", "image/gif", "image/gif", ".gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "image/webp", ".webp"),
        (b"\0\0\0\x1cftypavif", "image/avif", "image/avif", ".avif"),
        (b"%PDF-1.7", "application/pdf", "application/pdf", ".pdf"),
        (b"<html>", "image/png", "application/octet-stream", ".bin"),
        (b"<html>", "text/html", "text/html", ".bin"),
        (b"x", "", "application/octet-stream", ".bin"),
        (b"", "text/plain", "text/plain", ".txt"),
    ],
)
def test_the_type_of_a_file_is_what_its_bytes_show(content, claimed, kind, suffix, tmp_path):
    file = upload(content, "a.html", claimed)
    assert file.media_type == kind
    assert file.save(tmp_path).endswith(suffix)
    assert sniffed(content) in (kind, None)


class Breaking(io.BytesIO):
    """A stream that ends in an exception after its first bytes."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(b"x" * 100)
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        if size == 16 or self.tell() == 0:
            return super().read(16)
        raise self.error


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(28, "No space left on device"), Unavailable),
        (ValueError("broken"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_file_that_cannot_be_stored_leaves_nothing_behind(error, seen, tmp_path):
    file = Upload(FileStorage(Breaking(error), "a.txt"))
    with pytest.raises(seen):
        file.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """The operating system refuses to write more than a limit allows."""
    program = f"""
import io, resource, signal
from werkzeug.datastructures import FileStorage
from kit.errors import Unavailable
from kit.slots.validation import Upload
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
file = Upload(FileStorage(io.BytesIO(b"x" * 100_000), "a.txt"))
try:
    file.save({str(tmp_path)!r})
except Unavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "the file cannot be stored: File too large\n", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_unavailable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable):
        upload().save(tmp_path / "file")


@pytest.mark.parametrize("error", [Conflict("no"), GeneratorExit()])
def test_stored_files_go_with_the_request(error, tmp_path):
    opened = uploads(None)
    found = next(opened)
    found += [upload(), upload()]
    for file in found:
        file.save(tmp_path)
    with pytest.raises(type(error)):
        opened.throw(error)
    assert list(tmp_path.iterdir()) == []


def test_stored_files_stay_where_the_request_succeeds(tmp_path):
    opened = uploads(None)
    next(opened).append(upload())
    name = upload().save(tmp_path)
    assert next(opened, None) is None
    assert [file.name for file in tmp_path.iterdir()] == [name]


# Inputs


def test_a_form_that_was_not_sent_has_no_value():
    blank = form(User)
    assert not blank.submitted
    assert not blank.valid
    assert blank.errors == {}
    for read_it in (lambda: blank.value, lambda: blank.values, lambda: blank.make()):
        with pytest.raises(RuntimeError, match="nothing was sent"):
            read_it()


def test_reading_what_is_not_valid_raises_all_problems():
    wrong = form(Contact, {"price": "x"})
    problems = [
        {"field": "name", "code": "missing", "message": ENGLISH["missing"]},
        {"field": "price", "code": "not_decimal", "message": ENGLISH["not_decimal"]},
    ]
    for read_it in (
        lambda: wrong.value,
        lambda: wrong.values,
        lambda: wrong.make(owner=1),
        lambda: wrong.update(Contact("x")),
    ):
        with pytest.raises(Invalid) as info:
            read_it()
        assert info.value.errors == problems
        assert info.value.source is wrong
    assert wrong.errors == {"name": [ENGLISH["missing"]], "price": [ENGLISH["not_decimal"]]}


def test_refusals_add_to_what_is_wrong():
    good = form(User, {"email": "a@b"})
    assert good.valid
    with pytest.raises(Invalid) as info:
        good.refuse("Not today.", email="Somebody has this address.")
    assert [(one["field"], one["message"]) for one in info.value.errors] == [
        ("email", "Somebody has this address."),
        ("", "Not today."),
    ]
    assert not good.valid
    assert good.errors["email"] == ["Somebody has this address."]
    with pytest.raises(Invalid):
        _ = good.value


def test_a_value_with_private_fields_is_made_by_the_application():
    @dataclass
    class Owned:
        name: str
        owner: Annotated[int, Private]

        def __post_init__(self):
            if self.owner == 0:
                raise ValueError("Nobody owns this.")

    given = form(Owned, {"name": "x", "owner": "9"})
    with pytest.raises(TypeError, match="give them to make"):
        _ = given.value
    assert given.make(owner=3) == Owned("x", 3)
    with pytest.raises(Invalid) as info:
        given.make(owner=0)
    assert info.value.errors == [{"field": "", "code": "invalid", "message": "Nobody owns this."}]


def test_an_update_leaves_alone_what_is_no_input():
    @dataclass
    class Edit:
        name: str
        photo: Upload | None = None
        extra: str = "x"

    @dataclass
    class Record:
        name: str
        photo: str
        owner: int

    given = form(Edit, {"name": "new", "photo": upload(), "owner": "1"})
    record = Record("old", "a.png", 3)
    given.update(record)
    assert record == Record("new", "a.png", 3)


def test_a_patch_changes_what_was_sent_and_nothing_else():
    @dataclass
    class Note:
        title: Annotated[str, Meta(min_length=1)]
        done: bool = False
        place: int | None = 1
        id: int | None = None

    schema = SCHEMA(Note).partial()

    def patch(data: Any) -> Patch[Any]:
        return Patch(schema, data, schema.check(data, text=False))

    note = Note("old", True, 5, 7)
    patch({"place": None, "done": None, "id": 9, "other": 1}).update(note)
    assert note == Note("old", True, None, 7)
    patch({"title": "new", "done": False}).update(note)
    assert note == Note("new", False, None, 7)
    with pytest.raises(Invalid):
        patch({"title": "", "done": True}).update(note)
    assert note == Note("new", False, None, 7)
    with pytest.raises(TypeError, match="no whole value"):
        _ = patch({"title": "x"}).value


@dataclass
class Lock:
    number: Annotated[int, Meta(ge=0)]
    other: int = 1
    secret: Annotated[int, Private] = 2

    def __post_init__(self):
        if self.number == self.other:
            raise ValueError("These are equal.")


@dataclass
class Door:
    inner: Lock
    text: str = ""


@dataclass
class House:
    title: str
    middle: Door
    maybe: Door | None = None
    items: list[Lock] = field(default_factory=list)
    id: int | None = None

    def __post_init__(self):
        self.title = self.title.strip()
        if self.title == self.middle.text:
            raise ValueError("The title is that of the middle.")


def test_a_patch_keeps_what_was_not_sent_of_the_objects_in_a_record():
    schema = SCHEMA(House).partial()

    def patched(record: Any, **data: Any) -> Any:
        Patch(schema, data, schema.check(data, text=False)).update(record)
        return record

    def refused(record: Any, **data: Any) -> list[tuple[str, str]]:
        before = repr(record)
        with pytest.raises(Invalid) as info:
            patched(record, **data)
        assert repr(record) == before
        return [(one["field"], one["message"]) for one in info.value.errors]

    def outer(**changed: Any) -> House:
        return House(**{"title": "x", "middle": Door(Lock(5, 6, 7), "text"), "id": 3} | changed)

    inner = {"inner": {"number": 8, "secret": 9}}
    assert patched(outer(), middle=inner) == outer(middle=Door(Lock(8, 6, 7), "text"))
    assert patched(outer(), maybe=inner) == outer(maybe=Door(Lock(8, 1, 2)))
    assert patched(outer(maybe=Door(Lock(0))), maybe=None) == outer()
    assert patched(outer(), items=[{"number": 5}]) == outer(items=[Lock(5)])
    assert patched(outer(), title=" y ") == outer(title="y")
    assert refused(outer(), title="text") == [("", "The title is that of the middle.")]
    assert refused(outer(), title="y", middle={"text": "y"}) == [
        ("", "The title is that of the middle.")
    ]
    equal = "These are equal."
    assert refused(outer(), middle={"inner": {"number": 6}}) == [("middle.inner", equal)]
    assert refused(outer(), maybe={"inner": {"number": 1}}) == [("maybe.inner", equal)]
    missing = [("maybe.inner.number", ENGLISH["missing"])]
    assert refused(outer(), title="y", maybe={"inner": {}}) == missing
    assert refused(outer(), maybe={}) == [("maybe.inner", ENGLISH["missing"])]

    class Plain:
        title = "x"
        middle: Any = Door(Lock(5, 6, 7))

    assert patched(Plain(), middle=inner).middle == Door(Lock(8, 6, 7))
    plain = Plain()
    plain.middle = {}
    with pytest.raises(TypeError, match="middle of Plain is a dict, and no dataclass"):
        patched(plain, title="y", middle=inner)
    assert plain.title == "x"
    with pytest.raises(TypeError, match="no whole value"):
        Patch(schema, {}, schema.check({}, text=False)).make(title="x")


@dataclass
class HouseForm:
    middle: Door


def test_a_form_keeps_what_is_private_in_the_objects_in_a_record():
    record = House("x", Door(Lock(5, 6, 7)))
    form(HouseForm, {"middle": {"inner": {"number": "8", "secret": "9"}}}).update(record)
    assert record == House("x", Door(Lock(8, 1, 7)))
    with pytest.raises(Invalid) as info:
        form(HouseForm, {"middle": {"inner": {"number": "3"}, "text": "x"}}).update(record)
    assert [one["field"] for one in info.value.errors] == [""]
    assert record == House("x", Door(Lock(8, 1, 7)))


def test_a_patch_of_text_leaves_alone_what_was_not_sent():
    @dataclass
    class Note:
        title: str
        done: bool
        tags: list[str]

    values = SCHEMA(Note).partial().check({"title": "x"}, text=True).values
    assert values == {"title": "x"}


class Model(pydantic.BaseModel):
    name: str


def test_a_patch_is_one_of_a_dataclass():
    with pytest.raises(TypeError, match="is a list"):
        SCHEMA(list[User]).partial()

    app = App({"validation": {"use": "pydantic"}})

    @app.patch("/")
    def change(patch: Patch[Model]):
        return None

    with pytest.raises(ConfigError, match="is no dataclass, which alone"):
        app.check()


def test_a_form_shows_a_record_until_something_is_sent():
    shown = form(User).filled(User("a@b"))
    assert shown["email"].value == "a@b"
    assert form(User).filled({"email": "c@d"})["email"].value == "c@d"
    sent = form(User, {"email": ""}).filled(User("a@b"))
    assert sent["email"].value == ""


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(KeyError, match="Did you mean 'email'"):
        form(User)["emial"]


def test_the_reference_has_every_message_and_ending():
    page = (Path(__file__).parent.parent / "docs/reference/validation.md").read_text("utf-8")
    section = page.partition("## Messages")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", section, re.MULTILINE)
    assert dict(rows) == dict(ENGLISH)
    assert dict(re.findall(r"^\| `(\w+/\w+)` \| `(\.\w+)` \|$", page, re.MULTILINE)) == SUFFIXES
