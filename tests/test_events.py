"""Server-sent events: a browser reads what was meant, and the source ends with the stream."""

from __future__ import annotations

import asyncio
import gc
import json
import re

import pytest
from werkzeug.exceptions import BadRequest

from kit import App
from kit.events import Event, events, last_event_id
from kit.testing import client

ODD = ["", "\n", "a\nb", "a\r\n\r\nb\r", " spaced ", "é\u2028\x0b\x85\0", ": no comment", "data: x"]


def read(stream: bytes):
    """Read a stream as EventSource does (WHATWG HTML, section 9.2.6)."""
    found, last, kind, data = [], "", "", []
    for line in re.split("\r\n|\r|\n", stream.decode().removeprefix("\ufeff"))[:-1]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                found.append((kind or "message", "\n".join(data), last))
            kind, data = "", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last = value
    return found


def run(test):
    """Run a coroutine function; no task and no complaint of the event loop may be left."""
    complaints = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, one: complaints.append(one))
        async with asyncio.timeout(10):
            await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("text", ODD)
def test_text_arrives_as_it_is_but_for_its_line_ends(text):
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert read(Event(text).encode()) == [("message", expected, "")]


def test_data_goes_out_as_json_in_one_line():
    ((_, data, _),) = read(Event({"a": "b\nc", "d": [None, 1]}).encode())
    assert json.loads(data) == {"a": "b\nc", "d": [None, 1]}


def test_every_field_has_its_line():
    event = Event("a\nb", event="added", id="é 7", retry="2.5 seconds", comment="for\nyou")
    assert event.encode().decode() == (
        ": for\n: you\nevent: added\nid: é 7\nretry: 2500\ndata: a\ndata: b\n\n"
    )
    assert read(event.encode()) == [("added", "a\nb", "é 7")]
    assert Event(retry=0.5).encode() == b"retry: 500\n\n"
    assert read(Event(comment="x", id="1").encode() + Event("a").encode()) == [
        ("message", "a", "1")
    ]


@pytest.mark.parametrize("wrong", ["a\nb", "a\rb", "\0"])
@pytest.mark.parametrize("name", ["id", "event"])
def test_a_name_that_would_begin_another_field_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name} = .* holds a line break or NUL"):
        Event("a", **{name: wrong})


@pytest.mark.parametrize("retry", [-1, float("nan"), float("inf"), "-1 seconds", "soon"])
def test_a_time_to_wait_that_is_none_is_refused(retry):
    with pytest.raises(ValueError, match=r"retry|duration"):
        Event(retry=retry)


def test_a_plain_source_is_streamed_and_closed():
    steps = []

    def source():
        try:
            yield "a"
            yield Event("b", id="1")
            yield {"c": 1}
        finally:
            steps.append("closed")

    stream, headers = events(source(), headers={"X-A": "b"})
    assert headers == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",
        "X-A": "b",
    }
    assert next(stream).startswith(b":")  # before the source has anything to say
    assert read(b"".join(stream)) == [
        ("message", "a", ""),
        ("message", "b", "1"),
        ("message", '{"c":1}', "1"),
    ]
    stream, _ = events(source())
    assert [next(stream), next(stream)] == [b":\n\n", b"data: a\n\n"]
    stream.close()
    assert steps == ["closed"] * 2
    assert read(b"".join(events(["a", "b"])[0])) == [("message", "a", ""), ("message", "b", "")]


def test_a_plain_source_is_not_kept_alive_and_that_is_said():
    with pytest.raises(TypeError, match="keep_alive is for asynchronous sources"):
        events(iter("ab"), keep_alive="10 seconds")


