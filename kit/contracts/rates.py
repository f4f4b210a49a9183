"""The contract of the slot ``rates``: how a component counts, and whom the guard lets through."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, ClassVar

import pytest

from kit.contracts import Contract, clause
from kit.errors import TooMany, Unavailable
from kit.providers import required
from kit.slots.rates import Rate, Rates, rate

THREE = Rate(3, 3600)
THREADS = 8


def let_through(guard: Callable[..., None], rates: Rates, **values: Any) -> bool:
    """Call a guard as the kernel does, by the names of its parameters; say whether it passed."""
    given = {"rates": rates, "environ": {"REMOTE_ADDR": "192.0.2.1"}, **values}
    try:
        guard(*[given[name] for name in required(guard)])
    except TooMany:
        return False
    return True


def passes(guard: Callable[..., None], rates: Rates, **values: Any) -> int:
    """Say how many calls of a guard pass until the first that does not, of ten."""
    outcomes = [let_through(guard, rates, **values) for _ in range(10)]
    return [*outcomes, False].index(False)


def all_at_once(components: list[Rates], key: str, allowed: Rate) -> int:
    """Hit from many threads at the same moment, five times each; return how often it counted."""
    barrier = Barrier(THREADS)

    def work(number: int) -> int:
        component = components[number % len(components)]
        barrier.wait(20)
        return sum(component.hit(key, allowed) == 0 for _ in range(5))

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(work, range(THREADS)))


class RatesContract(Contract):
    """What everything that counts promises. Subclasses give the fixture ``component``.

    What is shared needs ``another`` too, and what can be away needs ``away``.
    """

    capabilities: ClassVar = {
        "sharing": "components of several processes count together",
        "outages": "what it counts in can be away",
    }

    @pytest.fixture
    def component(self) -> Rates:
        """The component under test; it may hold counts of other tests."""
        raise NotImplementedError("give the fixture `component`: something that counts")

    @pytest.fixture
    def another(self) -> Rates:
        """A second component made in the same way, as another process has it."""
        raise NotImplementedError("give the fixture `another`, or say that it lacks 'sharing'")

    @pytest.fixture
    def away(self) -> Rates:
        """The component, with nothing there to count in."""
        raise NotImplementedError("give the fixture `away`, or say that it lacks 'outages'")

    @pytest.fixture
    def key(self) -> str:
        """A key that no other test has."""
        return secrets.token_hex(8)

    # The component.

    @clause("L1")
    def test_so_many_and_no_more(self, component: Rates, key: str) -> None:
        """So many events as the rate has are counted, and then it says how long to wait."""
        waits = [component.hit(key, THREE) for _ in range(5)]
        assert waits[:3] == [0, 0, 0]
        assert all(0 < wait <= THREE.seconds for wait in waits[3:])

    @clause("L2")
    def test_the_time_begins_anywhere(self, component: Rates, key: str) -> None:
        """There is no time of that length in which more are counted, wherever it begins."""
        allowed, counted = Rate(4, 1), []
        start = time.monotonic()
        pause = 0.7  # one event at first, and the others when its time is nearly over
        while (before := time.monotonic()) < start + 2.5:
            if not component.hit(key, allowed):
                counted.append((before, time.monotonic()))
                time.sleep(pause)
                pause = 0
            else:
                time.sleep(0.005)
        assert len(counted) > allowed.count, "it goes on"
        for (first, _), (_, last) in zip(counted, counted[allowed.count :], strict=False):
            assert last - first >= allowed.seconds, f"{allowed.count + 1} in {last - first} seconds"

    @clause("L3")
    def test_to_wait_is_enough(self, component: Rates, key: str) -> None:
        """After the time that it said an event is counted again, and not before."""
        allowed = Rate(2, 1)
        start = time.time()
        assert [component.hit(key, allowed) for _ in range(2)] == [0, 0]
        wait = component.hit(key, allowed)
        assert wait <= allowed.seconds
        assert time.time() + wait >= start + allowed.seconds - 0.01
        time.sleep(wait / 2)
        early = component.hit(key, allowed)
        assert early or time.time() >= start + allowed.seconds
        time.sleep(early + 0.02)
        assert component.hit(key, allowed) == 0

    @clause("L4")
    def test_what_is_refused_does_not_count(self, component: Rates, key: str) -> None:
        """Who goes on asking while refused does not wait longer for that."""
        allowed, start = Rate(1, 1), time.time()
        assert component.hit(key, allowed) == 0
        while component.hit(key, allowed):
            assert time.time() < start + 1.5
            time.sleep(0.01)

    @clause("L5")
    def test_keys_are_counted_apart(self, component: Rates, key: str) -> None:
        """Every key has its own count, however alike they look."""
        for other in (key, f"{key}/3", f"{key} ", f" {key}", key.upper(), f"{key}:1", f"{key}\0"):
            assert [component.hit(other, THREE) for _ in range(3)] == [0, 0, 0], other
            assert component.hit(other, THREE)

    @clause("L6")
    def test_rates_are_counted_apart(self, component: Rates, key: str) -> None:
        """A key has a count for each rate."""
        for allowed in (THREE, Rate(3, 3601), Rate(2, 3600), Rate(33, 600)):
            assert [component.hit(key, allowed) for _ in range(allowed.count)] == (
                [0] * allowed.count
            )
            assert component.hit(key, allowed)

    @clause("L7")
    def test_any_text_is_a_key(self, component: Rates, key: str) -> None:
        """A key may be empty, long, of several lines, or of characters that are none."""
        once = Rate(1, 3600 + secrets.randbelow(10**6))  # the empty key is that of other tests
        for text in ("", "x" * 100_000, "a b\r\nDEL c", "ada@example.org", "😀é", "\ud800", "\0"):
            assert component.hit(text, once) == 0, ascii(text[:9])
            assert component.hit(text, once) > 0

    @clause("L8")
    def test_threads_are_counted_exactly(self, component: Rates, key: str) -> None:
        """Of threads that ask at the same moment so many get through as the rate has."""
        for allowed in (Rate(1, 3600), Rate(7, 3600), Rate(39, 3600)):
            assert all_at_once([component], key, allowed) == allowed.count

    @clause("L9", needs="sharing")
    def test_processes_are_counted_exactly(
        self, component: Rates, another: Rates, key: str
    ) -> None:
        """Components that are made alike, as in several processes, count together, exactly."""
        for allowed in (Rate(1, 3600), Rate(7, 3600), Rate(39, 3600)):
            assert all_at_once([component, another], key, allowed) == allowed.count
        assert another.hit(key, Rate(7, 3600)) > 0

    @clause("L10", needs="outages")
    def test_nothing_passes_uncounted(self, away: Rates, key: str) -> None:
        """While it cannot count it raises Unavailable, soon, and so does the guard."""
        start = time.monotonic()
        with pytest.raises(Unavailable):
            away.hit(key, THREE)
        with pytest.raises(Unavailable):
            let_through(rate("3 / hour", name=key), away)
        assert time.monotonic() - start < 15

    # The guard.

    @clause("L11")
    def test_the_guard_refuses(self, component: Rates, key: str) -> None:
        """The guard lets so many requests through, and refuses others with the time to wait."""
        guard = rate("3 / 2 hours", name=key)
        assert passes(guard, component) == 3
        with pytest.raises(TooMany) as refused:
            guard(component, {"REMOTE_ADDR": "192.0.2.1"})
        assert 7000 < refused.value.retry_after <= 7200

    @clause("L12")
    def test_addresses_are_counted(self, component: Rates, key: str) -> None:
        """Every IPv4 address has its own count, and every network of IPv6 (/64)."""
        guard = rate("3 / hour", name=key)

        def passed(*addresses: str) -> int:
            outcomes = [
                let_through(guard, component, environ={"REMOTE_ADDR": one}) for one in addresses
            ]
            return sum(outcomes)

        assert passed(*["192.0.2.1"] * 5) == 3
        assert passed(*["192.0.2.2"] * 5) == 3
        assert passed("::ffff:192.0.2.1", "::ffff:c000:202") == 0, "these are IPv4 addresses"
        assert passed(*[f"2001:db8:0:1::{n:x}" for n in range(5)]) == 3
        assert passed("2001:DB8:0:1:ffff::1", "2001:db8:0:1::%eth0") == 0
        assert passed(*[f"2001:db8:0:2:{n:x}::" for n in range(5)]) == 3
        assert passed(*[""] * 5) == 3, "a socket file has no address, and counts as one"

    @clause("L13")
    def test_by_says_who_is_counted(self, component: Rates, key: str) -> None:
        """The guard counts by a provider, or by what a function makes of providers."""
        by_name = rate("3 / hour", by="account", name=f"{key} 1")
        by_function = rate("3 / hour", by=lambda account, rates: account[:1], name=f"{key} 2")
        for guard, accounts in ((by_name, ("ada", "alan")), (by_function, ("ada", "bob"))):
            for account in accounts:
                assert passes(guard, component, account=account) == 3
        assert passes(by_function, component, account="alan") == 0
        with pytest.raises(TypeError, match=r"user\.id"):
            let_through(by_name, component, account=object())

    @clause("L14")
    def test_a_name_makes_a_count(self, component: Rates, key: str) -> None:
        """Guards of one limit and name count together, others apart."""
        first, same = rate("3 / hour", name=key), rate("3 / 60 minutes", name=key)
        assert passes(first, component) == 3
        assert passes(same, component) == 0
        assert passes(rate("3 / hour", name=f"{key} too"), component) == 3
        assert passes(rate("2 / hour", name=key), component) == 2
