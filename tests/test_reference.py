"""The reference says what the code says: generated pages are fresh, and nothing is left out."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import kit
from kit.app import App
from kit.assembly import KERNEL_TABLES
from kit.components import Slot

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
GENERATED = REFERENCE / "generated"


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


generate = _generate()
CHEAP: dict[str, str] = generate.cheap_pages()
APP = App({})
APP.check()
SLOTS: list[Slot] = generate.slots()
CONTRACTS = {slot.name: generate.contract_of(slot) for slot in SLOTS}
OPTIONS = list(
    dict.fromkeys(
        [
            *KERNEL_TABLES.values(),
            *(slot.options for slot in SLOTS),
            *(
                generate.options_of(slot, factory)
                for slot in SLOTS
                for _, factory in generate.components(slot)
            ),
        ]
    )
)


def written(page: str) -> str:
    """The text of a page of the reference, with what it includes."""
    text = (REFERENCE / page).read_text("utf-8")
    included = re.findall(r"```\{include\} (\S+)", text)
    return text + "".join((REFERENCE / name).read_text("utf-8") for name in included)


def pages() -> dict[str, str]:
    return {path.name: written(path.name) for path in REFERENCE.glob("*.md")}


@pytest.mark.parametrize("name", sorted(CHEAP))
def test_a_generated_page_is_fresh(name: str) -> None:
    """``make tables`` writes them anew."""
    assert (GENERATED / name).read_text("utf-8") == CHEAP[name]


def test_every_generated_page_is_used() -> None:
    used = {
        name
        for path in REFERENCE.glob("*.md")
        for name in re.findall(r"\{include\} generated/(\S+)", path.read_text("utf-8"))
    }
    assert {path.name for path in GENERATED.glob("*.md")} == used
    assert used >= {*CHEAP, generate.CAPABILITIES, "recipes_matrix.md"}


def test_the_capability_tables_have_every_component_and_clause() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--cells"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = generate.read_capabilities((GENERATED / generate.CAPABILITIES).read_text("utf-8"))
    assert set(found) == {tuple(cell) for cell in json.loads(done.stdout)}


def test_the_capability_tables_come_from_a_whole_run() -> None:
    found = generate.read_capabilities((GENERATED / generate.CAPABILITIES).read_text("utf-8"))
    assert set(found.values()) <= {"yes", "lacks"}


@pytest.mark.parametrize("name", list(generate.hooks()))
def test_a_hook_is_documented_with_its_arguments(name: str) -> None:
    hook = generate.hooks()[name]
    heading = f"### `{name}({', '.join(inspect.signature(hook).parameters)})`"
    section = written("hooks.md").partition(f"{heading}\n")[2]
    assert section, f"hooks.md has no heading {heading}"
    assert inspect.getdoc(hook) in section.partition("\n### ")[0]


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_a_slot_has_a_contract_a_page_and_two_components(slot: Slot) -> None:
    names = [component.name for component, _ in generate.components(slot)]
    assert len(names) >= 2
    assert CONTRACTS[slot.name] is not None
    page = written(f"{slot.name}.md")
    for name in names:
        assert f"### Component `{name}`" in page
    protocol = f"{slot.protocol.__module__}.{slot.protocol.__name__}"
    assert re.search(rf"autoclass:: {re.escape(protocol)}\(\)\n   :members:", page)
    assert f"generated/clauses-{slot.name}.md" in (REFERENCE / "contracts.md").read_text("utf-8")


def _methods(slot: Slot) -> list[Any]:
    own = vars(slot.protocol).items()
    return [method for name, method in own if inspect.isfunction(method) and name[0] != "_"]


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_the_interface_is_its_own_manual(slot: Slot) -> None:
    assert len(inspect.getdoc(slot.protocol) or "") > 100
    for method in _methods(slot):
        assert inspect.getdoc(method), f"{method.__qualname__} has no docstring"


@pytest.mark.parametrize("name", kit.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    found = [page for page, text in pages().items() if re.search(rf"\bkit\.{name}\b", text)]
    assert found, f"kit.{name} is on no page of the reference"
    doc = inspect.getdoc(getattr(kit, name)) or ""
    assert set(re.findall(r"\w+", doc.lower())) - {name.lower(), "a", "an", "the"}
    assert len(doc.split()) > 5, f"the docstring of kit.{name} says little: {doc!r}"


OF_SLOTS = {
    name
    for slot in SLOTS
    for name in (
        slot.name,
        f"{slot.name}_options",
        *(provider.__kit_name__ for provider in slot.providers),
    )
    if slot.name != "routing"
}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in sorted(APP._wiring.providers.all)
        if name.isidentifier() and name not in OF_SLOTS
    ],
)
def test_a_provider_of_the_kernel_is_documented(name: str) -> None:
    assert f"`{name}`" in written("app.md")


@pytest.mark.parametrize("options", OPTIONS, ids=lambda cls: cls.__name__)
def test_an_option_is_described(options: type) -> None:
    doc = inspect.getdoc(options) or ""
    missing = [one.name for one in generate.own_fields(options) if f"`{one.name}`" not in doc]
    assert not missing, f"the docstring of {options.__name__} does not name {missing}"


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_clauses_are_numbered_without_holes(name: str) -> None:
    numbers = [number for number, _, _ in generate.clauses(CONTRACTS[name])]
    letter = numbers[0][0]
    assert numbers == [f"{letter}{count}" for count in range(1, len(numbers) + 1)]


def test_every_test_of_a_contract_is_a_clause() -> None:
    for contract in CONTRACTS.values():
        for name, test in inspect.getmembers(contract, inspect.isfunction):
            assert not name.startswith("test_") or hasattr(test, "__kit_clause__"), test


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_a_clause_is_promised_once(name: str) -> None:
    page = written("contracts.md")
    for number, promise, needs in generate.clauses(CONTRACTS[name]):
        assert len(re.findall(rf"^\| \*\*{number}\*\* \|", page, re.MULTILINE)) == 1
        assert promise.endswith("."), f"{number} is no sentence: {promise!r}"
        assert not needs or needs in CONTRACTS[name].capabilities


def test_pages_cite_clauses_that_there_are() -> None:
    known = {n for contract in CONTRACTS.values() for n, _, _ in generate.clauses(contract)}
    letters = "".join({number[0] for number in known})
    for path in (ROOT / "docs").rglob("*.md"):
        if "_build" not in path.parts:
            cited = set(re.findall(rf"\b[{letters}]\d{{1,2}}\b", path.read_text("utf-8")))
            assert cited <= known, f"{path.name} cites {cited - known}"


def test_a_table_keeps_its_cells_whole() -> None:
    assert generate.table(("a", "b"), [("x | y", "z")]) == (
        "| a | b |\n| --- | --- |\n| x \\| y | z |\n"
    )


def test_the_outcome_of_a_clause_is_that_of_its_worst_test() -> None:
    recorder = generate.Recorder()
    cell = ("mako", "T1")
    assert recorder.outcome(cell) == "not run"
    for outcome, all_in_all in (("yes", "yes"), ("lacks", "lacks"), ("FAILED", "FAILED")):
        recorder.outcomes[cell].add(outcome)
        assert recorder.outcome(cell) == all_in_all
