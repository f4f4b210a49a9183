"""The contracts: for each slot the tests that every component must pass.

A contract is a class of pytest tests. Subclass it under a name that starts with ``Test``, give it
what the contract's docstring asks for (a ``component`` fixture, as a rule), and run pytest. Each
test is one numbered clause, and the first line of its docstring is the clause.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import pytest

from kit.slots import SHIPPED

pytest.register_assert_rewrite(*(f"kit.contracts.{name.rpartition('.')[2]}" for name, _ in SHIPPED))

F = TypeVar("F", bound=Callable[..., Any])


def clause(number: str, *, needs: str = "") -> Callable[[F], F]:
    """Mark a test as the clause `number` (``"T3"``); `needs` names the capability it asks for."""

    def mark(function: F) -> F:
        function.__kit_clause__ = number  # type: ignore[attr-defined]  # a mark
        function.__kit_needs__ = needs  # type: ignore[attr-defined]  # a mark
        return function

    return mark


@contextmanager
def taking_turns() -> Iterator[None]:
    """Let threads take turns as often as can be: those that get in each other's way do so soon."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class Contract:
    """What the contracts share: the capabilities that a component says it lacks.

    A component class may have an attribute ``lacks``: a dict from the name of a capability to a
    sentence that says why. Clauses that need it are skipped, with that sentence as the reason.
    """

    capabilities: ClassVar[dict[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _skip_what_is_lacking(self, request: pytest.FixtureRequest) -> None:
        needs = getattr(request.function, "__kit_needs__", "")
        if needs:
            lacks = getattr(request.getfixturevalue("component"), "lacks", {})
            unknown = set(lacks) - set(self.capabilities)
            assert not unknown, f"lacks {unknown}, but the capabilities are {self.capabilities}"
            if needs in lacks:
                pytest.skip(f"lacks {needs}: {lacks[needs]}")
