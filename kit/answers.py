"""From what a handler returns to an answer: status line, headers, body.

The table of conversions is made once, at start, with the headers that every answer carries.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from markupsafe import Markup
from werkzeug.wrappers import Response

Header = tuple[str, str]
Answer = tuple[str, list[Header], Iterable[bytes]]

SECURITY_HEADERS: tuple[Header, ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Content-Security-Policy", "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
)
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_HTML = [*SECURITY_HEADERS, ("Content-Type", "text/html; charset=utf-8")]
_JSON = [*SECURITY_HEADERS, ("Content-Type", "application/json")]
_BYTES = [*SECURITY_HEADERS, ("Content-Type", "application/octet-stream")]
_NO_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_BODILESS = {204, 304}


class Stream:
    """A streamed body: its first chunk is made before the status goes out.

    What was passed to `then` is called once at the end, with the exception that ended the stream
    early, or None.
    """

    def __init__(self, chunks: Iterator[Any]) -> None:
        self._chunks = chunks
        self._first = [_encoded(chunk) for chunk in _take_one(chunks)]
        self._then: list[Callable[[BaseException | None], None]] = []

    def then(self, finish: Callable[[BaseException | None], None]) -> None:
        """Call `finish` when the stream ends, before what was passed earlier."""
        self._then.append(finish)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return the next chunk; at the end close what the request opened."""
        if self._first:
            return self._first.pop()
        try:
            return _encoded(next(self._chunks))
        except BaseException as error:
            self.end(None if isinstance(error, StopIteration) else error)
            raise

    def close(self) -> None:
        """Stop early: the client is gone."""
        self.end(GeneratorExit("the client closed the connection"))

    def end(self, error: BaseException | None) -> None:
        """Close the chunks, and then what waits for the end."""
        try:
            if hasattr(self._chunks, "close"):
                self._chunks.close()
        finally:
            while self._then:
                self._then.pop()(error)


def _take_one(chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:
        yield chunk
        return


def _encoded(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    raise TypeError(f"a stream yielded {type(chunk).__name__}, which is neither text nor bytes")


def html(result: str) -> Answer:
    """Answer with a page."""
    body = result.encode()
    return "200 OK", [*_HTML, ("Content-Length", str(len(body)))], [body]


def json(result: Any) -> Answer:
    """Answer with JSON (RFC 8259)."""
    body = msgspec.json.encode(result)
    return "200 OK", [*_JSON, ("Content-Length", str(len(body)))], [body]


def raw(result: bytes) -> Answer:
    """Answer with bytes of no particular type."""
    return "200 OK", [*_BYTES, ("Content-Length", str(len(result)))], [result]


def empty(_: None) -> Answer:
    """Answer with 204 and no body."""
    return "204 No Content", [*SECURITY_HEADERS], []


def stream(result: Iterator[Any]) -> Answer:
    """Answer with the chunks of a generator as they come."""
    return "200 OK", [*_HTML], Stream(result)


def with_status(result: tuple[Any, ...]) -> Answer:
    """Answer with ``(result, status)``, ``(result, headers)`` or ``(result, status, headers)``."""
    first, *rest = result
    if not 1 <= len(rest) <= 2:
        raise TypeError(
            "a tuple is (result, status), (result, headers) or (result, status, headers)"
        )
    line, headers, body = answer(first)
    for extra in rest:
        if isinstance(extra, int) and 200 <= extra <= 599:
            line = STATUS_LINES.get(extra) or f"{extra} Unknown"
        elif isinstance(extra, (int, str)):
            raise TypeError(f"{extra!r} is no status: it is a whole number from 200 to 599")
        else:
            merge(headers, extra.items() if hasattr(extra, "items") else extra)
    if int(line[:3]) in _BODILESS:
        if isinstance(body, Stream):
            body.close()
        about_body = {"content-type", "content-length"}
        return line, [header for header in headers if header[0].lower() not in about_body], []
    return line, headers, body


def response(result: Response) -> Answer:
    """Answer with a Response, which keeps its own headers over the secure defaults."""
    headers = list(SECURITY_HEADERS)
    body: Iterable[bytes] = result.iter_encoded()
    if result.status_code in _BODILESS:
        result.close()
        body = []
    elif not result.is_sequence:
        body = Stream(iter(body))
        body.then(lambda _: result.close())
    elif "Content-Length" not in result.headers:
        headers.append(("Content-Length", str(len(result.get_data()))))
    merge(headers, [header for header in result.headers.items() if header[0] != "Date"])
    return result.status, headers, body


_MAKERS: dict[type, Callable[[Any], Answer]] = {
    str: html,
    Markup: html,
    bytes: raw,
    dict: json,
    list: json,
    tuple: with_status,
    type(None): empty,
}


def answer(result: Any) -> Answer:
    """Turn what a handler returned into an answer; raise TypeError for what cannot be one."""
    maker = _MAKERS.get(type(result))
    return maker(result) if maker else _maker(result)(result)


def _maker(result: Any) -> Callable[[Any], Answer]:
    if isinstance(result, Response):
        return response
    if isinstance(result, tuple):
        return with_status
    if isinstance(result, str):
        return html
    if isinstance(result, (dict, list, msgspec.Struct)) or dataclasses.is_dataclass(result):
        return json
    if isinstance(result, Iterator):
        return stream
    raise TypeError(
        f"a handler returned {type(result).__name__}; it may return text, bytes, data (dict, list,"
        " dataclass), None, a generator, a Response, or a tuple of one of these with status and"
        " headers"
    )


def merge(headers: list[Header], more: Iterable[Header]) -> None:
    """Put further headers into a list of headers; one of the same name is replaced.

    Cookies are added, and the names that Vary lists are joined. Raises ValueError for a line
    break in a header, and for characters that a header cannot have.
    """
    names = {name.lower() for name, _ in headers}
    for name, value in more:
        text = str(value)
        if not _TOKEN(name):
            raise ValueError(f"{name!r} is no name for a header (RFC 9110, section 5.1)")
        if _NO_HEADER.search(text):
            raise ValueError(f"the header {name!r} holds a line break, or more than Latin-1")
        lower = name.lower()
        if lower in names and lower != "set-cookie":
            if lower == "vary":
                text = _joined([*(v for n, v in headers if n.lower() == lower), text])
            headers[:] = [header for header in headers if header[0].lower() != lower]
        names.add(lower)
        headers.append((name, text))


def _joined(values: Iterable[str]) -> str:
    """Join comma-separated lists, each item once."""
    items = (item.strip() for value in values for item in value.split(","))
    return ", ".join(dict.fromkeys(items))
