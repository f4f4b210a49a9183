"""The address book recipe: its pages on both engines, and its accounts with other hashes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

VISIT = Path(__file__).with_name("address_book_visit.py")
RECIPE = Path(__file__).parents[2] / "recipes" / "address_book"
KIT = Path(sys.executable).with_name("kit")


def run(folder: Path, *command: str | Path, **more: str) -> str:
    """Run a command in `folder`, without any setting of the tests around it but `more`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of the tests around it take long
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, **more},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The recipe, copied out of the repository as its users do it."""
    run(tmp_path, KIT, "new", "demo", "--recipe", "address_book")
    return tmp_path / "demo"


def test_its_accounts_work_with_scrypt_too(copy: Path):
    accounts = [sys.executable, "-m", "pytest", "-q", "-k", "hashes or logging or weak"]
    assert " passed" in run(copy, *accounts, KIT_PASSWORDS__USE="scrypt")


def pages(copy: Path, engine: str) -> list[str]:
    """Return the pages of a visit, without what differs from visit to visit, and white space."""
    shown = run(
        copy,
        *(sys.executable, VISIT),
        PYTHONPATH=str(copy),
        KIT_TEMPLATING__USE=engine,
        KIT_PERSISTENCE__URL=f"sqlite:///{engine}_test.db",
    )
    tokens = re.compile(r'(name="csrf_token" value=)"[^"]*"')
    texts = [re.sub(r"\s+", " ", tokens.sub(r"\1", text)) for text in json.loads(shown)]
    return [re.sub(r" ?(<|/?>) ?", r"\1", text) for text in texts]


def test_both_template_engines_give_the_same_pages(copy: Path):
    jinja2, mako = pages(copy, "jinja2"), pages(copy, "mako")
    assert sum("Ada &lt;b&gt;" in page for page in jinja2) > 5
    for one, other in zip(jinja2, mako, strict=True):
        assert one == other
