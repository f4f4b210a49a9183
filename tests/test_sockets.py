"""WebSockets: what a handler sends and gets, and how each end of it closes the connection."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import ExitStack, suppress

import pytest
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, RequestEntityTooLarge

from kit import App, abort
from kit.answers import Stream
from kit.assembly import Limits
from kit.errors import Invalid, TooMany, Unavailable
from kit.options import Size
from kit.sockets import Socket, SocketClosed
from kit.testing import SocketRefused, client

CONNECT = {"type": "websocket.connect"}
GONE = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
ANSWERS = {"websocket.http.response": {}}


def text(message):
    return {"type": "websocket.receive", "text": message}


class Server:
    """A server that hands on what a test gives it, and keeps what it is asked to send."""

    def __init__(self, *messages, limits=None, offered=(), extensions=ANSWERS, broken=None):
        self.came = asyncio.Queue()
        self.sent = []
        self.seen = asyncio.Event()
        self.broken = broken
        self.free = asyncio.Event()
        self.free.set()
        for message in (CONNECT, *messages):
            self.came.put_nowait(message)
        scope = {"type": "websocket", "subprotocols": list(offered), "extensions": extensions}
        environ = {"asgi.scope": scope, "PATH_INFO": "/here"}
        self.socket = Socket(environ, self.came.get, self.send, limits or Limits())

    async def send(self, message):
        await self.free.wait()
        if self.broken:
            raise self.broken
        self.sent.append(message)
        self.seen.set()

    async def has_sent(self, kind):
        while not any(one["type"] == kind for one in self.sent):
            self.seen.clear()
            await self.seen.wait()

    @property
    def texts(self):
        return [one["text"] for one in self.sent if "text" in one]

    @property
    def closed(self):
        """The codes that were sent to close."""
        return [one["code"] for one in self.sent if one["type"] == "websocket.close"]

    async def handle(self, handler, *values):
        """Run a handler as the gateway does."""
        error = None
        try:
            await handler(self.socket, *values)
        except BaseException as raised:
            error = raised
        await self.socket.end(error)


def run(test, *values):
    """Run a coroutine function; no task and no complaint of the event loop may be left."""
    complaints = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, one: complaints.append(one))
        async with asyncio.timeout(10):
            result = await test(*values)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    try:
        return asyncio.run(watched())
    finally:
        gc.collect()
        assert complaints == []


async def echo(socket):
    async for message in socket:
        await socket.send(message)


def test_text_and_bytes_come_and_go_as_what_they_are():
    async def test():
        binary = {"type": "websocket.receive", "bytes": b"\0\xff", "text": None}
        empty = {"type": "websocket.receive", "bytes": b""}
        server = Server(text("é"), text(""), binary, empty, GONE)
        await server.handle(echo)
        assert [(one.get("text"), one.get("bytes")) for one in server.sent[1:]] == [
            ("é", None),
            ("", None),
            (None, b"\0\xff"),
            (None, b""),
        ]
        assert server.socket.code == 1001

    run(test)


def test_it_is_accepted_with_the_first_message_either_way():
    async def test():
        async def reads(socket):
            await socket.receive()

        async def sends(socket):
            await socket.send("a")
            await socket.send("b")

        for handler in (reads, sends):
            server = Server(text("hello"))
            await server.handle(handler)
            assert [one["type"] for one in server.sent].count("websocket.accept") == 1
            assert server.sent[0] == {"type": "websocket.accept", "headers": []}
            assert server.closed == [1000]

    run(test)


def test_a_subprotocol_is_chosen_from_those_that_the_client_offers():
    async def test():
        server = Server(offered=["v1", "v2"])
        assert server.socket.offered == ("v1", "v2")
        assert await server.socket.accept("v3", "v2", "v1", headers={"X-Room": "7"}) == "v2"
        assert server.sent == [
            {"type": "websocket.accept", "headers": [(b"x-room", b"7")], "subprotocol": "v2"}
        ]
        with pytest.raises(RuntimeError, match="accepted already"):
            await server.socket.accept()
        await server.socket.end(None)

        server = Server(offered=["v1"])
        assert await server.socket.accept("v2") == ""
        assert "subprotocol" not in server.sent[0]
        await server.socket.end(None)

    run(test)


def test_headers_of_the_acceptance_are_checked():
    async def test():
        for name, value in [("X-A", "b\r\nX-C: d"), ("Sec-WebSocket-Protocol", "v1"), ("", "a")]:
            server = Server()
            with pytest.raises(ValueError):  # noqa: PT011 - the messages are the concern of merge
                await server.socket.accept(headers=[(name, value)])
            assert server.sent == []

    run(test)


def test_a_message_is_read_while_it_is_no_larger_than_the_limit():
    limits = Limits(message=Size(4))

    async def test(last):
        server = Server(
            text("1234"), text("éé"), {**text(None), "bytes": b"1234"}, last, limits=limits
        )
        got = [message async for message in server.socket]
        await server.socket.end(None)
        assert (got, server.closed, server.socket.code) == (["1234", "éé", b"1234"], [1009], 1009)
        with pytest.raises(SocketClosed, match="A message has at most 4 B"):
            await server.socket.receive()

    for last in (text("12345"), text("éé1"), {"type": "websocket.receive", "bytes": b"12345"}):
        run(test, last)


def test_json_comes_and_goes():
    async def test():
        server = Server(text('{"a": [1, null]}'), {"type": "websocket.receive", "bytes": b"[2]"})
        assert await server.socket.json() == {"a": [1, None]}
        assert await server.socket.json() == [2]
        await server.socket.send_json({"é": True})
        assert server.texts == ['{"é":true}']
        await server.socket.end(None)

    run(test)


@pytest.mark.parametrize("wrong", ["{", "NaN", '{"a":1,"a":2}', "[" * 65 + "]" * 65, ""])
def test_malformed_json_closes_with_1007_unless_it_is_caught(wrong):
    async def reads(socket):
        await socket.json()

    async def forgives(socket):
        with suppress(BadRequest):
            await socket.json()
        await socket.send(str(await socket.json()))

    async def test():
        server = Server(text(wrong))
        await server.handle(reads)
        assert server.closed == [1007]
        assert "valid JSON" in server.sent[-1]["reason"]
        server = Server(text(wrong), text("7"))
        await server.handle(forgives)
        assert (server.texts, server.closed) == (["7"], [1000])

    run(test)


def test_only_text_and_bytes_are_sent():
    async def test():
        server = Server()
        await server.socket.send(bytearray(b"a"))
        await server.socket.send(memoryview(b"b"))
        assert [type(one["bytes"]) for one in server.sent[1:]] == [bytes, bytes]
        with pytest.raises(TypeError, match="not dict: send_json"):
            await server.socket.send({})
        await server.socket.end(None)

    run(test)


def test_closing_says_why_and_is_the_end():
    async def test():
        server = Server(text("unread"))
        await server.socket.close(4001, "enough")
        await server.socket.close(4002)
        assert server.sent[1:] == [{"type": "websocket.close", "code": 4001, "reason": "enough"}]
        assert server.socket.code == 4001
        with pytest.raises(SocketClosed, match="4001: enough"):
            await server.socket.send("more")
        with pytest.raises(SocketClosed) as caught:
            await server.socket.receive()
        assert (caught.value.code, caught.value.reason) == (4001, "enough")
        assert [message async for message in server.socket] == []
        await server.socket.end(None)
        assert server.closed == [4001]

    run(test)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, "1000"])
def test_a_code_that_nobody_may_send_is_refused(code):
    async def test():
        with pytest.raises(ValueError, match="is no code to close with"):
            await Server().socket.close(code)

    run(test)


def test_a_reason_has_at_most_123_bytes():
    async def test():
        server = Server()
        with pytest.raises(ValueError, match="longer than 123 bytes"):
            await server.socket.close(1000, "é" * 62)
        await server.socket.close(1000, "é" * 61)

    run(test)


def test_who_reads_is_told_when_the_client_is_gone():
    async def test():
        server = Server(text("a"), GONE)
        assert await server.socket.receive() == "a"
        for _ in range(2):
            with pytest.raises(SocketClosed) as caught:
                await server.socket.receive()
            assert (caught.value.code, caught.value.reason) == (1001, "away")
        await server.socket.end(caught.value)
        assert server.closed == []

    run(test)


@pytest.mark.parametrize("broken", [OSError("gone"), RuntimeError("after websocket.close")])
def test_who_sends_is_told_by_a_server_that_says_so(broken):
    async def test():
        server = Server()
        await server.socket.accept()
        server.broken = broken
        with pytest.raises(SocketClosed) as caught:
            await server.socket.send("a")
        assert caught.value.code == server.socket.code == 1006
        await server.socket.end(caught.value)

    run(test)


def test_who_sends_is_told_also_where_the_server_drops_what_is_sent():
    async def test():
        server = Server(text("start"))

        async def ticks(socket):
            assert await socket.receive() == "start"
            while True:
                await socket.send("tick")
                if len(server.sent) == 3:
                    server.came.put_nowait(GONE)
                await asyncio.sleep(0)

        await server.handle(ticks)
        assert server.socket.code == 1001
        assert len(server.sent) < 10

    run(test)


def test_a_handler_that_does_not_read_is_cancelled_when_the_client_is_gone():
    async def test():
        server = Server()
        steps = []

        async def feeds(socket):
            await socket.send("welcome")
            server.came.put_nowait(GONE)
            try:
                await asyncio.Event().wait()
            finally:
                steps.append("left")

        await asyncio.create_task(server.handle(feeds))
        assert (steps, server.closed) == (["left"], [])

    run(test)


def test_a_handler_that_reads_is_not_cancelled_in_the_middle_of_its_work():
    async def test():
        server = Server(text("save"), GONE)
        saved = []

        async def saves(socket):
            async for message in socket:
                for _ in range(5):
                    await asyncio.sleep(0)
                saved.append(message)

        await server.handle(saves)
        assert saved == ["save"]

    run(test)


def test_who_is_cancelled_while_reading_loses_no_message():
    async def test():
        server = Server()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await server.socket.receive()
        server.came.put_nowait(text("late"))
        assert await server.socket.receive() == "late"
        await server.socket.end(None)

    run(test)


def test_two_tasks_that_read_are_told_so():
    async def test():
        server = Server()
        first = asyncio.create_task(server.socket.receive())
        await server.has_sent("websocket.accept")
        with pytest.raises(RuntimeError, match="two tasks read"):
            await server.socket.receive()
        server.came.put_nowait(text("a"))
        assert await first == "a"
        await server.socket.end(None)

    run(test)


def test_tasks_that_send_at_a_time_take_turns():
    async def test():
        server = Server()
        inside = []

        async def slow(message):
            inside.append(message["type"])
            assert len(inside) == 1
            await asyncio.sleep(0)
            inside.clear()
            server.sent.append(message)

        server.socket._send = slow
        await asyncio.gather(*(server.socket.send(str(number)) for number in range(20)))
        assert server.sent[0]["type"] == "websocket.accept"
        assert server.texts == [str(number) for number in range(20)]
        await server.socket.end(None)

    run(test)


def test_closing_ends_a_reader_in_another_task():
    async def test():
        server = Server()
        reader = asyncio.create_task(server.socket.receive())
        await server.has_sent("websocket.accept")
        await server.socket.close(4000)
        with pytest.raises(SocketClosed, match="4000"):
            await reader
        assert server.closed == [4000]

    run(test)


ENDS = [
    (BadRequest("What?"), 1007, "What?"),
    (Invalid([]), 1007, "Some values are missing or cannot be used."),
    (RequestEntityTooLarge("Too much."), 1009, "Too much."),
    (Forbidden("Not you."), 1008, "Not you."),
    (NotFound("é" * 100), 1008, "é" * 61),
    (TooMany(5), 1013, "Too many requests: try again in 5 seconds."),
    (Unavailable("db.internal is away"), 1013, ""),
    (KeyError("secret"), 1011, ""),
    (SocketClosed(1000, "of another socket"), 1011, ""),
    (ExceptionGroup("", [SocketClosed(1001), ExceptionGroup("", [Forbidden("No.")])]), 1008, "No."),
]


@pytest.mark.parametrize(("error", "code", "reason"), ENDS, ids=lambda one: repr(one)[:20])
def test_an_error_closes_with_its_code(error, code, reason, caplog):
    async def fails(socket):
        await socket.accept()
        raise error

    async def test():
        server = Server()
        await server.handle(fails)
        assert server.sent[1:] == [{"type": "websocket.close", "code": code, "reason": reason}]

    run(test)
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == (code == 1011 or isinstance(error, Unavailable))
    assert all("/here" in record.message for record in logged)


def test_a_handler_that_never_says_anything_is_accepted_and_closed():
    async def nothing(socket):
        pass

    async def test():
        server = Server()
        await server.handle(nothing)
        assert [one["type"] for one in server.sent] == ["websocket.accept", "websocket.close"]

    run(test)


def test_the_end_of_the_connection_is_no_error_of_the_handler(caplog):
    async def reads(socket):
        await socket.receive()

    async def both(socket):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(socket.receive())
            tasks.create_task(asyncio.Event().wait())

    async def test():
        for handler in (reads, both):
            server = Server(GONE)
            await server.handle(handler)
            assert server.closed == []

    run(test)
    assert caplog.records == []


def test_an_error_before_the_acceptance_is_for_the_gateway_to_answer():
    async def test():
        server = Server()
        with pytest.raises(NotFound):
            await server.socket.end(NotFound())
        answer = ("404 Not Found", [("Content-Type", "text/plain")], [b"not ", b"here"])
        await server.socket.refuse(answer)
        assert server.sent == [
            {
                "type": "websocket.http.response.start",
                "status": 404,
                "headers": [(b"content-type", b"text/plain")],
            },
            {"type": "websocket.http.response.body", "body": b"not here"},
        ]

        server = Server()
        await server.socket.refuse(("404 Not Found", [], Stream(iter(["not ", b"here"]))))
        assert server.sent[1]["body"] == b"not here"

        server = Server(extensions=None)
        await server.socket.refuse(answer)
        assert server.sent == [{"type": "websocket.close"}]

    run(test)


def test_a_client_that_leaves_before_the_acceptance_is_only_gone():
    async def test():
        server = Server()
        server.came.get_nowait()
        server.came.put_nowait(GONE)
        await server.handle(echo)
        assert (server.sent, server.socket.accepted) == ([], False)

    run(test)


def test_a_server_that_stops_tells_the_client():
    async def test():
        server = Server()
        handling = asyncio.create_task(server.handle(echo))
        await server.has_sent("websocket.accept")
        handling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handling
        assert server.closed == [1001]

    run(test)


def test_a_server_that_stops_does_not_wait_for_a_client_that_takes_nothing(monkeypatch):
    monkeypatch.setattr("kit.sockets.PATIENCE", 0.01)

    async def test():
        server = Server()
        handling = asyncio.create_task(server.handle(echo))
        await server.has_sent("websocket.accept")
        server.free.clear()
        handling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handling
        assert server.closed == []

    run(test)


class Subscription:
    """Messages that a test publishes."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.readers = 0

    async def __aiter__(self):
        self.readers += 1
        try:
            while True:
                message = await self.queue.get()
                if isinstance(message, Exception):
                    raise message
                yield message
        finally:
            self.readers -= 1


