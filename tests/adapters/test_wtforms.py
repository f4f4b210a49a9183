"""WTForms' own form classes as schemas."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import wtforms
from kit_wtforms.validation import WTFormsValidation
from werkzeug.datastructures import FileStorage
from wtforms import validators
from wtforms.fields.choices import SelectChoice as Choice

from kit import App
from kit.slots.validation import Checked, Form, Upload, ValidationOptions
from kit.testing import client


class Address(wtforms.Form):
    street = wtforms.StringField(validators=[validators.InputRequired(), validators.Length(max=9)])
    number = wtforms.IntegerField(validators=[validators.Optional()])


class Contact(wtforms.Form):
    name = wtforms.StringField(
        "Full name", [validators.DataRequired(), validators.Length(min=2)], description="Yours."
    )
    age = wtforms.IntegerField(
        validators=[validators.Optional(), validators.NumberRange(min=0, max=150)], default=18
    )
    born = wtforms.DateField(validators=[validators.Optional()], default=date.today)
    price = wtforms.DecimalField(validators=[validators.Optional()])
    color = wtforms.SelectField(choices=[Choice("red", "Red"), Choice("blue", "Blue")])
    level = wtforms.RadioField(choices=[Choice(1, "Low"), Choice(2, "High")], coerce=int, default=1)
    sizes = wtforms.SelectMultipleField(choices=["s", "l"])
    tags = wtforms.FieldList(wtforms.StringField(validators=[validators.Length(max=3)]))
    address = wtforms.FormField(Address)
    others = wtforms.FieldList(wtforms.FormField(Address))
    notes = wtforms.TextAreaField()
    news = wtforms.BooleanField()
    photo = wtforms.FileField()
    send = wtforms.SubmitField()

    def validate_name(self, field: wtforms.Field) -> None:
        if field.data == "nobody":
            raise validators.ValidationError("Nobody is called that.")


GOOD = {"name": " Ada ", "color": "red", "address": {"street": "Long"}}


def schema(cls: Any, **options: Any) -> Any:
    return WTFormsValidation(ValidationOptions(**options)).schema(cls)


def said(checked: Checked) -> list[tuple[str, str]]:
    return [(failure.field, failure.code) for failure in checked.failures]


def test_the_value_of_a_form_class_is_the_form():
    photo = Upload(FileStorage(io.BytesIO(b"x"), "a.txt"))
    raw = {
        **GOOD,
        "age": "30",
        "born": "2000-01-31",
        "price": "1.50",
        "level": "2",
        "sizes": ["s", "l"],
        "tags": ["a", "", "b"],
        "others": [{"street": "x", "number": "5"}, {"street": ""}],
        "news": ["", "on"],
        "photo": photo,
    }
    checked = schema(Contact).check(raw, text=True)
    assert checked.failures == []
    assert isinstance(checked.value, Contact)
    assert checked.value.name.data == "Ada"
    assert checked.values == {
        "name": "Ada",
        "age": 30,
        "born": date(2000, 1, 31),
        "price": Decimal("1.50"),
        "color": "red",
        "level": 2,
        "sizes": ["s", "l"],
        "tags": ["a", "b"],
        "address": {"street": "Long", "number": None},
        "others": [{"street": "x", "number": 5}],
        "notes": None,
        "news": True,
        "photo": photo,
    }


def test_data_go_in_as_the_text_that_a_form_would_send():
    raw = {**GOOD, "age": 30, "level": 2, "news": True, "tags": ["a"], "sizes": ["s"]}
    checked = schema(Contact).check(raw, text=False)
    assert checked.failures == []
    assert (checked.values["age"], checked.values["level"]) == (30, 2)
    assert checked.values["news"] is True
    assert schema(Contact).check({**raw, "news": False}, text=False).values["news"] is False


@pytest.mark.parametrize(
    ("more", "failure"),
    [
        ({"name": ""}, ("name", "missing", {})),
        ({"name": "x"}, ("name", "too_short", {"limit": 2})),
        ({"name": "x\0y"}, ("name", "bad_text", {})),
        ({"name": ["a", "b"]}, ("name", "repeated", {})),
        ({"name": {"a": "b"}}, ("name", "not_text", {})),
        ({"name": "nobody"}, ("name", "invalid", {"message": "Nobody is called that."})),
        ({"age": "x"}, ("age", "not_integer", {})),
        (
            {"age": "151"},
            ("age", "invalid", {"message": "Number must be between 0 and 150."}),
        ),
        ({"born": "x"}, ("born", "not_date", {})),
        ({"price": "x"}, ("price", "not_decimal", {})),
        ({"color": "black"}, ("color", "not_choice", {"choices": "red, blue"})),
        ({"level": "x"}, ("level", "not_choice", {"choices": "1, 2"})),
        ({"sizes": ["m"]}, ("sizes", "not_choice", {"choices": "s, l"})),
        ({"tags": ["a", "long"]}, ("tags.1", "too_long", {"limit": 3})),
        ({"address": {"street": "0123456789"}}, ("address.street", "too_long", {"limit": 9})),
        ({"address": {"number": "x"}}, ("address.street", "missing", {})),
        ({"others": [{"street": "a"}, {"number": "x"}]}, ("others.1.street", "missing", {})),
    ],
)
def test_errors_have_the_codes_of_the_slot(more, failure):
    found = schema(Contact).check({**GOOD, **more}, text=True).failures[0]
    assert (found.field, found.code, found.params) == failure


def test_what_is_not_in_the_class_is_left_out_or_refused():
    raw = {**GOOD, "admin": "1", "send": "Send", "address": {"street": "x", "extra": "y"}}
    assert schema(Contact).check(raw, text=True).failures == []
    assert said(schema(Contact, unknown="refuse").check(raw, text=True)) == [
        ("address.extra", "unknown"),
        ("admin", "unknown"),
        ("send", "unknown"),
    ]
    assert said(schema(Contact).check([], text=False)) == [("", "not_object")]


def test_fields_are_described():
    found = {field.name: field for field in schema(Contact).fields}
    assert "send" not in found
    assert {name: field.kind for name, field in found.items()} == {
        "name": "str",
        "age": "int",
        "born": "date",
        "price": "decimal",
        "color": "choice",
        "level": "choice",
        "sizes": "list",
        "tags": "list",
        "address": "object",
        "others": "list",
        "notes": "str",
        "news": "bool",
        "photo": "file",
    }
    name = found["name"]
    assert (name.label, name.help, name.required) == ("Full name", "Yours.", True)
    assert found["age"].limits == {"ge": 0, "le": 150}
    assert found["age"].initial() == 18
    assert found["born"].initial() == date.today()
    assert [choice.label for choice in found["level"].choices] == ["Low", "High"]
    assert (found["level"].widget, found["notes"].widget) == ("radio", "textarea")


def test_the_csrf_protection_of_a_form_class_is_left_to_the_kernel():
    class Protected(wtforms.Form):
        class Meta:
            csrf = True
            csrf_secret = b"x"

        name = wtforms.StringField()

    checked = schema(Protected).check({"name": "x"}, text=True)
    assert checked.failures == []
    assert [field.name for field in schema(Protected).fields] == ["name"]


def test_a_form_class_is_the_form_of_a_page():
    app = App({"validation": {"use": "wtforms"}})

    def show(form: Form[Contact]):
        return form.__html__()

    def add(form: Form[Contact]):
        return form.value.name.data

    app.get("/")(show)
    app.post("/", again=show)(add)
    browser = client(app)
    page = browser.get("/").text
    assert 'name="address.street"' in page
    assert f'value="{date.today()}"' in page
    data = {"name": "Ada", "color": "red", "address.street": "Long", "others.0.street": "x"}
    assert browser.post("/", data=data).text == "Ada"
    answer = browser.post("/", data={**data, "name": "nobody"})
    assert answer.status_code == 422
    assert "Nobody is called that." in answer.text
    assert 'value="Long"' in answer.text
