"""Beaker's backends on Redis and memcached, for any number of machines.

Beaker pickles what it keeps in Redis; a process that dies holding its lock there blocks the
session for 15 minutes, and its locks for memcached end at the machine. So its managers give the
names of the keys, and the servers themselves compare, set and expire.
"""

from __future__ import annotations

import math
import time

# Beaker has no annotations, so that its classes are Any to mypy.
from beaker.container import NamespaceManager  # type: ignore[import-untyped]
from beaker.ext.memcached import MemcachedNamespaceManager  # type: ignore[import-untyped]
from beaker.ext.redisnm import RedisNamespaceManager  # type: ignore[import-untyped]

from kit.errors import ConfigError, Problem

TIMEOUT = 3  # seconds to wait for a connection, and for each answer


class Redis(RedisNamespaceManager):  # type: ignore[misc]
    """Beaker's Redis manager with bytes for its pickle, and a script for its lock."""

    SWAP = """
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
    return 1
    """

    def __init__(self, url: str, namespace: str) -> None:
        import redis

        timeouts = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        try:
            super().__init__(namespace, redis.Redis.from_url(url, **timeouts))
        except ValueError as error:
            raise _no_server("redis", "redis://127.0.0.1:6379/0") from error
        self._swap = self.client.register_script(self.SWAP)
        self.failures: tuple[type[Exception], ...] = (redis.RedisError,)

    def load(self, key: str) -> bytes | None:
        """Return the record, or None."""
        record: bytes | None = self.client.get(self._format_key(key))
        return record

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        """Compare and store in one script, with a lifetime in milliseconds."""
        arguments = (record, expected or b"", math.ceil(lifetime * 1000))
        return bool(self._swap([self._format_key(key)], arguments))

    def delete(self, key: str) -> None:
        """Forget the record."""
        del self[key]

    def purge(self) -> int:
        """Return 0: Redis removes what expired."""
        return 0

    def forked(self) -> None:
        """Do nothing: the client notices a new process."""

    def close(self) -> None:
        """Close all connections."""
        self.client.close()


class Memcached(MemcachedNamespaceManager):  # type: ignore[misc]
    """Beaker's memcached manager on the library pymemcache, with memcached's ``cas``."""

    LONGEST = 30 * 24 * 3600  # seconds; memcached takes a larger number for a date

    def __init__(self, server: str, namespace: str) -> None:
        from pymemcache import MemcacheError, PooledClient  # type: ignore[import-untyped]

        host, _, port = server.removeprefix("memcached://").rpartition(":")
        if not host or not port.isdecimal():
            raise _no_server("memcached", "127.0.0.1:11211")
        NamespaceManager.__init__(self, namespace)  # Beaker's own knows other client libraries
        self.mc = PooledClient(
            (host.strip("[]"), int(port)),
            connect_timeout=TIMEOUT,
            timeout=TIMEOUT,
            no_delay=True,
            default_noreply=False,
        )
        self.failures: tuple[type[Exception], ...] = (OSError, MemcacheError)

    def load(self, key: str) -> bytes | None:
        """Return the record, or None."""
        record: bytes | None = self[key]
        return record

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        """Store with ``add`` or ``cas``, which fail if another request was first."""
        name, seconds = self._format_key(key), math.ceil(lifetime)
        expire = seconds if seconds <= self.LONGEST else math.ceil(time.time()) + seconds
        if expected is None:
            return bool(self.mc.add(name, record, expire))
        stored, version = self.mc.gets(name)
        return stored == expected and bool(self.mc.cas(name, record, version, expire))

    def delete(self, key: str) -> None:
        """Forget the record."""
        del self[key]

    def purge(self) -> int:
        """Return 0: memcached removes what expired."""
        return 0

    def forked(self) -> None:
        """Leave the connections to the parent process."""
        self.mc.close()

    def close(self) -> None:
        """Close all connections."""
        self.mc.close()


def _no_server(option: str, example: str) -> ConfigError:
    what = f"the option {option} does not say where the server is"
    return ConfigError([Problem("", what, f"Write for example: {option} = '{example}'")])