def test_messages_are_relayed_while_the_block_reads():
    async def relays(socket, subscription):
        async with socket.relaying(subscription):
            async for message in socket:
                subscription.queue.put_nowait(message.upper())
                subscription.queue.put_nowait(b"\1")
                subscription.queue.put_nowait({"from": message})

    async def test():
        server, subscription = Server(text("a"), text("b")), Subscription()
        handling = asyncio.create_task(server.handle(relays, subscription))
        while len(server.sent) < 7:
            server.seen.clear()
            await server.seen.wait()
        assert server.texts == ["A", '{"from":"a"}', "B", '{"from":"b"}']
        assert subscription.readers == 1
        server.came.put_nowait(GONE)
        await handling
        assert subscription.readers == 0

    run(test)


def test_leaving_the_block_ends_the_relaying():
    async def leaves(socket, subscription):
        async with socket.relaying(subscription):
            await socket.receive()
        await socket.send("left")
        assert subscription.readers == 0

    async def fails(socket, subscription):
        async with socket.relaying(subscription):
            raise Forbidden("No.")

    async def test():
        server = Server(text("a"))
        await server.handle(leaves, Subscription())
        assert (server.texts, server.closed) == (["left"], [1000])
        server = Server(text("a"))
        await server.socket.accept()
        await server.handle(fails, Subscription())
        assert server.closed == [1008]

    run(test)


