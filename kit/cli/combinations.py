"""The combinations that `kit matrix` tries: which components, values and gateways."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from kit.assembly import KERNEL_TABLES
from kit.cli.catalogue import Catalogue
from kit.cli.left_out import AXIS, Axes, LeftOut, applying, nothing_left, possible, tried
from kit.components import Component
from kit.config import Config
from kit.errors import ConfigError, Problem, listing, nearest
from kit.options import DatabaseURL
from kit.testing.browsers import GATEWAY, GATEWAYS, URL

_Pair = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Combination:
    """One component for each slot, further values by key (``persistence.url``), and a gateway."""

    components: dict[str, str]
    values: dict[str, str]
    gateway: str = GATEWAYS[0]

    def labels(self) -> dict[str, str]:
        """Return what to call it, column by column; passwords are hidden."""
        values = {key: DatabaseURL(value).shown() for key, value in self.values.items()}
        return {**self.components, "gateway": self.gateway, **values}

    def environment(self, config: Config, scratch: Path) -> dict[str, str]:
        """Return the variables that choose it; SQLite files are put into the folder `scratch`."""
        chosen = {f"{slot}.use": name for slot, name in self.components.items()} | self.values
        if config.get("app", "secret_key") is None:  # some component may need one
            chosen["app.secret_key"] = secrets.token_urlsafe(32)
        files = {".".join(keys): _resolved(s.value) for keys, s in config.settings.items()}
        found = {
            variable(key): _scratched(value, scratch)
            for key, value in (files | chosen).items()
            if key in chosen or value.startswith("sqlite:///")
        }
        return {**found, GATEWAY: self.gateway, URL: ""}

    def database(self, config: Config) -> str:
        """Return the URL of the database server that its tests share with others, or nothing."""
        setting = config.get("persistence", "url")
        url = self.values.get("persistence.url", _resolved(setting.value) if setting else "")
        return "" if url.startswith("sqlite:") else url


def variable(key: str) -> str:
    """Return the environment variable that sets a key of kit.toml."""
    return "KIT_" + "__".join(part.upper().replace("-", "_") for part in key.split("."))


def _resolved(value: object) -> str:
    text = str(value)
    return os.environ.get(text.removeprefix("env:"), "") if text.startswith("env:") else text


def _scratched(value: str, scratch: Path) -> str:
    """Move the file of a SQLite URL into a folder of its own, so that runs do not meet in it."""
    if not value.startswith("sqlite:///"):
        return value
    return f"sqlite:///{scratch / Path(value).name}"


def axes(
    found: Catalogue, wanted: Sequence[str], out: Sequence[LeftOut] = ()
) -> dict[str, list[Component]]:
    """Return the components to try, by slot: of all that the config fills, or those in `wanted`.

    A slot for many stays as it is. Each of `wanted` is a slot (``templating``), or a slot with
    names (``templating=jinja2,mako``), none of which may be left out everywhere.
    """
    if not wanted:
        return {slot: _all(found, slot) for slot in tried(found)}
    chosen = {}
    for text in wanted:
        slot, given, names = text.partition("=")
        if slot not in found.slots:
            raise _unknown("slot", slot, found.slots, f"--slot {text}")
        if found.slots[slot].many:
            what = f"the slot {slot!r} takes many components at once."
            mend = "They are tried together, as kit.toml lists them."
            raise ConfigError([Problem(f"--slot {text}", what, mend)])
        known = {one.name: one for one in _all(found, slot)}
        for name in names.split(",") if given else ():
            if name not in known:
                raise _unknown("component", name, known, f"--slot {text}")
            refuse(out, slot, name, f"--slot {text}")
        chosen[slot] = [known[name] for name in (names.split(",") if given else known)]
    return chosen


def refuse(out: Sequence[LeftOut], slot: str, name: str, where: str) -> None:
    """Raise ConfigError if what was asked for by name is left out everywhere."""
    for one in out:
        if one.lone == (slot, name):
            what = f"{name!r} is left out: {one.reason}"
            mend = f"Take {one.key!r} out of [matrix.without] ({one.where}) to try it."
            raise ConfigError([Problem(where, what, mend)])


def _all(found: Catalogue, slot: str) -> list[Component]:
    return [one for one in found.each() if one.slot == slot]


def _names(found: Catalogue, slot: str) -> list[str]:
    """Return the names that the components of a slot have as tables."""
    return [name.rpartition(":")[2] for name in found.components.get(slot, ())]


def _unknown(kind: str, name: str, known: Iterable[str], where: str) -> ConfigError:
    what = f"there is no {kind} {name!r}.{nearest(name, known)}"
    return ConfigError([Problem(where, what, f"There are: {listing(known)}.")])


def variations(found: Catalogue, texts: Sequence[str]) -> dict[str, list[str]]:
    """Read ``key=value,value`` for each of `texts`; the key begins with a table of kit.toml."""
    varied = {}
    for text in texts:
        key, given, values = text.partition("=")
        if not given or "." not in key:
            what = "is not of the form slot.option=value,value."
            raise ConfigError([Problem(f"--vary {text}", what)])
        table, *rest = key.split(".")
        tables = [*KERNEL_TABLES, *found.slots]
        if table not in tables:
            raise _unknown("table", table, tables, f"--vary {text}")
        if len(rest) > 1 and rest[0] not in (known := _names(found, table)):
            raise _unknown("component", rest[0], known, f"--vary {text}")
        varied[key] = values.split(",")
    return varied


def combinations(
    found: Catalogue,
    chosen: Mapping[str, Sequence[Component]],
    varied: Mapping[str, Sequence[str]],
    gateways: Sequence[str] = GATEWAYS,
    out: Sequence[LeftOut] = (),
    *,
    all: bool = False,
) -> list[Combination]:
    """Return combinations of the installed components, the gateways and the values of options.

    Without `all` there are just so many that every two components of different slots meet in one
    of them, and every component meets every gateway, and every value of a slot's own option. What
    is left out is in none of them. A value of a component's own option is varied only where that
    component is in use.
    """
    shared = {key: varied[key] for key in varied if key.count(".") == 1}
    names: Axes = {**{slot: _there(chosen[slot]) for slot in chosen}, AXIS: gateways, **shared}
    out = list(applying(out, names, found))
    if problems := nothing_left(names, out):
        raise ConfigError(problems)
    made = []
    for row in every(names, out) if all else pairs(names, out):
        components = {slot: row[slot] for slot in chosen}
        in_use = {slot: names[0] for slot, names in found.in_use.items()} | components
        keys = [key for key in varied if key not in shared and _applies(key, in_use)]
        for values in product(*(varied[key] for key in keys)):
            own = dict(zip(keys, values, strict=True)) | {key: row[key] for key in shared}
            made.append(Combination(components, own, row[AXIS]))
    return made


def every(axes: Axes, out: Sequence[LeftOut] = ()) -> Iterator[dict[str, str]]:
    """Yield all rows with one value of each axis, but for what is left out."""
    rows = (dict(zip(axes, row, strict=True)) for row in product(*axes.values()))
    return (row for row in rows if possible(axes, out, row))


def pairs(axes: Axes, out: Sequence[LeftOut] = ()) -> Iterator[dict[str, str]]:
    """Yield few rows, so that every two values of different axes meet in one of them if they can.

    Each row takes, axis by axis, what makes the most new pairs (greedy pairwise testing), of what
    can still be completed without what is left out.
    """
    if len(axes) < 2 or not all(axes.values()):
        yield from every(axes, out)
        return
    left = {
        frozenset([(i, a), (j, b)]): (x, y)
        for i, j in itertools.combinations(axes, 2)
        for x, a in enumerate(axes[i])
        for y, b in enumerate(axes[j])
        if possible(axes, out, {i: a, j: b})
    }
    while left:
        row = dict(min(left.items(), key=lambda item: item[1])[0])
        for axis in axes:
            if axis not in row:
                fitting = [v for v in axes[axis] if possible(axes, out, {**row, axis: v})]
                row[axis] = _best(axis, fitting, row, left)
        for pair in itertools.combinations(row.items(), 2):
            left.pop(frozenset(pair), None)
        yield row


def _best(axis: str, names: Iterable[str], row: Mapping[str, str], left: Container[_Pair]) -> str:
    """Return the name that makes the most pairs with a row that are still left."""

    def new(name: str) -> int:
        return sum(frozenset([(axis, name), other]) in left for other in row.items())

    return max(names, key=new)


def _there(components: Iterable[Component]) -> list[str]:
    return [one.name for one in components if one.version() is not None]


def _applies(key: str, in_use: Mapping[str, str]) -> bool:
    slot, name, *_ = key.split(".")
    return in_use.get(slot, "").rpartition(":")[2] == name
