"""Multipart forms (RFC 7578): text in memory, files on disk, all of it within limits."""

from __future__ import annotations

import weakref
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, NoReturn, cast

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from kit.errors import Unavailable
from kit.options import Size

if TYPE_CHECKING:
    from kit.assembly import Limits

LONGEST_NAME = 255
_LONGEST_BOUNDARY = 200  # RFC 2046, section 5.1.1 says 70, and some clients send more
_CHUNK = 65536
_IN_MEMORY = 65536  # of one file: more of it goes to the folder for temporary files
_TEXT = Size(2_500_000)
_CHARSETS = {"utf-8", "us-ascii", "ascii", "iso-8859-1"}
_BETWEEN = {State.PREAMBLE, State.PART}
_DONE = {State.EPILOGUE, State.COMPLETE}

Fields = list[tuple[str, str]]
Files = list[tuple[str, FileStorage]]


def read_multipart(stream: IO[bytes], boundary: str, limits: Limits) -> tuple[Fields, Files]:
    """Read a form with files to its end; each file has to be closed by the caller.

    Raises 400 for a form that is broken or cut off, 413 beyond the limits, and Unavailable where
    a file cannot be written. After an exception no file is left open.
    """
    if not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise BadRequest("The form has no proper boundary between its fields.")
    parts = _Parts(limits)
    try:
        _decode(stream, MultipartDecoder(boundary.encode("ascii")), parts)
    except BaseException as error:
        parts.close()
        if isinstance(error, ValueError):
            raise BadRequest("The form is broken or cut off.") from error
        if isinstance(error, OSError):
            raise Unavailable("a temporary file cannot be written") from error
        raise
    return parts.fields, parts.files


def text_limit(limits: Limits) -> Size:
    """Return how much the text fields of one form may be together: they are kept in memory."""
    return max(limits.field, _TEXT)


def too_much(what: str) -> NoReturn:
    """Raise 413 that says what there is too much of."""
    raise RequestEntityTooLarge(f"{what}.")


def _decode(stream: IO[bytes], decoder: MultipartDecoder, parts: _Parts) -> None:
    while decoder.state not in _DONE:
        decoder.receive_data(stream.read(_CHUNK) or None)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            parts.add(event)
        if decoder.state in _BETWEEN:
            parts.check_headers(len(decoder.buffer))
    while stream.read(_CHUNK):  # what follows the end is no part, but counts for the limits
        pass


class _Parts:
    """The parts of a form as they come in."""

    def __init__(self, limits: Limits) -> None:
        self.fields: Fields = []
        self.files: Files = []
        self._limits = limits
        self._text = 0
        self._field: Field | None = None
        self._value = bytearray()

    def add(self, event: Event) -> None:
        if isinstance(event, Field | File):
            self._begin(event)
        elif isinstance(event, Data):
            self._go_on(event)

    def close(self) -> None:
        for _, file in self.files:
            file.close()

    def check_headers(self, size: int) -> None:
        if size > self._limits.part_headers:
            too_much(f"The headers of a part are larger than {self._limits.part_headers}")

    def _begin(self, part: Field | File) -> None:
        self.check_headers(sum(len(name) + len(value) + 4 for name, value in part.headers))
        name = cast("str | None", part.name)
        if name is None:
            raise ValueError("a part has no name")
        check_name(name)
        if len(self.fields) + len(self.files) >= self._limits.fields:
            too_much(f"The form has more than {self._limits.fields} fields")
        if isinstance(part, Field):
            self._field = part
            self._value.clear()
            return
        check_name(part.filename)
        if len(self.files) >= self._limits.files:
            too_much(f"The form has more than {self._limits.files} files")
        self._field = None
        self.files.append((name, _stored(part)))

    def _go_on(self, event: Data) -> None:
        if self._field is None:
            stream = self.files[-1][1].stream
            stream.write(event.data)
            if not event.more_data:
                stream.seek(0)
            return
        self._value += event.data
        self._text += len(event.data)
        check_value(len(self._value), self._limits)
        if self._text > text_limit(self._limits):
            too_much(f"The text of the form is larger than {text_limit(self._limits)}")
        if not event.more_data:
            self.fields.append((self._field.name, self._value.decode(_charset(self._field))))


def check_name(name: str) -> None:
    """Raise 413 for the name of a field or file that is too long to be one."""
    if len(name) > LONGEST_NAME:
        too_much(f"The name of a field or file is longer than {LONGEST_NAME} characters")


def check_value(size: int, limits: Limits) -> None:
    """Raise 413 for the value of a text field that is too large."""
    if size > limits.field:
        too_much(f"A field is larger than {limits.field}")


def _stored(part: File) -> FileStorage:
    """Make the file of a part; it is closed at the latest when nobody has it any more."""
    stream = cast("IO[bytes]", SpooledTemporaryFile(_IN_MEMORY, "w+b"))  # noqa: SIM115 - its reader closes it
    file = FileStorage(stream, part.filename, part.name, headers=part.headers)
    weakref.finalize(file, stream.close)
    return file


def _charset(part: Field) -> str:
    _, options = parse_options_header(part.headers.get("content-type"))
    charset = options.get("charset", "").lower()
    return charset if charset in _CHARSETS else "utf-8"
