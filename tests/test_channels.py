"""Channels as an application has them, and the inboxes that components share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kit_stdlib.channels import MemoryChannels

from kit import App, ConfigError
from kit.slots.channels import Channels, ChannelsOptions, Lagging
from kit.testing import client
from kit.waiting import wait


@pytest.fixture
def app() -> Iterator[App]:
    app = App({"channels": {"use": "memory", "backlog": 5}})

    @app.post("/<room>/plain")
    def plain(room, channels):
        channels.publish(room, {"said": "plain"})

    @app.post("/<room>/awaited")
    async def awaited(room, channels):
        await channels.publish(room, "awaited")

    @app.get("/subscribe")
    def subscribe(channels):
        with pytest.raises(RuntimeError, match="async def"):
            channels.subscribe("room")

    @app.websocket("/<room>")
    async def talk(room, socket, channels):
        async with channels.subscribe(room) as messages, socket.relaying(messages):
            async for message in socket:
                await channels.publish(room, message)

    yield app
    app.stop()


def rooms(app: App) -> Any:
    return app.provided("channels")._broker._rooms


@pytest.mark.parametrize("gateway", ["wsgi", "asgi"])
def test_sockets_and_requests_share_a_room(app: App, gateway: str) -> None:
    visitor = client(app, gateway=gateway)
    lobby = visitor.websocket("/lobby"), visitor.websocket("/lobby")
    with lobby[0] as one, lobby[1] as other, visitor.websocket("/kitchen") as third:
        one.send("hello")
        assert [one.receive(), other.receive()] == ["hello", "hello"]
        other.send(b"\xff")
        assert visitor.post("/lobby/plain").status_code == 204
        assert visitor.post("/lobby/awaited").status_code == 204
        for socket in (one, other):
            got = {socket.receive() for _ in range(3)}
            assert got == {b"\xff", '{"said":"plain"}', "awaited"}
        third.send("mine")
        assert third.receive() == "mine"
    assert not rooms(app)
    assert visitor.get("/subscribe").status_code == 204


def test_an_empty_slot_says_how_to_fill_it() -> None:
    app = App({})

    @app.get("/")
    def index(channels):
        return ""

    with pytest.raises(ConfigError, match=r'\[channels\] use = "memory" \(or another of: redis\)'):
        app.check()


@pytest.mark.parametrize("options", [{"message": 0}, {"backlog": 0}, {"backlog": -1}])
def test_options_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ChannelsOptions(**options)


def test_who_publishes_without_end_gives_readers_their_turn() -> None:
    channels = Channels(MemoryChannels(ChannelsOptions(backlog=5)))

    async def read(messages: Any, taken: list[int]) -> None:
        async for message in messages:
            taken.append(message)

    async def talk() -> list[int]:
        taken: list[int] = []
        async with channels.subscribe("room") as messages:
            reading = asyncio.create_task(read(messages, taken))
            for number in range(500):
                await channels.publish("room", number)
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        return taken

    assert asyncio.run(talk()) == list(range(500))


def test_a_loop_that_is_gone_does_not_disturb_the_others() -> None:
    broker = MemoryChannels(ChannelsOptions(backlog=5))
    context = broker.subscribe("room")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(context.__aenter__())
    loop.close()

    async def talk() -> bytes:
        async with broker.subscribe("room") as messages:
            await broker.publish("room", b"x")
            return await anext(messages)

    assert asyncio.run(talk()) == b"x"
    asyncio.run(context.__aexit__(None, None, None))
    assert not broker._rooms


def test_threads_fill_an_inbox_without_loss() -> None:
    broker = MemoryChannels(ChannelsOptions(backlog=10_000))

    def publish(number: int) -> None:
        async def all_of_them() -> None:
            for one in range(500):
                await broker.publish("room", b"%d %d" % (number, one))

        asyncio.run(all_of_them())

    async def talk() -> list[bytes]:
        async with broker.subscribe("room") as messages:
            threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            taken = [await anext(messages) for _ in range(2000)]
            for thread in threads:
                thread.join()
        return taken

    taken = wait(asyncio.wait_for(talk(), 20))
    for number in range(4):
        own = [one for one in taken if one.startswith(b"%d " % number)]
        assert own == [b"%d %d" % (number, one) for one in range(500)]


def test_the_error_says_how_far_behind() -> None:
    channels = Channels(MemoryChannels(ChannelsOptions(backlog=3)))

    async def talk() -> list[Any]:
        async with channels.subscribe("room") as messages:
            for number in range(5):
                await channels.publish("room", number)
            taken = [await anext(messages) for _ in range(3)]
            with pytest.raises(Lagging, match="more than 3 messages behind"):
                await anext(messages)
        return taken

    assert asyncio.run(talk()) == [0, 1, 2]
