"""From settings to typed options: every field converted, every problem collected."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from kit.config import Config, Keys, Setting
from kit.errors import Problem, listing, nearest
from kit.options import DatabaseURL, Duration, Secret, Size

T = TypeVar("T")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_FOUND = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
_PLAIN = {
    Duration: "a duration such as '30 minutes'",
    Size: "a size such as '16 MiB'",
    DatabaseURL: "a database URL such as 'sqlite:///app.db'",
    Path: "a path",
    Secret: "text",
}


@dataclasses.dataclass(frozen=True)
class Value:
    """A field of an options object: what is in force, and where it came from."""

    keys: Keys
    value: Any
    where: str

    def shown(self) -> str:
        """Return the value as TOML has it, with secrets and passwords hidden."""
        match self.value:
            case DatabaseURL():
                return f'"{self.value.shown()}"'
            case Secret():
                return repr(self.value)
            case None:
                return "not set"
            case list() | tuple() if any(isinstance(one, Secret) for one in self.value):
                return repr(self.value)
            case Duration() | Size() | Path():
                return f'"{self.value}"'
        return json.dumps(self.value, default=str, ensure_ascii=False)


class Reader:
    """Reads tables of one `Config`; `problems` and `values` grow with every table read."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.problems: list[Problem] = []
        self.values: list[Value] = []

    def options(self, cls: type[T], tables: Iterable[Keys], places: Mapping[str, Keys]) -> T | None:
        """Make an options object from `tables`; `places` says which table each field stands in.

        Returns None where there were problems.
        """
        before = len(self.problems)
        hints = typing.get_type_hints(cls)
        arguments: dict[str, Any] = {}
        for option in dataclasses.fields(cls):  # type: ignore[arg-type]
            keys = (*places[option.name], option.name.rstrip("_"))
            setting = self._setting(keys, hints[option.name])
            self._refuse_table(keys, hints[option.name])
            if setting is not None:
                self._take(arguments, option.name, keys, setting, hints[option.name])
            elif _required(option):
                self._missing(keys, hints[option.name])
            else:
                arguments[option.name] = default = self._default(option)
                self.values.append(Value(keys, default, "default"))
        if len(self.problems) > before:
            return None
        return self._made(cls, arguments, tables)

    def _made(self, cls: type[T], arguments: dict[str, Any], tables: Iterable[Keys]) -> T | None:
        try:
            return cls(**arguments)
        except (ValueError, TypeError) as error:
            table = list(tables)[-1]
            below = [(rest, s.where) for t in tables for rest, s in self.config.below(*t)]
            words = set(re.findall(r"\w+", str(error)))
            named = [where for rest, where in below if len(rest) == 1 and rest[0] in words]
            where = next(iter([*named, *(where for _, where in below)]), self.config.place)
            what = f"[{'.'.join(table)}] is refused by {cls.__name__}: {error}"
            self.problems.append(Problem(where, what, "", error))
            return None

    def _setting(self, keys: Keys, hint: Any) -> Setting | None:
        """Return the setting at `keys`; for a field that takes a table, the whole table."""
        setting = self.config.get(*keys)
        if setting is None and (get_origin(_bare(hint)) or _bare(hint)) is dict:
            inner = {rest[0]: s for rest, s in self.config.below(*keys) if len(rest) == 1}
            if inner:
                first = next(iter(inner.values()))
                text = any(s.from_environment for s in inner.values())
                return Setting({name: s.value for name, s in inner.items()}, first.where, text)
        return setting

    def _refuse_table(self, keys: Keys, hint: Any) -> None:
        if (get_origin(_bare(hint)) or _bare(hint)) is not dict:
            for rest, stray in self.config.below(*keys):
                if rest:
                    what = f"[{'.'.join(keys)}] is a table, not {describe(hint)}."
                    self.problems.append(Problem(stray.where, what, f"Write: {keys[-1]} = ..."))
                    return

    def _take(
        self, arguments: dict[str, Any], name: str, keys: Keys, setting: Setting, hint: Any
    ) -> None:
        try:
            raw = self._resolved(setting.value)
            text = setting.from_environment or raw is not setting.value
            value = convert(raw, hint, self.config.folder, text=text)
        except (ValueError, LookupError) as error:
            shown = "" if raw_secret(hint) else f" = {setting.value!r}"
            what = f"[{'.'.join(keys[:-1])}] {keys[-1]}{shown}: {error}"
            mend = error.mend if isinstance(error, _MissingError) else f"Allowed: {describe(hint)}."
            self.problems.append(Problem(setting.where, what, mend))
            return
        arguments[name] = value
        self.values.append(Value(keys, value, setting.where))

    def _resolved(self, value: Any) -> Any:
        """Follow ``env:NAME`` and ``file:PATH``, in lists too."""
        if isinstance(value, list) and any(isinstance(one, str) for one in value):
            resolved = [self._resolved(one) for one in value]
            return value if resolved == value else resolved
        if isinstance(value, str):
            if value.startswith("env:"):
                name = value.removeprefix("env:")
                if name not in os.environ:
                    raise _MissingError(
                        f"the environment variable {name} is not set", f"Set {name}."
                    )
                return os.environ[name]
            if value.startswith("file:"):
                file = self.config.folder / value.removeprefix("file:")
                try:
                    return file.read_text(encoding="utf-8").strip()
                except OSError as error:
                    what = f"the file {file} cannot be read: {error.strerror}"
                    raise _MissingError(
                        what,
                        "Write that file, or name another one (kit run makes one for secret_key).",
                    ) from error
        return value

    def _default(self, option: dataclasses.Field[Any]) -> Any:
        value = option.default
        if value is dataclasses.MISSING and callable(option.default_factory):
            value = option.default_factory()
        return self.config.folder / value if isinstance(value, Path) else value

    def _missing(self, keys: Keys, hint: Any) -> None:
        below = (s.where for n in (-1, 1) for _, s in self.config.below(*keys[:n]))
        what = f"[{'.'.join(keys[:-1])}] lacks {keys[-1]!r}."
        mend = f"Add: {keys[-1]} = ... with {describe(hint)}."
        self.problems.append(Problem(next(below, self.config.place), what, mend))

    def unknown(self, keys: Keys, where: str, allowed: Iterable[str], kind: str = "key") -> None:
        """Record a name that nothing reads."""
        place = f"[{'.'.join(keys[:-1])}] " if keys[:-1] else ""
        shown = keys[-1] if keys[:-1] else f"[{keys[-1]}]"
        what = f"{place}{shown}: unknown {kind}.{nearest(keys[-1], allowed)}"
        self.problems.append(Problem(where, what, f"Allowed: {listing(allowed)}."))