@pytest.mark.parametrize(("error", "code"), [(Unavailable("lost"), 1013), (ValueError("?"), 1011)])
def test_messages_that_fail_end_the_block(error, code, caplog):
    async def relays(socket, subscription):
        async with socket.relaying(subscription):
            async for _ in socket:
                pass

    async def test():
        server, subscription = Server(), Subscription()
        subscription.queue.put_nowait(error)
        await server.handle(relays, subscription)
        assert (server.closed, subscription.readers) == ([code], 0)

    run(test)


def test_messages_that_end_leave_the_block_alone():
    async def few():
        yield "one"

    async def relays(socket):
        async with socket.relaying(few()):
            async for message in socket:
                await socket.send(message)
                await socket.close(4000)

    async def test():
        server = Server()
        handling = asyncio.create_task(server.handle(relays))
        await server.has_sent("websocket.send")
        server.came.put_nowait(text("two"))
        await handling
        assert (server.texts, server.closed) == (["one", "two"], [4000])

    run(test)


def test_relaying_ends_with_a_handler_that_is_cancelled():
    async def relays(socket, subscription):
        async with socket.relaying(subscription):
            await asyncio.Event().wait()

    async def test():
        server, subscription = Server(), Subscription()
        subscription.queue.put_nowait("welcome")
        handling = asyncio.create_task(server.handle(relays, subscription))
        await server.has_sent("websocket.send")
        server.came.put_nowait(GONE)  # nobody reads, so that the socket cancels
        await handling
        assert (server.closed, subscription.readers) == ([], 0)

    run(test)


