"""JSON, JSON lines and MessagePack by msgspec, as components of the slot formats."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec

from kit import jsons
from kit.slots.formats import CHUNK, Unsupported, plain, rows
from kit.slots.formats.plain import other

IN_MEMORY = 1024 * 1024


class JsonFormat:
    """JSON (RFC 8259). Rows are streamed as one array."""

    media_types = ("application/json",)
    suffix = "json"

    def __init__(self) -> None:
        encoder = msgspec.json.Encoder(enc_hook=other)
        self.dump = encoder.encode
        self._encode_into = encoder.encode_into

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return an array of the rows, one on a line."""
        return _gathered(items, self._encode_into, b"[", b",\n", b"]")

    def load(self, body: bytes) -> Any:
        """Return the data; raise ValueError for what `kit.jsons.loads` refuses."""
        return jsons.loads(body)


class JsonLinesFormat:
    """Lines of JSON, one for each row: https://jsonlines.org."""

    media_types = ("application/jsonl", "application/x-ndjson")
    suffix = "jsonl"
    rows = True

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder(enc_hook=other)

    def dump(self, data: object) -> bytes:
        """Return a line for each row (`kit.slots.formats.rows`)."""
        return self._encoder.encode_lines(rows(data))

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return a line for each row."""
        return _gathered(items, self._encoder.encode_into, b"", b"\n", b"\n")

    def load(self, body: bytes) -> list[Any]:
        """Return the list of what stands on the lines; empty lines do not count."""
        return [_line(line) for line in body.split(b"\n") if line.strip()]


class MsgpackFormat:
    """MessagePack, of which only what JSON has is written: dates and bytes are text everywhere."""

    media_types = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")
    suffix = "msgpack"
    lacks: ClassVar = {
        "duplicates": "msgspec takes the last of two members with the same key",
        "immediate": "an array begins with its length, so the rows wait in a file until all came",
    }

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=other)

    def dump(self, data: object) -> bytes:
        """Return the data; raise `Unsupported` for whole numbers that need more than 64 bits."""
        try:
            return self._encoder.encode(plain(data))
        except OverflowError as error:
            raise Unsupported("MessagePack has no whole numbers of more than 64 bits") from error

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return an array of the rows, which are counted in a temporary file."""
        count = 0
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            for item in items:
                file.write(self.dump(item))
                count += 1
            file.seek(0)
            yield b"\xdd" + struct.pack(">I", count)
            while chunk := file.read(CHUNK):
                yield chunk

    def load(self, body: bytes) -> Any:
        """Return the data; binary data and timestamps become text, keys too."""
        try:
            return jsons.loads(msgspec.json.encode(msgspec.msgpack.decode(body)))
        except (TypeError, RecursionError) as error:
            raise ValueError(
                "it has extensions or keys that JSON has not, or is too deep"
            ) from error


def _line(line: bytes) -> Any:
    values = jsons.loads(b"[%b]" % line)  # the list of all lines is a level of nesting too
    if len(values) != 1:
        raise ValueError("a line has more than one value")
    return values[0]


def _gathered(
    items: Iterator[object],
    encode_into: Callable[[object, bytearray, int], None],
    first: bytes,
    between: bytes,
    last: bytes,
) -> Iterator[bytes]:
    """Return the rows in chunks, with what stands before, between and after them."""
    chunk = bytearray(first)
    gap = b""
    for item in items:
        chunk += gap
        gap = between
        encode_into(item, chunk, -1)
        if len(chunk) >= CHUNK:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk) + last
