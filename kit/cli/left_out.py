"""What `kit matrix` leaves out, and why: the table ``[matrix.without]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kit.assembly import MatrixOptions, in_order
from kit.cli.catalogue import Catalogue
from kit.config import Config
from kit.errors import ConfigError, Problem, listing, nearest
from kit.reader import Reader
from kit.testing.browsers import GATEWAYS

Axes = Mapping[str, Sequence[str]]
"""The names to try, by slot; those of gateways stand under `AXIS`."""

AXIS = "gateway"
_TABLE = ("matrix", "without")


@dataclass(frozen=True)
class LeftOut:
    """Names, by slot, that are not tried together; `key` and `where` say how it was written."""

    key: str
    names: dict[str, str]
    reason: str
    where: str

    def is_in(self, row: Mapping[str, str]) -> bool:
        """Say whether all these names are in a row."""
        return self.names.items() <= row.items()

    @property
    def lone(self) -> tuple[str, str] | None:
        """The slot and the name, where it is a single one that is left out everywhere."""
        return next(iter(self.names.items())) if len(self.names) == 1 else None


def left_out(found: Catalogue, config: Config) -> list[LeftOut]:
    """Return what the config leaves out; raise ConfigError with all that is wrong with it."""
    if not any(config.below(*_TABLE)):
        return []
    reader = Reader(config)
    reader.options(MatrixOptions, [_TABLE[:1]], {"without": _TABLE[:1]})
    problems = reader.problems
    out = []
    for rest, setting in config.below(*_TABLE):
        if rest and isinstance(setting.value, str):
            wrong = _wrong_reason(rest, setting.value) or _wrong_names(found, rest[0])
            if wrong:
                what = f"[matrix.without] {'.'.join(rest)!r}: {wrong[0]}"
                problems.append(Problem(setting.where, what, wrong[1]))
            else:
                out.append(LeftOut(rest[0], dict(_parts(rest[0])), setting.value, setting.where))
    axes = {slot: list(found.components[slot]) for slot in tried(found)} | {AXIS: GATEWAYS}
    if not problems:
        problems += nothing_left(axes, list(applying(out, axes, found)))
    if problems:
        raise ConfigError(in_order(problems))
    return out


def tried(found: Catalogue) -> list[str]:
    """Return the slots to try unless they are named: those that the config fills with one.

    Not `serving`: the tests send their requests without a server.
    """
    return [slot for slot in found.named if not found.slots[slot].many and slot != "serving"]


def _parts(key: str) -> Iterator[tuple[str, str]]:
    for part in key.split("+"):
        slot, _, name = part.strip().partition(".")
        yield slot, name


def _wrong_reason(rest: Sequence[str], reason: str) -> tuple[str, str] | None:
    if len(rest) > 1:
        return "a key with dots stands in quotes.", f'Write: "{".".join(rest)}" = "..."'
    if not reason.strip():
        return "it lacks the reason.", "Say why it is left out; `kit matrix` shows that."
    return None


def _wrong_names(found: Catalogue, key: str) -> tuple[str, str] | None:
    """Return what is wrong with the names in a key, and what is allowed."""
    single = [slot for slot in found.slots if not found.slots[slot].many]
    known = {slot: list(found.components[slot]) for slot in single} | {AXIS: list(GATEWAYS)}
    slots = [slot for slot, _ in _parts(key)]
    for slot, name in _parts(key):
        if slot in found.slots and found.slots[slot].many:
            return f"the slot {slot!r} takes many components at once.", "They are tried together."
        if slot not in known or not name:
            what = f"there is no slot {slot!r}." if name else f"{slot!r} is no slot.component."
            allowed = "slot.component, a gateway, or several of them joined by ' + '"
            close = nearest(slot, known) if name else ""
            return f"{what}{close}", f"Allowed: {allowed}. Slots: {listing(known)}."
        if name not in known[slot]:
            kind = slot if slot == AXIS else "component"
            what = f"there is no {kind} {name!r}.{nearest(name, known[slot])}"
            if ":" in name:
                what = f"the component {name!r} is not in use."
            return what, f"Allowed: {listing(f'{slot}.{one}' for one in known[slot])}."
    if double := next((slot for slot in slots if slots.count(slot) > 1), None):
        mend = "Give each of them a line of its own."
        return f"no combination has two components of {double!r}.", mend
    if empty := next((slot for slot in slots if slot != AXIS and slot not in found.in_use), None):
        mend = f"Take the line out, or fill the slot: [{empty}] use = ..."
        return f"the slot {empty!r} is empty, so that this leaves nothing out.", mend
    return None


def applying(out: Sequence[LeftOut], axes: Axes, found: Catalogue) -> Iterator[LeftOut]:
    """Yield what concerns these axes, with those of its names that are on one.

    The others have to be in use, since the slots that are not tried stay as they are.
    """
    for one in out:
        there = {slot: axes.get(slot, found.in_use.get(slot, ())) for slot in one.names}
        if all(name in there[slot] for slot, name in one.names.items()):
            rest = {slot: name for slot, name in one.names.items() if slot in axes}
            yield replace(one, names=rest)


def possible(axes: Axes, out: Sequence[LeftOut], row: Mapping[str, str]) -> bool:
    """Say whether a row can be completed from the axes without what is left out."""
    if any(one.is_in(row) for one in out):
        return False
    open_axes = (axis for one in out for axis in one.names if axis not in row)
    axis = next(open_axes, None)
    return axis is None or any(possible(axes, out, {**row, axis: name}) for name in axes[axis])


def nothing_left(axes: Axes, out: Sequence[LeftOut]) -> list[Problem]:
    """Return the problem that everything is left out, if it is."""
    if not all(axes.values()) or possible(axes, out, {}):
        return []
    what = "[matrix.without] leaves out every combination there is."
    reasons = "; ".join(f"{one.key} ({one.reason})" for one in out)
    return [Problem(out[0].where, what, f"Left out: {reasons}.")]
