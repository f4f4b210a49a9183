"""The traps of plain libraries, T1 to T29: for each a check, and ways to take its protection away.

A check builds an application from the kit on one combination of components and raises
AssertionError if the trap is open there. It looks at the effect, not at the answer alone: what a
store, a table or a folder holds afterwards. A weakening takes away what closes the trap, so that
the check has to fail. ``test_traps.py`` calls both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from traps.stand import Stand

Check = Callable[[Stand], None]
Weaken = Callable[[pytest.MonkeyPatch], None]


@dataclass
class Weakening:
    """One protection taken away, and the combinations where its loss has to show.

    A `late` one is taken away when the application of the check is ready.
    """

    name: str
    weaken: Weaken
    on: tuple[str, ...]
    late: bool


@dataclass
class Trap:
    """A trap: its number, its check, and the combinations of components it is checked on."""

    id: str
    check: Check
    on: tuple[str, ...]
    weakenings: list[Weakening] = field(default_factory=list)


TRAPS: dict[str, Trap] = {}


def trap(id: str, on: Iterable[str]) -> Callable[[Check], Check]:
    """Declare that the decorated function checks the trap `id` on these combinations."""

    def declare(check: Check) -> Check:
        assert id not in TRAPS, id
        TRAPS[id] = Trap(id, check, tuple(on))
        return check

    return declare


def weakening(id: str, *on: str, late: bool = False) -> Callable[[Weaken], Weaken]:
    """Declare that the decorated function takes a protection against the trap `id` away.

    It shows on the combinations `on`, and on those that have one of the components `on`; without
    any, on all of them. A `late` one lets the application be built first.
    """

    def declare(weaken: Weaken) -> Weaken:
        where = tuple(
            one
            for one in TRAPS[id].on
            if not on or one in on or (set(on) - set(TRAPS[id].on)) & set(one.split())
        )
        assert where, f"{id} has no combination with {on}"
        TRAPS[id].weakenings.append(Weakening(weaken.__name__, weaken, where, late))
        return weaken

    return declare
