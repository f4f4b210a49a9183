"""Sessions on Beaker's backends: its options, and one component over all of them."""

from __future__ import annotations

import hashlib
import os
import re
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from kit.errors import ConfigError, Problem, Unavailable
from kit.options import DatabaseURL, Secret
from kit.slots.sessions import SessionsOptions
from kit_beaker.local import Files, Memory


@dataclass(frozen=True, kw_only=True)
class BeakerOptions(SessionsOptions):
    """Options of the component ``beaker``.

    `backend` says where sessions are kept, and each backend but ``memory`` needs one option more:

    - ``memory``: in this process only, gone when it ends. For development and tests.
    - ``file``: in `folder`, for all processes of one machine. It must be private (mode 0700).
    - ``database``: in a table of `database`, for any number of machines.
    - ``redis``: on the server `redis` (``redis://:password@host:6379/0``), for any number of
      machines. Sessions survive a restart as far as that Redis persists its data.
    - ``memcached``: on the server `memcached` (``host:11211``), for any number of machines.
      Memcached forgets everything at a restart, and old sessions when it is full.

    `namespace` begins the keys in Redis and memcached, and names the table in a database, so that
    applications can share one. All backends but ``memory`` know a session by a hash of its id.
    """

    backend: Literal["memory", "file", "database", "redis", "memcached"] = "memory"
    folder: Path | None = None
    database: DatabaseURL | None = None
    redis: Secret | None = None
    memcached: str | None = None
    namespace: str = "sessions"

    NEEDS: ClassVar = {"file": "folder", **{n: n for n in ("database", "redis", "memcached")}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backend not in ("memory", *self.NEEDS):
            raise ValueError(f"backend = {self.backend!r}: use memory, {', '.join(self.NEEDS)}")
        needed = self.NEEDS.get(self.backend)
        if needed and not getattr(self, needed):
            raise ValueError(f"backend = {self.backend!r} needs the option {needed}")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.namespace):
            raise ValueError(
                f"namespace = {self.namespace!r}: use up to 40 of a-z, 0-9 and '_', a letter first"
            )


class Backend(Protocol):
    """What `BeakerSessions` asks of a backend; its keys are hashes of session ids.

    `save` tells whether it saved. A failure is raised as one of `failures`. `forked` is called
    in a new process, which must not use the connections of its parent.
    """

    failures: tuple[type[Exception], ...]

    def load(self, key: str) -> bytes | None: ...
    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool: ...
    def delete(self, key: str) -> None: ...
    def purge(self) -> int: ...
    def forked(self) -> None: ...
    def close(self) -> None: ...


class BeakerSessions:
    """Keeps records with one of Beaker's backends; a failure of it is `Unavailable`."""

    def __init__(self, options: BeakerOptions) -> None:
        try:
            self._backend = _open(options)
        except ImportError as error:
            what = f"backend = {options.backend!r} needs {error.name}, which is not installed"
            mend = f'Run: pip install "framekit[{_EXTRAS[options.backend]}]"'
            raise ConfigError([Problem("", what, mend)]) from error
        self._failures = self._backend.failures
        _at_fork(weakref.ref(self._backend))
        self._away = f"the session store ({options.backend}) does not answer or is full"

    def load(self, key: str) -> bytes | None:
        """Return the record under `key` unless it is missing or expired."""
        try:
            return self._backend.load(_digest(key))
        except self._failures as error:
            raise Unavailable(self._away) from error

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str | None:
        """Store `record` and return `key`, or return None if `expected` is not stored now."""
        try:
            saved = self._backend.save(_digest(key), record, expected, lifetime)
        except self._failures as error:
            raise Unavailable(self._away) from error
        return key if saved else None

    def delete(self, key: str) -> None:
        """Forget the record under `key`."""
        try:
            self._backend.delete(_digest(key))
        except self._failures as error:
            raise Unavailable(self._away) from error

    def purge(self) -> int:
        """Remove expired records; Redis and memcached do that by themselves, and it returns 0."""
        try:
            return self._backend.purge()
        except self._failures as error:
            raise Unavailable(self._away) from error

    def close(self) -> None:
        """Close the connections to the backend."""
        self._backend.close()


_EXTRAS = {"database": "sqlalchemy", "redis": "redis", "memcached": "memcached"}


def _open(options: BeakerOptions) -> Backend:
    match options:
        case BeakerOptions(backend="file", folder=Path() as folder):
            return Files(folder)
        case BeakerOptions(backend="database", database=str() as url):
            from kit_beaker.database import Database

            return Database(DatabaseURL(url), options.namespace)
        case BeakerOptions(backend="redis", redis=str() as url):
            from kit_beaker.servers import Redis

            return Redis(url, options.namespace)
        case BeakerOptions(backend="memcached", memcached=str() as server):
            from kit_beaker.servers import Memcached

            return Memcached(server, options.namespace)
    return Memory()


def _at_fork(reference: weakref.ref[Backend]) -> None:
    def forked() -> None:
        if backend := reference():
            backend.forked()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
