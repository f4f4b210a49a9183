"""Write the generated pages of the reference anew: ``make tables``.

Options, hooks, providers, errors, clauses and the help of the command line come from the code
itself, and are cheap. Which component keeps which clause comes from a run of the contracts, which
takes a minute and wants the database servers that the tests want.

``--cheap`` leaves the run out, ``--cells`` only prints which cells its table would have, as JSON.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import sys
import typing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from kit import hookspecs
from kit.assembly import KERNEL_TABLES
from kit.cli.recipes import first_line, recipes
from kit.components import Component, Slot
from kit.contracts import Contract
from kit.contracts.templating import SOURCES
from kit.errors import KitError
from kit.options import _BYTES, _SECONDS, Duration, Size
from kit.plugins import installed, load_entry, load_object
from kit.reader import describe, raw_secret
from kit.slots import SHIPPED
from kit.slots.persistence.databases import DATABASES
from kit.slots.persistence.records import KINDS, Column, Digits

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "docs" / "reference" / "generated"
NOTE = "<!-- written by docs/generate.py -->\n\n"
CAPABILITIES = "capabilities.md"
SERVERS = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mariadb": "MariaDB"}
OUTCOMES = ("FAILED", "not run", "lacks", "yes")  # the first that a test of the clause had counts

Cell = tuple[str, str]
"""A column of a capability table (``beaker, Redis``), and the number of a clause."""


def slots() -> list[Slot]:
    """Return the slots that the kernel ships, in their order."""
    return [slot for _, plugin in SHIPPED for slot in plugin.kit_slots()]


def components(slot: Slot) -> Iterator[tuple[Component, Any]]:
    """Yield the components of this distribution for a slot, each with its factory."""
    for name, entry in sorted(installed().items()):
        if name.startswith(f"{slot.name}.") and entry.dist and entry.dist.name == "framekit":
            for component in load_entry(entry, "").kit_components():
                if f"{component.slot}.{component.name}" == name:
                    yield component, load_object(component.factory)
    for _, plugin in SHIPPED:
        for component in getattr(plugin, "kit_components", list)():
            if component.slot == slot.name:
                yield component, load_object(component.factory)


def options_of(slot: Slot, factory: Any) -> type:
    """Return the options class that a factory is annotated with, or that of its slot."""
    function = factory.__init__ if inspect.isclass(factory) else factory
    found: type = typing.get_type_hints(function).get("options", slot.options)
    return found


def contract_of(slot: Slot) -> type[Contract] | None:
    """Return the contract of a slot, or None while there is none."""
    try:
        found: type[Contract] = load_object(slot.contract)
    except ImportError:
        return None
    return found


def clauses(contract: type[Contract]) -> list[tuple[str, str, str]]:
    """Return (number, promise, capability that it asks for) of each clause, by number."""
    tests: list[tuple[str, Any]] = inspect.getmembers(contract, inspect.isfunction)
    found = [
        (test.__kit_clause__, first_paragraph(test), test.__kit_needs__)
        for _, test in tests
        if hasattr(test, "__kit_clause__")
    ]
    return sorted(found, key=lambda clause: number_of(clause[0]))


def number_of(clause: str) -> int:
    """Return 12 for ``T12``."""
    return int(re.sub(r"\D", "", clause))


def first_paragraph(thing: Any) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


# Options


def shown(value: Any) -> str:
    """Return a default as it would stand in ``kit.toml``."""
    match value:
        case None | "":
            return "none"
        case Duration():
            unit, seconds = next(
                (unit, n) for unit, n in reversed(_SECONDS.items()) if value % n == 0
            )
            number = int(value // seconds)
            return f'`"{number} {unit}{"s" * (number != 1)}"`'
        case Size():
            texts = [f"{value / n:g} {unit}" for unit, n in _BYTES.items() if n <= value]
            return f'`"{min(reversed(texts), key=len)}"`'
        case Path():
            return f'`"{value.as_posix()}"`'
        case tuple() | list():
            return f"`{json.dumps(list(value))}`"
    return f"`{json.dumps(value)}`"


def taken(hint: Any) -> str:
    """Say what a field takes, in Markdown."""
    secret = "; never shown" if raw_secret(hint) else ""
    return re.sub(r"'([^']*)'", r'`"\1"`', describe(hint)) + secret


def default_of(option: dataclasses.Field[Any]) -> str:
    """Return the default of a field for a table, or that it is required."""
    if option.default is not dataclasses.MISSING:
        return shown(option.default)
    if option.default_factory is not dataclasses.MISSING:
        return shown(option.default_factory())
    return "required"


def own_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Return the fields that an options class adds to those of its bases."""
    inherited = {
        option.name
        for base in cls.__mro__[1:]
        if dataclasses.is_dataclass(base)
        for option in dataclasses.fields(base)
    }
    return [option for option in dataclasses.fields(cls) if option.name not in inherited]


