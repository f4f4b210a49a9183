"""The first-party components keep the contract of persistence on all three databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit_peewee.async_persistence import AsyncPeeweePersistence
from kit_peewee.persistence import PeeweeOptions, PeeweePersistence
from kit_sqlalchemy.async_persistence import AsyncSQLAlchemyPersistence
from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence

from kit.contracts.persistence import PersistenceContract
from kit.options import DatabaseURL, Duration
from kit.slots.persistence import Persistence

SHORT = {"pool_size": 3, "pool_wait": Duration(0.5), "lock_timeout": Duration(0.5)}


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mariadb"], indirect=True)
class TestSQLAlchemy(PersistenceContract):
    @pytest.fixture
    def component(self, database_url: str) -> Iterator[Persistence]:
        options = SQLAlchemyOptions(url=DatabaseURL(database_url), **SHORT)
        component = SQLAlchemyPersistence(options)
        yield component
        component.close()


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mariadb"], indirect=True)
class TestPeewee(PersistenceContract):
    @pytest.fixture
    def component(self, database_url: str) -> Iterator[Persistence]:
        component = PeeweePersistence(PeeweeOptions(url=DatabaseURL(database_url), **SHORT))
        yield component
        component.close()


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mariadb"], indirect=True)
class TestSQLAlchemyAsync(PersistenceContract):
    @pytest.fixture
    def component(self, database_url: str) -> Iterator[Persistence]:
        options = SQLAlchemyOptions(url=DatabaseURL(database_url), **SHORT)
        component = AsyncSQLAlchemyPersistence(options)
        yield component
        component.close()


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mariadb"], indirect=True)
class TestPeeweeAsync(PersistenceContract):
    @pytest.fixture
    def component(self, database_url: str) -> Iterator[Persistence]:
        component = AsyncPeeweePersistence(PeeweeOptions(url=DatabaseURL(database_url), **SHORT))
        yield component
        component.close()
