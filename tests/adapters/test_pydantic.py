"""Pydantic's own models as schemas."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pydantic
import pytest
from kit_pydantic.validation import PydanticValidation

from kit import App
from kit.errors import ConfigError
from kit.slots.validation import Checked, Form, Private, Upload, ValidationOptions, Widget
from kit.testing import client


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Address(pydantic.BaseModel):
    street: Annotated[str, pydantic.Field(max_length=10)]
    number: int = 1
    checked: Annotated[bool, Private] = False


class Contact(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    name: Annotated[str, pydantic.Field(min_length=2, title="Full name", description="Yours.")]
    site: pydantic.HttpUrl | None = None
    color: Color = Color.RED
    size: Literal["s", "l"] = "s"
    address: Address | None = None
    tags: list[Annotated[str, pydantic.Field(max_length=3)]] = []
    notes: Annotated[str, Widget("textarea")] = ""
    first: int = pydantic.Field(1, alias="firstPage")
    news: bool = False
    photo: Upload | None = None
    owner: Annotated[int, Private] = 7

    @pydantic.field_validator("name")
    @classmethod
    def known(cls, name: str) -> str:
        if name == "nobody":
            raise ValueError("Nobody is called that.")
        return name.title()

    @pydantic.model_validator(mode="after")
    def fits(self) -> Contact:
        if self.name == "Red" and self.color is not Color.RED:
            raise ValueError("Red is red.")
        return self


def schema(cls: Any, **options: Any) -> Any:
    return PydanticValidation(ValidationOptions(**options)).schema(cls)


def said(checked: Checked) -> list[tuple[str, str]]:
    return [(failure.field, failure.code) for failure in checked.failures]


def test_a_model_is_made_by_all_rules_of_pydantic():
    raw = {
        "name": " ada ",
        "site": "https://example.org",
        "address": {"street": "Long", "number": ""},
        "tags": ["a", "", "b"],
        "firstPage": "2",
        "news": ["", "on"],
    }
    checked = schema(Contact).check(raw, text=True)
    assert checked.failures == []
    assert isinstance(checked.value, Contact)
    assert checked.value.name == "Ada"
    assert str(checked.value.site) == "https://example.org/"
    assert checked.value.address == Address(street="Long")
    assert (checked.value.tags, checked.value.first, checked.value.news) == (["a", "b"], 2, True)
    assert {*checked.values} == {*Contact.model_fields} - {"owner"}


def test_data_are_read_as_pydantic_reads_them():
    raw = {"name": "Ada", "firstPage": "5", "address": {"street": "x"}}
    assert schema(Contact).check(raw, text=False).value.first == 5


def test_what_validators_say_is_kept():
    checked = schema(Contact).check({"name": "nobody"}, text=True)
    (failure,) = checked.failures
    assert (failure.field, failure.code) == ("name", "invalid")
    assert failure.params == {"message": "Nobody is called that."}
    (failure,) = schema(Contact).check({"name": "red", "color": "blue"}, text=True).failures
    assert (failure.field, failure.params) == ("", {"message": "Red is red."})
    (failure,) = schema(Contact).check({"name": "Ada", "site": "x"}, text=True).failures
    assert (failure.field, failure.code) == ("site", "invalid")


class Kinds(pydantic.BaseModel):
    whole: int = 0
    real: float = 0.0
    exact: Annotated[Decimal, pydantic.Field(decimal_places=2)] = Decimal(0)
    flag: bool = False
    day: date = date(2026, 1, 1)
    past: pydantic.PastDate | None = None
    moment: pydantic.AwareDatetime = datetime(2026, 1, 1, tzinfo=UTC)
    key: UUID | None = None
    color: Color = Color.RED
    level: Literal["a", "b", "c"] = "a"
    low: Annotated[int, pydantic.Field(ge=3)] = 3
    above: Annotated[int, pydantic.Field(gt=3)] = 4
    high: Annotated[int, pydantic.Field(le=3)] = 3
    below: Annotated[int, pydantic.Field(lt=3)] = 2
    even: Annotated[int, pydantic.Field(multiple_of=2)] = 2
    short: Annotated[str, pydantic.Field(max_length=3, pattern="^a")] = "a"
    some: Annotated[list[int], pydantic.Field(min_length=2, max_length=3)] = [1, 2]
    inner: Address | None = None


@pytest.mark.parametrize(
    ("name", "raw", "failure"),
    [
        ("whole", "x", ("whole", "not_integer", {})),
        ("real", "x", ("real", "not_number", {})),
        ("exact", "x", ("exact", "not_decimal", {})),
        ("exact", "1.234", ("exact", "too_many_places", {"limit": 2})),
        ("flag", "maybe", ("flag", "not_boolean", {})),
        ("day", "x", ("day", "not_date", {})),
        ("past", "9999-01-01", ("past", "invalid", {"message": "Date should be in the past"})),
        ("moment", "x", ("moment", "not_datetime", {})),
        ("moment", "2026-01-31T12:30", ("moment", "no_zone", {})),
        ("key", "x", ("key", "not_uuid", {})),
        ("color", "x", ("color", "not_choice", {"choices": "red, blue"})),
        ("level", "x", ("level", "not_choice", {"choices": "a, b, c"})),
        ("low", "2", ("low", "too_small", {"limit": 3})),
        ("above", "3", ("above", "not_above", {"limit": 3})),
        ("high", "4", ("high", "too_large", {"limit": 3})),
        ("below", "3", ("below", "not_below", {"limit": 3})),
        ("even", "3", ("even", "not_multiple", {"limit": 2})),
        ("short", "abcd", ("short", "too_long", {"limit": 3})),
        ("short", "b", ("short", "pattern", {"limit": "^a"})),
        ("short", "a\0", ("short", "bad_text", {})),
        ("some", ["1"], ("some", "too_few", {"limit": 2})),
        ("some", ["1", "2", "3", "4"], ("some", "too_many", {"limit": 3})),
        ("some", ["1", "x"], ("some.1", "not_integer", {})),
        ("inner", {"number": "x"}, ("inner.street", "missing", {})),
        ("inner", "x", ("inner", "not_object", {})),
    ],
)
def test_errors_have_the_codes_of_the_slot(name, raw, failure):
    found = schema(Kinds).check({name: raw}, text=True).failures[0]
    assert (found.field, found.code, found.params) == failure


def test_private_fields_are_never_input():
    raw = {"name": "Ada", "owner": 1, "address": {"street": "x", "checked": True}}
    for text in (True, False):
        made = schema(Contact).check(raw, text=text).value
        assert made.owner == 7
        assert made.address.checked is False
    refused = schema(Contact, unknown="refuse").check(raw, text=False)
    assert said(refused) == [("address.checked", "unknown"), ("owner", "unknown")]


def test_private_fields_are_given_by_the_application():
    given = schema(Contact).check({"name": "Ada", "firstPage": "3"}, text=True)
    made = schema(Contact).make({**given.values, "owner": 3})
    assert (made.owner, made.first) == (3, 3)


def test_a_list_of_models():
    many = schema(list[Address])
    assert many.check([{"street": "x"}], text=False).value == [Address(street="x")]
    assert said(many.check([{"street": "x"}, {}], text=False)) == [("1.street", "missing")]
    assert said(many.check({}, text=False)) == [("", "not_list")]
    assert said(schema(Address).check([], text=False)) == [("", "not_object")]


class Tree(pydantic.BaseModel):
    branches: list[Tree] = []


class Hidden(pydantic.BaseModel):
    owner: Annotated[int, Private]


@pytest.mark.parametrize(
    ("cls", "words"), [(Tree, "contains itself"), (Hidden, "private: give it a default")]
)
def test_models_that_cannot_be_forms_are_refused(cls, words):
    with pytest.raises(TypeError, match=words):
        schema(cls)


def test_fields_are_described():
    found = {field.name: field for field in schema(Contact).fields}
    name = found["name"]
    assert (name.kind, name.label, name.help, name.required) == (
        "str",
        "Full name",
        "Yours.",
        True,
    )
    assert found["site"].kind == "any"
    assert found["notes"].widget == "textarea"
    assert found["photo"].widget == "file"
    assert found["address"].fields[0].limits == {"max_length": 10}
    assert [choice.text for choice in found["color"].choices] == ["red", "blue"]
    assert "firstPage" in found
    assert "owner" not in found


def test_the_json_schema_is_that_of_pydantic():
    properties = schema(Address).json_schema()["properties"]
    assert properties["street"]["maxLength"] == 10


def test_a_model_is_the_form_of_a_page():
    app = App({"validation": {"use": "pydantic"}})

    def show(form: Form[Contact]):
        return form.__html__()

    def add(form: Form[Contact]):
        return form.value.name

    app.get("/")(show)
    app.post("/", again=show)(add)
    browser = client(app)
    assert 'name="address.street"' in browser.get("/").text
    assert browser.post("/", data={"name": "ada"}).text == "Ada"
    answer = browser.post("/", data={"name": "nobody"})
    assert answer.status_code == 422
    assert "Nobody is called that." in answer.text


def test_a_model_is_nothing_to_another_component():
    app = App({"validation": {"use": "msgspec"}})

    @app.post("/")
    def add(form: Form[Contact]):
        return ""

    with pytest.raises(ConfigError, match="Contact is no schema"):
        app.start()
