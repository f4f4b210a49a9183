"""The contacts recipe: copied out, its own tests pass on every stack."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path
from types import ModuleType

import pytest

from kit.testing import client, emptied

RECIPE = Path(__file__).parents[2] / "recipes" / "contacts"
KIT = Path(sys.executable).with_name("kit")
ADA = {"first_name": "Ada <b>", "last_name": 'Love"lace', "phone_number": "1&2'3"}


def run(folder: Path, *command: str | Path) -> str:
    """Run a command in `folder`, without any setting of the tests around it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of the tests around it take long
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def matrix(folder: Path, *arguments: str) -> list[dict]:
    """Run the tests of the application in `folder` with `kit matrix`; return its combinations."""
    found = json.loads(run(folder, KIT, "matrix", "--json", *arguments))["combinations"]
    assert {(one["ok"], one["failed"], one["skipped"]) for one in found} == {(True, 0, 0)}
    assert len({one["passed"] for one in found}) == 1
    return found


def own_files(folder: Path = RECIPE) -> Iterator[Path]:
    """Yield the names of all files but those that tools and runs leave behind."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not re.search(r"__pycache__|\.\w+_cache", str(name)):
            yield name


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The recipe, copied out of the repository as its users do it."""
    run(tmp_path, KIT, "new", "demo", "--recipe", "contacts")
    return tmp_path / "demo"


@pytest.fixture
def databases(
    tmp_path: Path, own_database: Callable[[str], str], postgres_url: str, mariadb_url: str
) -> list[str]:
    """The URLs of three databases for these tests alone."""
    own = [own_database(postgres_url), own_database(mariadb_url)]
    return [f"sqlite:///{tmp_path}/test.db", *own]


def test_its_tests_pass_on_every_two_components_and_both_gateways(copy: Path, redis_url: str):
    found = matrix(copy, "--vary", f"sessions.redis.url={redis_url}")
    rows = [one["components"] | {"gateway": one["gateway"]} for one in found]
    tried = {slot: {row[slot] for row in rows} for slot in rows[0]}
    slots = {"routing", "templating", "validation", "persistence", "sessions"}
    assert set(tried) == {*slots, "gateway"}
    for one, other in combinations(tried, 2):
        met = {(row[one], row[other]) for row in rows}
        assert met == set(product(tried[one], tried[other]))
    assert not (copy / "contacts.db").exists()


def test_its_tests_pass_on_every_database(copy: Path, databases: list[str]):
    urls = ",".join(databases)
    few = ["--slot", "persistence=sqlalchemy,peewee_async", "--gateway", "asgi"]
    found = matrix(copy, *few, "--vary", f"persistence.url={urls}")
    tried = {(one["components"]["persistence"], *one["values"].values()) for one in found}
    assert len(tried) == 6


def test_its_tests_pass_with_pytest_alone_and_leave_nothing_behind(tmp_path: Path):
    left_out = shutil.ignore_patterns("*.db", "secret.key", "__pycache__", ".*_cache")
    folder = shutil.copytree(RECIPE, tmp_path / "copy", ignore=left_out)
    before = set(own_files(folder))
    run(folder, sys.executable, "-m", "pytest", "-q")
    assert set(own_files(folder)) == before


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


@pytest.mark.parametrize("name", [name for name in own_files() if name.suffix == ".py"], ids=str)
def test_it_imports_no_particular_library(name: Path):
    tree = ast.parse((RECIPE / name).read_text("utf-8"))
    imports = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imports |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    tops = {module.partition(".")[0] for module in imports}
    own = {"contacts", "pages", "pytest"} if name.parts[0] == "tests" else set()
    assert tops - sys.stdlib_module_names - own <= {"kit"}


def test_its_readme_names_every_file():
    readme = (RECIPE / "README.md").read_text("utf-8")
    made_by_running = re.compile(r"secret\.key|.*\.db(-\w+)?")
    names = [str(name) for name in own_files() if not made_by_running.fullmatch(str(name))]
    assert [name for name in names if f"`{name}`" not in readme] == ["README.md"]
