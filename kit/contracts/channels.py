"""The contract of the slot ``channels``: what arrives, in which order, and who hears of a loss."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from datetime import date
from decimal import Decimal
from threading import Thread
from typing import Any, ClassVar

import pytest
from markupsafe import Markup

from kit.contracts import Contract, clause
from kit.errors import InvalidValue, Unavailable
from kit.slots.channels import Broker, Channels, Lagging, PlainChannels
from kit.waiting import in_thread, wait

Elsewhere = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]
SECONDS = 10  # to wait for what has to come


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that is a coroutine function on the event loop of this process."""

    async def limited(*arguments: Any, **named: Any) -> None:
        async with asyncio.timeout(2 * SECONDS):
            await test(*arguments, **named)

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        wait(limited(*arguments, **named))

    return run


async def expect(messages: AsyncIterator[Any], *expected: Any) -> None:
    """Fail unless these are the next messages, with their types."""
    for number, one in enumerate(expected):
        try:
            async with asyncio.timeout(SECONDS):
                message = await anext(messages)
        except TimeoutError:
            raise AssertionError(f"message {number} does not come: {one!r}") from None
        assert (type(message), message) == (type(one), one), f"message {number}"


async def until_the_end(messages: AsyncIterator[Any]) -> list[Any]:
    """Return what comes before the subscription ends, and what it ends with."""
    taken: list[Any] = []
    try:
        async with asyncio.timeout(SECONDS):
            async for message in messages:
                taken.append(message)
    except TimeoutError:
        raise AssertionError(f"the subscription does not end after {taken}") from None
    except Exception as error:
        taken.append(type(error))
    return taken


