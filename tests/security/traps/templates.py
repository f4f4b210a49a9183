"""T12 and T13: templates."""

from __future__ import annotations

import logging

import pytest
from jinja2 import Environment, Undefined, select_autoescape
from kit_jinja2 import templating as jinja2
from kit_mako import templating as mako
from mako.lexer import Lexer
from markupsafe import Markup

from kit import App
from traps import trap, weakening
from traps.stand import Stand

ENGINES = ("jinja2 werkzeug", "mako ffroute")
NAMES = ("a.html", "a.jinja", "a.html.j2", "a.svg", "a.xhtml", "a.mako", "a.txt", "a", "a.HTM")
SCRIPT = "<script>alert('1')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"


def shown(stand: Stand, name: str) -> str:
    """Return how a template of this engine shows a name."""
    return f"{{{{ {name} }}}}" if "jinja2" in stand.parts else f"${{{name}}}"


def site(stand: Stand) -> App:
    app = stand.app()
    folder = stand.folder / stand.parts[0]
    is_jinja = "jinja2" in stand.parts
    include = "{% include 'a.svg' %}" if is_jinja else "<%include file='a.svg'/>"
    (folder / "including").write_text(include)
    (folder / "missing").write_text(f"before {shown(stand, 'valeu')} after")
    for name in NAMES:
        (folder / name).write_text(shown(stand, "value"))

    @app.get("/<name>")
    def page(name, request, render):
        return render(name, value=request.args["value"])

    @app.get("/string/<name>")
    def string(name, request, templating):
        return templating.render_string(shown(stand, "value"), {"value": request.args["value"]})

    app.get("/markup/<name>")(lambda name, render: render(name, value=Markup("<b>bold</b>")))
    return app


@trap("T12", ENGINES)
def values_are_escaped_whatever_a_template_is_called(stand: Stand) -> None:
    client = stand.client(site(stand))
    for path in (*NAMES, "including", "string/x"):
        page = client.get(f"/{path}", query_string={"value": SCRIPT}).text
        assert page.replace("&#34;", "'").replace("&#x27;", "&#39;") == ESCAPED, path


@trap("T13", ENGINES)
def markup_passes_and_what_is_missing_is_an_error(stand: Stand) -> None:
    client = stand.client(site(stand))
    assert client.get("/a.html", query_string={"value": "<b>"}).text == "&lt;b&gt;"
    assert client.get("/markup/a.html").text == "<b>bold</b>"
    seen = Seen()
    logging.getLogger("kit").addHandler(seen)
    answer = client.get("/missing", query_string={"value": "x"})
    logging.getLogger("kit").removeHandler(seen)
    assert (answer.status_code, "before" in answer.text) == (500, False)
    assert "valeu" not in answer.text
    assert [("TemplateError" in text, "missing:1" in text) for text in seen.texts] == [(True, True)]


class Seen(logging.Handler):
    """Keeps what is logged, with tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@weakening("T12", "jinja2")
def only_some_endings_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    def environment(*, autoescape: bool, **options: object) -> Environment:
        return Environment(autoescape=select_autoescape(), **options)

    monkeypatch.setattr(jinja2, "Environment", environment)


@weakening("T12", "mako")
@weakening("T13", "mako")
def nothing_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mako.SETTINGS, "lexer_cls", Lexer)
    monkeypatch.setitem(mako.SETTINGS, "default_filters", [])


@weakening("T13", "jinja2")
def a_missing_name_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jinja2, "StrictUndefined", Undefined)
