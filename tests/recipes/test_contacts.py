"""The contacts recipe: its pages are the same, whichever engine fills them in."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kit.testing import client, emptied

RECIPE = Path(__file__).parents[2] / "recipes" / "contacts"
ADA = {"first_name": "Ada <b>", "last_name": 'Love"lace', "phone_number": "1&2'3"}


def loaded(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the application as a module of its own, on a template engine."""
    monkeypatch.setenv("KIT_TEMPLATING__USE", engine)
    monkeypatch.setenv("KIT_PERSISTENCE__URL", f"sqlite:///{tmp_path}/{engine}_test.db")
    monkeypatch.setenv("KIT_APP__SECRET_KEY", "x" * 32)
    spec = importlib.util.spec_from_file_location(f"contacts_{engine}", RECIPE / "contacts.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def pages(module: ModuleType) -> list[str]:
    """Return the pages of a short visit, without white space between tags."""
    browser = client(emptied(module.app))
    shown = [browser.get("/"), browser.post("/", data=ADA), browser.get("/"), browser.get("/nope")]
    shown += [browser.post("/", data={}), browser.post("/", data={**ADA, "last_name": "x" * 101})]
    module.app.stop()
    pages = [re.sub(r"\s+", " ", re.sub(r'value="[\w-]{80,}=*"', "", r.text)) for r in shown]
    return [re.sub(r" ?(<|/?>) ?", r"\1", page) for page in pages]


def test_both_template_engines_give_the_same_pages(tmp_path, monkeypatch):
    jinja2 = pages(loaded("jinja2", tmp_path, monkeypatch))
    mako = pages(loaded("mako", tmp_path, monkeypatch))
    assert "Saved Ada &lt;b&gt;" in jinja2[2]
    assert jinja2 == mako
