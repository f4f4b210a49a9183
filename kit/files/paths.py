"""Opening files: regular ones only, once, and never outside of the folder they are asked from."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO

from werkzeug.exceptions import NotFound

logger = logging.getLogger("kit")

_WALKS = os.open in os.supports_dir_fd
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # for a writer to a FIFO
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_NO_FILE = _FORBIDDEN | {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),
    *(errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP),
}


@dataclass(frozen=True)
class Opened:
    """A regular file, open to be read: its size in bytes, when it changed in ns since 1970."""

    file: FileIO
    size: int
    changed: int


def open_file(path: str | os.PathLike[str]) -> Opened:
    """Open a file whose path the application made up; raise 404 if there is no regular file."""
    with _or_not_found(path):
        return _opened(path, _NO_WAITING)


def open_below(
    folder: str | os.PathLike[str], name: str, suffixes: Iterable[str] = ()
) -> tuple[Opened, dict[str, Opened]]:
    """Open a file by a name that a client made up, and its neighbours with further suffixes.

    `name` has slashes between its parts. Raises 404 for whatever is no regular file below
    `folder`, or begins with a dot. A symbolic link may lead to another place below `folder`.
    Of the neighbours those are opened that are files, and not older than the file itself.
    """
    parts = name.split("/")
    if "\\" in name or any(not part or part.startswith(".") for part in parts):
        raise NotFound
    with _or_not_found(name):
        root = os.path.realpath(folder, strict=True)
        real = os.path.realpath(os.path.join(root, *parts), strict=True)
        top = os.path.join(root, "")
        if not real.startswith(top):
            raise NotFound
        with _folder_of(top, real.removeprefix(top)) as (directory, last):
            found = _opened(last, _NO_WAITING | _NO_LINK, directory)
            return found, dict(_neighbours(found, last, suffixes, directory))


def close_all(files: Mapping[str, Opened]) -> None:
    """Close files that turned out not to be needed."""
    for one in files.values():
        one.file.close()


@contextmanager
def _or_not_found(name: object) -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # NUL, or what no file system can have
        raise NotFound from error
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        if error.errno in _FORBIDDEN:
            logger.warning("no permission to read %a, which was asked for", name)
        raise NotFound from error


@contextmanager
def _folder_of(top: str, inside: str) -> Iterator[tuple[int | None, str]]:
    """Go down to the folder of a real path; give its descriptor, and the name in it.

    No step follows a link, so whoever exchanges a folder for a link meanwhile gains nothing.
    Where the system has no such steps, there is no descriptor, and the name is the whole path.
    """
    if not _WALKS:
        yield None, top + inside
        return
    *folders, last = inside.split(os.sep)
    directory = os.open(top, _FOLDER)
    try:
        for name in folders:
            below = os.open(name, _FOLDER, dir_fd=directory)
            os.close(directory)
            directory = below
        yield directory, last
    finally:
        os.close(directory)


def _opened(path: str | os.PathLike[str], flags: int, directory: int | None = None) -> Opened:
    def opener(path: str, mode: int) -> int:
        return os.open(path, mode | flags, dir_fd=directory)

    file = open(path, "rb", buffering=0, opener=opener)  # noqa: SIM115 - it goes out open
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise NotFound
    return Opened(file, status.st_size, status.st_mtime_ns)


def _neighbours(
    found: Opened, name: str, suffixes: Iterable[str], directory: int | None
) -> Iterator[tuple[str, Opened]]:
    for suffix in suffixes:
        with suppress(OSError, NotFound):
            other = _opened(name + suffix, _NO_WAITING | _NO_LINK, directory)
            if other.changed >= found.changed:
                yield suffix, other
            else:
                other.file.close()
