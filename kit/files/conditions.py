"""Conditional requests and ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable
from werkzeug.http import http_date, parse_date, parse_etags

_RANGE = re.compile(r"bytes=\s*([0-9]{0,100})-([0-9]{0,100})\s*", re.IGNORECASE).fullmatch


@dataclass(frozen=True)
class Version:
    """Which version of a thing it is: a strong `etag` without quotes, `modified` in seconds."""

    etag: str
    modified: int

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that tell a client so."""
        return [("ETag", f'"{self.etag}"'), ("Last-Modified", http_date(self.modified))]


def is_known(environ: Mapping[str, Any], version: Version) -> bool:
    """Say whether a client that asks with GET or HEAD has this version already: 304.

    Raises 412 where it wants another version, or none.
    """
    if (match := environ.get("HTTP_IF_MATCH")) is not None:
        wanted = parse_etags(match).contains(version.etag)
    else:
        until = _seconds(environ.get("HTTP_IF_UNMODIFIED_SINCE"))
        wanted = until is None or version.modified <= until
    if not wanted:
        raise PreconditionFailed
    if (none_match := environ.get("HTTP_IF_NONE_MATCH")) is not None:
        return parse_etags(none_match).contains_weak(version.etag)
    since = _seconds(environ.get("HTTP_IF_MODIFIED_SINCE"))
    return since is not None and version.modified <= since


def asked_range(environ: Mapping[str, Any], version: Version, size: int) -> tuple[int, int] | None:
    """Return where the part that is asked for begins and ends; None for the whole.

    Several ranges, unknown units, and a range of another version ask for the whole. Raises 416
    for a range that begins behind the end.
    """
    found = _RANGE(environ.get("HTTP_RANGE", ""))
    if not found or not any(found.groups()) or not _is_of(version, environ.get("HTTP_IF_RANGE")):
        return None
    first, last = found.groups()
    if not first:
        return _last_bytes(int(last), size)
    start, end = int(first), int(last) + 1 if last else size
    if end <= start and last:
        return None
    if start >= size:
        raise RequestedRangeNotSatisfiable(size)
    return start, min(end, size)


def _last_bytes(number: int, size: int) -> tuple[int, int] | None:
    if not number:
        raise RequestedRangeNotSatisfiable(size)
    return (max(0, size - number), size) if size else None


def _is_of(version: Version, if_range: str | None) -> bool:
    """Say whether a range is of this version, by a strong comparison."""
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip() == f'"{version.etag}"'
    return _seconds(if_range) == version.modified


def _seconds(date: str | None) -> int | None:
    """Return a date in seconds since 1970; None where there is none, or no proper one."""
    try:
        found = parse_date(date)
        return None if found is None else int(found.timestamp())
    except (OverflowError, ValueError):
        return None
