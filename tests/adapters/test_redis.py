"""What is particular to Redis that is awaited: connections, what stands there, and outages."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from kit_redis import channels, clients
from kit_redis.channels import RedisChannels, RedisChannelsOptions
from kit_redis.sessions import RedisSessions, RedisSessionsOptions

from kit import App
from kit.errors import ConfigError, Unavailable
from kit.options import Duration, Secret
from kit.slots.channels import Lagging
from kit.testing import client as browser
from kit.waiting import wait

RECORD = b'{"created":1,"accessed":1,"data":{}}'
NOWHERE = Secret("redis://127.0.0.1:1/0")


@pytest.fixture
def namespace() -> str:
    return f"t{secrets.token_hex(8)}"


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        if keys := client.keys(f"{namespace}*"):
            client.delete(*keys)


@pytest.fixture
def store(redis_url: str, namespace: str) -> Iterator[RedisSessions]:
    store = RedisSessions(RedisSessionsOptions(url=Secret(redis_url), namespace=namespace))
    yield store
    wait(store.close())


def carrier(url: str, namespace: str = "channels", **options: Any) -> RedisChannels:
    return RedisChannels(RedisChannelsOptions(url=Secret(url), namespace=namespace, **options))


@pytest.fixture
def component(redis_url: str, namespace: str) -> Iterator[RedisChannels]:
    component = carrier(redis_url, namespace)
    yield component
    wait(component.close())


def listening(client: redis.Redis, namespace: str) -> list[dict[str, str]]:
    """The connections of a component over which messages come."""
    return [one for one in client.client_list(_type="pubsub") if one["name"] == namespace]


class Server:
    """A Redis server of the test's own, which it may stop, hold and start."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.command = [program, "--port", str(self.port), "--dir", str(folder), "--save", ""]

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("the server does not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    program = shutil.which("redis-server")
    if not program:
        if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    server = Server(program, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


# Sessions


def test_a_key_is_hashed_holds_json_and_expires(
    store: RedisSessions, client: redis.Redis, namespace: str
) -> None:
    key = secrets.token_urlsafe(32)
    assert wait(store.save(key, RECORD, None, 60)) == key
    name = f"{namespace}:{hashlib.sha256(key.encode()).hexdigest()}"
    assert client.keys(f"{namespace}*") == [name.encode()]
    assert client.get(name) == RECORD
    assert 59_000 < client.pttl(name) <= 60_000
    wait(store.delete(key))
    assert client.keys(f"{namespace}*") == []


def test_many_at_once_wait_for_a_connection(
    store: RedisSessions,
    client: redis.Redis,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "CONNECTIONS", 3)

    async def all_at_once() -> list[bytes | None]:
        await store.save("a", RECORD, None, 60)
        return await asyncio.gather(*[store.load("a") for _ in range(50)])

    assert wait(all_at_once()) == [RECORD] * 50
    own = [one for one in client.client_list() if one["name"] == namespace]
    assert 1 <= len(own) <= 3


def test_every_event_loop_has_its_own_connections(
    redis_url: str, namespace: str, client: redis.Redis
) -> None:
    store = RedisSessions(RedisSessionsOptions(url=Secret(redis_url), namespace=namespace))

    async def use() -> None:
        await store.save("a", RECORD, None, 60)
        assert await store.load("a") == RECORD
        await store.delete("a")
        await store.close()

    asyncio.run(use())
    asyncio.run(use())
    wait(use())
    assert not [one for one in client.client_list() if one["name"] == namespace]


@pytest.mark.parametrize("place", ["away", "silent"])
def test_a_server_that_does_not_answer_is_unavailable_soon(
    place: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "TIMEOUT", 0.1)
    url = NOWHERE if place == "away" else Secret(silent)
    store = RedisSessions(RedisSessionsOptions(url=url))
    component = carrier(url)

    async def use() -> None:
        for call in (
            store.load("a"),
            store.save("a", RECORD, None, 60),
            store.delete("a"),
            component.publish("a", b"lost"),
            component.subscribe("a").__aenter__(),
        ):
            with pytest.raises(Unavailable, match="redis"):
                await call
        await store.close()
        await component.close()

    start = time.monotonic()
    wait(use())
    assert time.monotonic() - start < 5


# The application: coroutine functions and plain ones share one session.


@pytest.mark.parametrize("gateway", ["asgi", "wsgi"])
@pytest.mark.parametrize("use", ["redis", "beaker"])
def test_coroutines_and_plain_functions_have_the_same_session(
    use: str, gateway: str, redis_url: str, namespace: str, client: redis.Redis
) -> None:
    own = {"redis": {"url": redis_url, "namespace": namespace}} if use == "redis" else {}
    app = App({"app": {"secret_key": "k" * 32}, "sessions": {"use": use, **own}})

    @app.provider
    def visits(session):
        return session.change("visits", lambda number: number + 1, 0)

    @app.get("/plain")
    def plain(visits, session):
        return str(session["visits"])

    @app.get("/awaited")
    async def awaited(visits, session):
        session.flash("seen")
        return str(session["visits"])

    @app.get("/flashes")
    async def flashes(session):
        return str(len(session.flashes()))

    @app.get("/untouched")
    async def untouched(session):
        return str(session.touched)

    @app.get("/login")
    async def login(visits, session):
        session.rotate()
        return str(visits)

    @app.get("/logout")
    async def logout(session):
        session.destroy()

    try:
        visitor = browser(app, gateway=gateway)
        paths = ("/plain", "/awaited", "/awaited", "/plain", "/flashes", "/login", "/plain")
        assert [visitor.get(path).text for path in paths] == ["1", "2", "3", "4", "2", "5", "6"]
        answer = visitor.get("/untouched")
        assert answer.text == "False"
        assert "Vary" not in answer.headers
        before = visitor.get_cookie("session")
        assert visitor.get("/logout").status_code == 204
        assert visitor.get_cookie("session") is None
        assert visitor.get("/awaited").text == "1"
        assert visitor.get_cookie("session") != before
    finally:
        app.stop()


# Channels


def test_subscriptions_share_a_connection_and_leave_none_behind(
    component: RedisChannels, client: redis.Redis, namespace: str
) -> None:
    async def talk() -> None:
        async with AsyncExitStack() as stack:
            for number in range(20):
                await stack.enter_async_context(component.subscribe(f"{number % 10}"))
            assert len(listening(client, namespace)) == 1
            assert len(client.pubsub_channels(f"{namespace}:*")) == 10
            async with component.subscribe("more"):
                assert len(client.pubsub_channels(f"{namespace}:*")) == 11
            while len(client.pubsub_channels(f"{namespace}:*")) > 10:
                await asyncio.sleep(0.001)
            assert len(listening(client, namespace)) == 1
        while listening(client, namespace):
            await asyncio.sleep(0.001)

    wait(asyncio.wait_for(talk(), 20))


def test_a_subscriber_who_is_cancelled_leaves_the_others_alone(component: RedisChannels) -> None:
    async def begin(started: asyncio.Event) -> None:
        started.set()
        async with component.subscribe("other") as messages:
            await anext(messages)

    async def talk() -> None:
        async with component.subscribe("room") as messages:
            for turns in range(12):
                started = asyncio.Event()
                task = asyncio.create_task(begin(started))
                await started.wait()
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                await component.publish("room", b"%d" % turns)
                assert await anext(messages) == b"%d" % turns

    wait(asyncio.wait_for(talk(), 20))


def test_namespaces_are_apart(
    component: RedisChannels, redis_url: str, namespace: str, client: redis.Redis
) -> None:
    other = carrier(redis_url, f"{namespace}x")

    async def talk() -> None:
        async with component.subscribe("room") as messages:
            await other.publish("room", b"not for us")
            await component.publish("room", b"for us")
            assert await anext(messages) == b"for us"
        await other.close()

    wait(asyncio.wait_for(talk(), 20))


async def read_slowly(messages: AsyncIterator[bytes], taken: list[bytes]) -> None:
    async for message in messages:
        taken.append(message)
        for _ in range(12):
            await asyncio.sleep(0)


def test_what_arrives_at_once_is_no_backlog(
    redis_url: str, namespace: str, client: redis.Redis
) -> None:
    """A reader who keeps up has its turn, however many messages have come in one piece."""
    component = carrier(redis_url, namespace, backlog=10)
    sent = [b"%d" % number for number in range(2000)]

    async def talk() -> None:
        async with component.subscribe("room") as messages:
            with client.pipeline(transaction=False) as pipeline:
                for message in sent:
                    pipeline.publish(f"{namespace}:room", message)
                pipeline.execute()
            assert [await anext(messages) for _ in sent] == sent
        async with component.subscribe("room") as messages:
            with client.pipeline(transaction=False) as pipeline:
                for message in sent:
                    pipeline.publish(f"{namespace}:room", message)
                pipeline.execute()
            taken: list[bytes] = []
            with pytest.raises(Lagging):
                await read_slowly(messages, taken)
            assert taken == sent[: len(taken)]
        await component.close()

    wait(asyncio.wait_for(talk(), 20))


PROGRAM = """
import asyncio, sys
from kit.options import Secret
from kit_redis.channels import RedisChannels, RedisChannelsOptions

async def answer():
    options = RedisChannelsOptions(url=Secret(sys.argv[1]), namespace=sys.argv[2])
    component = RedisChannels(options)
    async with component.subscribe("there") as messages:
        await component.publish("here", b"ready")
        async for message in messages:
            await component.publish("here", message.upper())
            if message == b"end":
                break
    await component.close()

asyncio.run(answer())
"""


def test_processes_talk_to_each_other(
    component: RedisChannels, redis_url: str, namespace: str
) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, redis_url, namespace]

    async def talk() -> None:
        async with component.subscribe("here") as messages:
            with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
                assert await anext(messages) == b"ready"
                for message in (b"one", b"two", b"end"):
                    await component.publish("there", message)
                    assert await anext(messages) == message.upper()
                assert process.communicate(timeout=20) == (None, b"")

    wait(asyncio.wait_for(talk(), 20))


async def ended(messages: AsyncIterator[bytes]) -> str:
    """Return the cause for which a subscription ends."""
    with pytest.raises(Unavailable) as lost:
        async with asyncio.timeout(10):
            await anext(messages)
    return str(lost.value.__cause__)


def test_a_server_that_stops_ends_subscriptions_and_one_that_starts_takes_new_ones(
    server: Server,
) -> None:
    component = carrier(server.url)

    async def talk() -> None:
        async with component.subscribe("a") as one, component.subscribe("b") as other:
            await component.publish("a", b"before")
            assert await anext(one) == b"before"
            server.stop()
            assert "closed" in await ended(one)
            assert "closed" in await ended(other)
            with pytest.raises(Unavailable):
                await component.publish("a", b"lost")
            with pytest.raises(Unavailable) as refused:
                await component.subscribe("c").__aenter__()
            assert isinstance(refused.value.__cause__, redis.ConnectionError)
        server.start()
        async with component.subscribe("a") as one:
            await component.publish("a", b"after")
            assert await anext(one) == b"after"
        await component.close()

    wait(talk())


def test_a_server_that_falls_silent_ends_subscriptions(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "QUIET", 0.25)
    component = carrier(server.url)

    async def talk() -> None:
        async with component.subscribe("a") as messages:
            await asyncio.sleep(0.6)  # two questions are answered
            await component.publish("a", b"before")
            assert await anext(messages) == b"before"
            server.process.send_signal(signal.SIGSTOP)
            assert "silent" in await ended(messages)
        await component.close()

    wait(talk())


# Options


@pytest.mark.parametrize("namespace", ["", "Rates", "a b", "a*", "1a", "x" * 41])
@pytest.mark.parametrize("options", [RedisSessionsOptions, RedisChannelsOptions])
def test_a_namespace_is_a_name(options: Callable[..., Any], namespace: str) -> None:
    with pytest.raises(ValueError, match="a letter first"):
        options(url=NOWHERE, namespace=namespace)


@pytest.mark.parametrize("url", ["http://:hunter2@host", "hunter2", "redis://h?hunter2=1"])
def test_a_url_that_is_none_is_refused_without_showing_it(url: str) -> None:
    for make in (
        lambda: RedisSessions(RedisSessionsOptions(url=Secret(url))),
        lambda: RedisChannels(RedisChannelsOptions(url=Secret(url))),
    ):
        with pytest.raises(ConfigError, match="the option url does not say") as refused:
            make()
        assert "hunter2" not in str(refused.value)


def test_options_of_the_slots_are_checked() -> None:
    with pytest.raises(ValueError, match="at least one second"):
        RedisSessionsOptions(url=NOWHERE, lifetime=Duration(0))
    with pytest.raises(ValueError, match="at least 1"):
        RedisChannelsOptions(url=NOWHERE, backlog=0)
