"""The request: Werkzeug's, with limits on all that comes from outside."""

from __future__ import annotations

import weakref
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request as WerkzeugRequest

if TYPE_CHECKING:
    from kit.assembly import Limits


class _JSON:
    """The JSON module of `Request.get_json`: no NaN, no endless nesting."""

    dumps = staticmethod(msgspec.json.encode)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Decode; raise ValueError for whatever is not JSON."""
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(str(error)) from error


class Request(WerkzeugRequest):
    """A WSGI request with lazily parsed headers, query, cookies, form and JSON.

    What is larger than ``[limits]`` allows raises 413, what is malformed 400.
    """

    json_module = _JSON  # type: ignore[assignment]  # Werkzeug takes any object with these two

    def __init__(self, environ: dict[str, Any], limits: Limits) -> None:
        self.environ = environ
        self.limits = limits
        self.max_content_length = limits.body
        self.max_form_memory_size = limits.field
        self.max_form_parts = limits.fields

    def __getattr__(self, name: str) -> Any:
        """Let Werkzeug read method, headers and the rest when the first of them is asked for."""
        if "method" in self.__dict__ or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__init__(self.environ, populate_request=False)
        return getattr(self, name)

    @cached_property
    def form(self) -> MultiDict[str, str]:  # type: ignore[override]
        """The fields of a submitted form, in order; empty for any other body."""
        kind = self.environ.get("CONTENT_TYPE", "").partition(";")[0]
        if kind.strip().lower() != "application/x-www-form-urlencoded":
            return super().form
        return MultiDict(parse_form(self.body, self.limits))

    def make_form_data_parser(self) -> FormDataParser:
        """Make Werkzeug's parser for multipart forms, which is to complain of broken ones."""
        parser = super().make_form_data_parser()
        parser.silent = False
        return parser

    def _load_form_data(self) -> None:
        try:
            super()._load_form_data()
        except ValueError as error:
            raise BadRequest("The form is broken or cut off.") from error
        for _, file in self.files.items(multi=True):
            weakref.finalize(file, file.stream.close)  # a temporary file, if it is large

    @cached_property
    def body(self) -> bytes:
        """The whole body, within the limit; raises 400 where the client broke off."""
        length = self.environ.get("CONTENT_LENGTH") or ""
        if length and not (length.isascii() and length.isdigit()):
            raise BadRequest("The Content-Length is no number.")
        if "_cached_data" in self.__dict__ or not (length.isascii() and length.isdigit()):
            return self.get_data()
        expected = int(length)
        if expected > self.limits.body:
            raise RequestEntityTooLarge
        data: bytes = self.environ["wsgi.input"].read(expected)
        if len(data) < expected:
            raise ClientDisconnected
        self._cached_data = data
        return data

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body as a file; of a body in chunks what the limit allows, or 413."""
        if self.environ.get("CONTENT_LENGTH") or not self.environ.get("wsgi.input_terminated"):
            return super().stream
        chunks: list[bytes] = []
        left = self.limits.body + 1
        while left and (chunk := self.environ["wsgi.input"].read(min(left, 65536))):
            chunks.append(chunk)
            left -= len(chunk)
        if not left:
            raise RequestEntityTooLarge
        return BytesIO(b"".join(chunks))

    @cached_property
    def json(self) -> Any:
        """The JSON of the body (RFC 8259); raises 415 for another type and 400 for bad JSON."""
        if not self.is_json:
            return self.on_json_loading_failed(None)
        try:
            return _JSON.loads(self.body)
        except ValueError as error:
            raise BadRequest(f"The body is not valid JSON: {error}") from error

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The fields of the query, in order; as many as a form may have."""
        if self.environ.get("QUERY_STRING", "").count("&") >= self.limits.fields:
            raise RequestEntityTooLarge
        return super().args


def parse_form(body: bytes, limits: Limits) -> list[tuple[str, str]]:
    """Parse ``application/x-www-form-urlencoded`` (WHATWG URL Standard, section 5.1), as UTF-8.

    Raises 413 beyond the limits and 400 for anything but UTF-8.
    """
    pairs = []
    try:
        parts = body.decode().split("&") if body else []
        if len(parts) > limits.fields:
            raise RequestEntityTooLarge
        for part in parts:
            if len(part) > limits.field:
                raise RequestEntityTooLarge
            name, _, value = part.partition("=")
            pairs.append((_decoded(name), _decoded(value)))
    except UnicodeDecodeError as error:
        raise BadRequest("The form is not valid UTF-8.") from error
    return pairs


def _decoded(text: str) -> str:
    text = text.replace("+", " ")
    return unquote_to_bytes(text).decode() if "%" in text else text
