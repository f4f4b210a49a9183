"""Fixtures for the services that some tests talk to.

`KIT_TEST_POSTGRES`, `KIT_TEST_MARIADB`, `KIT_TEST_REDIS` and `KIT_TEST_MEMCACHED` say where they
are; unset, the usual local ports are tried. A service that does not answer skips its tests by
name, or fails them where `KIT_TEST_REQUIRE_SERVICES=1`.
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

SERVICES = {
    "postgres": ("KIT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test"),
    "mariadb": ("KIT_TEST_MARIADB", "mariadb://root@127.0.0.1:3306/test"),
    "redis": ("KIT_TEST_REDIS", "redis://127.0.0.1:6379/0"),
    "memcached": ("KIT_TEST_MEMCACHED", "memcached://127.0.0.1:11211"),
}


def pytest_collection_finish() -> None:
    """Spare the garbage collector, which some tests call, what has been imported by now."""
    gc.collect()
    gc.freeze()


def service(name: str) -> str:
    """Return the URL of a service that answers; skip, or fail where services are required."""
    variable, usual = SERVICES[name]
    url = os.environ.get(variable, usual)
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
    except OSError as error:
        place = f"{parts.hostname}:{parts.port}"
        message = f"{name} does not answer at {place} ({error}); set {variable}"
        if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return url


@pytest.fixture(scope="session", autouse=True)
def _no_plugins_further_down() -> Iterator[None]:
    """Where a test starts pytest, that loads no plug-ins that are installed: they take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield


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


@pytest.fixture(scope="session")
def own_database() -> Iterator[Callable[[str], str]]:
    """A function from the URL of a server to that of a database for this worker alone.

    What keeps tables of its own in it gives a `purpose` too, and has another database.
    """
    made: dict[tuple[str, str], str] = {}
    base = f"kit_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"

    def make(url: str, purpose: str = "") -> str:
        name = base + purpose
        if (url, name) not in made:
            run_sql(url, f"CREATE DATABASE {name}")
            made[url, name] = urlsplit(url)._replace(path=f"/{name}").geturl()
        return made[url, name]

    yield make
    for url, name in made:
        force = " WITH (FORCE)" if url.startswith("postgres") else ""
        run_sql(url, f"DROP DATABASE {name}{force}")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[str]]:
    """What serves a folder: ``with serve(folder, "-c", "ws.toml", KIT_SERVING__USE="uvicorn")``.

    It gives the URL of ``kit serve``, which stops in the end and must have logged no failure.
    """

    @contextmanager
    def served(folder: Path, *words: str, **settings: str) -> Iterator[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "COV_"))}
        own = {
            "KIT_APP__SECRET_KEY": secrets.token_urlsafe(32),
            "KIT_SERVING__BIND": "127.0.0.1:0",
        }
        log = tmp_path_factory.mktemp("served") / "log"
        with log.open("w") as errors:
            running = subprocess.Popen(
                [Path(sys.executable).with_name("kit"), "serve", *words],
                cwd=folder,
                env=environment | own | settings,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            said = ""
            for line in running.stdout:
                said += line
                if line == "Serving.\n":
                    break
            found = re.search(r"http://\S+:\d+", said)
            assert found, said + log.read_text()
            yield found[0]
            running.terminate()
            assert running.wait(60) == 0
        finally:
            running.kill()
            running.wait()
            running.stdout.close()
        assert "Traceback" not in log.read_text()

    return served


def run_sql(url: str, statement: str) -> None:
    """Run a statement on a server, outside of any transaction."""
    parts = urlsplit(url)
    if parts.scheme == "postgresql":
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)
    else:
        import pymysql

        login = {"user": parts.username, "password": parts.password or ""}
        with pymysql.connect(host=parts.hostname, port=parts.port or 3306, **login) as connection:
            connection.cursor().execute(statement)


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, tmp_path, own_database: Callable[[str], str]
) -> str:
    """The URL of an empty database on sqlite, postgres or mariadb, as the parameter says."""
    name = getattr(request, "param", "sqlite")
    if name == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return own_database(service(name))
