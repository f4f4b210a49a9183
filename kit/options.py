"""Types for the options of slots and components: durations, sizes, secrets, paths.

An options class is a frozen dataclass with keyword-only fields; its ``__post_init__`` may raise
ValueError to reject a value. Beside the types here its fields take what TOML has: str, int, float,
bool, lists, tables, `Literal`, and `pathlib.Path` (resolved against the folder of the config file).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_BYTES = {
    "B": 1,
    **{f"{p}B": 1000**n for n, p in enumerate(("k", "M", "G"), 1)},
    **{f"{p}iB": 1024**n for n, p in enumerate(("K", "M", "G"), 1)},
}


class Duration(float):
    """A time span in seconds, written ``"14 days"``, ``"1.5 hours"``, or as a number of seconds."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read a written duration; raise ValueError for anything else."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", text)
        if not found or found[2] not in _SECONDS:
            raise ValueError(
                f"{text!r} is no duration: write for example '30 minutes' or '14 days'"
            )
        return cls(float(found[1]) * _SECONDS[found[2]])

    def __str__(self) -> str:
        """Return the duration in words, in the largest unit that it is a multiple of."""
        for unit, seconds in reversed(_SECONDS.items()):
            if self and self % seconds == 0:
                return f"{self / seconds:g} {unit}{'' if float(self) == seconds else 's'}"
        return f"{float(self):g} seconds"


class Size(int):
    """A number of bytes, written ``"16 MiB"``, ``"2.5 MB"``, or as a plain number."""

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read a written size; raise ValueError for anything else."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
        if not found or found[2] not in _BYTES:
            raise ValueError(f"{text!r} is no size: write for example '500 kB' or '16 MiB'")
        return cls(float(found[1]) * _BYTES[found[2]])

    def __str__(self) -> str:
        """Return the size in words, in the largest unit that it is a multiple of a tenth of."""
        for unit, size in sorted(_BYTES.items(), key=lambda item: -item[1]):
            if self >= size and self * 10 % size == 0:
                return f"{self / size:g} {unit}"
        return f"{int(self)} B"


class Secret(str):
    """Text that is never shown: ``kit explain`` and error messages print ``<secret>`` for it."""

    def __repr__(self) -> str:
        return "<secret>"


class DatabaseURL(str):
    """Where a database is: ``sqlite:///contacts.db`` (relative to the folder of the config file),
    ``postgresql://user:password@host:5432/name`` or ``mariadb://user:password@host:3306/name``.
    """

    SCHEMES = ("sqlite", "postgresql", "mariadb")

    @classmethod
    def parse(cls, text: str, folder: Path) -> DatabaseURL:
        """Check the scheme, and resolve the file of a SQLite database against `folder`."""
        scheme, found, rest = text.partition("://")
        if not found or scheme not in cls.SCHEMES:
            raise ValueError(
                f"{cls(text).shown()!r} is no database URL: write for example"
                " 'sqlite:///app.db', 'postgresql://user@host/name' or 'mariadb://user@host/name'"
            )
        try:
            _ = urlsplit(text).port
        except ValueError as error:
            raise ValueError(
                "the port is no number; in a password write '%23' for '#', '%2F' for '/',"
                " '%3F' for '?' and '%40' for '@'"
            ) from error
        if scheme == "sqlite":
            file = rest.removeprefix("/")
            if not rest.startswith("/") or file in {"", ":memory:"}:
                raise ValueError(
                    f"{cls(text).shown()!r} names no file: write 'sqlite:///app.db'"
                    " (a database in memory would be a new one for each connection)"
                )
            return cls(f"sqlite:///{folder / file}")
        return cls(text)

    def shown(self) -> str:
        """Return the text with its password hidden, even if it is no proper URL."""
        text = re.sub(r"(password=)[^&]*", r"\1<secret>", self)
        credentials, at, host = text.rpartition("@")
        scheme, slashes, user = credentials.rpartition("://")
        name, colon, _ = user.partition(":")
        return f"{scheme}{slashes}{name}{colon and ':<secret>'}{at}{host}"

    def __repr__(self) -> str:
        return repr(self.shown())
