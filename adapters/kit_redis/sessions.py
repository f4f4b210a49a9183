"""Sessions in Redis, awaited on the event loop."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kit.errors import Unavailable
from kit.options import Secret
from kit.slots.sessions import SessionsOptions
from kit.waiting import PerLoop
from kit_redis.clients import check_namespace, check_url, open_client

SWAP = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""


@dataclass(frozen=True, kw_only=True)
class RedisSessionsOptions(SessionsOptions):
    """Options of the component ``redis``.

    `url` is the server: ``redis://:password@host:6379/0``. `namespace` begins the keys, so that
    applications can share one. What follows in a key is a hash of the id of a session.
    """

    url: Secret
    namespace: str = "sessions"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_namespace(self.namespace)


class RedisSessions:
    """Keeps records in Redis, for any number of processes and machines.

    They survive a restart as far as that Redis persists its data.
    """

    def __init__(self, options: RedisSessionsOptions) -> None:
        check_url(options.url)
        self._namespace = options.namespace
        self._clients = PerLoop(partial(open_client, options.url, options.namespace), Redis.aclose)

    async def load(self, key: str) -> bytes | None:
        """Return the record under `key` unless it is missing or expired."""
        with _explained():
            return await self._clients.here().get(self._name(key))  # type: ignore[return-value]

    async def save(
        self, key: str, record: bytes, expected: bytes | None, lifetime: float
    ) -> str | None:
        """Compare and store in one script; return `key`, or None if it did not store."""
        arguments = (record, expected or b"", math.ceil(lifetime * 1000))
        with _explained():
            saved = await self._clients.here().eval(SWAP, 1, self._name(key), *arguments)
        return key if saved else None

    async def delete(self, key: str) -> None:
        """Forget the record under `key`."""
        with _explained():
            await self._clients.here().delete(self._name(key))

    async def purge(self) -> int:
        """Return 0: Redis removes what expired."""
        return 0

    async def close(self) -> None:
        """Close all connections."""
        await self._clients.close()

    def _name(self, key: str) -> str:
        return f"{self._namespace}:{hashlib.sha256(key.encode()).hexdigest()}"


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable("the session store (redis) does not answer or is full") from error
