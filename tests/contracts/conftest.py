"""A database of its own for each worker of pytest-xdist, on each of the three servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

SERVERS = {"postgres": "postgres_url", "mariadb": "mariadb_url"}


@pytest.fixture(scope="session")
def own_database() -> Iterator[Callable[[str], str]]:
    """A function from the URL of a server to that of a database for this worker alone."""
    made: dict[str, str] = {}
    name = f"kit_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"

    def make(url: str) -> str:
        if url not in made:
            run_sql(url, f"CREATE DATABASE {name}")
            made[url] = urlsplit(url)._replace(path=f"/{name}").geturl()
        return made[url]

    yield make
    for url in made:
        force = " WITH (FORCE)" if url.startswith("postgres") else ""
        run_sql(url, f"DROP DATABASE {name}{force}")


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
    return own_database(request.getfixturevalue(SERVERS[name]))
