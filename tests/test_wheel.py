"""The wheel: what is in it, and what somebody gets who has nothing but it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parent.parent
RECIPES = sorted(path.name for path in (ROOT / "recipes").iterdir() if path.is_dir())
FRONT = {"conduit": "/api/tags", "falcon_style": "/images", "todobackend": "/todos"}
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("KIT_", "COV_", "PYTEST_", "PYTHON", "VIRTUAL_ENV"))
}


def run(*command: object, cwd: Path, **environ: str) -> str:
    """Run a command in a clean environment and return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**CLEAN, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def made_once(base: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first process of a run to come here makes, for all of them."""
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(folder: Path) -> None:
        run(sys.executable, "-m", "build", "-q", "--wheel", "--outdir", folder, ROOT, cwd=folder)

    [made] = made_once(tmp_path_factory.getbasetemp(), "wheel", build).glob("*.whl")
    return made


def test_the_wheel_has_sound_contents(wheel: Path) -> None:
    checker = Path(sys.executable).with_name("check-wheel-contents")
    # W002: files of two recipes may be equal. W004: they are data. W009: adapters are packages.
    assert "OK" in run(checker, "--ignore", "W002,W004,W009", wheel, cwd=wheel.parent)


def test_the_wheel_holds_the_kernel_the_adapters_and_the_recipes_and_nothing_else(
    wheel: Path,
) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name}
    adapters = {path.name for path in (ROOT / "adapters").iterdir() if path.is_dir()}
    assert top == {"kit", *adapters}
    assert {f"{package}/py.typed" for package in top} <= set(names)
    assert {f"kit/_recipes/{recipe}/kit.toml" for recipe in RECIPES} <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".db", "secret.key"))]


@pytest.fixture(scope="session")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new environment with nothing but the wheel."""

    def install(folder: Path) -> None:
        venv.create(folder)
        pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q")
        run(*pip, "--no-compile", f"framekit[all] @ {wheel.as_uri()}", *libraries(), cwd=folder)

    return made_once(tmp_path_factory.getbasetemp(), "environment", install) / "bin"


def libraries() -> set[str]:
    """What recipes need beside Framekit."""
    projects = [(ROOT / "recipes" / name / "pyproject.toml").read_text("utf-8") for name in RECIPES]
    named = {one for text in projects for one in tomllib.loads(text)["project"]["dependencies"]}
    return {one for one in named if not one.startswith("framekit")}


def files(folder: Path) -> set[str]:
    """The names of all files but those that Python compiles."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)) for p in found if "__pycache__" not in p.parts}


@contextmanager
def served(kit: Path, folder: Path) -> Iterator[str]:
    """Run `kit run`, and yield the address that it says; in the end it stops on Ctrl-C."""
    server = subprocess.Popen(
        [kit, "run", "--port", "0"],
        cwd=folder,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout
    said, found = "", None
    try:
        while not found and (line := server.stdout.readline()):
            said += line
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        yield found[0]
        server.send_signal(signal.SIGINT)
        server.wait(20)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_copied_out_passes_its_tests_and_runs(
    binaries: Path, tmp_path: Path, recipe: str
) -> None:
    assert f"Copied the recipe {recipe} to blog." in run(
        *(binaries / "kit", "new", "blog", "--recipe", recipe), cwd=tmp_path
    )
    folder = tmp_path / "blog"
    before = files(folder)
    tests = (binaries / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in run(*tests, cwd=folder)
    assert files(folder) == before
    with served(binaries / "kit", folder) as url, urlopen(f"{url}{FRONT.get(recipe, '/')}") as page:
        assert page.status == 200
        assert page.read()


def test_every_recipe_is_listed_with_a_line(binaries: Path, tmp_path: Path) -> None:
    lines = run(binaries / "kit", "recipes", cwd=tmp_path).splitlines()[1:]
    assert [line.split()[0] for line in lines] == RECIPES
    assert all(len(line.split()) > 3 for line in lines)


def test_swapping_lines_of_its_config_keeps_the_tests_green(binaries: Path, tmp_path: Path) -> None:
    run(binaries / "kit", "new", "demo", "--recipe", "contacts", cwd=tmp_path)
    config = tmp_path / "demo" / "kit.toml"
    text = config.read_text()
    swaps = [("ffroute", "werkzeug"), ("jinja2", "mako"), ("sqlalchemy", "peewee")]
    for before, after in [*swaps, ("beaker", "itsdangerous")]:
        assert text.count(f'use = "{before}"') == 1
        text = text.replace(f'use = "{before}"', f'use = "{after}"')
    config.write_text(text)
    assert " passed" in run(binaries / "python", "-m", "pytest", "-q", cwd=tmp_path / "demo")
