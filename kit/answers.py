"""From what a handler returns to an answer: status line, headers, body.

`Answers` is made once, at start, with the headers that every answer carries.
"""

from __future__ import annotations

import re
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import is_dataclass
from functools import lru_cache
from http import HTTPStatus
from inspect import iscoroutinefunction
from io import IOBase
from typing import Any, Protocol

import msgspec
from markupsafe import Markup
from werkzeug.wrappers import Response

from kit.waiting import drive, in_thread, wait

Header = tuple[str, str]
Environ = dict[str, Any]
Answer = tuple[str, list[Header], Iterable[bytes]]
Convert = Callable[[Environ, Any], Answer]
MakeData = Callable[[Environ, Any], tuple[str, list[Header], bytes | Iterator[bytes]]]

SECURITY_HEADERS: tuple[Header, ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Content-Security-Policy", "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
)
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_NO_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_END: Any = object()
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_PIECE = 65_536
_SINGLE = {"content-type", "content-length", "location", "etag", "vary"}
BODILESS = {204, 304}


class Packer(Protocol):
    """Changes the chunks of a stream on their way out: compresses them, say."""

    def pack(self, data: bytes) -> bytes:
        """Return what becomes of a chunk."""
        ...

    def end(self) -> bytes:
        """Return what comes after the last chunk."""
        ...


