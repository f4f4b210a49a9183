"""Answers with a file: all of it, a part, or only that the client has it already."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from io import FileIO
from typing import Any

from werkzeug.wrappers import Response

from kit.files.conditions import Version, asked_range, is_known
from kit.files.paths import Opened

Header = tuple[str, str]
_CHUNK = 65536


def respond(
    environ: Mapping[str, Any], found: Opened, headers: Iterable[Header], coding: str = ""
) -> Response:
    """Answer a request with an open file, which is closed with the response at the latest.

    `headers` go out with it, and `coding` is the content coding that the file is in. Conditions
    and ranges are heeded for GET and HEAD. Raises 412 and 416, and closes the file then.
    """
    with ExitStack() as to_close:
        to_close.callback(found.file.close)
        method = environ["REQUEST_METHOD"]
        version = _version(found, coding)
        headers = [*headers, *version.headers]
        if method in {"GET", "HEAD"} and is_known(environ, version):
            return _not_modified(headers)
        if coding:
            headers.append(("Content-Encoding", coding))
        asked = asked_range(environ, version, found.size) if method == "GET" else None
        start, end = asked or (0, found.size)
        if asked:
            headers.append(("Content-Range", f"bytes {start}-{end - 1}/{found.size}"))
        headers += [("Accept-Ranges", "bytes"), ("Content-Length", str(end - start))]
        if method == "HEAD":
            return Response(headers=headers)
        found.file.seek(start)
        part = _Part(found.file, end - start)
        status = 206 if asked else 200
        if end - start <= _CHUNK:  # a stream would cost more than the little that it carries
            return Response(b"".join(part), status, headers=headers)
        to_close.pop_all()
        return Response(part, status, headers=headers, direct_passthrough=True)


def _version(found: Opened, coding: str) -> Version:
    etag = f"{found.changed:x}-{found.size:x}"
    modified = min(found.changed // 10**9, int(time.time()))  # RFC 9110, section 8.8.2.1
    return Version(f"{etag}-{coding}" if coding else etag, max(modified, 0))


def _not_modified(headers: list[Header]) -> Response:
    response = Response(status=304, headers=headers)
    del response.headers["Content-Type"]
    return response


class _Part:
    """A part of an open file in chunks; closed at its end, or when nobody has it any more."""

    def __init__(self, file: FileIO, length: int) -> None:
        self._file = file
        self._left = length
        self.close = weakref.finalize(self, file.close)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            self.close()
            raise StopIteration
        chunk = self._file.read(min(self._left, _CHUNK))
        if not chunk:  # an end would leave the client waiting for what was promised
            self.close()
            raise OSError("a file became shorter while it was sent")
        self._left -= len(chunk)
        return chunk
