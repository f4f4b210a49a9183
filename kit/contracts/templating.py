"""The contract of the slot templating: escaping, one meaning of errors, and no way out.

The tests render templates written in the engine's own syntax, so an author gives two things:
``make``, which builds the component, and ``sources``, the text of each template in `SOURCES`.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import pytest
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from kit.contracts import Contract, clause
from kit.errors import RecordNotFound, TemplateError
from kit.slots.templating import Filters, Globals, Templating

SOURCES = {
    "value.html": ("", "shows `value`, then the global `site`"),
    "quoted.html": ("", "shows `value` as the double-quoted attribute `title` of a `p`"),
    "third.html": ("", "shows `value` on its third line"),
    "malformed.html": ("", "is malformed on its third line"),
    "attribute.html": ("attributes", "shows the attribute `nothing` of `value` on its third line"),
    "loop.html": ("loops", "shows each element of the list `value`, then `site`"),
    "include.html": ("includes", "includes value.html"),
    "nested.html": ("includes", "includes third.html on its second line"),
    "base.html": ("inheritance", "shows `site`, and has a place for templates to fill"),
    "child.html": ("inheritance", "fills the place of base.html with `value`"),
    "helper.html": ("helpers", "calls a macro or def that shows its argument `value` and `site`"),
    "content.html": ("content", "calls a macro or def with `value` as content, which it shows"),
    "block.html": (
        "blocks",
        "has the text `outside`, and a block `row` that shows `value`, `site`",
    ),
    "filter.html": ("filters", "shows `value` behind the filter `shout`"),
}
"""The templates to write: name, the capability that needs it (if any), and what it does."""

NAMES = ("value.txt", "value.svg", "value.xhtml", "value.js", "value.jinja", "value")
"""Further names under which the contract stores value.html: a name decides nothing."""

EVIL = '<i id="x">\'&" onclick="é€😀'
GLOBALS: Globals = {"site": "<Site>"}


def shout(value: object) -> str:
    """Put the type in front and the markup behind that a filter might add."""
    return f"{type(value).__name__}:{value}<i>!"


FILTERS: Filters = {"shout": shout}


class _Page(HTMLParser):
    """What a browser makes of a page: its text, its elements, and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def _assert_shows(page: str, *texts: str) -> None:
    found = _Page(page)
    assert "i" not in found.elements, f"a value became markup in {page!r}"
    for text in texts:
        assert text in found.text, f"{text!r} is not what is shown by {page!r}"


