"""What every component of the slot cache promises, of whichever is in use."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from cache import MemoryCache, MemoryOptions

from kit.options import Duration, Size


@pytest.fixture
def cache(asgilook):
    return asgilook.provided("cache")


@pytest.fixture
def called(asgilook):
    """A function that awaits a method of the cache, on the loop that the application is on."""
    return asgilook.call


def test_what_is_kept_is_had_again(cache, called):
    key = secrets.token_hex(8)

    async def use():
        found = [await cache.get(key)]
        for value in (b"\x00\xff\n", b"other"):
            await cache.set(key, value)
            found.append(await cache.get(key))
        return [*found, await cache.get(f"{key} ")]

    assert called(use) == [None, b"\x00\xff\n", b"other", None]


def test_memory_forgets_what_is_too_old():
    cache = MemoryCache(MemoryOptions(lifetime=Duration(0)))

    async def use():
        await cache.set("a", b"1")
        return await cache.get("a")

    assert asyncio.run(use()) is None


def test_memory_is_bounded_and_forgets_what_was_not_used_for_longest():
    cache = MemoryCache(MemoryOptions(size=Size(100)))

    async def use():
        for key in "ab":
            await cache.set(key, b"x" * 40)
        await cache.get("a")
        await cache.set("c", b"x" * 40)
        kept = [key for key in "abc" if await cache.get(key)]
        await cache.set("d", b"x" * 100)
        return kept, [key for key in "abcd" if await cache.get(key)]

    assert asyncio.run(use()) == (["a", "c"], [])
