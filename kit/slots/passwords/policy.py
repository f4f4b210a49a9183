"""What is done with a password before and after a component hashes it, the same for all of them."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from kit.errors import InvalidValue, Unavailable

if TYPE_CHECKING:
    from kit.slots.passwords import PasswordHasher, PasswordsOptions

logger = logging.getLogger("kit.security")

LONGEST = 1024
"""How many characters a password may have. Nothing is ever cut off."""

COMMON = Path(__file__).with_name("common.txt")
WAIT = 10  # seconds for which a request waits for its turn to hash
FEWEST = 4  # characters that differ
_LONGEST_RAW = LONGEST * 4  # NFC makes one character of four at most, and takes long for many
_TOO_LONG = f"Use at most {LONGEST} characters."
_NOT_TYPED = frozenset({"Cc", "Cs", "Cn"})  # controls, lone surrogates, what Unicode has not yet
_WORDS = re.compile(r"[^\W_]{4,}")


class Passwords:
    """The passwords of an application, as the provider ``password_keeper`` gives them.

    The first of `hashers` makes new hashes, and all of them read their own. A password is brought
    into the form NFC of Unicode before it is hashed (NIST SP 800-63B-4, section 3.1.1.2; RFC 8265),
    because keyboards differ in the code points that they send for one and the same letter; beyond
    that it is hashed as it was typed, whole.
    """

    def __init__(self, hashers: Iterable[PasswordHasher], options: PasswordsOptions) -> None:
        self._hashers = tuple(hashers)
        self._minimum = options.minimum
        self._words = options.words
        self._common = _read(COMMON) | (_read(options.blocklist) if options.blocklist else set())
        self._turns = BoundedSemaphore(options.at_once)

    def check_new(self, password: str, *context: str) -> list[str]:
        """Return a sentence for each reason against a new password; an empty list takes it.

        `context` is what belongs to the account and is easily guessed: name, e-mail address.
        """
        if len(password) > _LONGEST_RAW:
            return [_TOO_LONG]
        text = unicodedata.normalize("NFC", password)
        folded = text.casefold()
        parts = {part for one in (*context, *self._words) for part in _parts(one)}
        reasons = {
            f"Use at least {self._minimum} characters.": len(text) < self._minimum,
            _TOO_LONG: len(text) > LONGEST,
            "Leave out characters that cannot be typed.": not _is_typed(text),
            "Choose another one: this is one of the first that everybody tries.": (
                folded.strip() in self._common or len(set(folded)) < FEWEST <= len(folded)
            ),
            "Leave out your name, your address, and the name of this site.": any(
                part in folded for part in parts
            ),
        }
        return [reason for reason, holds in reasons.items() if holds]

    def hash(self, password: str) -> str:
        """Return the hash to store, of at most 255 characters.

        Raises InvalidValue for what `check_new` would not take for its length or its characters,
        and Unavailable where too many passwords are being hashed.
        """
        text = _usable(password)
        if text is None:
            raise InvalidValue(f"a password has at most {LONGEST} characters, which can be typed")
        with self._turn():
            return self._hashers[0].hash(text)

    def verify(self, hash: str, password: str) -> bool:
        """Say whether a stored `hash` was made of `password`.

        A hash that no component in use can read is logged, and is never right; nor is the empty
        one of an account without password. Both take as long as a wrong password.
        """
        text = _usable(password)
        if text is None:
            return False
        reader = self._reader(hash)
        with self._turn():
            if reader is not None:
                return reader.verify(hash, text)
            self._hashers[0].hash(text)
        if hash:
            logger.error(
                "a stored password is of the scheme %s, which nothing reads: add its component to"
                " [passwords] use",
                ascii(hash.split("$")[1][:20] if hash.startswith("$") else "unknown"),
            )
        return False

    def outdated(self, hash: str) -> bool:
        """Say whether to store the hash anew: it has other parameters, or another scheme."""
        reader = self._reader(hash)
        return reader is not self._hashers[0] or reader.outdated(hash)

    def dummy(self, password: str) -> None:
        """Take the time of `verify`, for a name that no account has."""
        self.verify("", password)

    def _reader(self, hash: str) -> PasswordHasher | None:
        return next((one for one in self._hashers if one.reads(hash)), None)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=WAIT):
            raise Unavailable("too many passwords are being checked at the same time")
        try:
            yield
        finally:
            self._turns.release()


def _usable(password: str) -> str | None:
    """Return what is to be hashed, or None for a password that `check_new` never took."""
    if len(password) > _LONGEST_RAW:
        return None
    text = unicodedata.normalize("NFC", password)
    return text if len(text) <= LONGEST and _is_typed(text) else None


def _is_typed(text: str) -> bool:
    return _NOT_TYPED.isdisjoint(map(unicodedata.category, text))


def _parts(context: str) -> list[str]:
    """Return the words of a name, or of an address without its top-level domain."""
    text = context.rpartition(".")[0] if "@" in context else context
    return _WORDS.findall(text.casefold())


def _read(file: Path) -> frozenset[str]:
    return frozenset(line.strip().casefold() for line in file.read_text("utf-8").splitlines())
