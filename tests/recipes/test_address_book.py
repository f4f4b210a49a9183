"""The address book recipe: copied out, its own tests pass on every two components together."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import pytest

VISIT = Path(__file__).with_name("address_book_visit.py")
RECIPE = Path(__file__).parents[2] / "recipes" / "address_book"
KIT = Path(sys.executable).with_name("kit")
LEFT_BY_RUNS = re.compile(r"__pycache__|\.\w+_cache|secret\.key$|\.db(-\w+)?$|^photos/|^mail/")
PERSISTENCE = "persistence=sqlalchemy,peewee_async"  # the others keep contacts, below
IN_USE = ("routing", "templating", "validation", PERSISTENCE, "sessions", "tokens", "rates")
IN_PRODUCTION = {
    "KIT_PROFILE": "production",
    "SECRET_KEY": "x" * 43,
    "HOST": "book.example.org",
    "DATABASE_URL": "postgresql://book:password@127.0.0.1/book",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "MAIL_SENDER": "book@example.org",
    "SMTP_HOST": "smtp.example.org",
    "SMTP_USER": "book",
    "SMTP_PASSWORD": "y" * 20,
}


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


def matrix(folder: Path, *arguments: str) -> list[dict]:
    """Run the tests of the application in `folder` with `kit matrix`; return its combinations."""
    combinations = json.loads(run(folder, KIT, "matrix", "--json", *arguments))["combinations"]
    assert {(one["ok"], one["failed"], one["skipped"]) for one in combinations} == {(True, 0, 0)}
    assert len({one["passed"] for one in combinations}) == 1
    return combinations


def own_files(folder: Path = RECIPE) -> Iterator[str]:
    """Yield the names of all files but those that tools and runs leave behind."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not LEFT_BY_RUNS.search(name):
            yield name


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The recipe, copied out of the repository as its users do it."""
    run(tmp_path, KIT, "new", "demo", "--recipe", "address_book")
    return tmp_path / "demo"


def test_its_tests_pass_on_every_two_components(copy: Path, redis_url: str):
    slots = [f"--slot={slot}" for slot in IN_USE]
    urls = [f"--vary={slot}.redis.url={redis_url}" for slot in ("sessions", "rates")]
    combinations = matrix(copy, *slots, *urls)
    met = {pair for one in combinations for pair in permutations(one["components"].values(), 2)}
    assert {("mako", "wtforms"), ("peewee_async", "pydantic"), ("redis", "pyjwt")} <= met
    through = {
        (one["gateway"], name) for one in combinations for name in one["components"].values()
    }
    assert {name for way, name in through if way == "asgi"} == {name for _, name in through}
    assert not (copy / "address_book.db").exists()


def test_its_contacts_are_kept_by_every_database(
    copy: Path, own_database: Callable[..., str], postgres_url: str, mariadb_url: str
):
    urls = ",".join(own_database(url, "_book") for url in (postgres_url, mariadb_url))
    few = ["--slot", "persistence=peewee,sqlalchemy_async", "--gateway", "wsgi"]
    few += ["--vary", f"persistence.url={urls}"]
    combinations = matrix(copy, *few, "--", "tests/test_contacts.py", "-k", "not photo")
    tried = {(one["components"]["persistence"], *one["values"].values()) for one in combinations}
    assert len(tried) == 4


def test_its_accounts_work_with_scrypt_too(copy: Path):
    accounts = [sys.executable, "-m", "pytest", "-q", "-k", "hashes or logging or weak"]
    assert " passed" in run(copy, *accounts, KIT_PASSWORDS__USE="scrypt")


def test_its_tests_pass_with_pytest_alone_and_leave_nothing_behind(tmp_path: Path):
    left_out = shutil.ignore_patterns("*.db", "secret.key", "__pycache__", ".*_cache", "photos")
    folder = shutil.copytree(RECIPE, tmp_path / "copy", ignore=left_out)
    before = set(own_files(folder))
    run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert set(own_files(folder)) == before
    assert not (folder / "photos").exists()


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


def test_it_is_fit_for_production_but_for_values_of_ones_own(copy: Path):
    said = run(copy, KIT, "check", "--deploy", **IN_PRODUCTION)
    assert "0 findings" in said


@pytest.mark.parametrize("name", [name for name in own_files() if name.endswith(".py")])
def test_it_imports_no_particular_library(name: str):
    tree = ast.parse((RECIPE / name).read_text("utf-8"))
    imports = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imports |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    tops = {module.partition(".")[0] for module in imports}
    own = {"address_book"} | ({"pages", "pytest"} if name.startswith("tests/") else set())
    assert tops - sys.stdlib_module_names - own <= {"kit"}


def test_its_readme_names_every_file():
    readme = (RECIPE / "README.md").read_text("utf-8")
    assert [name for name in own_files() if f"`{name}`" not in readme] == ["README.md"]
