"""Each contract can fail: for every clause a component broken in just that respect does.

``broken_<slot>.py`` has a class ``Test<clause>`` for every clause of the slot's contract. Each
file is run once, by a pytest of its own that tells what became of these tests.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from kit.slots import SHIPPED

HERE = Path(__file__).parent
SLOTS = [name.rpartition(".")[2] for name, _ in SHIPPED]
PLUGIN = """
import json
import os

import pytest

failed = {}


def clause(item):
    return getattr(getattr(item, "function", None), "__kit_clause__", None)


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.cls and item.cls.__name__ == f"Test{clause(item)}"]
    failed.update((clause(item), []) for item in items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        failed[clause(item)].append(item.name)
    return report


def pytest_sessionfinish():
    with open(os.environ["KIT_OUTCOMES"], "w") as file:
        json.dump(failed, file)
"""


@cache
def clauses(slot: str) -> tuple[str, ...]:
    """The clause of each test of a slot's contract, in order; the test's name where it has none."""
    module = importlib.import_module(f"kit.contracts.{slot}")
    contract = getattr(module, f"{slot.capitalize()}Contract")
    tests = [test for name, test in vars(contract).items() if name.startswith("test_")]
    return tuple(getattr(test, "__kit_clause__", test.__name__) for test in tests)


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, list[str]]]:
    """Run the broken components of a slot; return the tests that failed for each clause."""
    folder = tmp_path_factory.mktemp("outcomes")
    (folder / "kit_outcomes.py").write_text(PLUGIN)

    @cache
    def run(slot: str) -> dict[str, list[str]]:
        outcomes = folder / f"{slot}.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "kit_outcomes", "--tb=short"]
        command += ["-p", "no:cacheprovider", str(HERE / f"broken_{slot}.py")]
        paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths, "KIT_OUTCOMES": str(outcomes)}
        root = HERE.parent.parent
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 1, done.stdout + done.stderr  # 1: it ran, and tests failed
        return json.loads(outcomes.read_text())

    return run


@pytest.mark.parametrize("slot", SLOTS)
def test_clauses_are_numbered_without_holes_and_every_test_is_one(slot):
    numbers = clauses(slot)
    letter = numbers[0][0]
    assert sorted(numbers, key=_natural) == [f"{letter}{n + 1}" for n in range(len(numbers))]


@pytest.mark.parametrize(("slot", "clause"), [(s, c) for s in SLOTS for c in clauses(s)])
def test_a_component_that_breaks_the_clause_fails_it(slot, clause, failed):
    outcomes = failed(slot)
    assert clause in outcomes, f"broken_{slot}.py has no class Test{clause}"
    assert outcomes[clause], f"the test of {clause} passes in Test{clause}, or fails before it runs"


def _natural(clause: str) -> tuple[str, int]:
    found = re.fullmatch(r"([A-Z])(\d+)", clause)
    return (found[1], int(found[2])) if found else (clause, 0)
