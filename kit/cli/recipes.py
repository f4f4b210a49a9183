"""``kit recipes``: what there is to start from."""

from __future__ import annotations

from pathlib import Path

import click

import kit
from kit.cli.output import table


def recipes() -> dict[str, Path]:
    """Return the folders of all recipes by name: those in the wheel, or those of the checkout."""
    package = Path(kit.__file__).parent
    folders = (package / "_recipes", package.parent / "recipes")
    found = next((folder for folder in folders if folder.is_dir()), None)
    inside = sorted(found.iterdir()) if found else []
    return {folder.name: folder for folder in inside if (folder / "kit.toml").is_file()}


def first_line(folder: Path) -> str:
    """Return the first line of a recipe's README, without the mark of a heading."""
    readme = folder / "README.md"
    lines = readme.read_text("utf-8").splitlines() if readme.is_file() else []
    return next((line.lstrip("# ") for line in lines if line.strip()), "")


@click.command("recipes")
def command() -> None:
    """List the recipes that `kit new` can copy.

    \b
    Example:
        kit recipes
    """
    rows = [(name, first_line(folder)) for name, folder in recipes().items()]
    click.echo(table(["recipe", "what it is"], rows))
