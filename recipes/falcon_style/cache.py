"""The slot ``cache``: bytes that are kept for a while. A plug-in of this application's own."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

from kit import Component, Slot, Unavailable, hookimpl, wait
from kit.options import Duration, Secret, Size

HOUR = Duration(3600)
IN_MEMORY = Size(64 << 20)


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Options that mean the same for every component: how long an entry is kept."""

    lifetime: Duration = HOUR


class Cache(Protocol):
    """What a component has. It may forget an entry at any time, and gives none that is too old."""

    async def get(self, key: str) -> bytes | None:
        """Return what is kept under a key, or None."""
        ...

    async def set(self, key: str, value: bytes) -> None:
        """Keep bytes under a key, in place of what was there."""
        ...


@dataclass(frozen=True, kw_only=True)
class MemoryOptions(CacheOptions):
    """`size` is that of all entries together: what was not used for longest goes first."""

    size: Size = IN_MEMORY


class MemoryCache:
    """Keeps entries in this process, for itself."""

    def __init__(self, options: MemoryOptions) -> None:
        self._lifetime, self._left = options.lifetime, int(options.size)
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = Lock()

    async def get(self, key: str) -> bytes | None:
        with self._lock:
            until, value = self._entries.get(key, (0.0, b""))
            if until <= time.monotonic():
                return None
            self._entries.move_to_end(key)
            return value

    async def set(self, key: str, value: bytes) -> None:
        with self._lock:
            self._forget(key)
            self._entries[key] = time.monotonic() + self._lifetime, value
            self._left -= len(key) + len(value)
            while self._left < 0:
                self._forget(next(iter(self._entries)))

    def _forget(self, key: str) -> None:
        if found := self._entries.pop(key, None):
            self._left += len(key) + len(found[1])


@dataclass(frozen=True, kw_only=True)
class RedisOptions(CacheOptions):
    """`url` is the server, ``redis://:password@host:6379/0``; `namespace` begins the keys."""

    url: Secret
    namespace: str = "asgilook"


class RedisCache:
    """Keeps entries in Redis, for any number of processes and machines."""

    def __init__(self, options: RedisOptions) -> None:
        import redis.asyncio as redis

        self._options, self._failure = options, redis.RedisError
        self._client: Any = redis.from_url(options.url, socket_timeout=3, socket_connect_timeout=3)

    async def get(self, key: str) -> bytes | None:
        return await self._asked(self._client.get(f"{self._options.namespace} {key}"))

    async def set(self, key: str, value: bytes) -> None:
        milliseconds = int(self._options.lifetime * 1000)
        name = f"{self._options.namespace} {key}"
        await self._asked(self._client.set(name, value, px=milliseconds))

    async def _asked(self, question: Any) -> Any:
        try:
            return await question
        except self._failure as error:
            raise Unavailable("the cache does not answer") from error

    def close(self) -> None:
        """Close all connections."""
        wait(self._client.aclose())


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot."""
    return [Slot(name="cache", protocol=Cache, options=CacheOptions, required=True, waits=True)]


@hookimpl
def kit_components() -> list[Component]:
    """Declare what may fill it."""
    return [
        Component(slot="cache", name="memory", factory=MemoryCache),
        Component(
            slot="cache",
            name="redis",
            factory=RedisCache,
            library="redis",
            install="framekit[redis]",
        ),
    ]
