"""Flask with Flask-WTF: a form class, which reads JSON too, and ``jsonify``."""

from __future__ import annotations

import flask
from client import App
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    DecimalField,
    EmailField,
    IntegerField,
    SelectField,
    StringField,
    TelField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Regexp

from peers.input_task import BOOK, CARD, EMAIL, GROUPS
from peers.task import TEMPLATES


class _ContactForm(FlaskForm):  # type: ignore[misc]
    first_name = StringField("First name", [InputRequired(), Length(max=100)])
    last_name = StringField("Last name", [InputRequired(), Length(max=100)])
    email = EmailField("E-mail", [InputRequired(), Length(max=254), Regexp(EMAIL)])
    phone = TelField("Phone", [InputRequired(), Length(max=40)])
    group = SelectField("Group", choices=[(group, group) for group in GROUPS])
    birthday = DateField("Birthday")
    rank = IntegerField("Rank", [InputRequired(), NumberRange(1, 100)])
    discount = DecimalField("Discount", [InputRequired(), NumberRange(0, 100)])
    notes = TextAreaField("Notes", [InputRequired(), Length(max=5000)])
    favourite = BooleanField("Favourite")


class _Contact:
    pass


def make() -> App:
    """Return the application."""
    app = flask.Flask(__name__, template_folder=str(TEMPLATES))
    app.secret_key = "benchmark" * 4

    @app.route("/contacts/new")
    @app.route("/contacts", methods=["POST"])
    def edit() -> flask.typing.ResponseReturnValue:
        form = _ContactForm()
        if form.validate_on_submit():
            contact = _Contact()
            form.populate_obj(contact)
            BOOK.append(contact)
            return flask.redirect("/contacts")
        return flask.render_template("edit_flask.html", form=form)

    @app.post("/api/contacts")
    def add_data() -> flask.typing.ResponseReturnValue:
        form = _ContactForm(meta={"csrf": False})
        if not form.validate():
            return {"errors": form.errors}, 422
        contact = _Contact()
        form.populate_obj(contact)
        BOOK.append(contact)
        return {"rank": form.rank.data}

    @app.get("/api/card")
    def card() -> flask.Response:
        return flask.jsonify(CARD)

    return app
