"""Compression of answers: gzip, for clients that take it and bodies that gain from it."""

from __future__ import annotations

import re
import secrets
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from kit.answers import Answer, Environ, Header, Stream, merge
from kit.options import Size

_ONE_KIB = Size(1024)
_NO_BODY = {"204", "206", "304"}
_AS_IT_IS = {"content-encoding", "content-range", "content-digest", "repr-digest", "content-md5"}
_DROPPED = {"content-length", "accept-ranges"}
_COMPRESSIBLE = re.compile(
    r"text/.+|.+\+(?:json|xml|text)|font/(?:otf|ttf)|image/(?:bmp|x-icon|vnd\.microsoft\.icon)"
    r"|application/(?:json|javascript|xml|wasm|yaml|msgpack|x-ndjson|jsonl|vnd\.msgpack)"
).fullmatch
_CODING = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class ResponsesOptions:
    """The table ``[responses]``: with `compress` answers go out in gzip to clients that take it.

    Text, data and scripts from `minimum` bytes on are compressed, with `level` 1 (fast) to 9
    (small), and streams too. Leave it off where a proxy in front does that already.
    """

    compress: bool = False
    minimum: Size = _ONE_KIB
    level: int = 6

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise ValueError(f"level = {self.level}: it is from 1 (fast) to 9 (small)")


def compressing(
    options: ResponsesOptions,
) -> Callable[[Environ, str, list[Header], Iterable[bytes]], Answer]:
    """Return a function that compresses an answer, or returns it as it is.

    Left alone are parts of a file (206), what is encoded already or must not be transformed
    (``Cache-Control: no-transform``), small bodies, and media types that do not gain. Others get
    ``Vary: Accept-Encoding``; where they are compressed, their ETag becomes a weak one.
    """

    def compress(
        environ: Environ, line: str, headers: list[Header], body: Iterable[bytes]
    ) -> Answer:
        named = {name.lower(): value for name, value in headers}
        if line.startswith("304"):
            return line, _as_the_client_has_it(environ, named, headers), body
        if not _gains(line, named):
            return line, headers, body
        known = _size(environ, named, body)
        if known is not None and known < options.minimum:
            return line, headers, body
        merge(headers, [("Vary", "Accept-Encoding")])
        if not preferred(environ.get("HTTP_ACCEPT_ENCODING", ""), ("gzip",)):
            return line, headers, body
        headers = [_weak(header) for header in headers if header[0].lower() not in _DROPPED]
        headers.append(("Content-Encoding", "gzip"))
        packer = _Packer(options.level)
        if isinstance(body, Stream):
            body.packed(packer)
            return line, headers, body
        if environ["REQUEST_METHOD"] != "HEAD":
            body = [packer.whole(b"".join(body))]
            headers.append(("Content-Length", str(len(body[0]))))
        return line, headers, body

    return compress


@lru_cache(maxsize=256)
def preferred(accepted: str, offers: tuple[str, ...]) -> str:
    """Return which of the content codings in `offers` an Accept-Encoding prefers; "" for none.

    Of those it likes equally the first is taken, and any of them before no coding at all.
    """
    wanted = {}
    for item in accepted.lower().split(","):
        if found := _CODING.fullmatch(item):
            wanted[found[1].replace("x-gzip", "gzip")] = float(found[2] or 1)
    best = max(offers, key=lambda coding: wanted.get(coding, wanted.get("*", 0)))
    weight = wanted.get(best, wanted.get("*", 0))
    return best if weight > 0 and weight >= wanted.get("identity", 0) else ""


def _gains(line: str, named: dict[str, str]) -> bool:
    kind = named.get("content-type", "").partition(";")[0].strip().lower()
    return bool(
        line[:3] not in _NO_BODY
        and _COMPRESSIBLE(kind)
        and not named.keys() & _AS_IT_IS
        and "no-transform" not in named.get("cache-control", "").lower()
    )


def _size(environ: Environ, named: dict[str, str], body: Iterable[bytes]) -> int | None:
    """Return the size of a body, or None for a stream whose size nobody knows."""
    if named.get("content-length", "").isdigit():
        return int(named["content-length"])
    if isinstance(body, list | tuple) and environ["REQUEST_METHOD"] != "HEAD":
        return sum(map(len, body))
    return None


def _weak(header: Header) -> Header:
    name, value = header
    if name.lower() == "etag" and not value.startswith("W/"):
        return name, f"W/{value}"
    return header


def _as_the_client_has_it(
    environ: Environ, named: dict[str, str], headers: list[Header]
) -> list[Header]:
    """Answer 304 with the weak ETag where it was given with the compressed body."""
    etag = named.get("etag")
    if not etag or f"W/{etag}" not in environ.get("HTTP_IF_NONE_MATCH", ""):
        return headers
    merge(headers, [("Vary", "Accept-Encoding")])
    return [_weak(header) for header in headers]


class _Packer:
    """Makes gzip (RFC 1952) with a file name of random length in its header.

    So equal texts differ in size. Whoever guesses at a secret in a page learns from its size how
    good the guess was (BREACH), and needs many more tries that way.
    """

    def __init__(self, level: int) -> None:
        name = b"x" * (1 + secrets.randbelow(_LONGEST_NAME))
        self._head = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + name + b"\0"
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._sum = zlib.crc32(b"")
        self._size = 0

    def pack(self, data: bytes) -> bytes:
        """Return all of `data`, and the beginning before it: no chunk waits for the next one."""
        return self._packed(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """Return the end, with the sum over everything."""
        tail = struct.pack("<LL", self._sum, self._size & 0xFFFFFFFF)
        return self._packed(b"") + self._deflate.flush() + tail

    def whole(self, data: bytes) -> bytes:
        """Return all of a body at once."""
        return self._packed(data) + self.end()

    def _packed(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        self._sum = zlib.crc32(data, self._sum)
        self._size += len(data)
        return head + self._deflate.compress(data)
