"""Sessions in a table: Beaker's layout of one row for each, for any number of machines.

Beaker's own manager pickles into the table, and reads and writes without any lock. Here one
statement compares and sets.
"""

from __future__ import annotations

import time

import sqlalchemy as sa

from kit.options import DatabaseURL
from kit.slots.persistence.databases import database

TIMEOUT = 3  # seconds to wait for a connection, or for the lock of SQLite


class Database:
    """The rows of one table, which is made where it does not exist.

    `url` is a SQLite, PostgreSQL or MariaDB database, and `table` the name of the table.
    """

    failures: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError,)

    def __init__(self, url: DatabaseURL, table: str) -> None:
        self.engine = sa.create_engine(
            _sqlalchemy_url(url),
            connect_args={"timeout" if url.startswith("sqlite") else "connect_timeout": TIMEOUT},
            hide_parameters=True,
            pool_pre_ping=True,
            pool_timeout=TIMEOUT,
        )
        self.table = sa.Table(
            table,
            sa.MetaData(),
            sa.Column("namespace", sa.String(64), primary_key=True),
            sa.Column("expires", sa.Double, nullable=False, index=True),
            sa.Column("data", sa.LargeBinary(2**24 - 1), nullable=False),
        )
        self._prepare()
        self._create()

    def _prepare(self) -> None:
        columns = self.table.c
        this = columns.namespace == sa.bindparam("key")
        live = columns.expires > sa.bindparam("now")
        self._load = sa.select(columns.data).where(this, live)
        self._insert = self.table.insert()
        self._update = (
            self.table.update()
            .where(this, live, columns.data == sa.bindparam("expected"))
            .values(data=sa.bindparam("record"), expires=sa.bindparam("until"))
        )
        self._delete = self.table.delete().where(this)
        self._purge = self.table.delete().where(~live)

    def _create(self) -> None:
        try:
            self.table.create(self.engine, checkfirst=True)
        except self.failures:  # another process was creating it
            self.table.create(self.engine, checkfirst=True)

    def load(self, key: str) -> bytes | None:
        """Return the record unless it is missing or expired."""
        with self.engine.begin() as connection:
            found = connection.execute(self._load, {"key": key, "now": time.time()}).scalar()
        return None if found is None else bytes(found)

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> bool:
        """Insert the row, or update it where it still has the `expected` record."""
        now = time.time()
        until = now + lifetime
        if expected is None:
            return self._add({"namespace": key, "data": record, "expires": until})
        values = {"key": key, "now": now, "expected": expected, "record": record, "until": until}
        with self.engine.begin() as connection:
            return connection.execute(self._update, values).rowcount == 1

    def _add(self, row: dict[str, object]) -> bool:
        try:
            with self.engine.begin() as connection:
                connection.execute(self._insert, row)
        except sa.exc.IntegrityError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete the row."""
        with self.engine.begin() as connection:
            connection.execute(self._delete, {"key": key})

    def purge(self) -> int:
        """Delete the rows that expired."""
        with self.engine.begin() as connection:
            return connection.execute(self._purge, {"now": time.time()}).rowcount

    def forked(self) -> None:
        """Leave the connections to the parent process."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _sqlalchemy_url(url: DatabaseURL) -> str:
    engine = database(url)
    engine.load()
    scheme, _, rest = url.partition("://")
    return url if scheme == "sqlite" else f"{scheme}+{engine.driver}://{rest}"
