"""Databases: how SQLite, PostgreSQL and MariaDB are made to behave alike.

For adapters that speak SQL: the type of each kind of column, how its values travel, the settings
of a new connection, and what the errors of the drivers mean. An adapter for another database
declares a `Database` of its own.

Text is compared, ordered and kept unique by code points, so case, accents and trailing blanks
count; only the lookups with an i ignore case. PostgreSQL and MariaDB read what is committed when a
statement starts (READ COMMITTED); in SQLite units of work take turns. PostgreSQL has to be built
with ICU, as it is by default.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

from kit.errors import ConfigError, Conflict, InvalidValue, KitError, Problem, Unavailable
from kit.options import DatabaseURL
from kit.slots.persistence.records import LONGEST_KEY, Column
from kit.slots.persistence.statements import Convert

Codec = tuple[Convert | None, Convert | None]


class Timeouts(Protocol):
    """The options that `Database` looks at, in seconds."""

    @property
    def connect_timeout(self) -> float: ...
    @property
    def statement_timeout(self) -> float: ...
    @property
    def lock_timeout(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Database:
    """What SQL of the portable store looks like on one database, and what its driver needs.

    - `types` maps a kind of column to its SQL type, `key_types` where its length is limited, and
      `codecs` to how values are encoded and decoded.
    - `placeholder` stands for a value, and ``{}`` in it for the number of the value, from 1.
    - `like` is a case-sensitive match of an operand and a pattern, `fold` an operand without its
      case, `any` the wildcard of patterns, `escape` what makes other characters literal.
    - `begin` opens a transaction. If it never waits for others (`begin_waits`), its failure
      means that the connection is dead. `lock` keeps the rows of a select from others, `ddl_lock`
      the schema.
    - `decimals` says that there are exact decimals; without them whole numbers are stored.
    - `returning` says that an insert returns the id, `orders_nulls` that NULLs need a place.
    - `arguments` are for the driver's ``connect``; `setup` and then `settings` make a new
      connection ready (``{statement}`` and ``{lock}`` are timeouts in milliseconds).
    - `meaning` turns an error of the driver into ours; `ended` tells, where the driver knows,
      that the transaction of a connection is gone or can only be rolled back.
    """

    name: str
    driver: str
    install: str = ""
    placeholder: str = "%s"
    quote: str = '"'
    identity: str
    types: Mapping[str, str]
    key_types: Mapping[str, str] = field(default_factory=dict)
    codecs: Mapping[str, Codec] = field(default_factory=dict)
    like: str
    fold: str
    any: str = "%"
    escape: Mapping[int, str] = field(default_factory=dict)
    begin: str = "BEGIN"
    begin_waits: bool = False
    lock: str = " FOR UPDATE"
    ddl_lock: str = ""
    decimals: bool = True
    returning: bool = False
    orders_nulls: bool = False
    meaning: Callable[[BaseException], KitError | None]
    ended: Callable[[Any], bool] = lambda connection: False
    arguments: Callable[[Timeouts], dict[str, Any]]
    setup: Callable[[Any], None]
    settings: tuple[str, ...] = ()

    def type(self, column: Column) -> str:
        """Return the SQL type of a column."""
        if column.digits:
            return self.types["decimal"].format(column.digits)
        if column.length and column.length <= LONGEST_KEY and column.kind in self.key_types:
            return self.key_types[column.kind].format(column.length)
        return self.types[column.kind]

    def codec(self, column: Column) -> Codec:
        """Return how values of a column are encoded and decoded, each None where they are not."""
        if column.digits and not self.decimals:
            return _scaled(column.digits.places)
        return self.codecs.get(column.kind, (None, None))

    def pattern(self, operator: str) -> Convert:
        """Return a function from a text to the pattern of ``contains`` and the like."""
        before = "" if operator.endswith("startswith") else self.any
        after = "" if operator.endswith("endswith") else self.any
        return lambda text: f"{before}{text.translate(self.escape)}{after}"

    def configure(self, connection: Any, timeouts: Timeouts) -> None:
        """Make a new connection of the driver ready for units of work."""
        self.setup(connection)
        cursor = connection.cursor()
        for setting in self.settings_for(timeouts):
            cursor.execute(setting)
        cursor.close()

    def settings_for(self, timeouts: Timeouts) -> list[str]:
        """Return the statements that make a new connection ready."""
        statement = math.ceil(timeouts.statement_timeout * 1000)
        lock = math.ceil(timeouts.lock_timeout * 1000)
        return [setting.format(statement=statement, lock=lock) for setting in self.settings]

    def load(self) -> Any:
        """Import the driver; raise ConfigError with the pip line where it is missing."""
        try:
            return importlib.import_module(self.driver)
        except ImportError as error:
            raise ConfigError(
                [
                    Problem(
                        "",
                        f"{self.name} needs the library {self.driver}, which is not installed",
                        f'Run: pip install "framekit[{self.install}]"',
                    )
                ]
            ) from error

    def translate(self, error: BaseException) -> KitError | None:
        """Return what an error of the driver means to an application, None for a defect in ours.

        The message has neither SQL nor values; raise it ``from`` the error.
        """
        if isinstance(error, KitError):
            return error
        return self.meaning(getattr(error, "orig", None) or error.__cause__ or error)


def database(url: DatabaseURL) -> Database:
    """Return the database that a URL points to."""
    return DATABASES[url.partition("://")[0]]


def location(url: DatabaseURL) -> dict[str, Any]:
    """Return the parts of a URL as the drivers call them, without those that it leaves out.

    That is ``database`` alone for SQLite, else also host, port, user, password and what the query
    part says.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"database": url.removeprefix("sqlite:///")}
    found = {
        "database": unquote(parts.path.removeprefix("/")),
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username and unquote(parts.username),
        "password": parts.password and unquote(parts.password),
        **dict(parse_qsl(parts.query)),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def lower(text: str | None) -> str | None:
    """Return the text in lower case: SQLite's own function knows ASCII only."""
    return None if text is None else text.lower()


def _scaled(places: int) -> Codec:
    return (
        lambda value: int(value.scaleb(places)),
        lambda value: Decimal(value).scaleb(-places),
    )


def _stamp(value: datetime) -> str:
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


def _from_stamp(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _naive(value: datetime) -> datetime:
    return value.replace(tzinfo=None)


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


def _clock(value: timedelta | time) -> time:
    return (datetime.min + value).time() if isinstance(value, timedelta) else value


def _setup_sqlite(connection: Any) -> None:
    connection.isolation_level = None
    connection.create_function("kit_lower", 1, lower, deterministic=True)


def _setup_postgresql(connection: Any) -> None:
    connection.autocommit = True


def _sqlite_meaning(error: BaseException) -> KitError | None:
    sqlite3 = SQLITE.load()

    if isinstance(error, sqlite3.IntegrityError):
        return conflict()
    if isinstance(error, (sqlite3.DataError, OverflowError)):
        return invalid()
    if isinstance(error, sqlite3.DatabaseError):
        code = getattr(error, "sqlite_errorcode", 1) & 0xFF
        return away() if code in _SQLITE_AWAY else None
    return None


def _postgresql_meaning(error: BaseException) -> KitError | None:
    psycopg = POSTGRESQL.load()

    state = getattr(error, "sqlstate", None)
    if state:
        return state_meaning(state)
    if isinstance(error, psycopg.DataError):
        return invalid()
    return away() if isinstance(error, psycopg.Error) else None


def state_meaning(state: str) -> KitError | None:
    """Return what an SQLSTATE of PostgreSQL means."""
    if state[:2] == "23" or state in ("40001", "40P01"):
        return conflict()
    if state[:2] == "22":
        return invalid()
    return away() if state[:2] in _POSTGRESQL_AWAY or state == "25006" else None


def _mariadb_meaning(error: BaseException) -> KitError | None:
    pymysql = MARIADB.load()

    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if code == 1213 or isinstance(error, pymysql.IntegrityError):
        return conflict()
    if isinstance(error, pymysql.DataError) or code in (1366, 1264, 1292, 1406):
        return invalid()
    if code in _MARIADB_AWAY or isinstance(error, pymysql.InterfaceError):
        return away()
    return None


def conflict() -> Conflict:
    """Return the error for what stands against what is stored."""
    return Conflict("another record, or a change made meanwhile, stands against this one")


def invalid() -> InvalidValue:
    """Return the error for a value that the database refuses."""
    return InvalidValue("the database cannot store one of the values")


def away() -> Unavailable:
    """Return the error for a database that cannot be reached or takes too long."""
    return Unavailable("the database does not answer, or not in time")


# busy, locked, no memory, interrupted, I/O error, full, cannot open, not a database
_SQLITE_AWAY = {5, 6, 7, 9, 10, 13, 14, 26}
# connection, login, no database, resources, not ready or locked, cancelled, system; and read-only
_POSTGRESQL_AWAY = {"08", "28", "3D", "53", "55", "57", "58"}
# too many connections, access, unknown database, shutdown, lock wait, timeouts, lost, read-only
_MARIADB_AWAY = {
    *(1040, 1044, 1045, 1049, 1053, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205),
    *(1226, 1290, 1317, 1698, 1836, 1927, 1969, 3024, 2002, 2003, 2006, 2013, 2014, 2055),
}

_IDLE, _IN_ERROR = 0, 3

SQLITE = Database(
    name="SQLite",
    driver="sqlite3",
    placeholder="?",
    quote="`",  # in double quotes a column that is missing would be taken for a text
    identity="INTEGER PRIMARY KEY AUTOINCREMENT",
    types={
        **dict.fromkeys(("int", "bool", "decimal"), "INTEGER"),
        **dict.fromkeys(("str", "datetime", "date", "time", "uuid"), "TEXT"),
        "float": "REAL",
        "bytes": "BLOB",
    },
    codecs={
        "bool": (int, bool),
        "datetime": (_stamp, _from_stamp),
        "date": (date.isoformat, date.fromisoformat),
        "time": (lambda value: value.isoformat("microseconds"), time.fromisoformat),
        "uuid": (str, UUID),
    },
    decimals=False,
    like="{0} GLOB {1}",
    fold="kit_lower({0})",
    any="*",
    escape=str.maketrans({c: f"[{c}]" for c in "*?["}),
    begin="BEGIN IMMEDIATE",
    begin_waits=True,
    lock="",
    meaning=_sqlite_meaning,
    ended=lambda connection: not connection.in_transaction,
    arguments=lambda timeouts: {"check_same_thread": False},
    setup=_setup_sqlite,
    settings=(
        "PRAGMA busy_timeout = {lock}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA foreign_keys = ON",
    ),
)

POSTGRESQL = Database(
    name="PostgreSQL",
    driver="psycopg",
    install="postgresql",
    identity="BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    types={
        "int": "BIGINT",
        "bool": "BOOLEAN",
        "decimal": "NUMERIC({0.total}, {0.places})",
        "str": 'TEXT COLLATE "C"',
        "datetime": "TIMESTAMP WITH TIME ZONE",
        "date": "DATE",
        "time": "TIME",
        "uuid": "UUID",
        "float": "DOUBLE PRECISION",
        "bytes": "BYTEA",
    },
    key_types={"str": 'VARCHAR({}) COLLATE "C"'},
    like="{0} LIKE {1} ESCAPE '|'",
    fold='lower({0}::text COLLATE "und-x-icu")',
    escape=str.maketrans({c: f"|{c}" for c in "%_|"}),
    ddl_lock="SELECT pg_advisory_xact_lock(6514741)",
    returning=True,
    orders_nulls=True,
    meaning=_postgresql_meaning,
    ended=lambda connection: connection.pgconn.transaction_status in (_IDLE, _IN_ERROR),
    arguments=lambda timeouts: {
        "connect_timeout": math.ceil(timeouts.connect_timeout),
        "tcp_user_timeout": math.ceil(timeouts.statement_timeout * 1000),
    },
    setup=_setup_postgresql,
    settings=(
        "SET TIME ZONE 'UTC'; SET statement_timeout = {statement}; SET lock_timeout = {lock};"
        " SET default_transaction_isolation = 'read committed'",
    ),
)

_FOUND_ROWS = 2
_TEXT = "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
MARIADB = Database(
    name="MariaDB",
    driver="pymysql",
    install="mariadb",
    quote="`",
    identity="BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    types={
        "int": "BIGINT",
        "bool": "BOOLEAN",
        "decimal": "DECIMAL({0.total}, {0.places})",
        "str": f"LONGTEXT {_TEXT}",
        "datetime": "DATETIME(6)",
        "date": "DATE",
        "time": "TIME(6)",
        "uuid": "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin",
        "float": "DOUBLE",
        "bytes": "LONGBLOB",
    },
    key_types={"str": f"VARCHAR({{}}) {_TEXT}", "bytes": "VARBINARY({})"},
    codecs={
        "bool": (None, bool),
        "datetime": (_naive, _utc),
        "time": (None, _clock),
        "uuid": (str, UUID),
    },
    like="{0} LIKE {1} ESCAPE '|'",
    fold="LOWER({0})",
    escape=str.maketrans({c: f"|{c}" for c in "%_|"}),
    meaning=_mariadb_meaning,
    arguments=lambda timeouts: {
        "charset": "utf8mb4",
        "client_flag": _FOUND_ROWS,
        "connect_timeout": math.ceil(timeouts.connect_timeout),
        "read_timeout": math.ceil(timeouts.statement_timeout) + 5,
    },
    setup=lambda connection: connection.autocommit(True),
    settings=(
        "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), time_zone = '+00:00',"
        " max_statement_time = {statement} / 1000, innodb_lock_wait_timeout = CEIL({lock} / 1000)",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ),
)

DATABASES = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mariadb": MARIADB}