class _Fails:
    """A value that raises when it is shown."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


class _Marked:
    """A value that brings its own markup, from no library in particular."""

    def __html__(self) -> str:
        return "<b>marked</b>"


class TemplatingContract(Contract):
    """What every template engine promises. Subclass it, and give `make` and `sources`."""

    capabilities: ClassVar[dict[str, str]] = {
        "attributes": "reads attributes of a value",
        "loops": "repeats a part for each element of a list",
        "includes": "includes another template",
        "inheritance": "fills places of another template",
        "helpers": "calls macros or defs",
        "content": "calls macros or defs with content",
        "blocks": "renders one block of a template alone",
        "filters": "applies the filters of the application",
        "entities": "shows `&lt;` as `&lt;`, not as `<`",
        "none": "shows None as `None`",
        "lines": "knows the line of an error",
    }
    sources: ClassVar[dict[str, str]] = {}

    def make(
        self, folder: Path, reload: bool, template_globals: Globals, template_filters: Filters
    ) -> Templating:
        """Build the component over `folder`, as the kernel would."""
        raise NotImplementedError(f"{type(self).__name__}.make has to build the component")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A folder with all templates."""
        folder = tmp_path / "templates"
        folder.mkdir()
        copies = dict.fromkeys(NAMES, self.sources.get("value.html", ""))
        for name, source in {**self.sources, **copies}.items():
            (folder / name).write_text(source, "utf-8")
        return folder

    @pytest.fixture
    def component(self, folder: Path) -> Templating:
        """The component over `folder`, with one global and one filter."""
        component = self.make(folder, False, GLOBALS, FILTERS)
        for name, (capability, what) in SOURCES.items():
            if name not in self.sources and capability not in getattr(component, "lacks", {}):
                pytest.fail(f"{type(self).__name__}.sources has no {name!r}, which {what}")
        return component

    @pytest.fixture
    def reloading(self, folder: Path) -> Templating:
        """The component over `folder`, looking for changed files."""
        return self.make(folder, True, GLOBALS, FILTERS)

    @clause("T1")
    @pytest.mark.parametrize("name", ["value.html", *NAMES])
    def test_values_are_escaped_whatever_the_file_is_called(
        self, component: Templating, name: str
    ) -> None:
        """A value in a file is shown as it is, never taken as markup, whatever the file's name."""
        _assert_shows(component.render(name, {"value": EVIL}), EVIL)

    @clause("T2")
    def test_values_are_escaped_in_attributes(self, component: Templating) -> None:
        """A value in a quoted attribute stays in it."""
        page = _Page(component.render("quoted.html", {"value": EVIL}))
        assert page.attributes == [("title", EVIL)]

    @clause("T3")
    def test_values_are_escaped_in_strings(self, component: Templating) -> None:
        """A value in a template that is given as a string is escaped."""
        source = self.sources["value.html"]
        _assert_shows(component.render_string(source, {"value": EVIL}), EVIL)

    @clause("T4", needs="loops")
    def test_values_are_escaped_in_loops(self, component: Templating) -> None:
        """The elements of a list that a template loops over are escaped."""
        page = component.render("loop.html", {"value": [EVIL, EVIL[::-1]]})
        _assert_shows(page, EVIL, EVIL[::-1])

    @clause("T5", needs="includes")
    def test_values_are_escaped_in_includes(self, component: Templating) -> None:
        """A value in an included template is escaped."""
        _assert_shows(component.render("include.html", {"value": EVIL}), EVIL)

    @clause("T6", needs="inheritance")
    def test_values_are_escaped_in_inherited_templates(self, component: Templating) -> None:
        """A value in a template that fills another one is escaped."""
        _assert_shows(component.render("child.html", {"value": EVIL}), EVIL)

    @clause("T7", needs="helpers")
    def test_values_are_escaped_in_helpers(self, component: Templating) -> None:
        """A value that goes through a macro or def is escaped, once."""
        _assert_shows(component.render("helper.html", {"value": EVIL}), EVIL)

    @clause("T8", needs="content")
    def test_values_are_escaped_in_content(self, component: Templating) -> None:
        """A value in the content that a macro or def is called with is escaped, once."""
        _assert_shows(component.render("content.html", {"value": EVIL}), EVIL)

    @clause("T9", needs="filters")
    def test_what_a_filter_returns_is_escaped(self, component: Templating) -> None:
        """A filter is given the value itself, and what it returns is escaped."""
        _assert_shows(component.render("filter.html", {"value": 7}), "int:7<i>!")
        _assert_shows(component.render("filter.html", {"value": EVIL}), f"str:{EVIL}<i>!")

    @clause("T10", needs="blocks")
    def test_values_are_escaped_in_blocks(self, component: Templating) -> None:
        """A value in a block that is rendered alone is escaped."""
        _assert_shows(component.render("block.html", {"value": EVIL}, "row"), EVIL)

    @clause("T11", needs="blocks")
    def test_a_block_is_rendered_alone(self, component: Templating) -> None:
        """A block is rendered without the rest of its file, which shows it in its place."""
        assert "outside" not in component.render("block.html", {"value": "inside"}, block="row")
        _assert_shows(component.render("block.html", {"value": "inside"}), "outside", "inside")

    @clause("T12")
    @pytest.mark.parametrize("value", [_Marked(), Markup("<b>marked</b>")])
    def test_markup_passes(self, component: Templating, value: object) -> None:
        """A value with ``__html__``, such as `Markup` from another engine, passes as it is."""
        source = self.sources["value.html"]
        assert "<b>marked</b>" in component.render("value.html", {"value": value})
        assert "<b>marked</b>" in component.render_string(source, {"value": value})

    @clause("T13", needs="entities")
    def test_an_entity_is_shown_as_it_is(self, component: Templating) -> None:
        """A value that looks like an entity of HTML is text like any other."""
        _assert_shows(
            component.render("value.html", {"value": "&lt; &#34; &amp;"}), "&lt; &#34; &amp;"
        )

    @clause("T14", needs="none")
    def test_none_is_shown_by_its_name(self, component: Templating) -> None:
        """None is shown as `None`."""
        _assert_shows(component.render("value.html", {"value": None}), "None")

    @clause("T15")
    def test_globals_are_seen_everywhere(self, component: Templating) -> None:
        """A global is seen, and escaped, in every kind of template."""
        values = {"value": "text"}
        pages = {
            "": component.render("value.html", values),
            "strings": component.render_string(self.sources["value.html"], values),
        }
        lacks = getattr(component, "lacks", {})
        for name in ("include", "child", "base", "helper", "content", "block"):
            capability, _ = SOURCES[f"{name}.html"]
            if capability not in lacks:
                pages[name] = component.render(f"{name}.html", values)
        for page in pages.values():
            _assert_shows(page, "<Site>")

    @clause("T16")
    def test_a_value_hides_a_global(self, component: Templating) -> None:
        """A value hides the global of the same name, for that rendering only."""
        values = {"value": "text", "site": "mine"}
        assert "Site" not in component.render("value.html", values)
        assert "mine" not in component.render("value.html", {"value": "text"})

    @clause("T17")
    def test_an_undefined_name_is_an_error(self, component: Templating) -> None:
        """A name that is used but not given is a TemplateError with template and name."""
        with pytest.raises(TemplateError, match="value") as info:
            component.render("third.html", {})
        assert info.value.template == "third.html"
        with pytest.raises(TemplateError, match="value"):
            component.render_string(self.sources["third.html"], {})

    @clause("T18", needs="attributes")
    def test_an_undefined_attribute_is_an_error(self, component: Templating) -> None:
        """An attribute that a value does not have is a TemplateError with template and name."""
        with pytest.raises(TemplateError, match="nothing") as info:
            component.render("attribute.html", {"value": object()})
        assert info.value.template == "attribute.html"

    @clause("T19")
    def test_a_missing_template_is_an_error(self, component: Templating) -> None:
        """A template that is not in the folder is a TemplateError with its name."""
        with pytest.raises(TemplateError, match="nowhere") as info:
            component.render("nowhere.html", {})
        assert info.value.template == "nowhere.html"

    @clause("T20", needs="blocks")
    def test_a_missing_block_is_an_error(self, component: Templating) -> None:
        """A block that the file does not have is a TemplateError with both names."""
        with pytest.raises(TemplateError, match="nowhere") as info:
            component.render("block.html", {"value": "text"}, block="nowhere")
        assert info.value.template == "block.html"

    @clause("T21")
    def test_a_malformed_template_is_an_error(self, component: Templating, folder: Path) -> None:
        """A template with an error of syntax, or not in UTF-8, is a TemplateError with its name."""
        (folder / "latin.html").write_bytes("é".encode("latin-1"))
        for name in ("malformed.html", "latin.html"):
            with pytest.raises(TemplateError) as info:
                component.render(name, {"value": "text"})
            assert info.value.template == name
            assert info.value.__cause__ is not None, "raise it from the engine's exception"
        with pytest.raises(TemplateError):
            component.render_string(self.sources["malformed.html"], {"value": "text"})

    @clause("T22")
    def test_a_failing_value_is_an_error(self, component: Templating) -> None:
        """An exception while rendering is the cause of a TemplateError with the template's name."""
        error = ZeroDivisionError("no such number")
        with pytest.raises(TemplateError, match="no such number") as info:
            component.render("third.html", {"value": _Fails(error)})
        assert info.value.template == "third.html"
        assert info.value.__cause__ is error

    @clause("T23", needs="includes")
    def test_an_error_names_the_template_it_is_in(self, component: Templating) -> None:
        """An error in an included template names that one."""
        with pytest.raises(TemplateError) as info:
            component.render("nested.html", {"value": _Fails(ZeroDivisionError())})
        assert info.value.template == "third.html"

    @clause("T24", needs="lines")
    def test_an_error_knows_its_line(self, component: Templating) -> None:
        """Errors of syntax, missing names and attributes, and failing values know their line."""
        failing: list[tuple[str, dict[str, object]]] = [
            ("malformed.html", {"value": "text"}),
            ("third.html", {}),
            ("third.html", {"value": _Fails(ZeroDivisionError())}),
            ("attribute.html", {"value": object()}),
            ("nested.html", {"value": _Fails(ZeroDivisionError())}),
        ]
        for name, values in failing:
            if name in self.sources:
                with pytest.raises(TemplateError) as info:
                    component.render(name, values)
                assert info.value.line == 3, info.value

    @clause("T25")
    @pytest.mark.parametrize("error", [RecordNotFound("gone"), NotFound()])
    def test_an_error_with_an_answer_passes(self, component: Templating, error: Exception) -> None:
        """A KitError or HTTPException of code that the template called passes unchanged."""
        with pytest.raises(type(error)) as info:
            component.render("value.html", {"value": _Fails(error)})
        assert info.value is error

    @clause("T26")
    def test_names_never_lead_out_of_the_folder(self, component: Templating, folder: Path) -> None:
        """A name that leads out of the folder, or is no name, is a TemplateError."""
        secret = folder.parent / "secret.html"
        secret.write_text("secret")
        names = ["../secret.html", "a/../../secret.html", "/../secret.html", str(secret)]
        names += ["..\\secret.html", "a\\..\\..\\secret.html", "value.html\0", "\0", ""]
        for name in names:
            with pytest.raises(TemplateError):
                component.render(name, {"value": "text"})

    @clause("T27")
    def test_a_template_is_compiled_once(self, component: Templating, folder: Path) -> None:
        """Without `reload`, a template stays what it was when it was first rendered."""
        component.render("value.html", {"value": "text"})
        _change(folder / "value.html")
        assert "changed" not in component.render("value.html", {"value": "text"})

    @clause("T28")
    def test_reload_sees_changed_files(self, reloading: Templating, folder: Path) -> None:
        """With `reload`, a changed file is seen at the next rendering, however soon that is."""
        reloading.render("value.html", {"value": "text"})
        _change(folder / "value.html")
        assert "changed" in reloading.render("value.html", {"value": "text"})

    @clause("T29", needs="includes")
    def test_reload_sees_changed_includes(self, reloading: Templating, folder: Path) -> None:
        """With `reload`, a changed file is seen where another template includes it."""
        reloading.render("include.html", {"value": "text"})
        _change(folder / "value.html")
        assert "changed" in reloading.render("include.html", {"value": "text"})

    @clause("T30")
    def test_threads_do_not_meet(self, component: Templating) -> None:
        """Threads that render at the same time each get their own page, from the first on."""

        def pages(number: int) -> list[str]:
            values = {"value": f"({number})"}
            return [component.render("value.html", values) for _ in range(50)]

        with ThreadPoolExecutor(8) as pool:
            for number, found in enumerate(pool.map(pages, range(8))):
                assert all(f"({number})" in page for page in found)

    @clause("T31")
    def test_a_missing_folder_is_an_error_at_start(self, tmp_path: Path) -> None:
        """A folder that does not exist is a ValueError that names it, when the stack is built."""
        with pytest.raises(ValueError, match="nowhere"):
            self.make(tmp_path / "nowhere", False, GLOBALS, FILTERS)


def _change(file: Path) -> None:
    """Write another text, a hundredth of a second younger."""
    time = file.stat().st_mtime_ns + 10_000_000
    file.write_text("changed")
    os.utime(file, ns=(time, time))