def options_table(cls: type) -> str:
    """Return the table of an options class, and what its docstring says about them."""
    hints = typing.get_type_hints(cls)
    rows = [
        (f"`{option.name.rstrip('_')}`", taken(hints[option.name]), default_of(option))
        for option in own_fields(cls)
    ]
    if not rows:
        return f"{inspect.getdoc(cls)}\n"
    return f"{table(('key', 'takes', 'default'), rows)}\n{inspect.getdoc(cls)}\n"


def kernel_options() -> str:
    """Return the tables that are the kernel's own."""
    return "\n".join(
        f"### `[{name}]`\n\n{options_table(cls)}" for name, cls in KERNEL_TABLES.items()
    )


def slot_page(slot: Slot) -> str:
    """Return options, providers and components of a slot."""
    parts = [f"### Options: `[{slot.name}]`\n\n{options_table(slot.options)}"]
    given: Sequence[Any] = slot.providers
    rows = [
        (f"`{provider.__kit_name__}`", provider.__kit_scope__, first_paragraph(provider))
        for provider in given
    ]
    held = "The components by name, each" if slot.many else "The component itself,"
    rows.append((f"`{slot.name}`", "app", f"{held} a `{slot.protocol.__name__}`."))
    rows.append((f"`{slot.name}_options`", "app", "The options of the component."))
    parts.append(f"### Providers\n\n{table(('name', 'scope', 'what'), rows)}")
    for component, factory in components(slot):
        parts.append(component_section(slot, component, factory))
    return "\n".join(parts)


def component_section(slot: Slot, component: Component, factory: Any) -> str:
    """Return what is to be known about one component."""
    default = ", the default of the slot" if component.name in slot.defaults else ""
    use = f'["{component.name}"]' if slot.many else f'"{component.name}"'
    wraps = "Needs no further library."
    if component.library:
        wraps = f'Wraps {component.library}: `pip install "{component.install}"`.'
    text = (
        f"### Component `{component.name}`\n\n"
        f"`use = {use}`{default}. {wraps}\n\n{inspect.getdoc(factory)}\n"
    )
    cls = options_of(slot, factory)
    if not own_fields(cls) or cls is slot.options:
        return f"{text}\nIt has no options of its own.\n"
    return f"{text}\nIts own options, in `[{slot.name}.{component.name}]`:\n\n{options_table(cls)}"


def all_options() -> str:
    """Return one table of all keys of ``kit.toml``."""
    rows: list[tuple[str, str, str, str]] = []

    def add(name: str, cls: type, chosen: str = "") -> None:
        hints = typing.get_type_hints(cls)
        rows.extend(
            (
                f"`[{name}]`",
                f"`{option.name.rstrip('_')}`",
                taken(hints[option.name]),
                default_of(option),
            )
            for option in own_fields(cls)
        )

    for name, cls in KERNEL_TABLES.items():
        add(name, cls)
    for slot in slots():
        known = list(components(slot))
        names = ", ".join(f"`{component.name}`" for component, _ in known)
        use = f'{"a list of" if slot.many else "a component:"} {names}, or `"module:name"`'
        default = list(slot.defaults) if slot.many and slot.defaults else slot.default
        rows.append((f"`[{slot.name}]`", "`use`", use, shown(default)))
        add(slot.name, slot.options)
        for component, factory in known:
            if (cls := options_of(slot, factory)) is not slot.options:
                add(f"{slot.name}.{component.name}", cls)
    return table(("table", "key", "takes", "default"), rows)


# Hooks, errors, lookups, columns, the command line


def hooks() -> dict[str, Callable[..., Any]]:
    """Return the hooks by name, in the order of their declaration."""
    return {name: hook for name, hook in vars(hookspecs).items() if name.startswith("kit_")}


def hook_page() -> str:
    """Return a section for each hook."""
    parts = []
    for name, hook in hooks().items():
        signature = inspect.signature(hook)
        types = [f"`{one.name}`: `{one.annotation}`" for one in signature.parameters.values()]
        result = signature.return_annotation
        facts = [*types, "returns nothing" if result == "None" else f"returns `{result}`"]
        arguments = ", ".join(signature.parameters)
        parts.append(f"### `{name}({arguments})`\n\n{inspect.getdoc(hook)}\n\n{'; '.join(facts)}.")
    return "\n\n".join(parts) + "\n"


