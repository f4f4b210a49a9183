"""A small project in a folder of its own, and ways to call ``kit`` on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kit.cli import main

CONFIG = """\
[app]
import = "shop:app"
secret_key = "file:secret.key"

[routing]
use = "werkzeug"
"""
SHOP = """\
from kit import App

app = App("kit.toml")


@app.get("/")
def index():
    return "hello"


@app.post("/<int:id>", name="buy")
def sell(id):
    return str(id)
"""
Kit = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a project, which is the current folder, with nothing left behind after."""
    for name in ("KIT_CONFIG", "KIT_PROFILE", "KIT_TRACEBACK", "PORT", "NO_COLOR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kit.toml").write_text(CONFIG)
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "secret.key").write_text("0123456789" * 5)
    (tmp_path / "secret.key").chmod(0o600)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def kit(project: Path) -> Kit:
    """Call a command in this process."""
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])
