"""Uploads: files that visitors send, kept under names that the application makes up."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import IO

from werkzeug.datastructures import FileStorage

from kit.errors import Unavailable
from kit.options import Size

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "application/pdf": ".pdf",
    "text/csv": ".csv",
    "text/plain": ".txt",
}
"""The endings of stored files by media type; what is not listed gets ``.bin``."""

_LONGEST_NAME = 200
_HEAD = 16


class MaxSize:
    """An upload has at most this size: ``Annotated[Upload, MaxSize("2 MiB")]``."""

    def __init__(self, size: int | str) -> None:
        self.size = Size.parse(size) if isinstance(size, str) else Size(size)


class MediaTypes:
    """An upload is of one of these types: ``Annotated[Upload, MediaTypes("image/png")]``.

    Whether a file is a PNG, JPEG, GIF, WebP or AVIF image or a PDF is seen by its first bytes,
    whatever the client calls it. Of other types the client's word is taken.
    """

    def __init__(self, *types: str) -> None:
        if not types:
            raise TypeError('name the types that are accepted: MediaTypes("image/png")')
        self.types = types


class Upload:
    """A file that came with a form; large ones wait on the disk, and are gone with the request.

    `filename` is what the client calls it, fit to be shown, and never to be used as a path.
    `media_type` is what its first bytes show, or else what the client says. `size` is in bytes.
    """

    def __init__(self, file: FileStorage) -> None:
        self._file = file
        self._saved: list[Path] = []
        self.filename = _shown(file.filename or "")
        self.size = file.stream.seek(0, os.SEEK_END)
        file.stream.seek(0)
        self.media_type = sniffed(file.stream.read(_HEAD)) or _claimed(file.mimetype)
        file.stream.seek(0)

    @property
    def stream(self) -> IO[bytes]:
        """The content as an open file, at its beginning."""
        self._file.stream.seek(0)
        return self._file.stream

    def read(self) -> bytes:
        """Return the whole content."""
        return self.stream.read()

    def save(self, folder: Path | str) -> str:
        """Store the content in a folder, which is made where it is missing; return the new name.

        The name is random, with an ending for the type of the file. The file is there whole or
        not at all, and if the request fails later on it is deleted again. Raises
        `kit.errors.Unavailable` where it cannot be stored, for example for want of space.
        """
        folder = Path(folder)
        name = secrets.token_hex(16) + SUFFIXES.get(self.media_type, ".bin")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store(folder / name, folder / f".{name}.part")
        except OSError as error:
            raise Unavailable(f"the file cannot be stored: {error.strerror}") from error
        self._saved.append(folder / name)
        return name

    def _store(self, target: Path, part: Path) -> None:
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                shutil.copyfileobj(self.stream, out)
                out.flush()
                os.fsync(out.fileno())
            part.rename(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Delete what `save` has stored: the request failed."""
        while self._saved:
            self._saved.pop().unlink(missing_ok=True)


def sniffed(head: bytes) -> str | None:
    """Return the media type that the first 16 bytes of a file show, or None for other types."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if head[4:12] in (b"ftypavif", b"ftypavis") else None


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_SNIFFED = {*(kind for _, kind in _MAGIC), "image/webp", "image/avif"}


def _claimed(kind: str) -> str:
    """Return the type that a client gives; a lie where the first bytes would have shown it."""
    return "application/octet-stream" if kind in _SNIFFED or not kind else kind


def _shown(name: str) -> str:
    """Return the last part of a file name, without characters that cannot be seen."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:_LONGEST_NAME]
