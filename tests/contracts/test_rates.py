"""The components of the slot ``rates`` under its contract, and what is written down as a rate."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator

import pytest
from kit_limits.rates import MemoryRates, RedisOptions, RedisRates

from kit.contracts.rates import RatesContract
from kit.options import Secret
from kit.slots.rates import Rate, address_prefix, rate


class TestMemory(RatesContract):
    @pytest.fixture
    def component(self) -> Iterator[MemoryRates]:
        component = MemoryRates()
        yield component
        component.close()


class TestRedis(RatesContract):
    @pytest.fixture
    def options(self, redis_url: str) -> RedisOptions:
        return RedisOptions(url=Secret(redis_url), namespace=f"t{secrets.token_hex(8)}")

    @pytest.fixture
    def component(self, options: RedisOptions) -> Iterator[RedisRates]:
        component = RedisRates(options)
        yield component
        component._storage.reset()
        component.close()

    @pytest.fixture
    def another(self, options: RedisOptions) -> Iterator[RedisRates]:
        component = RedisRates(options)
        yield component
        component.close()

    @pytest.fixture
    def away(self) -> Iterator[RedisRates]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # and nobody listens
            port = free.getsockname()[1]
            component = RedisRates(RedisOptions(url=Secret(f"redis://127.0.0.1:{port}/0")))
            yield component
            component.close()


@pytest.mark.parametrize(
    ("text", "count", "seconds", "shown"),
    [
        ("10 / minute", 10, 60, "10 / 1 minute"),
        ("10/15 minutes", 10, 900, "10 / 15 minutes"),
        (" 1 / 1 second ", 1, 1, "1 / 1 second"),
        ("5 / 2 hours", 5, 7200, "5 / 2 hours"),
        ("100 / day", 100, 86400, "100 / 1 day"),
        ("7 / 60 minutes", 7, 3600, "7 / 1 hour"),
    ],
)
def test_a_rate_is_read_and_shown(text, count, seconds, shown):
    found = Rate.parse(text)
    assert found == Rate(count, seconds)
    assert str(found) == shown
    assert Rate.parse(shown) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "10 / ", "/ minute", "ten / minute", "10 per minute", "10 / fortnight"),
        *("0 / minute", "10 / 0 minutes", "-1 / minute", "1.5 / minute", "10 / 1.5 minutes"),
        *("10 / minute / 2", "١ / minute"),
    ],
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="no rate"):
        Rate.parse(text)
    with pytest.raises(ValueError, match="no rate"):
        rate(text)


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_address_prefix(address, prefix):
    assert address_prefix(address) == prefix
