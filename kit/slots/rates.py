"""Rates: how often something may happen; a component counts, and a guard refuses with 429."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

from kit.components import Slot
from kit.errors import TooMany
from kit.options import Duration
from kit.plugins import hookimpl
from kit.providers import required
from kit.security import logs

_NETWORK = 64  # bits of an IPv6 address that are the visitor's network


@dataclass(frozen=True)
class Rate:
    """At most `count` times in any `seconds`, wherever these begin."""

    count: int
    seconds: int

    def __post_init__(self) -> None:
        if self.count < 1 or self.seconds < 1:
            raise ValueError("a rate allows at least 1, in at least 1 second")

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read ``"10 / 15 minutes"`` or ``"10 / minute"``; raise ValueError for anything else."""
        found = re.fullmatch(r"\s*([0-9]+)\s*/\s*([0-9]*)\s*([a-z]+)\s*", text)
        try:
            if found:
                seconds = Duration.parse(f"{found[2] or 1} {found[3]}")
                return cls(int(found[1]), int(seconds))
        except ValueError as error:
            raise ValueError(f"{text!r} is no rate: {error}") from error
        raise ValueError(f"{text!r} is no rate: write for example '10 / minute' or '5 / 2 hours'")

    def __str__(self) -> str:
        """Return the rate as `parse` reads it."""
        return f"{self.count} / {Duration(self.seconds)}"


@dataclass(frozen=True, kw_only=True)
class RatesOptions:
    """The slot has no options of its own: a rate stands where it is used."""


class Rates(Protocol):
    """Counts events by key. Threads share one component, and processes what it counts in.

    The factory names ``options``. A component that cannot do everything says so in ``lacks``. A
    ``close`` method is called when the application stops.
    """

    def hit(self, key: str, rate: Rate) -> float:
        """Count an event and return 0; or count nothing, and return the seconds to wait.

        However many threads and processes ask, of the events of one `key` no more than
        `rate.count` are counted in any `rate.seconds`. Each pair of key and rate is counted by
        itself. `key` is any text, and is not kept as such: it may hold an address. What was
        counted is forgotten when it does not count any more. Raises `kit.errors.Unavailable`
        where the counting cannot be done: whoever asks must not go on then.
        """
        ...


def address_prefix(address: str) -> str:
    """Return who is behind an address: it itself, or of IPv6 its network (/64).

    A visitor has a whole network of IPv6 addresses, so that one of them says nothing. What is no
    address, such as the empty one of a socket file, stays as it is.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> _NETWORK << _NETWORK)}/{_NETWORK}"


def rate(
    limit: str, by: str | Callable[..., str | int] = "address", name: str = ""
) -> Callable[..., None]:
    """Make a guard that lets so many requests through, and refuses more with `kit.TooMany`.

    `limit` reads ``"10 / minute"``. `by` says who is counted: ``"address"`` (see
    `address_prefix`), another provider by its name, or a function that names providers and path
    values and returns a str or int, such as ``lambda user: user.id``. All routes of a guard count
    together, and so do guards of one `limit` and `name`: give a guard that is to count for itself
    a name of its own.

    Raises ValueError for a `limit` that cannot be read.
    """
    allowed = Rate.parse(limit)
    who: Callable[..., Any] = by if callable(by) else _address if by == "address" else _itself
    names = required(who) if who is not _itself else (str(by),)
    needs = tuple(dict.fromkeys(["rates", "environ", *names]))

    def guard(*values: Any) -> None:
        given = dict(zip(needs, values, strict=True))
        counted = who(*[given[one] for one in names])
        if not isinstance(counted, (str, int)):
            kind = type(counted).__name__
            raise TypeError(
                f"a rate is counted by a str or an int, and by={by!r} gives a {kind}: give the"
                " function that makes one of it, such as by=lambda user: user.id"
            )
        wait = given["rates"].hit(f"guard {name!r} {counted}", allowed)
        if wait:
            logs.event("rate_exceeded", given["environ"], limit=allowed, counter=name)
            raise TooMany(wait)

    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(one, kind) for one in needs])
    guard.__kit_counts__ = True  # type: ignore[attr-defined]  # a mark
    guard.__signature__ = signature  # type: ignore[attr-defined]  # so that it names what it needs
    return guard


def _address(environ: dict[str, Any]) -> str:
    return address_prefix(environ.get("REMOTE_ADDR", ""))


def _itself(value: Any) -> Any:
    return value


slot = Slot(
    name="rates",
    protocol=Rates,
    options=RatesOptions,
    waits=True,
    contract="kit.contracts.rates:RatesContract",
)


kit_after = ("kit.slots.tokens",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``rates``."""
    return [slot]
