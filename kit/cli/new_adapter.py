"""``kit new-adapter``: a one-file adapter and its contract test, green as generated."""

from __future__ import annotations

import importlib.util
import keyword
from pathlib import Path

import click

import kit
from kit.cli.catalogue import catalogue
from kit.config import Config
from kit.errors import ConfigError, Problem, listing, nearest

SCAFFOLDS = Path(kit.__file__).parent / "scaffold" / "adapter"
MODELS = {
    "channels": "kit_stdlib.channels",
    "formats": "kit_stdlib.formats",
    "identity": "kit_stdlib.identity",
    "mail": "kit_stdlib.mail",
    "passwords": "kit_stdlib.passwords",
    "persistence": "kit_peewee.persistence",
    "rates": "kit_limits.rates",
    "serving": "kit_hypercorn.serving",
    "tokens": "kit_itsdangerous.tokens",
    "validation": "kit_msgspec.validation",
}


@click.command("new-adapter")
@click.argument("name")
@click.option("--slot", default="templating", show_default=True, help="The slot that it fills.")
def command(name: str, slot: str) -> None:
    """Write an adapter and its test into the current folder.

    NAME.py and test_NAME.py work as they are, on nothing but the standard library, and pass the
    contract of the slot: replace what is in them by the library that you wrap.

    \b
    Example:
        kit new-adapter my_templates --slot templating
    """
    folder = _scaffold(slot)
    _check(name)
    made = "".join(part.capitalize() for part in name.split("_"))
    for source, file in _files(folder, name):
        text = source.read_text("utf-8").replace("@@NAME@@", name).replace("@@CLASS@@", made)
        file.write_text(text, "utf-8")
    click.echo(f"Wrote {name}.py and test_{name}.py. Prove it, and take it in kit.toml:")
    click.echo(f'    python -m pytest test_{name}.py\n    [{slot}] use = "{name}:{made}"')


def _scaffold(slot: str) -> Path:
    slots = catalogue(Config()).slots
    there = sorted(folder.name for folder in SCAFFOLDS.iterdir() if folder.is_dir())
    if slot in there:
        return SCAFFOLDS / slot
    if slot not in slots:
        what = f"there is no slot {slot!r}.{nearest(slot, slots)}"
        raise ConfigError([Problem("", what, f"There are scaffolds for: {listing(there)}.")])
    what = f"there is no scaffold for the slot {slot!r}: an example without a library shows little."
    protocol = slots[slot].protocol
    model = importlib.util.find_spec(MODELS[slot]) if slot in MODELS else None
    mend = f"{protocol.__module__}.{protocol.__name__} says what to write."
    mend += f" Start from a copy of {model.origin}" if model else ""
    raise ConfigError([Problem("", what, mend)])


def _files(folder: Path, name: str) -> list[tuple[Path, Path]]:
    files = {"adapter.py.txt": f"{name}.py", "test_adapter.py.txt": f"test_{name}.py"}
    return [(folder / source, Path(file)) for source, file in files.items()]


def _check(name: str) -> None:
    """Refuse a name that is no module's, or that is taken."""
    if not name.isidentifier() or keyword.iskeyword(name):
        mend = "Use letters, digits and '_': my_templates."
        raise ConfigError([Problem("", f"{name!r} is no name for a module.", mend)])
    taken = [file for file in (f"{name}.py", f"test_{name}.py") if Path(file).exists()]
    if taken:
        mend = "Take another name, or move it away: nothing is overwritten."
        raise ConfigError([Problem(taken[0], "is there already.", mend)])
    if importlib.util.find_spec(name):
        what = f"a module {name!r} is installed, and a file {name}.py would hide it."
        raise ConfigError([Problem("", what, f"Take another name: my_{name}.")])
