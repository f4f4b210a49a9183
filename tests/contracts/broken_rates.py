"""For every clause of the contract a component, or a guard, that is broken in just that respect.

In class ``TestL7`` the test of clause L7 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kit.contracts import rates as contract
from kit.contracts.rates import RatesContract
from kit.errors import Unavailable
from kit.slots import rates
from kit.slots.rates import Rate


class Store:
    """What several components count in."""

    def __init__(self) -> None:
        self.lock: Any = threading.Lock()
        self.counted: dict[Any, list[float]] = {}


class Counter:
    """A component that keeps the contract, for the others to break."""

    def __init__(self, store: Store | None) -> None:
        self.store = store

    def index(self, key: str, rate: Rate) -> Any:
        return key, rate

    def window(self, counted: list[float], rate: Rate, now: float) -> list[float]:
        return [one for one in counted if one > now - rate.seconds]

    def hit(self, key: str, rate: Rate) -> float:
        if self.store is None:
            raise Unavailable("there is nothing to count in")
        with self.store.lock:
            now = time.time()
            index = self.index(key, rate)
            counted = self.window(self.store.counted.get(index, []), rate, now)
            if len(counted) >= rate.count:
                return self.wait(counted, rate, now)
            self.store.counted[index] = [*counted, now]
            return 0

    def wait(self, counted: list[float], rate: Rate, now: float) -> float:
        return max(counted[-rate.count] + rate.seconds - now, 0.001)


class Broken(RatesContract):
    Counter: Callable[[Store | None], Any] = Counter

    @pytest.fixture
    def store(self) -> Store:
        return Store()

    @pytest.fixture
    def component(self, store: Store) -> Any:
        return type(self).Counter(store)

    @pytest.fixture
    def another(self, store: Store) -> Any:
        return type(self).Counter(store)

    @pytest.fixture
    def away(self) -> Any:
        return type(self).Counter(None)


def broken(name: str, make: Callable[[Any], Any]) -> Any:
    """Return a fixture that replaces an attribute of the kernel's module by ``make(it)``."""

    @pytest.fixture(autouse=True)
    def replace(self: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rates, name, make(getattr(rates, name)))

    return replace


class Unlocked:
    """A lock that leaves time between looking and counting, and keeps nobody out."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class TestL1(Broken):
    class Counter(Counter):
        def hit(self, key: str, rate: Rate) -> float:
            return super().hit(key, Rate(rate.count + 1, rate.seconds))


class TestL2(Broken):
    """A fixed window."""

    class Counter(Counter):
        def window(self, counted: list[float], rate: Rate, now: float) -> list[float]:
            return counted if counted and counted[0] > now - rate.seconds else []


class TestL3(Broken):
    class Counter(Counter):
        def wait(self, counted: list[float], rate: Rate, now: float) -> float:
            return super().wait(counted, rate, now) / 2


class TestL4(Broken):
    class Counter(Counter):
        def wait(self, counted: list[float], rate: Rate, now: float) -> float:
            counted.append(now)
            for known in self.store.counted.values():
                known.append(now)
            return super().wait(counted, rate, now)


class TestL5(Broken):
    class Counter(Counter):
        def index(self, key: str, rate: Rate) -> Any:
            return key.strip(), rate


class TestL6(Broken):
    class Counter(Counter):
        def index(self, key: str, rate: Rate) -> Any:
            return key


class TestL7(Broken):
    class Counter(Counter):
        def index(self, key: str, rate: Rate) -> Any:
            return key.encode(), rate


class TestL8(Broken):
    class Counter(Counter):
        def __init__(self, store: Store | None) -> None:
            super().__init__(store)
            if store is not None:
                store.lock = Unlocked()

        def window(self, counted: list[float], rate: Rate, now: float) -> list[float]:
            time.sleep(0.001)
            return super().window(counted, rate, now)


class TestL9(Broken):
    class Counter(Counter):
        def __init__(self, store: Store | None) -> None:
            super().__init__(store and Store())


class TestL10(Broken):
    class Counter(Counter):
        def hit(self, key: str, rate: Rate) -> float:
            return super().hit(key, rate) if self.store else 0


class TestL11(Broken):
    kernel = broken("TooMany", lambda error: lambda wait: error(1))


class TestL12(Broken):
    kernel = broken("address_prefix", lambda prefix: lambda address: address)


class TestL13(Broken):
    kernel = broken("_itself", lambda itself: lambda value: "everybody")


class TestL14(Broken):
    """A guard for which its name means nothing."""

    @pytest.fixture(autouse=True)
    def nameless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "rate", lambda limit, name: rates.rate(limit))