@pytest.mark.parametrize("keep_alive", [None, "1 minute", 0])
def test_an_asynchronous_source_is_streamed_in_one_task_and_closed(keep_alive):
    async def test():
        steps = []

        async def source():
            try:
                async with asyncio.timeout(10):  # what must be left in the task that entered it
                    for item in ("a", Event("b"), [1]):
                        await asyncio.sleep(0)
                        yield item
            finally:
                steps.append("closed")

        stream, headers = events(source(), keep_alive=keep_alive)
        assert headers["Content-Type"] == "text/event-stream"
        chunks = [chunk async for chunk in stream]
        assert chunks[0] == b":\n\n"
        assert [data for _, data, _ in read(b"".join(chunks))] == ["a", "b", "[1]"]
        assert steps == ["closed"]

    run(test)


def test_silence_is_kept_alive_and_loses_nothing():
    async def test():
        go_on = asyncio.Event()

        async def source():
            yield "a"
            await go_on.wait()
            yield "b"

        stream, _ = events(source(), keep_alive=0.001)
        chunks = []
        async for chunk in stream:
            chunks.append(chunk)
            if chunks[-2:] == [b":\n\n"] * 2:
                go_on.set()
        assert [data for _, data, _ in read(b"".join(chunks))] == ["a", "b"]

    run(test)


@pytest.mark.parametrize("keep_alive", [None, 0])
def test_an_error_of_the_source_ends_the_stream(keep_alive):
    async def test():
        async def source():
            yield "a"
            raise KeyError("secret")

        stream, _ = events(source(), keep_alive=keep_alive)
        assert [await anext(stream), await anext(stream)] == [b":\n\n", b"data: a\n\n"]
        with pytest.raises(KeyError):
            await anext(stream)

    run(test)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_stream_that_is_closed_closes_its_source(taken):
    async def test():
        steps = []

        async def source():
            try:
                steps.append("opened")
                yield "a"
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                steps.append("closed")

        stream, _ = events(source())
        for _ in range(taken):
            await anext(stream)
        await stream.aclose()
        assert steps == (["opened", "closed"] if taken == 2 else [])

    run(test)


def test_a_reader_that_is_cancelled_closes_the_source():
    async def test():
        steps, opened = [], asyncio.Event()

        async def source():
            opened.set()
            try:
                await asyncio.Event().wait()
                yield "never"
            finally:
                steps.append("closed")

        async def reads():
            async for _ in events(source())[0]:
                pass

        reading = asyncio.create_task(reads())
        await opened.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert steps == ["closed"]

    run(test)


def test_an_event_is_made_when_the_last_one_is_on_its_way():
    async def test():
        made = []

        async def source():
            for number in range(3):
                made.append(number)
                yield str(number)

        stream, _ = events(source())
        for expected in ([], [0], [0, 1]):
            await anext(stream)
            await asyncio.sleep(0)
            assert made == expected
        await stream.aclose()

    run(test)


def test_an_error_while_the_source_is_closed_is_not_hidden():
    async def test():
        async def source():
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                raise OSError("not closed")

        stream, _ = events(source())
        await anext(stream)
        await anext(stream)
        with pytest.raises(OSError, match="not closed"):
            await stream.aclose()

    run(test)


def test_the_last_id_is_what_the_browser_says():
    def sent(value):
        return last_event_id({"HTTP_LAST_EVENT_ID": value})

    assert last_event_id({}) == ""
    assert sent("é 7".encode().decode("latin-1")) == "é 7"
    for wrong in ("\xff", "a\0", "a\nb", "7" * 1001):
        with pytest.raises(BadRequest):
            sent(wrong)


@pytest.mark.parametrize("gateway", ["wsgi", "asgi"])
def test_a_handler_answers_with_events(gateway):
    app = App()

    @app.get("/async")
    async def async_events():
        async def source():
            yield Event("a", id="1")
            await asyncio.sleep(0)
            yield "b"

        return events(source())

    @app.get("/plain")
    def plain_events():
        return events(one for one in "ab")

    for path in ("/async", "/plain"):
        answer = client(app, gateway=gateway).get(path)
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Length" not in answer.headers
        assert [data for _, data, _ in read(answer.data)] == ["a", "b"]
    app.stop()
