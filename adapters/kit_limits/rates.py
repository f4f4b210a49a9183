"""Rates counted by the library limits, with its moving window: each event counts for its time.

Its other ways are not exact: a fixed window lets twice as many through around its end, and the
sliding counter estimates.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from kit.errors import ConfigError, Problem, Unavailable
from kit.options import Secret
from kit.slots.rates import Rate, RatesOptions

TIMEOUT = 3  # seconds to wait for a connection, and for each answer
_SHORTEST_WAIT = 0.001
_MANY = 1000  # keys


class _Window:
    """The moving window of limits over one of its storages."""

    def __init__(self, storage: MemoryStorage | RedisStorage) -> None:
        self._window = MovingWindowRateLimiter(storage)

    def hit(self, key: str, rate: Rate) -> float:
        """Count, or say how long to wait until the oldest event that counts is out of the time."""
        item = RateLimitItemPerSecond(rate.count, rate.seconds, namespace="")
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        if self._window.hit(item, digest):
            return 0
        reset = self._window.get_window_stats(item, digest).reset_time
        return max(reset - time.time(), _SHORTEST_WAIT)


class MemoryRates:
    """Counts in this process, for itself and until it ends: for one process, and for tests."""

    lacks: ClassVar = {
        "sharing": "each process counts for itself, and from 0 when it starts",
        "outages": "its memory is there as long as it is",
    }

    def __init__(self) -> None:
        self._storage = MemoryStorage()
        self._window = _Window(self._storage)
        self._lock = Lock()
        self._many = _MANY

    def hit(self, key: str, rate: Rate) -> float:
        """Count in memory, one event at a time."""
        # The storage drops the lock of a key that another thread may be waiting for, so that two
        # count at once; and it keeps an empty list for each key for ever.
        with self._lock:
            wait = self._window.hit(key, rate)
            if len(self._storage.events) > self._many:
                self._forget()
        return wait

    def _forget(self) -> None:
        events = self._storage.events
        for key in [key for key, found in events.items() if not found]:
            del events[key]
        self._many = max(_MANY, 2 * len(events))

    def close(self) -> None:
        """Forget everything."""
        self._storage.reset()


@dataclass(frozen=True, kw_only=True)
class RedisOptions(RatesOptions):
    """Options of the component ``redis``.

    `url` is the server: ``redis://:password@host:6379/0``. `namespace` begins the keys, so that
    applications can share one.
    """

    url: Secret
    namespace: str = "rates"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.namespace):
            raise ValueError(
                f"namespace = {self.namespace!r}: use up to 40 of a-z, 0-9 and '_', a letter first"
            )


class RedisRates:
    """Counts in Redis, for any number of processes and machines, by the clock of each machine."""

    def __init__(self, options: RedisOptions) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            mend = 'Run: pip install "framekit[redis]"'
            raise ConfigError([Problem("", "the library redis is not installed", mend)]) from error
        try:
            pool = redis.ConnectionPool.from_url(
                options.url,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 1),  # its own would take the time of three timeouts more
            )
        except ValueError as error:
            mend = 'Write for example: url = "redis://127.0.0.1:6379/0"'
            what = "the option url does not say where the server is"
            raise ConfigError([Problem("", what, mend)]) from error
        self._storage = RedisStorage(
            options.url, connection_pool=pool, key_prefix=options.namespace
        )
        self._failures = redis.RedisError
        self._window = _Window(self._storage)

    def hit(self, key: str, rate: Rate) -> float:
        """Count in one step of Redis; its failure is `Unavailable`."""
        try:
            return self._window.hit(key, rate)
        except self._failures as error:
            raise Unavailable("what counts requests (redis) does not answer or is full") from error

    def close(self) -> None:
        """Close all connections."""
        self._storage.storage.connection_pool.disconnect()
