"""Server-sent events (WHATWG HTML, section 9.2): a stream that a browser reads with EventSource."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from werkzeug.exceptions import BadRequest

from kit.options import Duration
from kit.providers import provider

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # or else nginx keeps the events back
}

KEEP_ALIVE = Duration(15)
"""The seconds of silence after which something is sent, so that no proxy gives up."""

_LINE_END = re.compile(r"\r\n|\r|\n")  # no others, unlike str.splitlines
_NOT_IN_FIELD = re.compile(r"[\r\n\0]")
_SILENCE = b":\n\n"
_LONGEST_ID = 1000


@dataclass(frozen=True)
class Event:
    """One event: text as it is, or data as JSON; None is for an event that nobody is told of.

    A page listens for it under the name `event`, or ``message`` if that is empty. With `id` the
    browser says, when it connects again, which event was the last that it got. `retry` is how long
    it waits before that, in seconds or as ``"5 seconds"``. A `comment` is for people who look on.
    """

    data: Any = None
    event: str = ""
    id: str = ""
    retry: float | str | None = None
    comment: str = ""

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if _NOT_IN_FIELD.search(value):
                raise ValueError(f"{name} = {value!r} holds a line break or NUL")
        if self.retry is not None and not 0 <= _seconds(self.retry) < float("inf"):
            raise ValueError(f"retry = {self.retry!r}: it is not negative, and has an end")

    def encode(self) -> bytes:
        """Return the event as it goes out."""
        lines = [f": {line}" for line in _LINE_END.split(self.comment)] if self.comment else []
        if self.event:
            lines.append(f"event: {self.event}")
        if self.id:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {round(_seconds(self.retry) * 1000)}")
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else _json(self.data)
            lines += [f"data: {line}" for line in _LINE_END.split(text)]
        return "".join(f"{line}\n" for line in [*lines, ""]).encode()


def events(
    source: AsyncIterable[Any] | Iterable[Any],
    *,
    keep_alive: float | str | None = None,
    headers: Mapping[str, str] = {},
) -> tuple[AsyncIterator[bytes] | Iterator[bytes], dict[str, str]]:
    """Make of events what a handler returns to stream them: ``return events(source)``.

    `source` is an asynchronous or a plain iterable of `Event`, of text, and of data that goes out
    as JSON. The answer begins before the first of them. In the silence of an asynchronous source
    a comment goes out every `keep_alive`, 15 seconds unless given (``"1 minute"``), and never for
    0. A plain one holds a thread while it is silent; it yields ``Event(comment="...")`` itself,
    and `keep_alive` raises TypeError. `headers` go over those of event streams.
    """
    answer = {**HEADERS, **headers}
    if isinstance(source, AsyncIterable):
        silence = KEEP_ALIVE if keep_alive is None else _seconds(keep_alive)
        return (_alive(source, silence) if silence > 0 else _awaited(source)), answer
    if keep_alive is not None:
        raise TypeError("keep_alive is for asynchronous sources: nothing can interrupt a plain one")
    return _plain(source), answer


@provider(inline=True)
def last_event_id(environ: dict[str, Any]) -> str:
    """The id of the last event that a browser got before it connected again; "" at first.

    It is what the client says, so that it may be any text. What is no text raises BadRequest.
    """
    try:
        name: str = environ.get("HTTP_LAST_EVENT_ID", "").encode("latin-1").decode()
    except UnicodeError as error:
        raise BadRequest("The header Last-Event-ID is not valid UTF-8.") from error
    if len(name) > _LONGEST_ID or _NOT_IN_FIELD.search(name):
        raise BadRequest("The header Last-Event-ID is too long, or holds a line break or NUL.")
    return name


def _seconds(value: float | str) -> float:
    return Duration.parse(value) if isinstance(value, str) else float(value)


def _json(data: Any) -> str:
    return msgspec.json.encode(data).decode()


def _encoded(item: Any) -> bytes:
    return (item if isinstance(item, Event) else Event(item)).encode()


def _plain(source: Iterable[Any]) -> Iterator[bytes]:
    yield _SILENCE
    try:
        for item in source:
            yield _encoded(item)
    finally:
        if isinstance(source, Iterator) and hasattr(source, "close"):
            source.close()


async def _awaited(source: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    yield _SILENCE
    try:
        async for item in source:
            yield _encoded(item)
    finally:
        await _close(source)


async def _alive(source: AsyncIterable[Any], silence: float) -> AsyncIterator[bytes]:
    yield _SILENCE
    made: asyncio.Queue[bytes | None] = asyncio.Queue()
    sent = asyncio.Semaphore(0)
    # The source stays in one task from its beginning to its end, as what it opens may ask for.
    making = asyncio.create_task(_make(source, made, sent))
    try:
        while True:
            try:
                async with asyncio.timeout(silence):
                    item = await made.get()
            except TimeoutError:
                yield _SILENCE
                continue
            if item is None:
                return
            yield item
            sent.release()
    finally:
        making.cancel()
        await asyncio.wait({making})
        if not making.cancelled():
            making.result()


async def _make(
    source: AsyncIterable[Any], made: asyncio.Queue[bytes | None], sent: asyncio.Semaphore
) -> None:
    try:
        async for item in source:
            made.put_nowait(_encoded(item))
            await sent.acquire()
    finally:
        try:
            await _close(source)
        finally:
            made.put_nowait(None)


async def _close(source: AsyncIterable[Any]) -> None:
    if close := getattr(source, "aclose", None):
        await close()
