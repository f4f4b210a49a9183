"""What is particular to Mako, beside the contract of the slot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kit_mako.templating import MakoTemplating

from kit.errors import TemplateError
from kit.slots.templating import TemplatingOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.html").write_text("<main>${self.body()}</main>${site}")
    return tmp_path


def shout(value: object) -> str:
    return f"{value!r}!<i>"


def engine(folder: Path, *, reload: bool = False) -> MakoTemplating:
    options = TemplatingOptions(folder=folder, reload=reload)
    return MakoTemplating(options, {"site": "<Site>"}, {"shout": shout})


def test_declaring_the_component_does_not_import_mako():
    code = "import sys, kit_mako; print([c.name for c in kit_mako.kit_components()]);"
    code += "assert 'mako' not in sys.modules"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("['mako']\n", "")


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("${value}", "&lt;i&gt;"),
        ("${value | h}", "&lt;i&gt;"),
        ("${value | n}", "<i>"),
        ("${value | n, shout}", "'<i>'!<i>"),
        ("${value | trim, shout}", "&#39;&lt;i&gt;&#39;!&lt;i&gt;"),
        ("${value | u}", "%3Ci%3E"),
        ("${value | wrap('(', ')')}", "(&lt;i&gt;)"),
        ("<%def name='f()' buffered='True'><b>${value}</b></%def>${f()}", "<b>&lt;i&gt;</b>"),
        ("<%def name='f()' filter='trim'> <b>${value}</b> </%def>${f()}", "<b>&lt;i&gt;</b>"),
        ("<%call expr='text()'></%call>", "&lt;i&gt;"),
        ("<%text>${value}</%text>", "${value}"),
        ("<% context.write('<b>') %>", "<b>"),
    ],
)
def test_escaping_is_last_unless_an_expression_says_otherwise(folder, source, page):
    values = {
        "value": "<i>",
        "text": lambda: "<i>",
        "wrap": lambda left, right: lambda value: f"{left}{value}{right}",
    }
    assert engine(folder).render_string(source, values) == page


def test_escaping_cannot_be_switched_off_for_a_page(folder):
    source = "\n<%page expression_filter='n'/>${value}"
    with pytest.raises(TemplateError, match="<string>:2: expression_filter is not allowed"):
        engine(folder).render_string(source, {"value": "<i>"})


def test_namespaces_and_content_escape(folder):
    (folder / "lib.html").write_text(
        "<%def name='box(t)'><b>${t} ${site}</b>${caller.body()}</%def>"
    )
    source = (
        "<%namespace name='lib' file='lib.html'/><%lib:box t='${value}'>${value | shout}</%lib:box>"
    )
    page = engine(folder).render_string(source, {"value": "<i>"})
    assert page == "<b>&lt;i&gt; &lt;Site&gt;</b>&#39;&lt;i&gt;&#39;!&lt;i&gt;"


def test_a_def_is_rendered_alone_with_its_arguments(folder):
    (folder / "rows.html").write_text("<%def name='row(item)'><td>${item} ${site}</td></%def>")
    page = engine(folder).render("rows.html", {"item": "<i>"}, block="row")
    assert page == "<td>&lt;i&gt; &lt;Site&gt;</td>"


def test_the_line_of_an_undefined_name_is_where_it_is_used(folder):
    (folder / "page.html").write_text(
        "<%inherit file='base.html'/>\n<%def name='f(user)'>${user}</%def>\n"
        "% if True:\n<b>${f(1)}</b>\n${user.name}\n% endif\n"
    )
    with pytest.raises(TemplateError) as info:
        engine(folder).render("page.html", {})
    assert str(info.value) == "page.html:5: NameError: 'user' is not defined"


def test_an_undefined_name_is_an_error_though_the_file_is_gone(folder):
    (folder / "page.html").write_text("${user}")
    mako = engine(folder)
    mako.render("page.html", {"user": 1})
    (folder / "page.html").unlink()
    with pytest.raises(TemplateError, match="'user' is not defined"):
        mako.render("page.html", {})


def test_an_undefined_filter_is_an_error(folder):
    with pytest.raises(TemplateError, match="<string>:2: NameError: 'whisper' is not defined"):
        engine(folder).render_string("\n${1 | whisper}", {})


def test_templates_of_similar_names_keep_their_own_lines(folder):
    (folder / "a-b.html").write_text("\n\n${1 / zero}")
    (folder / "a_b.html").write_text("${1 / zero}")
    mako = engine(folder)
    mako.render("a_b.html", {"zero": 1})
    for name, line in [("a-b.html", 3), ("a_b.html", 1)]:
        with pytest.raises(TemplateError) as info:
            mako.render(name, {"zero": 0})
        assert (info.value.template, info.value.line) == (name, line)


def test_a_missing_include_names_the_template_that_asks_for_it(folder):
    (folder / "page.html").write_text("\n<%include file='nowhere.html'/>")
    with pytest.raises(TemplateError, match=r"page\.html:2: .*nowhere\.html"):
        engine(folder).render("page.html", {})


def test_an_include_cannot_leave_the_folder(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "page.html").write_text("<%include file='${name}'/>")
    (folder.parent / "secret.html").write_text("secret")
    for name in ("../../secret.html", "/../secret.html", str(folder.parent / "secret.html")):
        with pytest.raises(TemplateError):
            engine(folder).render("sub/page.html", {"name": name})


def test_strings_inherit_from_files_and_see_them_change(folder):
    mako = engine(folder, reload=True)
    source = "<%inherit file='base.html'/>${value}"
    assert mako.render_string(source, {"value": "<"}) == "<main>&lt;</main>&lt;Site&gt;"
    (folder / "base.html").write_text("${self.body()}")
    assert mako.render_string(source, {"value": "<"}) == "&lt;"


def test_a_relative_folder_gives_the_same_names(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    (folder / "page.html").write_text("\n${1 / zero}")
    with pytest.raises(TemplateError, match=r"^page\.html:2: ZeroDivisionError"):
        engine(Path(folder.name)).render("page.html", {"zero": 0})


def test_a_string_is_compiled_once_without_reload(folder):
    mako = engine(folder)
    assert mako._from_string("${1}") is mako._from_string("${1}")


def test_names_that_mako_keeps_for_itself_are_an_error(folder):
    with pytest.raises(TemplateError, match="Reserved words"):
        engine(folder).render_string("x", {"loop": 1})
