"""The components of the slot ``sessions`` under its contract."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit_beaker.sessions import BeakerOptions, BeakerSessions
from kit_itsdangerous.sessions import SignedCookieSessions
from kit_redis.sessions import RedisSessions, RedisSessionsOptions

from kit.contracts.sessions import SessionsContract
from kit.options import DatabaseURL, Secret
from kit.slots.sessions import SessionsOptions, SessionStore, plain_store
from kit.waiting import wait


def beaker(**options: Any) -> Iterator[BeakerSessions]:
    store = BeakerSessions(BeakerOptions(**options))
    yield store
    store.close()


@pytest.fixture
def namespace() -> str:
    return f"t{secrets.token_hex(8)}"


class TestBeakerMemory(SessionsContract):
    @pytest.fixture
    def component(self) -> Iterator[BeakerSessions]:
        yield from beaker()


class TestBeakerFile(SessionsContract):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Iterator[BeakerSessions]:
        yield from beaker(backend="file", folder=tmp_path / "sessions")


class TestBeakerSQLite(SessionsContract):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Iterator[BeakerSessions]:
        yield from beaker(backend="database", database=DatabaseURL(f"sqlite:///{tmp_path}/s.db"))


class DatabaseContract(SessionsContract):
    """A database server: a table for each test, dropped afterwards."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def component(self, url: str, namespace: str) -> Iterator[BeakerSessions]:
        store = BeakerSessions(
            BeakerOptions(backend="database", database=DatabaseURL(url), namespace=namespace)
        )
        yield store
        store._backend.table.drop(store._backend.engine)
        store.close()


class TestBeakerPostgreSQL(DatabaseContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


class TestBeakerMariaDB(DatabaseContract):
    @pytest.fixture
    def url(self, mariadb_url: str) -> str:
        return mariadb_url


class TestBeakerRedis(SessionsContract):
    @pytest.fixture
    def component(self, redis_url: str, namespace: str) -> Iterator[BeakerSessions]:
        store = BeakerSessions(
            BeakerOptions(backend="redis", redis=Secret(redis_url), namespace=namespace)
        )
        yield store
        store._backend.remove()
        store.close()


class TestBeakerMemcached(SessionsContract):
    @pytest.fixture
    def component(self, memcached_url: str, namespace: str) -> Iterator[BeakerSessions]:
        yield from beaker(backend="memcached", memcached=memcached_url, namespace=namespace)


class TestItsdangerous(SessionsContract):
    @pytest.fixture
    def component(self) -> SignedCookieSessions:
        return SignedCookieSessions(SessionsOptions(), (Secret(secrets.token_hex(32)),))


class TestRedis(SessionsContract):
    """Its methods are coroutine functions, and the contract asks them as plain code does."""

    @pytest.fixture
    def component(self, redis_url: str, namespace: str) -> Iterator[SessionStore]:
        store = RedisSessions(RedisSessionsOptions(url=Secret(redis_url), namespace=namespace))
        yield plain_store(store)
        wait(forget(store, namespace))


async def forget(store: RedisSessions, namespace: str) -> None:
    client = store._clients.here()
    if keys := [key async for key in client.scan_iter(f"{namespace}:*")]:
        await client.delete(*keys)
    await store.close()
