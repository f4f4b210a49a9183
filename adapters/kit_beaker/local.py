"""Beaker's backends within one machine: the memory of a process, and files.

Beaker pickles the contents of its files and makes them readable for all, so that only its locks
serve here; of its memory backend, its dictionary manager too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

# Beaker has no annotations, so that its classes are Any to mypy.
from beaker.container import (  # type: ignore[import-untyped]
    AbstractDictionaryNSManager,
    NamespaceManager,
)
from beaker.synchronization import (  # type: ignore[import-untyped]
    NameLock,
    file_synchronizer,
)

from kit.errors import ConfigError, Problem


class _Hold:
    """Holds one of Beaker's locks in a block."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class _Locked(NamespaceManager):  # type: ignore[misc]
    """A namespace of ``(expires, record)`` that is changed under Beaker's lock for the key."""

    failures: tuple[type[Exception], ...] = ()

    def load(self, key: str) -> bytes | None:
        """Return the record unless it is missing or expired; that needs no lock."""
        try:
            expires, record = self[key]
        except KeyError:
            return None
        return record if expires > time.time() else None

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        """Compare and store under the lock."""
        with _Hold(self.get_creation_lock(key)):
            same = self.load(key) == expected
            if same:
                self[key] = (time.time() + lifetime, record)
            return same

    def delete(self, key: str) -> None:
        """Forget the record under the lock."""
        with _Hold(self.get_creation_lock(key)), contextlib.suppress(KeyError):
            del self[key]

    def forked(self) -> None:
        """Do nothing: there are no connections."""

    def close(self) -> None:
        """Do nothing: there are no connections."""


class Memory(_Locked, AbstractDictionaryNSManager):  # type: ignore[misc]
    """A dictionary under one of Beaker's locks, for the threads of one process."""

    def __init__(self) -> None:
        super().__init__("sessions")
        self.dictionary: dict[str, tuple[float, bytes]] = {}
        self._lock = NameLock()
        self._limit = 1000

    def get_creation_lock(self, key: str) -> Any:
        """Return one lock for all keys: what is done under it is short."""
        return self._lock

    def __setitem__(self, key: str, value: tuple[float, bytes]) -> None:
        self.dictionary[key] = value
        if len(self.dictionary) > self._limit:  # nobody else can purge this process
            self.purge()
            self._limit = 2 * len(self.dictionary) + 1000

    def purge(self) -> int:
        """Remove what expired. No lock is needed: nobody saves over an expired record."""
        now = time.time()
        expired = [key for key, (expires, _) in [*self.dictionary.items()] if expires <= now]
        for key in expired:
            self.dictionary.pop(key, None)
        return len(expired)


class Files(_Locked):
    """A file for each record, changed under Beaker's file locks by all processes of a machine.

    The first line says when the record expires. Files are replaced as a whole, so that a reader
    sees the old or the new one. There are 16 subfolders with one lock each.
    """

    failures = (OSError,)

    def __init__(self, folder: Path) -> None:
        super().__init__("sessions")
        self.folder = _private(folder)
        self._locks = {}
        for shard in "0123456789abcdef":
            (folder / shard).mkdir(mode=0o700, exist_ok=True)
            lock = file_synchronizer(f"{folder}/{shard}", lock_dir=str(folder / "locks"))
            lock.acquire()  # makes its file, with mode 0755
            lock.release()
            self._locks[shard] = lock
        for path in (folder / "locks", *(folder / "locks").rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def get_creation_lock(self, key: str) -> Any:
        """Return the lock of the key's subfolder."""
        return self._locks[key[0]]

    def _path(self, key: str) -> Path:
        return self.folder / key[0] / key

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def __getitem__(self, key: str) -> tuple[float, bytes]:
        try:
            expires, _, record = self._path(key).read_bytes().partition(b"\n")
        except FileNotFoundError:
            raise KeyError(key) from None
        # What a crash left of a new file has no whole first line, and counts as expired.
        return (float(expires) if record else 0, record)

    def __setitem__(self, key: str, value: tuple[float, bytes]) -> None:
        handle, name = tempfile.mkstemp(prefix=key[0], dir=self._path(key).parent)  # mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(b"%.3f\n%b" % value)
            os.replace(name, self._path(key))
        except BaseException:
            os.unlink(name)
            raise

    def __delitem__(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def purge(self) -> int:
        """Remove expired files, and what crashes left."""
        return sum(self._forget_expired(path.name) for path in self.folder.glob("[0-9a-f]/*"))

    def _forget_expired(self, key: str) -> bool:
        with _Hold(self.get_creation_lock(key)):
            expired = key in self and self.load(key) is None
            if expired:
                del self[key]
            return expired


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = folder.stat().st_mode & 0o077 == 0 and os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        what = f"the folder for sessions, {folder}, cannot be made: {error.strerror}"
        raise ConfigError([Problem("", what, "Name another folder.")]) from error
    if not usable:
        what = f"the folder for sessions, {folder}, is open to other users, or not writable"
        raise ConfigError([Problem("", what, f"Run: chmod 700 {folder}")])
    return folder
