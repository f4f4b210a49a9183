"""Start and stop with the server: once, with the cause if it fails, and without being told, too."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kit.plugins import hookimpl


class Plugin:
    """Counts starts and stops, and fails where it is told to."""

    def __init__(self):
        self.events = []
        self.failing = ""
        self.gate = threading.Event()
        self.gate.set()

    def record(self, event):
        self.gate.wait(5)
        self.events.append(event)
        if self.failing == event:
            raise RuntimeError(f"{event} failed: the disk is full")

    @hookimpl
    def kit_start(self, app):
        self.record("start")

    @hookimpl
    def kit_stop(self, app):
        self.record("stop")


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def counting(make_app, plugin):
    app = make_app(plugins={"counting": plugin})
    app.get("/")(lambda: "hello")
    return app


def lifespan(connect, app):
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    return connect(app, **scope).tell("lifespan.startup")


async def test_the_application_starts_and_stops_with_its_server(connect, counting, plugin):
    server = lifespan(connect, counting)
    await server.until(1)
    assert (server.sent, plugin.events) == ([{"type": "lifespan.startup.complete"}], ["start"])
    for _ in range(2):
        assert (await connect(counting).give().ended()).body == b"hello"
    await server.tell("lifespan.shutdown").ended()
    assert server.sent[1:] == [{"type": "lifespan.shutdown.complete"}]
    assert plugin.events == ["start", "stop"]


async def test_it_can_be_started_again(connect, counting, plugin):
    for _ in range(2):
        await lifespan(connect, counting).tell("lifespan.shutdown").ended()
    assert plugin.events == ["start", "stop"] * 2


async def test_a_mistake_in_the_application_is_told_as_the_cause(connect, app):
    app.get("/")(lambda nothing_has_this_name: "")
    server = await lifespan(connect, app).ended()
    [message] = server.sent
    assert message["type"] == "lifespan.startup.failed"
    assert "nothing_has_this_name" in message["message"]
    assert "test_lifespan.py" in message["message"]


async def test_so_is_a_plug_in_that_cannot_start(connect, counting, plugin, caplog):
    plugin.failing = "start"
    server = await lifespan(connect, counting).ended()
    assert server.sent[0]["type"] == "lifespan.startup.failed"
    assert "the disk is full" in server.sent[0]["message"]
    assert "Traceback" in caplog.text


async def test_and_one_that_cannot_stop(connect, counting, plugin, caplog):
    server = lifespan(connect, counting)
    await server.until(1)
    plugin.failing = "stop"
    await server.tell("lifespan.shutdown").ended()
    assert server.sent[1]["type"] == "lifespan.shutdown.failed"
    assert "the disk is full" in server.sent[1]["message"]
    assert "Traceback" in caplog.text


async def test_without_lifespan_the_first_request_starts_it_once(connect, counting, plugin):
    plugin.gate.clear()
    requests = [connect(counting).give() for _ in range(10)]
    await asyncio.sleep(0)
    plugin.gate.set()
    for request in requests:
        assert (await request.ended()).body == b"hello"
    assert plugin.events == ["start"]


async def test_the_loop_goes_on_while_the_application_starts(connect, counting, plugin):
    plugin.gate.clear()
    request = connect(counting).give()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not request.sent
    plugin.gate.set()
    assert (await request.ended()).status == 200


async def test_a_mistake_without_lifespan_is_raised_to_the_server(connect, app):
    app.get("/")(lambda nothing_has_this_name: "")
    with pytest.raises(Exception, match="nothing_has_this_name"):
        await connect(app).give().ended()
