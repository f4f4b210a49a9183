"""Messages: what visitors read where input cannot be used, in their own language.

A component says what is wrong with a code. The English text of each code stands here; further
languages stand in files of the application, ``de.toml`` for German, with a line for every code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from kit.errors import ConfigError, Problem, listing, nearest
from kit.options import Size
from kit.slots.validation.reading import Failure

ENGLISH: Mapping[str, str] = {
    "missing": "This field is required.",
    "no_file": "Please choose a file.",
    "repeated": "Please give this only once.",
    "unknown": "There is no such field.",
    "invalid": "{message}",
    "not_text": "This must be text.",
    "bad_text": "This has a character that cannot be stored.",
    "too_short": "Please use at least {limit} characters.",
    "too_long": "Please use at most {limit} characters.",
    "pattern": "This does not have the form that is asked for.",
    "not_integer": "Please give a whole number.",
    "not_number": "Please give a number.",
    "not_decimal": "Please give a number such as 12.50.",
    "too_small": "Please give at least {limit}.",
    "too_large": "Please give at most {limit}.",
    "not_above": "Please give more than {limit}.",
    "not_below": "Please give less than {limit}.",
    "not_multiple": "Please give a multiple of {limit}.",
    "too_many_places": "Please use at most {limit} digits after the point.",
    "not_boolean": "Please answer true or false.",
    "not_date": "Please give a date such as 2026-01-31.",
    "not_time": "Please give a time such as 12:30.",
    "not_datetime": "Please give date and time such as 2026-01-31T12:30.",
    "no_zone": "Please give date and time with the time zone, such as 2026-01-31T12:30:00Z.",
    "not_uuid": "This is no valid UUID.",
    "not_bytes": "This must be base64.",
    "not_choice": "Please choose one of: {choices}.",
    "not_list": "This must be a list.",
    "not_object": "This must be an object with fields.",
    "too_few": "Please give at least {limit} of these.",
    "too_many": "Please give at most {limit} of these.",
    "not_file": "Please send a file.",
    "file_too_large": "This file is too large: at most {limit} are accepted.",
    "file_type": "Files of this type are not accepted, only: {choices}.",
}
"""The text of each code; names in braces are the params of a failure."""

_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*").fullmatch
_LONGEST = 500


class Messages:
    """The texts of all languages that an application has; English is always there.

    `folder` has a TOML file for each language, called by its tag (RFC 5646). Raises ConfigError
    with every mistake in them.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._languages: dict[str, Mapping[str, str]] = {"en": ENGLISH}
        problems: list[Problem] = []
        for file in sorted(folder.glob("*.toml")) if folder else []:
            self._languages[file.stem.lower()] = _read(file, problems)
        if problems:
            raise ConfigError(problems)
        self.pick = lru_cache(256)(self._pick)

    def _pick(self, accept: str) -> Mapping[str, str]:
        """Return the texts of the language that a header Accept-Language asks for, or English.

        A language without its region will do, where there is no better one (RFC 4647, section 3.4).
        """
        if len(self._languages) > 1 and len(accept) <= _LONGEST:
            for tag, weight in parse_accept_header(accept, LanguageAccept):
                language = tag.lower() if weight > 0 else ""
                while language:
                    if language in self._languages:
                        return self._languages[language]
                    language = language.rpartition("-")[0]
        return self._languages["en"]


def text(texts: Mapping[str, str], failure: Failure) -> str:
    """Return the message of a failure."""
    params = failure.params
    if failure.code == "file_too_large":
        params = {"limit": Size(params["limit"])}
    return texts[failure.code].format_map(params)


def _read(file: Path, problems: list[Problem]) -> Mapping[str, str]:
    found: dict[str, Any] = {}
    if not _TAG(file.stem):
        problems.append(Problem(str(file), "its name is no language tag.", "Call it de.toml."))
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        problems.append(Problem(str(file), f"it cannot be read: {error}", "", error))
        return ENGLISH
    for code, template in found.items():
        if code not in ENGLISH:
            what = f"there is no message {code!r}.{nearest(code, ENGLISH)}"
            problems.append(Problem(str(file), what, f"There are: {listing(ENGLISH)}."))
        elif wrong := _wrong(code, template):
            problems.append(Problem(str(file), f"{code} = {template!r}: {wrong}"))
    if file.stem.lower() == "en":
        return {**ENGLISH, **found}
    if missing := [code for code in ENGLISH if code not in found and code != "invalid"]:
        what = f"it lacks {listing(missing)}."
        problems.append(Problem(str(file), what, "Translate these too."))
    return {"invalid": ENGLISH["invalid"], **found}


def _wrong(code: str, template: object) -> str:
    """Say what is wrong with the text of a code, if anything."""
    if not isinstance(template, str):
        return "a message is text."
    allowed = _names(ENGLISH[code])
    try:
        unknown = _names(template) - allowed
    except ValueError as error:
        return f"{error}. Write {{{{ and }}}} for braces."
    return f"it can name {listing(allowed)}, not {listing(unknown)}." if unknown else ""


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