def error_page() -> str:
    """Return the errors of the kit with the status that each ends in."""

    def below(cls: type[KitError]) -> Iterator[type[KitError]]:
        for sub in sorted(cls.__subclasses__(), key=lambda one: (one.status, one.__name__)):
            if sub.__module__.startswith("kit."):
                yield sub
                yield from below(sub)

    known: list[type[KitError]] = [KitError, *below(KitError)]
    rows = [
        (f"`{cls.__name__}`", str(cls.status), f"`{cls.__module__}`", first_paragraph(cls))
        for cls in known
    ]
    return table(("exception", "status", "module", "when"), rows)


def lookup_page() -> str:
    """Return the table of lookups, which the docstring of the store has."""
    text = inspect.getdoc(load_object("kit.slots.persistence.portable")) or ""
    return text.partition("\n\n")[2] + "\n"


def column_page() -> str:
    """Return the column types of each database by the type of the field."""
    known = list(DATABASES.values())
    rows = []
    for cls, kind in KINDS.items():
        for length in (None, 40) if kind in ("str", "bytes") else (None,):
            digits = Digits(10, 2) if kind == "decimal" else None
            column = Column(name="x", kind=kind, length=length, digits=digits)
            field = f"`{cls.__name__}`"
            field += ", at most 40" if length else ", `Digits(10, places=2)`" if digits else ""
            rows.append((field, *(f"`{database.type(column)}`" for database in known)))
    identity = [("`id`", *(f"`{database.identity}`" for database in known))]
    return table(("field", *(database.name for database in known)), [*identity, *rows])


def cli_page() -> str | None:
    """Return the help of each command of ``kit``, or None while there is no command line."""
    try:
        main: click.Group = load_object("kit.cli:main")
    except ImportError:
        return None
    context = click.Context(
        main, info_name="kit", terminal_width=90, max_content_width=90, **main.context_settings
    )
    parts = [f"```text\n{main.get_help(context)}\n```"]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if command and not command.hidden:
            inner = click.Context(command, info_name=name, parent=context)
            parts.append(f"## `kit {name}`\n\n```text\n{command.get_help(inner)}\n```")
    return "\n\n".join(parts) + "\n"


def finding_page() -> str | None:
    """Return the findings of ``kit check --deploy``, or None while there are none."""
    try:
        found: dict[str, tuple[Any, str]] = load_object("kit.cli.deploy:FINDINGS")
    except ImportError:
        return None
    return table(
        ("id", "what to do"), [(f"`{number}`", mend) for number, (_, mend) in found.items()]
    )


def clause_page(slot: Slot) -> str | None:
    """Return the clauses of a slot's contract, and its capabilities."""
    contract = contract_of(slot)
    if contract is None:
        return None
    found = clauses(contract)
    some = [f"{number}: {needs}" for number, _, needs in found if needs]
    header = ("clause", "promise", "asks for")[: 3 if some else 2]
    rows = [(f"**{number}**", promise, needs)[: len(header)] for number, promise, needs in found]
    text = table(header, rows)
    if contract.capabilities:
        meanings = [(f"`{name}`", meaning) for name, meaning in contract.capabilities.items()]
        text += "\nWhat a component may lack, if it says so and why:\n\n"
        text += table(("capability", "the component ..."), meanings)
    return text


def source_page() -> str:
    """Return the templates that the author of a template engine's adapter writes."""
    rows = [(f"`{name}`", what, needs) for name, (needs, what) in SOURCES.items()]
    return table(("template", "what it does", "asks for"), rows)


def recipe_page() -> str:
    """Return what each recipe is, and how long its framework is."""
    rows = []
    for name, folder in recipes().items():
        framework = folder / "framework.py"
        length = len(framework.read_text("utf-8").splitlines()) if framework.is_file() else 0
        rows.append((f"`{name}`", first_line(folder), str(length) if length else "none of its own"))
    return table(("recipe", "what it is", "lines of `framework.py`"), rows)


def cheap_pages() -> dict[str, str]:
    """Return all generated pages but the capability tables, by file name."""
    pages: dict[str, str | None] = {
        "options.md": all_options(),
        "options-kernel.md": kernel_options(),
        "hooks.md": hook_page(),
        "errors.md": error_page(),
        "lookups.md": lookup_page(),
        "columns.md": column_page(),
        "cli.md": cli_page(),
        "findings.md": finding_page(),
        "sources.md": source_page(),
        "recipes.md": recipe_page(),
    }
    for slot in slots():
        pages[f"slot-{slot.name}.md"] = slot_page(slot)
        pages[f"clauses-{slot.name}.md"] = clause_page(slot)
    return {name: NOTE + text for name, text in pages.items() if text is not None}


# The capability tables


