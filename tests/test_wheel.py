"""The wheel: what is in it, and what somebody gets who has nothing but it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "-q", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    [made] = folder.glob("*.whl")
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
    assert "kit/_recipes/contacts/kit.toml" in names
    assert not [name for name in names if name.endswith((".pyc", ".db", "secret.key"))]


@pytest.fixture(scope="module")
def demo(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A new environment with the wheel, and a copy of the contacts recipe made there."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder / "env")
    binaries = folder / "env" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python", "install", "-q")
    run(*pip, "--no-compile", f"framekit[all] @ {wheel.as_uri()}", cwd=folder)
    run(binaries / "kit", "new", "demo", "--recipe", "contacts", cwd=folder)
    return binaries, folder / "demo"


def test_a_copied_recipe_passes_its_own_tests_in_an_empty_environment(
    demo: tuple[Path, Path],
) -> None:
    binaries, folder = demo
    assert " passed" in run(binaries / "python", "-m", "pytest", "-q", cwd=folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('use = "ffroute"', 'use = "werkzeug"'),
        ('use = "jinja2"', 'use = "mako"'),
        ('use = "sqlalchemy"', 'use = "peewee"'),
        ('use = "beaker"', 'use = "itsdangerous"'),
    ],
)
def test_swapping_a_line_of_its_config_keeps_the_tests_green(
    demo: tuple[Path, Path], before: str, after: str
) -> None:
    binaries, folder = demo
    config = folder / "kit.toml"
    text = config.read_text()
    assert text.count(before) == 1
    config.write_text(text.replace(before, after))
    try:
        assert " passed" in run(binaries / "python", "-m", "pytest", "-q", cwd=folder)
    finally:
        config.write_text(text)
