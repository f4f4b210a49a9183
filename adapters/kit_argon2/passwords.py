"""Passwords hashed with Argon2id (RFC 9106), which takes memory as well as time."""

from __future__ import annotations

from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import HashingError, InvalidHashError, VerificationError

from kit.errors import Unavailable
from kit.options import Size
from kit.slots.passwords import PasswordsOptions

_RFC_9106 = Size(64 * 1024**2)
_OWASP = {1: Size(46 * 1024**2), 2: Size(19 * 1024**2), 3: Size(12 * 1024**2), 4: Size(9 * 1024**2)}
_LEAST = Size(7 * 1024**2)
_AWAY = "there is not enough memory to hash a password"


@dataclass(frozen=True, kw_only=True)
class Argon2Options(PasswordsOptions):
    """Options of the component ``argon2``: what making a new hash costs.

    It goes through the `memory` (a multiple of 1 KiB) `time` times, in `parallelism` threads. The
    defaults are the second choice of RFC 9106, for where memory is dear. The least is what the
    OWASP password storage cheat sheet has: 46 MiB once, 19 MiB twice, 12, 9 and 7 MiB for 3, 4
    and 5 times.
    """

    time: int = 3
    memory: Size = _RFC_9106
    parallelism: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.parallelism <= 255:
            raise ValueError(f"parallelism = {self.parallelism}: write 1 to 255")
        if self.time < 1 or self.memory < _OWASP.get(self.time, _LEAST):
            raise ValueError(
                f"time = {self.time} with memory = {str(self.memory)!r} is too weak; the least is"
                f" time = 2 with memory = {str(_OWASP[2])!r}"
            )
        if self.memory % 1024 or self.memory >= 1024 * 2**32:
            raise ValueError(f"memory = {int(self.memory)}: write a multiple of 1 KiB, below 4 TiB")


class Argon2Passwords:
    """Hashes with Argon2id, and reads all kinds of Argon2."""

    def __init__(self, options: Argon2Options) -> None:
        self._hasher = PasswordHasher(options.time, options.memory // 1024, options.parallelism)

    def reads(self, hash: str) -> bool:
        """Say whether it is a hash of Argon2."""
        return hash.startswith("$argon2")

    def hash(self, password: str) -> str:
        """Return a hash in the usual form: ``$argon2id$v=19$m=...,t=...,p=...$salt$hash``."""
        try:
            return self._hasher.hash(password)
        except HashingError as error:
            raise Unavailable(_AWAY) from error

    def verify(self, hash: str, password: str) -> bool:
        """Say whether `hash` was made of `password`."""
        try:
            return self._hasher.verify(hash, password)
        except VerificationError as error:
            if "Memory" in str(error):
                raise Unavailable(_AWAY) from error
            return False
        except ValueError:  # no hash: an InvalidHashError, or not even ASCII
            return False

    def outdated(self, hash: str) -> bool:
        """Say whether `hash` has other parameters than new ones."""
        try:
            return self._hasher.check_needs_rehash(hash)
        except InvalidHashError:
            return True