class Recorder:
    """A plug-in for pytest: it runs clauses and nothing else, and keeps how each of them ended."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self.outcomes: dict[Cell, set[str]] = defaultdict(set)
        self.reasons: dict[Cell, set[str]] = defaultdict(set)  # by component and letter

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests that are clauses."""
        kept = []
        for item in items:
            if isinstance(item, pytest.Function) and hasattr(item.function, "__kit_clause__"):
                self.cells[item.nodeid] = (_column(item), item.function.__kit_clause__)
                kept.append(item)
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of a test."""
        cell = self.cells[report.nodeid]
        if report.failed:
            self.outcomes[cell].add("FAILED")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            lacks = reason.partition("lacks ")[2]
            self.outcomes[cell].add("lacks" if lacks else "not run")
            if lacks:
                self.reasons[cell[0], cell[1][0]].add(lacks)
        elif report.when == "call":
            self.outcomes[cell].add("yes")

    def outcome(self, cell: Cell) -> str:
        """Return how a clause ended, of all its tests."""
        found = self.outcomes.get(cell, {"not run"})
        return next(outcome for outcome in OUTCOMES if outcome in found)


def _column(item: pytest.Function) -> str:
    """Return the component that a test is about: ``sqlalchemy, MariaDB``."""
    own = item.cls.__name__.removeprefix("Test") if item.cls else ""
    names = {name.partition(".")[2] for name in installed() if "." in name}
    by_class = {name.replace("_", ""): name for name in names}
    fitting = [one for one in by_class if own.lower().startswith(one)]
    start = max(fitting, key=len, default=own)
    name = by_class.get(start, own)
    given = item.callspec.params if hasattr(item, "callspec") else {}
    database = str(given.get("database_url", ""))
    rest = SERVERS.get(database, database) or own[len(start) :]
    return f"{name}, {rest}" if rest else name


def run_contracts(*arguments: str) -> Recorder:
    """Run, or with ``--collect-only`` find, the clauses on all components of this project."""
    recorder = Recorder()
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # what is installed beside is not needed
    files = sorted(str(path) for path in (ROOT / "tests" / "contracts").glob("test_*.py"))
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--no-summary"]
    pytest.main([*quiet, *arguments, *files], plugins=[recorder])
    return recorder


def capability_page(recorder: Recorder) -> str:
    """Return a table for each slot: clauses down, components across."""
    cells = set(recorder.cells.values())
    columns = list(dict.fromkeys(column for column, _ in recorder.cells.values()))
    parts = [NOTE.rstrip()]
    for slot in slots():
        contract = contract_of(slot)
        numbers = [number for number, _, _ in clauses(contract)] if contract else []
        names = [name for name in columns if (name, numbers[0]) in cells] if numbers else []
        if not names:
            continue
        rows = [
            (number, *(recorder.outcome((name, number)) for name in names)) for number in numbers
        ]
        parts.append(f"### {slot.name.capitalize()}\n\n{table(('clause', *names), rows)}")
        letter = numbers[0][0]
        reasons = [
            f"- {name} lacks {why}" for name in names for why in _why(recorder, name, letter)
        ]
        if reasons:
            parts.append("\n".join(reasons) + "\n")
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _why(recorder: Recorder, name: str, letter: str) -> list[str]:
    found = sorted(recorder.reasons.get((name, letter), ()))
    return [re.sub(r"^(\w+):", r"`\1`:", why) for why in found]


def read_capabilities(text: str) -> Mapping[Cell, str]:
    """Return the cells of the capability tables as they stand in a page."""
    found: dict[Cell, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        first, *cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if first == "clause":
            names = cells
        elif re.fullmatch(r"[A-Z]\d+", first):
            found.update({(name, first): cell for name, cell in zip(names, cells, strict=True)})
    return found


def main(arguments: Sequence[str]) -> int:
    """Write the pages; return 1 if a clause failed or was not run."""
    if "--cells" in arguments:
        with open(os.devnull, "w") as nowhere:
            own, sys.stdout = sys.stdout, nowhere
            recorder = run_contracts("--collect-only")
            sys.stdout = own
        click.echo(json.dumps(sorted(set(recorder.cells.values()))))
        return 0
    GENERATED.mkdir(parents=True, exist_ok=True)
    for name, text in cheap_pages().items():
        (GENERATED / name).write_text(text, "utf-8")
    if "--cheap" in arguments:
        return 0
    recorder = run_contracts()
    (GENERATED / CAPABILITIES).write_text(capability_page(recorder), "utf-8")
    bad = sorted(
        f"{name} {number}: {recorder.outcome((name, number))}"
        for name, number in set(recorder.cells.values())
        if recorder.outcome((name, number)) in ("FAILED", "not run")
    )
    click.echo("\n".join(bad) or "Every clause was run, and none failed.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
