"""``kit new``: a project of one's own, copied from a recipe."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import click

from kit import config as configuration
from kit.cli.catalogue import catalogue
from kit.cli.recipes import recipes
from kit.cli.secret_files import make_secret_file
from kit.components import Component
from kit.config import Config
from kit.errors import ConfigError, Problem, listing, nearest

_LEFT_BEHIND = shutil.ignore_patterns(
    "__pycache__", ".*_cache", ".venv", "*.db", "*.db-*", "secret.key", "photos", "*.eml"
)


@click.command("new")
@click.argument("name", type=click.Path(path_type=Path))
@click.option("--recipe", default="contacts", show_default=True, help="The recipe to copy.")
def command(name: Path, recipe: str) -> None:
    """Start a project from a recipe: NAME is the folder to make.

    The copy is yours: it needs nothing of where it came from. What exists is never overwritten.

    \b
    Example:
        kit new demo --recipe contacts
    """
    known = recipes()
    name = Path(os.path.normpath(name))
    if recipe not in known:
        what = f"there is no recipe {recipe!r}.{nearest(recipe, known)}"
        raise ConfigError([Problem("", what, f"Recipes are: {listing(known)}.")])
    if name.is_file() or (name.is_dir() and any(name.iterdir())):
        mend = "Take another name, or move it away: nothing is overwritten."
        raise ConfigError([Problem(str(name), "is there already.", mend)])
    _copy(known[recipe], name)
    config = configuration.load(name / "kit.toml")
    click.echo(f"Copied the recipe {recipe} to {name}.")
    if secret := make_secret_file(config):
        click.echo(f"Made {name / secret.name}, a secret key of your own (mode 0600).")
    click.echo(_next_steps(name, config))


def _copy(recipe: Path, folder: Path) -> None:
    try:
        shutil.copytree(recipe, folder, ignore=_LEFT_BEHIND, dirs_exist_ok=True)
    except OSError as error:
        raise ConfigError([Problem(str(folder), f"cannot be written: {error}.")]) from error


def _next_steps(folder: Path, config: Config) -> str:
    tests = (folder / "tests").is_dir()
    missing = [name for one in _missing(config) if (name := one.install or one.library)]
    missing += _libraries(folder / "pyproject.toml")
    if tests and not find_spec("pytest"):
        missing.append("pytest")
    steps = [f"cd {shlex.quote(str(folder))}", *_serving(config)]
    steps += ["python -m pytest"] if tests else []
    if missing:
        steps.insert(1, "pip install " + " ".join(f'"{name}"' for name in _joined(missing)))
    return "Next:" + "".join(f"\n    {step}" for step in steps)


def _serving(config: Config) -> list[str]:
    server = config.get("serving", "use")
    if server is None:
        return ["kit run"]
    return [
        "kit run      # for development; it has no WebSockets",
        f"kit serve    # on {server.value}",
    ]


def _joined(requirements: list[str]) -> list[str]:
    """Put the extras of one distribution together."""
    extras: dict[str, list[str]] = {}
    for requirement in requirements:
        name, _, extra = requirement.rstrip("]").partition("[")
        extras.setdefault(name, []).extend([extra] if extra else [])
    return [f"{name}[{','.join(found)}]" if found else name for name, found in extras.items()]


def _libraries(project: Path) -> list[str]:
    """Return what the project needs beside the kit and is not installed."""
    if not project.is_file():
        return []
    data = tomllib.loads(project.read_text("utf-8"))
    needed = [str(one) for one in data.get("project", {}).get("dependencies", ())]
    return [one for one in needed if not one.startswith("framekit") and not _is_there(one)]


def _is_there(requirement: str) -> bool:
    try:
        metadata.version(re.split(r"[^\w.-]", requirement)[0])
    except metadata.PackageNotFoundError:
        return False
    return True


def _missing(config: Config) -> list[Component]:
    """Return the components that the project uses and whose libraries are not installed."""
    found = catalogue(config)
    used = [
        found.components[slot].get(name) for slot, names in found.in_use.items() for name in names
    ]
    return [one for one in used if one is not None and one.version() is None]
