"""Routing: find the endpoint of a path, and the path of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kit.components import Slot
from kit.patterns import Native, Pattern
from kit.plugins import hookimpl


@dataclass(frozen=True, kw_only=True)
class RoutingOptions:
    """Options that mean the same for every router: none so far."""


class Router(Protocol):
    """A table of patterns.

    The kernel adds every pattern at start, the most specific first, so that a router that takes
    the first match needs no order of its own. Methods, HEAD, OPTIONS, trailing slashes and the
    conversion of parameters are the kernel's: a router matches paths. A component that finds
    endpoints in another way (a tree of objects, say) may leave `add` without effect.
    """

    def add(self, pattern: Pattern | Native, endpoint: Any) -> None:
        """Let `pattern` lead to `endpoint`, an opaque hashable object.

        Raises ValueError, which names the reason, for a pattern that the library cannot take.
        """
        ...

    def match(self, path: str) -> tuple[Any, Mapping[str, Any]] | None:
        """Return (endpoint, parameters) for a decoded path that starts with ``/``, or None.

        Parameters are the matched texts as they stand in the path. The match is exact: a
        trailing slash or a doubled one counts.
        """
        ...

    def build(self, endpoint: Any, values: Mapping[str, object]) -> str:
        """Return the quoted path that leads to `endpoint` with these parameters.

        Raises KeyError for a missing value and ValueError for one that does not fit.
        """
        ...


slot = Slot(
    name="routing",
    protocol=Router,
    options=RoutingOptions,
    default="werkzeug",
    required=True,
    contract="kit.contracts.routing:RoutingContract",
)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``routing``."""
    return [slot]
