"""The configuration: ``kit.toml``, its profile, the environment, and where each value came from.

`Config` holds settings by path, such as ``("templating", "jinja2", "folder")``. `Reader` turns the
settings of a table into a typed options object and collects every problem on the way.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.errors import ConfigError, Problem

Keys = tuple[str, ...]
PREFIX = "KIT_"


@dataclass(frozen=True)
class Setting:
    """One value in force, and `where` it was written: ``kit.toml:12`` or a variable's name."""

    value: Any = field(repr=False)  # it may be a secret
    where: str
    from_environment: bool = False


@dataclass
class Config:
    """Settings by path, merged from all sources; `folder` is what relative paths start from."""

    settings: dict[Keys, Setting] = field(default_factory=dict)
    folder: Path = Path()
    name: str = ""

    @property
    def place(self) -> str:
        """What to call the configuration as a whole in a message."""
        return self.name or "config"

    def tables(self) -> list[str]:
        """Return the names of the top-level tables, in the order in which they were written."""
        return list(dict.fromkeys(keys[0] for keys in self.settings))

    def get(self, *keys: str) -> Setting | None:
        """Return the setting at a path, or None."""
        return self.settings.get(keys)

    def below(self, *keys: str) -> Iterator[tuple[Keys, Setting]]:
        """Yield (rest of the path, setting) for all settings below a path."""
        for path, setting in self.settings.items():
            if path[: len(keys)] == keys:
                yield path[len(keys) :], setting


def load(source: str | os.PathLike[str] | Mapping[str, Any] | None) -> Config:
    """Read a config file with its profile, or a mapping of the same shape, and the environment.

    None stands for an empty configuration. `KIT_PROFILE` names the profile. Raises ConfigError.
    """
    if source is None or isinstance(source, Mapping):
        config = Config(folder=Path.cwd())
        config.settings.update(_flatten(source or {}, {}, "config"))
    else:
        path = Path(source)
        config = Config(folder=path.resolve().parent, name=path.name)
        config.settings.update(_read(path))
        if profile := os.environ.get("KIT_PROFILE"):
            other = path.with_name(f"{path.stem}.{profile}{path.suffix}")
            mend = f"KIT_PROFILE={profile} asks for it: write it, or unset that variable."
            config.settings.update(_read(other, mend))
    config.settings.update(_from_environment(config))
    return config


def _read(
    path: Path, mend: str = "Write one, name another file, or start from a recipe: kit new NAME"
) -> dict[Keys, Setting]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([_unreadable(path, error, mend)]) from error
    lines = {keys: f"{path.name}:{line}" for keys, line in _lines(text)}
    return dict(_flatten(data, lines, path.name))


def _unreadable(path: Path, error: Exception, mend: str) -> Problem:
    match error:
        case FileNotFoundError():
            return Problem(str(path), f"there is no such file in {path.resolve().parent}.", mend)
        case IsADirectoryError():
            return Problem(str(path), "is a folder, not a file.", f"Name the file: {path}/kit.toml")
        case UnicodeDecodeError():
            what = f"is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start})."
            return Problem(str(path), what, "Save it as UTF-8: TOML allows nothing else.")
        case tomllib.TOMLDecodeError():
            found = re.search(
                r"^(.*?) \(at (?:line (\d+), column (\d+)|(end) of document)\)", str(error)
            )
            reason = found[1] if found else str(error)
            reason = re.sub(r"\(('.*'),?\)", lambda m: f"[{_dotted_from(m[1])}]", reason)
            line = f":{found[2]}" if found and found[2] else ""
            column = f" (column {found[3]})" if found and found[3] else " (at the end)"
            mend = "Text stands in quotes, names of tables in [brackets]; see https://toml.io."
            return Problem(f"{path}{line}", f"is not valid TOML: {reason}{column}.", mend)
    reason = error.strerror if isinstance(error, OSError) else error
    return Problem(str(path), f"cannot be read: {reason}.", "Check who owns it and its mode.")


def _dotted_from(names: str) -> str:
    return names.replace("', '", ".").strip("'")


def _flatten(
    data: Mapping[str, Any], lines: Mapping[Keys, str], default: str, base: Keys = ()
) -> Iterator[tuple[Keys, Setting]]:
    for key, value in data.items():
        keys = (*base, key)
        where = lines.get(keys, lines.get(base, default))
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, {**lines, keys: where}, default, keys)
        else:
            yield keys, Setting(value, where)


def _lines(text: str) -> Iterator[tuple[Keys, int]]:
    """Yield each table and key of a TOML text with the number of its line."""
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$", line):
            table = _dotted(header[1])
            yield table, number
        elif key := re.match(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""", line):
            yield (*table, *_dotted(key[1])), number


def _dotted(text: str) -> Keys:
    return tuple(part.strip("\"'") for part in re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", text))


def _from_environment(config: Config) -> Iterator[tuple[Keys, Setting]]:
    """Yield what ``KIT_TABLE__KEY`` variables set, under the names that the file uses."""
    known = {keys[:n] for keys in config.settings for n in range(1, len(keys) + 1)}
    spelling = {tuple(_variable(key) for key in keys): keys for keys in known}
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and "__" in name:
            parts = tuple(name.removeprefix(PREFIX).split("__"))
            keys: Keys = ()
            for n, part in enumerate(parts, 1):
                keys = spelling.get(parts[:n], (*keys, part.lower()))
            yield keys, Setting(value, f"environment variable {name}", from_environment=True)


def _variable(key: str) -> str:
    return key.upper().replace("-", "_")
