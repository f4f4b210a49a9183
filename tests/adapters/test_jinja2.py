"""What is particular to Jinja2, beside the contract of the slot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kit_jinja2.templating import Jinja2Options, Jinja2Templating
from kit_mako.templating import MakoTemplating

from kit.errors import TemplateError
from kit.slots.templating import TemplatingOptions, render


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.html").write_text("<main>{% block main %}{% endblock %}</main>")
    return tmp_path


def engine(folder: Path, **options) -> Jinja2Templating:
    return Jinja2Templating(Jinja2Options(folder=folder, **options), {}, {})


def test_declaring_the_component_does_not_import_jinja2():
    code = "import sys, kit_jinja2; print([c.name for c in kit_jinja2.kit_components()]);"
    code += "assert 'jinja2' not in sys.modules"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("['jinja2']\n", "")


def test_extensions_are_loaded(folder):
    jinja2 = engine(folder, extensions=["jinja2.ext.do"])
    assert jinja2.render_string("{% do [].append(1) %}done", {}) == "done"


def test_white_space_around_block_tags_can_be_dropped(folder):
    jinja2 = engine(folder, trim_blocks=True, lstrip_blocks=True)
    assert jinja2.render_string("  {% if 1 %}\nx\n  {% endif %}\n", {}) == "x\n"


def test_the_native_environment_is_at_hand(folder):
    jinja2 = engine(folder)
    jinja2.environment.globals["answer"] = 42
    assert jinja2.render_string("{{ answer }}", {}) == "42"


def test_the_author_of_a_template_can_mark_a_value_safe(folder):
    assert engine(folder).render_string("{{ value | safe }}", {"value": "<b>"}) == "<b>"


def test_an_undefined_name_is_an_error_even_as_a_condition(folder):
    with pytest.raises(TemplateError, match="<string>:2: UndefinedError: 'user' is undefined"):
        engine(folder).render_string("\n{% if user %}x{% endif %}", {})


def test_imported_macros_and_call_blocks_escape(folder):
    (folder / "macros.html").write_text(
        "{% macro box(title) %}<b>{{ title }}</b>{{ caller() }}{% endmacro %}"
    )
    source = (
        "{% from 'macros.html' import box %}{% call box(value) %}{{ value }}{% endcall %}"
        "{% set copy = box(value, caller=str) %}{% set text %}{{ value }}{% endset %}{{ text }}"
    )
    page = engine(folder).render_string(source, {"value": "<i>", "str": str})
    assert page == "<b>&lt;i&gt;</b>&lt;i&gt;&lt;i&gt;"


def test_an_error_in_a_child_names_the_child_and_chains_its_lines(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "page.html").write_text(
        "{% extends 'base.html' %}\n{% block main %}\n{{ 1 / zero }}{% endblock %}"
    )
    with pytest.raises(TemplateError) as info:
        engine(folder).render("sub/page.html", {"zero": 0})
    assert str(info.value) == "sub/page.html:3: ZeroDivisionError: division by zero"
    with pytest.raises(TemplateError) as info:
        engine(folder).render("sub/page.html", {"zero": 0}, block="main")
    assert str(info.value) == "sub/page.html:3: ZeroDivisionError: division by zero"


def test_a_missing_parent_names_the_template_that_asks_for_it(folder):
    (folder / "page.html").write_text("\n{% extends 'nowhere.html' %}")
    with pytest.raises(TemplateError, match=r"page\.html:2: TemplateNotFound: 'nowhere\.html'"):
        engine(folder).render("page.html", {})


def test_a_relative_folder_gives_the_same_names(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    (folder / "page.html").write_text("\n{{ 1 / zero }}")
    with pytest.raises(TemplateError, match=r"^page\.html:2: ZeroDivisionError"):
        engine(Path(folder.name)).render("page.html", {"zero": 0})


def test_a_string_is_compiled_once(folder):
    jinja2 = engine(folder)
    assert jinja2._from_string("{{ 1 }}") is jinja2._from_string("{{ 1 }}")


def test_what_one_engine_rendered_passes_through_the_other(folder):
    (folder / "jinja2.html").write_text("<p>{{ value }}</p>")
    (folder / "mako.html").write_text("<p>${value}</p>")
    render_jinja2 = render(engine(folder))
    render_mako = render(MakoTemplating(TemplatingOptions(folder=folder), {}, {}))
    inner = render_jinja2("jinja2.html", value="<i>")
    assert render_mako("mako.html", value=inner) == "<p><p>&lt;i&gt;</p></p>"
    inner = render_mako("mako.html", value="<i>")
    assert render_jinja2("jinja2.html", value=inner) == "<p><p>&lt;i&gt;</p></p>"
