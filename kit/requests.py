"""The request: Werkzeug's, with limits on all that comes from outside."""

from __future__ import annotations

import io
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MultiDict
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    LengthRequired,
    UnsupportedMediaType,
)
from werkzeug.wrappers import Request as WerkzeugRequest

from kit import jsons
from kit.clients import Client
from kit.multipart import (
    LONGEST_NAME,
    check_name,
    check_value,
    read_multipart,
    text_limit,
    too_much,
)
from kit.waiting import in_thread, on_loop

if TYPE_CHECKING:
    from kit.assembly import Limits

FILES = "kit.files"
"""The key of the environ under which the gateway finds the files of a form, to close them."""

_CHUNK = 1 << 20
FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
LOADED = "kit.loaded"
KEPT = "kit.request"
"""The key of the environ under which there is the request that was made of it first, if any."""

_NOT_LOADED = (
    "the body of the request was not loaded, and to wait for it would stop the event loop: write"
    " `await request.load()` before, or read it with `async for piece in request.pieces()`"
)
_NO_FILES: ImmutableMultiDict[str, FileStorage] = ImmutableMultiDict()
_USUAL = {"http": ":80", "https": ":443"}
_MOST_DIGITS = 18  # of a Content-Length: all of it fits in 64 bits


class Request(WerkzeugRequest):
    """A WSGI request with lazily parsed headers, query, cookies, form and JSON.

    What is larger than ``[limits]`` allows raises 413, what is malformed 400, and a compressed
    body 415. Files that were uploaded are closed when the request ends.
    """

    json_module = jsons  # what `get_json` decodes with

    def __init__(self, environ: dict[str, Any], limits: Limits) -> None:
        self.environ = environ
        self.limits = limits

    def limited(self, limits: Limits) -> Request:
        """Let the limits of a route hold from now on, and for a body that has been read, too."""
        self.limits = limits
        read = len(self.__dict__.get("_cached_data") or b"")
        if not read and "form" in self.__dict__:
            read = self.content_length or 0
        if read > limits.body:
            too_much(f"The body is larger than {limits.body}")
        return self

    def __getattr__(self, name: str) -> Any:
        """Let Werkzeug read method, headers and the rest when the first of them is asked for."""
        if "method" in self.__dict__ or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__init__(self.environ, populate_request=False)
        return getattr(self, name)

    @cached_property
    def host(self) -> str:
        """Host and port as the client wrote them, without a port that is the usual one."""
        environ = self.environ
        host: str | None = environ.get("HTTP_HOST")
        if host is None:
            host = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
        return host.removesuffix(_USUAL.get(environ["wsgi.url_scheme"], " "))

    @cached_property
    def host_url(self) -> str:
        """``scheme://host/``, as the client wrote it."""
        return f"{self.environ['wsgi.url_scheme']}://{self.host}/"

    @cached_property
    def root_url(self) -> str:
        """The URL that the application is mounted at, with a slash at the end."""
        mounted = quote(self.environ.get("SCRIPT_NAME", "").encode("latin-1"))
        return self.host_url[:-1] + mounted + "/"

    @cached_property
    def base_url(self) -> str:
        """The URL of the request without its query."""
        path = self.environ.get("PATH_INFO", "").encode("latin-1")
        return self.root_url + quote(path, safe="/:@!$&'()*+,;=~").removeprefix("/")

    @cached_property
    def url(self) -> str:
        """The URL of the request."""
        query = self.environ.get("QUERY_STRING", "")
        return self.base_url + (f"?{query}" if query else "")

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body as a file, to be read once and in pieces: it is not kept in memory.

        Reading raises 413 beyond the limit, and 400 where the client broke off.
        """
        return io.BufferedReader(_Stream(_Body(self.environ, self.limits)))

    @cached_property
    def body(self) -> bytes:
        """The whole body, in memory; empty if `stream` or `files` were read before."""
        data = self.__dict__.get("_cached_data")
        if data is None and "stream" not in self.__dict__:
            data = self._cached_data = _Body(self.environ, self.limits).read()
            self.__dict__["stream"] = io.BytesIO()
        elif data is None:
            data = self._cached_data = self.stream.read()
        return data

    @cached_property
    def form(self) -> MultiDict[str, str]:  # type: ignore[override]
        """The fields of a submitted form, in order; empty for any other body."""
        self._load_form_data()
        form: MultiDict[str, str] = self.__dict__["form"]
        return form

    async def load(self) -> Request:
        """Read the whole body, so that `body`, `form`, `files` and `json` are there.

        Coroutine functions await this first; plain ones need not. Raises as those do.
        """
        source = self.environ.get("wsgi.input")
        self.environ[LOADED] = True
        if isinstance(source, Client):
            await source.load(self.limits.body, self.environ.get("CONTENT_LENGTH"))
        await in_thread(self._load)
        return self

    def _load(self) -> None:
        kind = self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        _ = self.form if kind in FORM_TYPES else self.body

    def pieces(self) -> Pieces:
        """Read the body as it comes in, to be read once: it is not kept in memory.

        ``async for piece in request.pieces()`` takes what has come; `Pieces.read` takes so much.
        """
        return Pieces(self.environ, self.limits)

    def _load_form_data(self) -> None:
        if "form" in self.__dict__:
            return
        form: MultiDict[str, str] = MultiDict()
        files: list[tuple[str, FileStorage]] = []
        limits = self.limits
        kind = self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            form = parse_pairs(self._form_text(), limits.fields, limits)
        elif kind == "multipart/form-data":
            boundary = self.mimetype_params.get("boundary", "")
            fields, files = read_multipart(self._get_stream_for_parsing(), boundary, limits)
            form = MultiDict(fields)
        self.__dict__["form"] = form
        self.__dict__["files"] = ImmutableMultiDict(files) if files else _NO_FILES
        if files:
            self.environ[FILES] = [file for _, file in files]

    def _form_text(self) -> bytes:
        """Return the body, but for no more than the text of a form where other bodies may be."""
        most = text_limit(self.limits)
        if self.limits.body > most and "_cached_data" not in self.__dict__:
            self._cached_data = self.stream.read(most + 1)
        if len(self.body) > most:
            too_much(f"The text of the form is larger than {most}")
        return self.body

    @cached_property
    def json(self) -> Any:
        """The JSON of the body (RFC 8259); raises 415 for another type and 400 for bad JSON."""
        if not self.is_json:
            return self.on_json_loading_failed(None)
        try:
            return jsons.loads(self.body)
        except ValueError as error:
            raise BadRequest(f"The body is not valid JSON: {error}") from error

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The fields of the query, in order; raises 413 for too many, 400 unless it is UTF-8."""
        query = self.environ.get("QUERY_STRING", "").encode("latin-1")
        return parse_pairs(query, self.limits.query, self.limits, "query")


