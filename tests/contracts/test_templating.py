"""The first-party template engines keep the contract of their slot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kit_jinja2.templating import Jinja2Options, Jinja2Templating
from kit_mako.templating import MakoTemplating

from kit.contracts.templating import TemplatingContract
from kit.errors import TemplateError
from kit.slots.templating import Filters, Globals, TemplatingOptions, template_file

TEMPLATES = Path(__file__).parent / "templates"


def sources(engine: str) -> dict[str, str]:
    """The templates of the contract in one engine's syntax."""
    return {file.name: file.read_text("utf-8") for file in (TEMPLATES / engine).iterdir()}


class TestJinja2(TemplatingContract):
    sources = sources("jinja2")

    def make(
        self, folder: Path, reload: bool, template_globals: Globals, template_filters: Filters
    ) -> Jinja2Templating:
        options = Jinja2Options(folder=folder, reload=reload)
        return Jinja2Templating(options, template_globals, template_filters)


class TestMako(TemplatingContract):
    sources = sources("mako")

    def make(
        self, folder: Path, reload: bool, template_globals: Globals, template_filters: Filters
    ) -> MakoTemplating:
        options = TemplatingOptions(folder=folder, reload=reload)
        return MakoTemplating(options, template_globals, template_filters)


@pytest.mark.parametrize("name", ["page.html", "sub/page.html", "..page.html"])
def test_template_file_finds_files_in_the_folder(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / name).touch()
    assert template_file(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "sub", "page.html/", "/page.html", "./page.html", "sub/../page.html"),
        *("../out.html", "sub\\..\\page.html", "page.html\0", "c:page.html", "nowhere.html"),
    ],
)
def test_template_file_refuses_other_names(tmp_path, name):
    folder = tmp_path / "templates"
    (folder / "sub").mkdir(parents=True)
    for file in (folder / "page.html", folder / "c:page.html", tmp_path / "out.html"):
        file.touch()
    with pytest.raises(TemplateError):
        template_file(folder, name)


def test_the_contract_says_which_source_is_missing(tmp_path):
    (tmp_path / "test_incomplete.py").write_text(
        "from kit.contracts.templating import TemplatingContract\n"
        "class TestIncomplete(TemplatingContract):\n"
        "    def make(self, *arguments): return object()\n"
    )
    command = [sys.executable, "-m", "pytest", "-k", "threads", "-p", "no:cacheprovider"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "TestIncomplete.sources has no 'value.html', which shows `value`" in found.stdout