class ChannelsContract(Contract):
    """What everything that carries messages promises. Subclasses give the fixture ``component``.

    What is shared needs ``another`` too, and what can be away needs ``away`` and ``cut``.
    """

    capabilities: ClassVar = {
        "sharing": "components of several processes carry messages to each other",
        "outages": "what it carries messages through can be away",
    }

    @pytest.fixture
    def component(self) -> Broker:
        """The component under test, with a backlog of 20 to 100."""
        raise NotImplementedError("give the fixture `component`: something that carries messages")

    @pytest.fixture
    def another(self) -> Broker:
        """A second component made in the same way, as another process has it."""
        raise NotImplementedError("give the fixture `another`, or say that it lacks 'sharing'")

    @pytest.fixture
    def away(self) -> Broker:
        """The component, with nothing there to carry messages."""
        raise NotImplementedError("give the fixture `away`, or say that it lacks 'outages'")

    @pytest.fixture
    def cut(self) -> Callable[[], None]:
        """A function that cuts the connection of the component over which messages come."""
        raise NotImplementedError("give the fixture `cut`, or say that it lacks 'outages'")

    @pytest.fixture
    def elsewhere(self) -> Iterator[Elsewhere]:
        """A function that runs a coroutine on another event loop, in a thread of its own."""
        loop = asyncio.new_event_loop()
        thread = Thread(target=loop.run_forever)
        thread.start()
        yield lambda c: asyncio.wrap_future(asyncio.run_coroutine_threadsafe(c, loop))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    @pytest.fixture
    def name(self) -> str:
        """The name of a channel that no other test has."""
        return f"test.{secrets.token_hex(8)}"

    # The component.

    @clause("C1")
    @on_loop
    async def test_order(self, component: Broker, name: str) -> None:
        """The messages of one publisher arrive in their order."""
        sent = [b"%d" % number for number in range(component.options.backlog)]
        async with component.subscribe(name) as messages:
            for message in sent:
                await component.publish(name, message)
            await expect(messages, *sent)

    @clause("C2")
    @on_loop
    async def test_everybody_gets_it(self, component: Broker, name: str) -> None:
        """Everybody who is subscribed gets each message once, whoever published it."""
        async with AsyncExitStack() as stack:
            everybody = [
                await stack.enter_async_context(component.subscribe(name)) for _ in range(5)
            ]
            for message in (b"one", b"one", b"end"):
                await component.publish(name, message)
            for messages in everybody:
                await expect(messages, b"one", b"one", b"end")
            await component.publish(name, b"more")
            for messages in everybody:
                await expect(messages, b"more")

    @clause("C3")
    @on_loop
    async def test_channels_are_apart(self, component: Broker, name: str) -> None:
        """Every name is a channel of its own: any text, and no character of it means anything."""
        alike = ["*", "?", "[a-z]", "a", "A", "a ", "a.b", "a/b", "a:b", "a\0", "a\r\nb", "%61"]
        names = [name + text for text in [*alike, "é", "e\u0301", "😀", "\ud800", "x" * 200]]
        names += ["*", "a b", name, f" {name}", f"{name}*"]
        async with AsyncExitStack() as stack:
            subscribed = [
                (one, await stack.enter_async_context(component.subscribe(one)))
                for one in dict.fromkeys(names)
            ]
            for one, _ in subscribed:
                await component.publish(one, one.encode("utf-8", "surrogatepass"))
            for one, _ in subscribed:
                await component.publish(one, b"end")
            for one, messages in subscribed:
                expected = [one.encode("utf-8", "surrogatepass"), b"end"]
                await expect(messages, *expected)

    @clause("C4")
    @on_loop
    async def test_it_is_in_force_at_once(self, component: Broker, name: str) -> None:
        """What is published after the context of a subscription began arrives."""

        async def often() -> None:
            for number in range(10):
                async with component.subscribe(name) as messages:
                    await component.publish(name, b"%d" % number)
                    await component.publish(name, b"end")
                    await expect(messages, b"%d" % number, b"end")

        await often()
        async with component.subscribe(f"{name} other"):
            await often()
            await asyncio.gather(*[self._begin_and_end(component, name) for _ in range(10)])

    @staticmethod
    async def _begin_and_end(component: Broker, name: str) -> None:
        async with component.subscribe(name) as messages:
            own = secrets.token_bytes(8)
            await component.publish(name, own)
            async with asyncio.timeout(SECONDS):
                while await anext(messages) != own:
                    pass

    @clause("C5")
    @on_loop
    async def test_any_bytes(self, component: Broker, name: str) -> None:
        """A message is any bytes, and arrives whole up to the size that the options allow."""
        large = secrets.token_bytes(component.options.message)
        sent = [b"", b"\0", bytes(range(256)), b"\r\n$1\r\n", large, b"end"]
        async with component.subscribe(name) as messages:
            for message in sent:
                await component.publish(name, message)
            await expect(messages, *sent)

    @clause("C6")
    @on_loop
    async def test_who_lags_is_told(self, component: Broker, name: str) -> None:
        """Who falls behind by more than the backlog gets that much, then Lagging; others go on."""
        sent = [b"%d" % number for number in range(component.options.backlog + 10)]
        async with component.subscribe(name) as slow, component.subscribe(name) as quick:
            for message in sent:
                await component.publish(name, message)
                await expect(quick, message)
            *taken, ended = await until_the_end(slow)
            assert ended is Lagging
            assert taken == sent[: len(taken)]
            assert len(taken) <= component.options.backlog
            await component.publish(name, b"end")
            await expect(quick, b"end")
            with pytest.raises(Lagging):
                await anext(slow)

    @clause("C7")
    @on_loop
    async def test_leaving_leaves_nothing(self, component: Broker, name: str) -> None:
        """Who has left gets nothing more, and no task is left, however the subscription ended."""
        before = asyncio.all_tasks()

        async def listen() -> None:
            async with component.subscribe(name) as messages:
                begun.set()
                await anext(messages)

        for _ in range(3):
            begun = asyncio.Event()
            listening = asyncio.create_task(listen())
            await begun.wait()
            listening.cancel()
            await asyncio.wait([listening])
            with pytest.raises(ZeroDivisionError):
                async with component.subscribe(name), component.subscribe(f"{name} other"):
                    raise ZeroDivisionError
        assert asyncio.all_tasks() <= before
        await component.publish(name, b"for nobody")
        async with component.subscribe(name) as messages:
            await component.publish(name, b"end")
            await expect(messages, b"end")

    @clause("C8")
    @on_loop
    async def test_event_loops_share_it(
        self, elsewhere: Elsewhere, component: Broker, name: str
    ) -> None:
        """Event loops in several threads share a component."""
        sent = [b"%d" % number for number in range(20)]

        async def publish() -> None:
            for message in sent:
                await component.publish(name, message)

        async def subscribe() -> None:
            async with component.subscribe(name) as messages:
                await component.publish(f"{name} begun", b"begun")
                await expect(messages, *sent)

        async with component.subscribe(name) as messages:
            await elsewhere(publish())
            await expect(messages, *sent)
        async with component.subscribe(f"{name} begun") as begun:
            ending = asyncio.ensure_future(elsewhere(subscribe()))
            await expect(begun, b"begun")
            await publish()
            await ending

    @clause("C9", needs="sharing")
    @on_loop
    async def test_processes_share_channels(
        self, component: Broker, another: Broker, name: str
    ) -> None:
        """Components that are made alike, as in several processes, share their channels."""
        async with component.subscribe(name) as here, another.subscribe(name) as there:
            await component.publish(name, b"1")
            await another.publish(name, b"2")
            await expect(here, b"1", b"2")
            await expect(there, b"1", b"2")

    @clause("C10", needs="outages")
    @on_loop
    async def test_nothing_is_lost_in_silence(self, away: Broker, name: str) -> None:
        """While nothing carries messages, to publish and to subscribe raise Unavailable, soon."""
        start = time.monotonic()
        with pytest.raises(Unavailable):
            await away.publish(name, b"lost")
        with pytest.raises(Unavailable):
            async with away.subscribe(name):
                raise AssertionError("it begins")
        assert time.monotonic() - start < 15

    @clause("C11", needs="outages")
    @on_loop
    async def test_a_lost_connection_ends_it(
        self, component: Broker, cut: Callable[[], None], name: str
    ) -> None:
        """A lost connection ends all subscriptions with Unavailable, and new ones work."""
        async with component.subscribe(name) as one, component.subscribe(f"{name}2") as other:
            await component.publish(name, b"before")
            await component.publish(f"{name}2", b"before")
            await expect(one, b"before")
            await expect(other, b"before")
            cut()
            assert await until_the_end(one) == [Unavailable]
            assert await until_the_end(other) == [Unavailable]
        async with component.subscribe(name) as again:
            await component.publish(name, b"after")
            await expect(again, b"after")

    @clause("C12")
    @on_loop
    async def test_closing_ends_it(self, component: Broker, name: str) -> None:
        """Closing the component ends all subscriptions with Unavailable, after what has come."""
        async with component.subscribe(name) as messages, component.subscribe(name) as other:
            await component.publish(name, b"before")
            await expect(other, b"before")
            await component.close()
            assert await until_the_end(messages) == [b"before", Unavailable]

    # What a handler sees.

    @clause("C13")
    @on_loop
    async def test_types_are_kept(self, component: Broker, name: str) -> None:
        """Text arrives as text, bytes as bytes, and data with the types that a session keeps."""
        data = [{"a": [1, None, 2.5]}, [], 0, None, True, {"$bytes": "eA=="}, {"b": (b"x", {1})}]
        sent = ["", "ä€😀\0", "{}", b"", b"\xff", Markup("<b>"), date.min, Decimal("1.10"), *data]
        channels = Channels(component)
        async with channels.subscribe(name) as messages:
            for message in sent:
                await channels.publish(name, message)
            await expect(messages, *sent)
            for unfit in (object(), {1: 2}, float("nan"), [bytearray()]):
                with pytest.raises(TypeError, match="a message holds"):
                    await channels.publish(name, unfit)
            await channels.publish(name, "end")
            await expect(messages, "end")

    @clause("C14")
    @on_loop
    async def test_sizes_are_limited(self, component: Broker, name: str) -> None:
        """Messages and names that are too long are refused, and those that are just not, go."""
        channels, size = Channels(component), component.options.message
        async with channels.subscribe(name) as messages:
            for unit in ("x", b"x"):
                with pytest.raises(InvalidValue, match="message"):
                    await channels.publish(name, unit * (size + 1))
                await channels.publish(name, unit * size)
            await expect(messages, "x" * size, b"x" * size)
        for odd in ("", "x" * 256):
            with pytest.raises(InvalidValue, match="255"):
                await channels.publish(odd, "x")
            with pytest.raises(InvalidValue, match="255"):
                async with channels.subscribe(odd):
                    pass
        async with channels.subscribe("é" * 255) as messages:
            await channels.publish("é" * 255, "end")
            await expect(messages, "end")

    @clause("C15")
    @on_loop
    async def test_plain_code_publishes(self, component: Broker, name: str) -> None:
        """Plain code publishes in any thread, and goes on when the message is sent."""
        plain = PlainChannels(component)
        async with plain.awaitable.subscribe(name) as messages:
            for number in range(5):
                await in_thread(plain.publish, name, number)
                await asyncio.to_thread(plain.publish, name, [number])
            await expect(messages, *[one for number in range(5) for one in (number, [number])])
