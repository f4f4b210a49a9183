"""For each clause of the persistence contract a component that breaks just that one.

The name keeps this file out of a normal run. A test runs it, and sees clause P7 fail in `TestP7`;
the other clauses are skipped there. All are SQLAlchemy on SQLite but for what they break.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence

from kit.contracts.persistence import PersistenceContract
from kit.errors import Conflict, KitError, Unavailable
from kit.options import DatabaseURL, Duration
from kit.slots.persistence import Persistence, Unit
from kit.slots.persistence.databases import MARIADB, SQLITE, Database
from kit.slots.persistence.records import Column, Table
from kit.slots.persistence.statements import Prepared, Statement

TYPES = SQLITE.types
CODECS = SQLITE.codecs


class Broken(PersistenceContract):
    component_class: ClassVar[type[SQLAlchemyPersistence]] = SQLAlchemyPersistence
    database: ClassVar[Database] = SQLITE

    @pytest.fixture(autouse=True)
    def _only_its_own_clause(self, request: pytest.FixtureRequest) -> None:
        if type(self).__name__ != f"Test{request.function.__kit_clause__}":
            pytest.skip("another clause")

    @pytest.fixture
    def component(self, tmp_path, monkeypatch) -> Iterator[Persistence]:
        monkeypatch.setattr("kit_sqlalchemy.persistence.database", lambda url: self.database)
        options = SQLAlchemyOptions(
            url=DatabaseURL(f"sqlite:///{tmp_path}/test.db"),
            pool_size=3,
            pool_wait=Duration(0.5),
            lock_timeout=Duration(0.5),
        )
        component = self.component_class(options)
        yield component
        component.close()


class Wrapped:
    """A unit of work that does as the real one, but for what a subclass changes."""

    def __init__(self, unit: Unit) -> None:
        self.unit: Any = unit

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unit, name)


def units(wrapper: type[Wrapped]) -> type[SQLAlchemyPersistence]:
    """A component whose units of work are wrapped."""

    class Component(SQLAlchemyPersistence):
        def begin(self) -> Any:
            return wrapper(super().begin())

    return Component


def code(old: str, new: str) -> type[SQLAlchemyPersistence]:
    """A component that writes some SQL otherwise."""

    class Component(SQLAlchemyPersistence):
        def prepare(self, statement: Statement) -> Prepared:
            prepared = super().prepare(statement)
            return replace(prepared, code=prepared.code.replace(old, new))

    return Component


def schema(change: Any) -> type[SQLAlchemyPersistence]:
    """A component that creates changed tables."""

    class Component(SQLAlchemyPersistence):
        def create(self, tables: Sequence[Table]) -> None:
            super().create([change(table) for table in tables])

    return Component


class KeepsNothing(Wrapped):
    def commit(self) -> None:
        if not self.unit._changed:
            self.unit.commit()


class TestP1(Broken):
    component_class = units(KeepsNothing)


class TestP2(Broken):
    database = replace(SQLITE, identity="INTEGER PRIMARY KEY")


class TestP3(Broken):
    database = replace(SQLITE, codecs={**CODECS, "bool": (None, None)})


class TestP4(Broken):
    encode, decode = CODECS["datetime"]
    assert encode
    seconds = (lambda value, encode=encode: encode(value.replace(microsecond=0)), decode)
    database = replace(SQLITE, codecs={**CODECS, "datetime": seconds})


class Cuts(Wrapped):
    def change(self, prepared: Prepared, rows: Sequence[Sequence[Any]]) -> int:
        short = [[v[:65535] if isinstance(v, str) else v for v in row] for row in rows]
        return int(self.unit.change(prepared, short))


class TestP5(Broken):
    component_class = units(Cuts)


class TestP6(Broken):
    database = replace(SQLITE, types={**TYPES, "str": "TEXT COLLATE RTRIM"})


class TestP7(Broken):
    component_class = code("<= ?", "< ?")


class TestP8(Broken):
    database = replace(SQLITE, like=MARIADB.like, any=MARIADB.any, escape=MARIADB.escape)


class TestP9(Broken):
    database = replace(SQLITE, fold="lower({0})")


class TestP10(Broken):
    component_class = code("`age` DESC", "`age` DESC NULLS FIRST")


class TestP11(Broken):
    component_class = code("LIMIT ?", "LIMIT max(?, 1)")


class TestP12(Broken):
    component_class = code("COUNT(*)", "COUNT(`age`)")


class CountsChanges(Wrapped):
    last: Any = None

    def change(self, prepared: Prepared, rows: Sequence[Sequence[Any]]) -> int:
        again, self.last = rows == self.last, rows
        return 0 if again else int(self.unit.change(prepared, rows))


class TestP13(Broken):
    component_class = units(CountsChanges)


class MeetsOne(Wrapped):
    start: ClassVar[str] = "UPDATE"

    def change(self, prepared: Prepared, rows: Sequence[Sequence[Any]]) -> int:
        met = int(self.unit.change(prepared, rows))
        return 1 if prepared.code.startswith(self.start) and len(rows) == 1 else met


class TestP14(Broken):
    component_class = units(MeetsOne)


class MeetsAll(Wrapped):
    def change(self, prepared: Prepared, rows: Sequence[Sequence[Any]]) -> int:
        met = int(self.unit.change(prepared, rows))
        return len(rows) if len(rows) > 1 else met


class TestP15(Broken):
    component_class = units(MeetsAll)


class DeletesAnyway(MeetsOne):
    start = "DELETE"


class TestP16(Broken):
    component_class = units(DeletesAnyway)


class TestP17(Broken):
    component_class = schema(lambda table: replace(table, unique=()))


class NoneIsUnique(SQLAlchemyPersistence):
    def create(self, tables: Sequence[Table]) -> None:
        super().create(tables)
        with closing(self.begin()) as unit:
            key = "kit_contract_person (last, coalesce(age, 0))"
            unit.script([f"CREATE UNIQUE INDEX IF NOT EXISTS none_is_unique ON {key}"])
            unit.commit()


class TestP18(Broken):
    component_class = NoneIsUnique


class TestP19(Broken):
    database = replace(SQLITE, settings=SQLITE.settings[:-1])


def restricting(table: Table) -> Table:
    def column(known: Column) -> Column:
        return replace(known, on_delete="restrict")

    return replace(table, columns=tuple(map(column, table.columns)))


class TestP20(Broken):
    component_class = schema(restricting)


class CommitsAnyway(Wrapped):
    def close(self) -> None:
        self.unit.end()
        self.unit.close()


class TestP21(Broken):
    component_class = units(CommitsAnyway)


class CommitsAtOnce(Wrapped):
    def change(self, prepared: Prepared, rows: Sequence[Sequence[Any]]) -> int:
        changed = int(self.unit.change(prepared, rows))
        self.unit.script(["COMMIT"])
        return changed


class TestP22(Broken):
    component_class = units(CommitsAtOnce)
    database = replace(SQLITE, ended=lambda connection: False)


class Unsaved(Wrapped):
    def savepoint(self) -> Any:
        return nullcontext()


class TestP23(Broken):
    component_class = units(Unsaved)


class Forgets(Wrapped):
    def rows(self, prepared: Prepared, values: Sequence[Any]) -> Any:
        self.unit._failed = False
        return self.unit.rows(prepared, values)

    def commit(self) -> None:
        self.unit._failed = False
        self.unit.commit()


class TestP24(Broken):
    component_class = units(Forgets)


class Tells(Wrapped):
    def change(self, prepared: Prepared, rows: Sequence[Sequence[Any]]) -> int:
        try:
            return int(self.unit.change(prepared, rows))
        except KitError as error:
            raise Conflict(f"{error.__cause__}: {rows}") from error


class TestP25(Broken):
    component_class = units(Tells)


class CreatesAnew(SQLAlchemyPersistence):
    def create(self, tables: Sequence[Table]) -> None:
        self.drop(tables)
        super().create(tables)


class TestP26(Broken):
    component_class = CreatesAnew


class DropsNothing(SQLAlchemyPersistence):
    def drop(self, tables: Sequence[Table]) -> None:
        pass


class TestP27(Broken):
    component_class = DropsNothing


class Pastes(Wrapped):
    def rows(self, prepared: Prepared, values: Sequence[Any]) -> Any:
        quoted = (f"'{value}'" if isinstance(value, str) else str(value) for value in values)
        first, *rest = prepared.code.split("?")
        pasted = "".join(
            [first, *(f"{value}{part}" for value, part in zip(quoted, rest, strict=True))]
        )
        return self.unit.rows(replace(prepared, code=pasted), ())


class TestP28(Broken):
    component_class = units(Pastes)


class ReadsSlowly(Wrapped):
    def rows(self, prepared: Prepared, values: Sequence[Any]) -> Any:
        found = self.unit.rows(prepared, values)
        time.sleep(0.005)
        return found


class TestP29(Broken):
    component_class = units(ReadsSlowly)
    database = replace(SQLITE, begin="SELECT 1", ended=lambda connection: False)


class Leaks(Wrapped):
    kept: ClassVar[list[Any]] = []

    def close(self) -> None:
        if self.unit._failed:
            self.unit._connection.rollback()
            self.kept.append(self.unit)
        else:
            self.unit.close()


class Leaking(units(Leaks)):  # type: ignore[misc]
    def drop(self, tables: Sequence[Table]) -> None:
        while Leaks.kept:
            Leaks.kept.pop().close()
        super().drop(tables)


class TestP30(Broken):
    component_class = Leaking


class FailsOtherwise(SQLAlchemyPersistence):
    def begin(self) -> Any:
        try:
            return super().begin()
        except Unavailable as error:
            raise TimeoutError from error


class TestP31(Broken):
    component_class = FailsOtherwise


class BelongsToParent(SQLAlchemyPersistence):
    def __init__(self, options: SQLAlchemyOptions) -> None:
        super().__init__(options)
        self.process = os.getpid()

    def begin(self) -> Any:
        if os.getpid() != self.process:
            raise Unavailable("these connections are another process's")
        return super().begin()


class TestP32(Broken):
    component_class = BelongsToParent


class BelongsToThread(Wrapped):
    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self.thread = threading.get_ident()

    def rows(self, prepared: Prepared, values: Sequence[Any]) -> Any:
        if threading.get_ident() != self.thread:
            raise KitError("this unit of work is another thread's")
        return self.unit.rows(prepared, values)


class TestP33(Broken):
    component_class = units(BelongsToThread)


class KeepsWhatIsCancelled(Leaks):
    ended = False

    def commit(self) -> None:
        self.unit.commit()
        self.ended = True

    def close(self) -> None:
        self.unit._failed = not self.ended
        super().close()


class LeavesCoroutines(Leaking, units(KeepsWhatIsCancelled)):  # type: ignore[misc]
    pass


class TestP34(Broken):
    component_class = LeavesCoroutines


class TestP35(Broken):
    component_class = units(Unsaved)


class TestP36(Broken):
    component_class = code("`age` >= ?", "`age` > ?")


class CountsNoNone(Wrapped):
    def rows(self, prepared: Prepared, values: Sequence[object]) -> Sequence[Any]:
        return [row for row in self.unit.rows(prepared, values) if row[0] is not None]


class TestP37(Broken):
    component_class = units(CountsNoNone)