def raw_secret(hint: Any) -> bool:
    """Say whether a field holds secrets or database URLs, whose text must not be shown."""
    return any(raw_secret(one) for one in get_args(hint)) or hint in (Secret, DatabaseURL)


class _MissingError(LookupError):
    """What ``env:NAME`` or ``file:PATH`` names is not there."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


def _required(option: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return option.default is missing and option.default_factory is missing


def _bare(hint: Any) -> Any:
    """Take ``None`` out of an optional type."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [one for one in get_args(hint) if one is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint


def describe(hint: Any) -> str:
    """Say in words what a field takes."""
    hint = _bare(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if hint in _WORDS:
        return _WORDS[hint]
    if get_origin(hint) is Literal:
        return ", ".join(repr(choice) for choice in get_args(hint))
    if (get_origin(hint) or hint) in (list, tuple):
        inner = tuple(one for one in get_args(hint) if one is not ...)
        return f"a list of {describe(inner[0])}" if inner else "a list"
    if (get_origin(hint) or hint) is dict:
        inner = get_args(hint)[1:]
        return f"a table of {describe(inner[0])}" if inner else "a table"
    return str(getattr(hint, "__name__", hint))


def kind_of(value: object) -> str:
    """Say in words what a value from a config file is."""
    return _FOUND.get(type(value), type(value).__name__)


def convert(value: Any, hint: Any, folder: Path, *, text: bool = False) -> Any:
    """Return `value` as the type `hint`; raise ValueError where it does not fit.

    With `text` the value is a string from the environment, and is read accordingly.
    """
    hint = _bare(hint)
    if hint in (list, tuple) or get_origin(hint) in (list, tuple):
        return _converted_list(value, hint, folder, text)
    if hint in (str, Secret, Path, DatabaseURL) and not isinstance(value, str):
        raise ValueError(f"{kind_of(value)} found, not text")
    parsers: dict[Any, Callable[[Any], Any]] = {
        str: str,
        Secret: Secret,
        Path: lambda v: folder / v,
        DatabaseURL: lambda v: DatabaseURL.parse(v, folder),
        Duration: lambda v: _measured(Duration, v, text),
        Size: lambda v: _measured(Size, v, text),
    }
    if hint in parsers:
        return parsers[hint](value)
    try:
        return msgspec.convert(value, hint, strict=not text)
    except msgspec.ValidationError as error:
        if get_origin(hint) is Literal and isinstance(value, str):
            close = nearest(value, [str(choice) for choice in get_args(hint)])
            raise ValueError(f"not one of the choices.{close}") from error
        raise ValueError(f"{kind_of(value)} found, not {describe(hint)}") from error


def _measured(cls: type[Duration] | type[Size], value: Any, text: bool) -> Any:
    if isinstance(value, str) and not (text and value.strip().isdecimal()):
        return cls.parse(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{kind_of(value)} found, not {_PLAIN[cls]}")
    if not 0 <= float(value) < float("inf"):
        raise ValueError("must not be negative or endless")
    return cls(value)


def _converted_list(value: Any, hint: Any, folder: Path, text: bool) -> Any:
    if text and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError(f"{kind_of(value)} found, not {describe(hint)}")
    inner = [one for one in get_args(hint) if one is not ...] or [str]
    made = [convert(one, inner[0], folder, text=text) for one in value]
    return tuple(made) if (get_origin(hint) or hint) is tuple else made
