"""The log: one event is one line, which no visitor can forge and which shows no secret."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from kit.options import DatabaseURL, Secret

logger = logging.getLogger("kit.security")

HIDDEN = "<secret>"
LOGGERS = ("kit", "kit.security")
SHORTEST = 6  # what is shorter is no secret, and would hide half of each line

# Controls, soft hyphen, zero-width and bidirectional marks, line and paragraph separators,
# byte order mark, surrogates and tags: whatever changes how a line looks, or where it ends.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_QUOTED = re.compile(r'[\s="\\]|^$')
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|secret|token|authorization|cookie|api[_-]?key|credential|csrf", re.IGNORECASE
)
_SECRET_HEADER = re.compile(
    r"((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*[:=]\s*)(?!\s)[^\r\n]+", re.IGNORECASE
)
_SECRET_PAIR = re.compile(
    r"([\w-]*(?:passw(?:or)?d|secret|token|api[_-]?key)[\w-]*)(['\"]?\s*[:=]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s\"',;&)}\]]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic|digest|negotiate) +[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_LONG_SEGMENT = re.compile(r"(?<=/)[A-Za-z0-9_.~=-]{40,}")  # of a path: the token of a link
_USER_INFO = re.compile(r"(\w+://[^\s/:@]*:)[^\s/@]+@")


def event(name: str, environ: Mapping[str, Any], **details: object) -> None:
    """Log one event as ``event=name method=... path=... client=... key=value ...``, a warning.

    Values with white space or quotes stand in double quotes; details whose name says that they
    are secret are hidden.
    """
    about = {
        "event": name,
        "method": environ.get("REQUEST_METHOD", ""),
        "path": _LONG_SEGMENT.sub(HIDDEN, environ.get("PATH_INFO", "")),
        "client": environ.get("REMOTE_ADDR", ""),
        **details,
    }
    line = " ".join(f"{key}={_value(key, value)}" for key, value in about.items())
    logger.warning("%s", line)


def _value(key: str, value: object) -> str:
    text = HIDDEN if _SECRET_NAME.search(key) else redacted(str(value))
    if _QUOTED.search(text):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return escaped(text)


def escaped(text: str) -> str:
    """Return `text` with every character that is not seen written out, such as ``\\n``."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without credentials in headers, pairs and URLs, and without `secrets`."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = _USER_INFO.sub(rf"\g<1>{HIDDEN}@", text)
    text = _SECRET_HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _SECRET_PAIR.sub(rf"\1\2{HIDDEN}", text)


class SafeLines(logging.Filter):
    """Makes each record one line that says no secret; lines of a traceback are set apart.

    Filters of a logger see what is logged there, before any handler does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._secrets: list[str] = []

    def hide(self, secrets: Iterable[str]) -> None:
        """Never show these texts; those under six characters are left alone."""
        known = {*self._secrets, *(one for one in map(str, secrets) if len(one) >= SHORTEST)}
        self._secrets = sorted(known, key=len, reverse=True)  # one may be a part of another

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite `record`; nothing is left out."""
        text = redacted(record.getMessage(), self._secrets)
        record.msg = escaped(_LONG_SEGMENT.sub(HIDDEN, text))
        record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = self._apart("".join(traceback.format_exception(*record.exc_info)))
        if record.stack_info:
            record.stack_info = self._apart(record.stack_info)
        return True

    def _apart(self, text: str) -> str:
        """Put a mark before every line, so that none of them looks like a line of the log."""
        lines = redacted(text, self._secrets).rstrip("\n").split("\n")
        return "\n".join(f"  | {escaped(line)}" for line in lines)


def secrets_in(values: Iterable[object]) -> Iterator[str]:
    """Yield the secrets among options, and the passwords in their URLs, also as they are quoted."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from secrets_in(value)
        elif isinstance(value, (Secret, DatabaseURL)):
            if password := _password(value):
                yield from {password, unquote(password)}
            elif isinstance(value, Secret):
                yield value


def _password(text: str) -> str:
    try:
        return urlsplit(text).password or ""
    except ValueError:
        return ""


safe_lines = SafeLines()


def protect(secrets: Iterable[str] = ()) -> None:
    """Install `safe_lines` on the loggers of the kernel, and hide `secrets` from now on.

    `secrets` are those of a configuration: see `secrets_in`.
    """
    safe_lines.hide(secrets)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(safe_lines)  # once, however often
