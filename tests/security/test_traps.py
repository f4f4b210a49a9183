"""Each trap of the plain libraries is closed on every combination of components it is about.

And each check can fail: with the protection taken away it does, on each of these combinations.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("traps")
sys.path.append(str(Path(__file__).parent))
traps = importlib.import_module("traps")
for name in ("sessions", "templates", "http", "databases", "servers", "files"):
    importlib.import_module(f"traps.{name}")
Stand = importlib.import_module("traps.stand").Stand

CHECKS = [
    pytest.param(trap, combination, id=f"{trap.id}-{combination}".replace(" ", "-"))
    for trap in traps.TRAPS.values()
    for combination in trap.on
]
WEAKENED = [
    pytest.param(trap, one, combination, id=f"{trap.id}-{one.name}-{combination}".replace(" ", "-"))
    for trap in traps.TRAPS.values()
    for one in trap.weakenings
    for combination in one.on
]


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    """Stop the servers that checks have started."""
    yield
    sys.modules["traps.servers"].stop_all()


@pytest.fixture
def stand(request, tmp_path, own_database) -> Iterator[Stand]:
    """Where the application of one check is built; nothing is left behind."""
    urls = lambda name: request.getfixturevalue(f"{name}_url")  # noqa: E731
    stand = Stand(request.getfixturevalue("combination"), tmp_path, urls, own_database)
    yield stand
    stand.close()
    if stand.weakened:
        gc.collect()  # what was left open is complained of here, and not in another test


@pytest.mark.parametrize(("trap", "combination"), CHECKS)
def test_the_trap_is_closed(trap, combination, stand):
    trap.check(stand)


@pytest.mark.parametrize(("trap", "weakening", "combination"), WEAKENED)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_its_protection_the_check_fails(trap, weakening, combination, stand, monkeypatch):
    stand.weakened = weakening.late
    if weakening.late:
        stand.ready = lambda: weakening.weaken(monkeypatch)
    else:
        weakening.weaken(monkeypatch)
    with pytest.raises(AssertionError):
        trap.check(stand)


def test_there_is_a_check_for_every_trap_and_a_weakening_for_every_combination_of_it():
    assert {trap.id.split()[0] for trap in traps.TRAPS.values()} == {f"T{n}" for n in range(1, 30)}
    for trap in traps.TRAPS.values():
        assert {where for one in trap.weakenings for where in one.on} == set(trap.on), trap.id