class _Body:
    """A body as the server hands it on, no further than its end, and than the limit."""

    def __init__(self, environ: dict[str, Any], limits: Limits) -> None:
        coding = environ.get("HTTP_CONTENT_ENCODING")
        if coding and coding.strip().lower() != "identity":
            raise _Compressed("The body is compressed, which is not accepted here.")
        length = _length(environ)
        self._environ = environ
        self._source = environ["wsgi.input"]
        self._chunked = length is None
        self._limit = limits.body
        self._left = limits.body + 1 if length is None else length
        if length is not None and length > limits.body:
            self._refuse()

    def read(self) -> bytes:
        """Return all of it."""
        data = self.next(_CHUNK)
        if not self._left and not self._chunked:
            return data
        chunks = [data]
        while data := self.next(_CHUNK):
            chunks.append(data)
        return b"".join(chunks)

    def next(self, size: int) -> bytes:
        """Return what comes next, at most `size` bytes; nothing at the end."""
        if not self._left:
            return self._refuse() if self._chunked else b""
        if LOADED not in self._environ and on_loop():
            raise RuntimeError(_NOT_LOADED)
        try:
            data: bytes = self._source.read(min(size, self._left))
        except (OSError, ValueError) as error:  # as servers raise for broken chunks, too
            raise ClientDisconnected from error
        if not data and not self._chunked:
            raise ClientDisconnected
        self._left -= len(data)
        return data if self._left or not self._chunked else self._refuse()

    def _refuse(self) -> bytes:
        too_much(f"The body is larger than {self._limit}")