class Stream:
    """A streamed body: its first chunk is made before the status goes out.

    What was passed to `then` is called once at the end, with the exception that ended the stream
    early, or None. The plan that made the stream says how its coroutines are run: `run` for a
    gateway that cannot await them, and `aside` to call plain code in a thread.
    """

    def __init__(self, chunks: Iterator[Any] | AsyncIterator[Any]) -> None:
        self._chunks: Any = _Pieces(chunks) if isinstance(chunks, IOBase) else chunks
        self._is_async = isinstance(chunks, AsyncIterator)
        self._first: bytes | None = None
        self._started = False
        self._then: list[Callable[[BaseException | None], Awaitable[None] | None]] = []
        self._packer: Packer | None = None
        self.run: Callable[[Coroutine[Any, Any, Any]], Any] = wait if self._is_async else drive
        self.aside: Callable[..., Awaitable[Any]] | None = in_thread if self._is_async else None

    def then(self, finish: Callable[[BaseException | None], Awaitable[None] | None]) -> None:
        """Call `finish` when the stream ends, before what was passed earlier."""
        self._then.append(finish)

    def packed(self, packer: Packer) -> None:
        """Let `packer` change the chunks."""
        self._packer = packer

    async def start(self) -> None:
        """Make the first chunk, unless that is done."""
        if not self._started:
            self._started = True
            self._first = await self._pull()

    def begin(self) -> None:
        """Make the first chunk, where nothing can be awaited."""
        self.run(self.start())

    async def next(self) -> bytes | None:
        """Return the next chunk, or None at the end; then close what the request opened."""
        try:
            chunk, self._first = self._first, None
            if chunk is None:
                chunk = await self._pull()
            if chunk is not None:
                return self._packer.pack(chunk) if self._packer and chunk else chunk
        except BaseException as error:
            await self.end(error)
            raise
        await self.end(None)
        packer, self._packer = self._packer, None
        return packer.end() if packer else None

    async def _pull(self) -> bytes | None:
        if self._is_async:
            chunk = await anext(self._chunks, _END)
        elif self.aside:
            chunk = await self.aside(next, self._chunks, _END)
        else:
            chunk = next(self._chunks, _END)
        return None if chunk is _END else _encoded(chunk)

    async def end(self, error: BaseException | None) -> None:
        """Close the chunks, and then what waits for the end; raise what was raised first."""
        failures: list[BaseException] = []
        try:
            if close := getattr(self._chunks, "aclose" if self._is_async else "close", None):
                beside = self.aside and not self._is_async
                await (self._surely(close) if beside else _called(close))
        except BaseException as failed:
            failures.append(failed)
        while self._then:
            finish = self._then.pop()
            try:
                if iscoroutinefunction(finish):
                    await finish(error)
                elif self.aside:
                    await self._surely(finish, error)
                else:
                    finish(error)
            except BaseException as failed:
                failures.append(failed)
        if failures:
            raise failures[0]

    async def _surely(self, function: Callable[..., Any], *args: Any) -> None:
        """Call plain code in a thread, even if this is cancelled before it has begun."""
        begun: list[bool] = []
        cancelled: CancelledError | None = None

        def call() -> None:
            begun.append(True)
            function(*args)

        while not begun and self.aside:
            try:
                await self.aside(call)
            except CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk: bytes | None = self.run(self.next())
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Stop early: the client is gone."""
        self.run(self.end(GeneratorExit("the client closed the connection")))


class _Pieces:
    """A file as an iterator of large pieces, where its own would give lines."""

    def __init__(self, file: Any) -> None:
        self._read, self.close = file.read, file.close

    def __next__(self) -> Any:
        if not (piece := self._read(_PIECE)):
            raise StopIteration
        return piece


async def _called(function: Callable[[], Any]) -> None:
    waited = function()
    if waited is not None:
        await waited


def _encoded(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    raise TypeError(f"a stream yielded {type(chunk).__name__}, which is neither text nor bytes")


class Answers:
    """Turns what handlers return into answers; one object for an application, made at start.

    `headers` go out with every answer. `data` makes type and body of data: of dicts, lists,
    dataclasses, and instances of `kinds`; it is kept as `made`.
    """

    def __init__(
        self,
        headers: Iterable[Header] = SECURITY_HEADERS,
        data: MakeData | None = None,
        kinds: tuple[type, ...] = (),
    ) -> None:
        self.headers = tuple(headers)
        self.made = data or json
        self._kinds = (dict, list, msgspec.Struct, *kinds)
        self.page_headers = [*self.headers, ("Content-Type", "text/html; charset=utf-8")]
        self._bytes = [*self.headers, ("Content-Type", "application/octet-stream")]
        self._makers: dict[type, Convert] = {
            str: self.html,
            Markup: self.html,
            bytes: self.raw,
            dict: self.data,
            list: self.data,
            tuple: self.with_status,
            type(None): self.empty,
        }

    def answer(self, environ: Environ, result: Any) -> Answer:
        """Turn what a handler returned into an answer; raise TypeError for what cannot be one."""
        maker = self._makers.get(type(result))
        if maker is None:
            maker = self._makers[type(result)] = self._maker(result)
        return maker(environ, result)

    def _maker(self, result: Any) -> Convert:
        if isinstance(result, Response):
            return self.response
        if isinstance(result, tuple):
            return self.with_status
        if isinstance(result, str):
            return self.html
        if isinstance(result, self._kinds) or is_dataclass(result):
            return self.data
        if isinstance(result, (Iterator, AsyncIterator)):
            return self.stream
        raise TypeError(
            f"a handler returned {type(result).__name__}; it may return text, bytes, data (dict,"
            " list, dataclass, Data), None, a generator, an open file, a Response, or a tuple of"
            " one of these with status and headers"
        )

    def html(self, environ: Environ, result: str) -> Answer:
        """Answer with a page."""
        body = result.encode()
        return "200 OK", [*self.page_headers, ("Content-Length", str(len(body)))], [body]

    def data(self, environ: Environ, result: Any) -> Answer:
        """Answer with data in the format that the client asks for."""
        line, more, body = self.made(environ, result)
        if type(body) is bytes and line == "200 OK":
            return line, [*self.headers, *more, ("Content-Length", str(len(body)))], [body]
        headers = [*self.headers, *more]
        if line.startswith("304"):
            return line, headers, []
        if isinstance(body, bytes):
            headers.append(("Content-Length", str(len(body))))
            return line, headers, [body]
        return line, headers, Stream(body)

    def raw(self, environ: Environ, result: bytes) -> Answer:
        """Answer with bytes of no particular type."""
        return "200 OK", [*self._bytes, ("Content-Length", str(len(result)))], [result]

    def empty(self, environ: Environ, result: None) -> Answer:
        """Answer with 204 and no body."""
        return "204 No Content", [*self.headers], []

    def stream(self, environ: Environ, result: Iterator[Any] | AsyncIterator[Any]) -> Answer:
        """Answer with the chunks of a generator as they come, or with what a file holds."""
        headers = self._bytes if isinstance(result, IOBase) else self.page_headers
        return "200 OK", [*headers], Stream(result)

    def with_status(self, environ: Environ, result: tuple[Any, ...]) -> Answer:
        """Answer with ``(result, status)``, ``(result, headers)`` or with all three."""
        first, *rest = result
        if not 1 <= len(rest) <= 2:
            raise TypeError(
                "a tuple is (result, status), (result, headers) or (result, status, headers)"
            )
        if "HTTP_IF_NONE_MATCH" in environ and any(isinstance(one, int) for one in rest):
            environ = {key: environ[key] for key in environ if key != "HTTP_IF_NONE_MATCH"}
        line, headers, body = self.answer(environ, first)
        for extra in rest:
            if isinstance(extra, int) and 200 <= extra <= 599:
                line = STATUS_LINES.get(extra) or f"{extra} Unknown"
            elif isinstance(extra, (int, str)):
                raise TypeError(f"{extra!r} is no status: it is a whole number from 200 to 599")
            else:
                merge(headers, extra.items() if hasattr(extra, "items") else extra)
        return bodiless(line, headers, body) if int(line[:3]) in BODILESS else (line, headers, body)

    def response(self, environ: Environ, result: Response) -> Answer:
        """Answer with a Response, which keeps its own headers over the secure defaults."""
        headers = list(self.headers)
        check_header("Status", result.status)
        if isinstance(result.response, (AsyncIterator, IOBase, Stream)):
            return self._streamed(result, result.response)
        body: Iterable[bytes] = result.iter_encoded()
        if result.status_code in BODILESS:
            result.close()
            body = []
        elif not result.is_sequence:
            body = Stream(iter(body))
            body.then(lambda _: result.close())
        elif "Content-Length" not in result.headers:
            headers.append(("Content-Length", str(len(result.get_data()))))
        merge(headers, [header for header in result.headers.items() if header[0] != "Date"])
        if result.status_code in BODILESS:
            return bodiless(result.status, headers, body)
        return result.status, headers, body

    def _streamed(self, result: Response, chunks: Any) -> Answer:
        """Answer with a Response whose body is an asynchronous generator, a file or a stream."""
        headers = list(self.headers)
        merge(headers, [header for header in result.headers.items() if header[0] != "Date"])
        if result.status_code in BODILESS:
            if isinstance(chunks, IOBase):
                chunks.close()
            return bodiless(result.status, headers, [])
        if isinstance(chunks, Stream):
            return result.status, headers, chunks
        body = Stream(chunks)
        body.then(lambda _: result.close())
        return result.status, headers, body


def json(environ: Environ, result: Any) -> tuple[str, list[Header], bytes]:
    """Make data to JSON (RFC 8259)."""
    return "200 OK", [("Content-Type", "application/json")], msgspec.json.encode(result)


def bodiless(line: str, headers: list[Header], body: Iterable[bytes]) -> Answer:
    """Leave the body out of an answer, and the headers that describe it."""
    if hasattr(body, "close"):
        body.close()
    about_body = {"content-type", "content-length"}
    return line, [header for header in headers if header[0].lower() not in about_body], []


def merge(headers: list[Header], more: Iterable[Header]) -> None:
    """Put further headers into a list of headers; those of the same name there are replaced.

    Cookies are added, and the names that Vary lists are joined. What `more` has several times
    (Link, say) stays so. Raises ValueError for a line break in a header, and for characters that
    a header cannot have.
    """
    names = [name.lower() for name, _ in headers]
    added: set[str] = {"set-cookie"}
    for name, value in more:
        text = str(value)
        lower = check_header(name, text)
        if lower in names and (lower not in added or lower in _SINGLE):
            number = names.index(lower)
            if lower == "vary":
                text = _joined([*(v for n, v in headers if n.lower() == lower), text])
            headers[number] = name, text
            while names.count(lower) > 1:
                last = len(names) - 1 - names[::-1].index(lower)
                del names[last], headers[last]
        else:
            names.append(lower)
            headers.append((name, text))
        added.add(lower)


def check_header(name: str, text: str) -> str:
    """Return the name of a header in lower case; raise ValueError for what none can be.

    See RFC 9110, sections 5.1 and 5.5.
    """
    lower = _lower(name)
    if not (text.isascii() and text.isprintable()) and _NO_HEADER.search(text):
        raise ValueError(f"the header {name!r} holds a line break, or more than Latin-1")
    return lower


@lru_cache(maxsize=1024)
def _lower(name: str) -> str:
    if not _TOKEN(name):
        raise ValueError(f"{name!r} is no name for a header (RFC 9110, section 5.1)")
    return name.lower()


def _joined(values: Iterable[str]) -> str:
    """Join comma-separated lists, each item once."""
    items = (item.strip() for value in values for item in value.split(","))
    return ", ".join(dict.fromkeys(items))