def test_a_generator_that_is_relayed_is_closed():
    steps = []

    async def ticks():
        try:
            while True:
                await asyncio.sleep(0)
                yield "tick"
        finally:
            steps.append("closed")

    async def relays(socket):
        async with socket.relaying(ticks()):
            await socket.receive()

    async def test():
        server = Server()
        handling = asyncio.create_task(server.handle(relays))
        await server.has_sent("websocket.send")
        server.free.clear()  # so that it is cancelled in send, not in the generator
        server.came.put_nowait(text("stop"))
        await asyncio.sleep(0)
        server.free.set()
        await handling
        assert steps == ["closed"]

    run(test)


@pytest.fixture
def rooms():
    app = App({"channels": {"use": "memory"}})

    @app.websocket("/rooms/<room>")
    async def talk(room, socket, channels):
        async with channels.subscribe(room) as messages, socket.relaying(messages):
            await socket.send("in")
            async for text in socket:
                await channels.publish(room, text)

    def nobody():
        abort(418)

    @app.websocket("/guarded", requires=nobody)
    async def guarded(socket):
        await socket.send("never")

    @app.websocket("/open", csrf=False)
    async def anybody(socket):
        await socket.send("in")

    yield app.start()
    app.stop()


def test_those_in_one_room_hear_each_other(rooms):
    browser = client(rooms)
    with ExitStack() as everybody:
        ada, bob, eve = (
            everybody.enter_context(browser.websocket(f"/rooms/{room}"))
            for room in ("tea", "tea", "den")
        )
        assert [one.receive() for one in (ada, bob, eve)] == ["in"] * 3
        eve.send("psst")
        ada.send("hello")
        bob.send("hi")
        assert {ada.receive(), ada.receive()} == {bob.receive(), bob.receive()} == {"hello", "hi"}
        assert eve.receive() == "psst"


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/nowhere", "http://localhost", 404),
        ("/guarded", "http://localhost", 418),
        ("/rooms/tea", "http://evil.example", 403),
        ("/open", "http://evil.example", None),
    ],
)
def test_an_application_refuses_as_for_requests(rooms, path, origin, status):
    socket = client(rooms, csrf=True).websocket(path, headers={"Origin": origin})
    if status is None:
        with socket:
            assert socket.receive() == "in"
        return
    with pytest.raises(SocketRefused) as refused, socket:
        pass
    assert refused.value.status == status
