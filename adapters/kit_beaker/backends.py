"""Beaker's backends with bytes in them, and a compare-and-swap that holds between processes.

Beaker pickles what it keeps in files, databases and Redis; its database manager has no lock, that
of Redis blocks a session for 15 minutes when a process dies holding it, and that of memcached
needs another client library. So its managers, locks and key names serve here where they hold,
and each server's own atomic operation where they do not.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

# Beaker has no annotations, so that its classes are Any to mypy.
from beaker.container import (  # type: ignore[import-untyped]
    AbstractDictionaryNSManager,
    NamespaceManager,
)
from beaker.ext.memcached import MemcachedNamespaceManager  # type: ignore[import-untyped]
from beaker.ext.redisnm import RedisNamespaceManager  # type: ignore[import-untyped]
from beaker.synchronization import (  # type: ignore[import-untyped]
    NameLock,
    file_synchronizer,
)

from kit.databases import database
from kit.errors import ConfigError, Problem
from kit.options import DatabaseURL

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TIMEOUT = 3  # seconds to wait for a server


class Backend(Protocol):
    """What `BeakerSessions` asks of each of them; keys are hashes of session ids.

    `forked` is called in a new process, which must not use the connections of its parent.
    """

    failures: tuple[type[Exception], ...]

    def load(self, key: str) -> bytes | None: ...
    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool: ...
    def delete(self, key: str) -> None: ...
    def purge(self) -> int: ...
    def forked(self) -> None: ...
    def close(self) -> None: ...


class _Locked(NamespaceManager):  # type: ignore[misc]
    """A namespace of ``(expires, record)`` that is changed under Beaker's lock for the key."""

    failures: tuple[type[Exception], ...] = ()

    def load(self, key: str) -> bytes | None:
        with contextlib.suppress(KeyError):
            expires, record = self[key]
            return record if expires > time.time() else None
        return None

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        with self.locked(key):
            same = self.load(key) == expected
            if same:
                self[key] = (time.time() + lifetime, record)
            return same

    def delete(self, key: str) -> None:
        with self.locked(key), contextlib.suppress(KeyError):
            del self[key]

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold Beaker's lock for `key`."""
        lock = self.get_creation_lock(key)
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def forked(self) -> None: ...
    def close(self) -> None: ...


class Memory(_Locked, AbstractDictionaryNSManager):  # type: ignore[misc]
    """Beaker's dictionary manager under one of its locks; threads of one process only."""

    def __init__(self) -> None:
        super().__init__("sessions")
        self.dictionary: dict[str, tuple[float, bytes]] = {}
        self._lock = NameLock()
        self._limit = 1000

    def get_creation_lock(self, key: str) -> Any:
        return self._lock  # one for all: what is done under it is short

    def __setitem__(self, key: str, value: tuple[float, bytes]) -> None:
        self.dictionary[key] = value
        if len(self.dictionary) > self._limit:  # nobody else can purge this process
            self.purge()
            self._limit = 2 * len(self.dictionary) + 1000

    def purge(self) -> int:
        now = time.time()
        expired = [key for key, (expires, _) in [*self.dictionary.items()] if expires <= now]
        for key in expired:
            self.dictionary.pop(key, None)
        return len(expired)


