"""Clients of Redis for an event loop, with limits for all that they wait for."""

from __future__ import annotations

import re
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kit.errors import ConfigError, Problem
from kit.options import Secret

TIMEOUT = 3.0  # seconds to wait for a connection, and for each answer
CONNECTIONS = 50  # at most, of one event loop


def open_client(url: Secret, name: str) -> Redis:
    """Return a client that calls itself `name` in Redis; it connects when it is used.

    Nothing is tried twice: where an answer is lost, it may have been done.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=TIMEOUT,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name=name,
    )
    return Redis.from_pool(pool)


def check_url(url: Secret) -> None:
    """Raise ConfigError for a URL that is none."""
    try:
        pool: Any = BlockingConnectionPool.from_url(url)
        pool.make_connection()
    except (TypeError, ValueError) as error:
        mend = 'Write for example: url = "redis://127.0.0.1:6379/0"'
        what = "the option url does not say where the server is"
        raise ConfigError([Problem("", what, mend)]) from error


def check_namespace(namespace: str) -> None:
    """Raise ValueError for a namespace that is no name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", namespace):
        raise ValueError(
            f"namespace = {namespace!r}: use up to 40 of a-z, 0-9 and '_', a letter first"
        )
