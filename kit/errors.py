"""Errors: what was found, where, what is allowed, and what to do.

Mistakes of the person who configures or writes an application are collected as `Problem`s and
raised together as one `ConfigError` at start. Errors that a running application meets carry the
HTTP status they end in, so that one place can turn them into responses.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest of `known`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def listing(names: Iterable[str]) -> str:
    """Return the names sorted and joined by commas, or ``none``."""
    return ", ".join(sorted(names)) or "none"


@dataclass(frozen=True)
class Problem:
    """One mistake: `where` it was found (``kit.toml:12``), `what` was found, and how to mend it.

    `cause` is the exception behind it, where there is one.
    """

    where: str
    what: str
    mend: str = ""
    cause: BaseException | None = field(default=None, compare=False)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n    {self.mend}" if self.mend else head


class ConfigError(Exception):
    """Everything that is wrong with a configuration or an application, reported at once.

    `problems` holds the single mistakes, those of a configuration by file and line.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(dict.fromkeys(problems))
        self.__cause__ = next((p.cause for p in self.problems if p.cause), None)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class KitError(Exception):
    """An error of a running application that ends in the HTTP status `status`.

    Its answer has `headers` beside. A class of one's own may set both.
    """

    status = 500
    headers: Iterable[tuple[str, str]] = ()


class Unauthorized(KitError):
    """Nobody is logged in, or the credentials are wrong: 401 (RFC 9110, section 15.5.2).

    `challenges` go out as WWW-Authenticate, one each. `login` is the path of a page to log in:
    whoever accepts HTML is sent there instead (303), with the way back in ``?next=``.
    """

    status = 401

    def __init__(self, message: str = "", challenges: Iterable[str] = (), login: str = "") -> None:
        self.challenges = tuple(challenges)
        self.headers = [("WWW-Authenticate", challenge) for challenge in self.challenges]
        self.login = login
        super().__init__(message)


class Forbidden(KitError):
    """The request is understood and refused, whoever asks again: 403."""

    status = 403


class RecordNotFound(KitError, LookupError):
    """No record has the identity that was asked for: 404."""

    status = 404


class Conflict(KitError):
    """A unique or foreign key, or a concurrent change, stands against storing something: 409."""

    status = 409


class InvalidValue(KitError, ValueError):
    """A value cannot be stored as its field is declared (too long, NUL, out of range): 422."""

    status = 422


class Invalid(KitError):
    """Input that does not fit its schema: 422, with a message for each field.

    `errors` are dicts with the keys ``field`` (a path such as ``items.0.name``, or empty for the
    whole), ``code`` and ``message``. `source` is the input they were found in, which a handler
    named by a route's ``again`` is given.
    """

    status = 422

    def __init__(self, errors: Iterable[Mapping[str, str]], source: Any = None) -> None:
        self.errors = [dict(error) for error in errors]
        self.source = source
        super().__init__("Some values are missing or cannot be used.")


class TooMany(KitError):
    """More requests than a limit allows: 429, and try again after `retry_after` seconds."""

    status = 429

    def __init__(self, retry_after: float, message: str = "") -> None:
        self.retry_after = max(1, math.ceil(retry_after))
        self.headers = [("Retry-After", str(self.retry_after))]
        super().__init__(message or f"Too many requests: try again in {self.retry_after} seconds.")


class Unavailable(KitError):
    """A database or store is away for now: 503, and try again after five seconds."""

    status = 503
    headers = (("Retry-After", "5"),)


class TemplateError(KitError):
    """A template is missing, malformed or failed; `template` and `line` say where.

    `line` counts from 1, and is None where the engine does not know it.
    """

    def __init__(self, message: str, template: str, line: int | None = None) -> None:
        self.template = template
        self.line = line
        where = template if line is None else f"{template}:{line}"
        super().__init__(f"{where}: {message}")