class Files(_Locked):
    """A file for each record, changed under Beaker's file locks; all processes of one machine.

    The first line says when the record expires. Files are replaced as a whole, so that reading
    needs no lock. There are 16 subfolders with one lock each.
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
        for path in ((folder / "locks"), *(folder / "locks").rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def get_creation_lock(self, key: str) -> Any:
        return self._locks[key[0]]

    def _path(self, key: str) -> Path:
        return self.folder / key[0] / key

    def keys(self) -> list[str]:
        return [path.name for path in self.folder.glob("[0-9a-f]/*")]

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
        expires, record = value
        handle, name = tempfile.mkstemp(prefix=key[0], dir=self._path(key).parent)  # mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(b"%.3f\n%b" % (expires, record))
            os.replace(name, self._path(key))
        except BaseException:
            os.unlink(name)
            raise

    def __delitem__(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def purge(self) -> int:
        return sum(self._forget_expired(key) for key in self.keys())

    def _forget_expired(self, key: str) -> bool:
        with self.locked(key):
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


class Redis(RedisNamespaceManager):  # type: ignore[misc]
    """Beaker's Redis manager without its pickle and lock: a script compares and sets.

    Redis expires the keys.
    """

    SWAP = """
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
    return 1
    """

    def __init__(self, url: str, namespace: str) -> None:
        import redis

        timeouts = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
        try:
            super().__init__(namespace, redis.Redis.from_url(url, **timeouts))
        except ValueError as error:
            raise _no_server("redis", "redis://127.0.0.1:6379/0") from error
        self._swap = self.client.register_script(self.SWAP)
        self.failures: tuple[type[Exception], ...] = (redis.RedisError,)
        self.close = self.client.close
        self.forked = lambda: None  # the client looks after that

    def load(self, key: str) -> bytes | None:
        record: bytes | None = self.client.get(self._format_key(key))
        return record

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        arguments = (record, expected or b"", math.ceil(lifetime * 1000))
        return bool(self._swap([self._format_key(key)], arguments))

    def delete(self, key: str) -> None:
        del self[key]

    def purge(self) -> int:
        return 0


class Memcached(MemcachedNamespaceManager):  # type: ignore[misc]
    """Beaker's memcached manager on pymemcache; memcached's ``cas`` compares and sets.

    Memcached expires the keys.
    """

    LONGEST = 30 * 24 * 3600  # seconds; a larger number is taken for a date

    def __init__(self, server: str, namespace: str) -> None:
        from pymemcache import MemcacheError, PooledClient  # type: ignore[import-untyped]

        host, _, port = server.removeprefix("memcached://").rpartition(":")
        if not host or not port.isdecimal():
            raise _no_server("memcached", "127.0.0.1:11211")
        NamespaceManager.__init__(self, namespace)  # Beaker's own knows other client libraries
        self.mc = PooledClient(
            (host.strip("[]"), int(port)),
            connect_timeout=_TIMEOUT,
            timeout=_TIMEOUT,
            no_delay=True,
            default_noreply=False,
        )
        self.failures: tuple[type[Exception], ...] = (OSError, MemcacheError)
        self.forked = self.close = self.mc.close

    def load(self, key: str) -> bytes | None:
        record: bytes | None = self[key]
        return record

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        name, seconds = self._format_key(key), math.ceil(lifetime)
        expire = seconds if seconds <= self.LONGEST else math.ceil(time.time()) + seconds
        if expected is None:
            return bool(self.mc.add(name, record, expire))
        stored, version = self.mc.gets(name)
        return stored == expected and bool(self.mc.cas(name, record, version, expire))

    def delete(self, key: str) -> None:
        del self[key]

    def purge(self) -> int:
        return 0


def _no_server(option: str, example: str) -> ConfigError:
    what = f"the option {option} does not say where the server is"
    return ConfigError([Problem("", what, f"Write for example: {option} = '{example}'")])


class Database:
    """A table in Beaker's manner, with bytes for the pickle; one statement compares and sets."""

    def __init__(self, url: str, namespace: str) -> None:
        import sqlalchemy as sa

        self._engine = sa.create_engine(
            _sqlalchemy_url(url),
            connect_args={"timeout" if url.startswith("sqlite") else "connect_timeout": _TIMEOUT},
            hide_parameters=True,
            pool_pre_ping=True,
            pool_timeout=_TIMEOUT,
        )
        self._table = table = sa.Table(
            namespace,
            sa.MetaData(),
            sa.Column("namespace", sa.String(64), primary_key=True),
            sa.Column("expires", sa.Double, nullable=False, index=True),
            sa.Column("data", sa.LargeBinary(2**24 - 1), nullable=False),
        )
        self.failures: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError,)
        self._taken = sa.exc.IntegrityError
        this = table.c.namespace == sa.bindparam("key")
        live = table.c.expires > sa.bindparam("now")
        self._load = sa.select(table.c.data).where(this, live)
        self._update = (
            table.update()
            .where(this, live, table.c.data == sa.bindparam("expected"))
            .values(data=sa.bindparam("record"), expires=sa.bindparam("until"))
        )
        self._delete = table.delete().where(this)
        self._purge = table.delete().where(~live)
        self._create()

    def _create(self) -> None:
        try:
            self._table.create(self._engine, checkfirst=True)
        except self.failures:  # another process was creating it
            self._table.create(self._engine, checkfirst=True)
        self.close()

    def load(self, key: str) -> bytes | None:
        with self._engine.begin() as connection:
            found = connection.execute(self._load, {"key": key, "now": time.time()}).scalar()
        return None if found is None else bytes(found)

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        now = time.time()
        with self._engine.begin() as connection:
            if expected is None:
                return self._insert(connection, key, record, now + lifetime)
            values = {"key": key, "now": now, "expected": expected}
            values |= {"record": record, "until": now + lifetime}
            return connection.execute(self._update, values).rowcount == 1

    def _insert(self, connection: Connection, key: str, record: bytes, until: float) -> bool:
        values = {"namespace": key, "data": record, "expires": until}
        try:
            connection.execute(self._table.insert(), values)
        except self._taken:
            connection.rollback()
            return False
        return True

    def delete(self, key: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._delete, {"key": key})

    def purge(self) -> int:
        with self._engine.begin() as connection:
            return connection.execute(self._purge, {"now": time.time()}).rowcount

    def forked(self) -> None:
        self._engine.dispose(close=False)

    def close(self) -> None:
        self._engine.dispose()


def _sqlalchemy_url(url: str) -> str:
    engine = database(DatabaseURL(url))
    engine.load()
    scheme, _, rest = url.partition("://")
    return url if scheme == "sqlite" else f"{scheme}+{engine.driver}://{rest}"