class Pieces:
    """A body as it comes in, for coroutines.

    Reading raises 413 beyond the limit, and 400 where the client broke off.
    """

    def __init__(self, environ: dict[str, Any], limits: Limits) -> None:
        self._environ = environ
        self._limits = limits
        self._rest = bytearray()

    @cached_property
    def _body(self) -> _Body:
        self._environ[LOADED] = True
        return _Body(self._environ, self._limits)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        piece = self._taken(len(self._rest)) or await self._next()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end; all that is left if negative."""
        while size < 0 or len(self._rest) < size:
            if not (piece := await self._next()):
                break
            self._rest += piece
        return self._taken(len(self._rest) if size < 0 else size)

    def _taken(self, size: int) -> bytes:
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    async def _next(self) -> bytes:
        body, source = self._body, self._environ.get("wsgi.input")
        if not isinstance(source, Client):
            return await in_thread(body.next, _CHUNK)
        await source.fill()
        return body.next(_CHUNK)


class _Stream(io.RawIOBase):
    """A body as a file."""

    def __init__(self, body: _Body) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._body.next(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Compressed(UnsupportedMediaType):
    """415 that says what is accepted instead (RFC 9110, section 15.5.16)."""

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        return [*super().get_headers(*args, **kwargs), ("Accept-Encoding", "identity")]


def _length(environ: dict[str, Any]) -> int | None:
    """Return the length of the body; None where only the server knows where it ends."""
    length = environ.get("CONTENT_LENGTH") or ""
    coded = environ.get("HTTP_TRANSFER_ENCODING")
    if length and not (length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS):
        raise BadRequest("The Content-Length is no number of bytes.")
    if length and not coded:
        return int(length)
    if environ.get("wsgi.input_terminated"):
        return None
    if length:
        raise BadRequest("The body has both a Content-Length and a Transfer-Encoding.")
    if coded:
        raise LengthRequired
    return 0


def parse_pairs(text: bytes, most: int, limits: Limits, what: str = "form") -> MultiDict[str, str]:
    """Parse ``application/x-www-form-urlencoded`` (WHATWG URL Standard, section 5.1), as UTF-8.

    Raises 413 beyond the limits, of which `most` is that of pairs, and 400 for anything but UTF-8.
    """
    if not text:
        return MultiDict()
    if text.count(b"&") >= most:
        too_much(f"The {what} has more than {most} fields")
    short = min(LONGEST_NAME, limits.field)
    found: dict[str, list[str]] = {}
    try:
        for pair in filter(None, text.decode().replace("+", " ").split("&")):
            name, _, value = pair.partition("=")
            if "%" in pair:
                name, value = _unescaped(name), _unescaped(value)
            if len(pair) * 4 > short:  # of UTF-8 there are at most four bytes each
                check_name(name)
                check_value(len(value.encode()), limits)
            if name in found:
                found[name].append(value)
            else:
                found[name] = [value]
    except UnicodeDecodeError as error:
        raise BadRequest(f"The {what} is not valid UTF-8.") from error
    pairs = _Pairs()
    dict.update(pairs, found)  # it keeps lists
    return pairs


class _Pairs(MultiDict[str, str]):
    """Fields, of which one that is missing costs no exception."""

    def get(  # type: ignore[override]  # what it may be called with is one, not six overloads
        self, key: str, default: Any = None, type: Any = None
    ) -> Any:
        return super().get(key, default, type) if key in self else default


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text).decode() if "%" in text else text
