"""Fixtures for the services that some tests talk to.

`KIT_TEST_POSTGRES`, `KIT_TEST_MARIADB`, `KIT_TEST_REDIS` and `KIT_TEST_MEMCACHED` say where they
are; unset, the usual local ports are tried. A service that does not answer skips its tests by
name, or fails them where `KIT_TEST_REQUIRE_SERVICES=1`.
"""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

import pytest

SERVICES = {
    "postgres": ("KIT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test"),
    "mariadb": ("KIT_TEST_MARIADB", "mariadb://root@127.0.0.1:3306/test"),
    "redis": ("KIT_TEST_REDIS", "redis://127.0.0.1:6379/0"),
    "memcached": ("KIT_TEST_MEMCACHED", "memcached://127.0.0.1:11211"),
}


def service(name: str) -> str:
    """Return the URL of a service that answers; skip, or fail where services are required."""
    variable, usual = SERVICES[name]
    url = os.environ.get(variable, usual)
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
    except OSError as error:
        message = f"{name} does not answer at {parts.hostname}:{parts.port} ({error}); set {variable}"
        if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return url


@pytest.fixture(scope="session")
def postgres_url() -> str:
    return service("postgres")


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    return service("mariadb")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return service("redis")


@pytest.fixture(scope="session")
def memcached_url() -> str:
    return service("memcached")


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path) -> str:
    """Each of the three databases in turn, where a test is parametrised over their names."""
    name = getattr(request, "param", "sqlite")
    return f"sqlite:///{tmp_path}/test.db" if name == "sqlite" else service(name)
