"""Passwords hashed with scrypt (RFC 7914), as OpenSSL and so the standard library has it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass

from kit.errors import Unavailable
from kit.slots.passwords import PasswordsOptions

_BLOCK = 8  # r: with p = 1 every choice of the OWASP cheat sheet has it
# 32 bytes, all of which count: of a hash cut short the rest would be right.
_FORM = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{43})", re.A
)


@dataclass(frozen=True, kw_only=True)
class ScryptOptions(PasswordsOptions):
    """Options of the component ``scrypt``: what making a new hash costs.

    It takes two to the power of `cost` steps, and a thousand times as many bytes of memory: 17
    are 128 MiB, and the least that the OWASP password storage cheat sheet has for one pass.
    """

    cost: int = 17

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 17 <= self.cost <= 20:  # Python takes less than 2 GiB for it
            raise ValueError(f"cost = {self.cost}: write 17 (128 MiB) to 20 (1 GiB)")


class ScryptPasswords:
    """Hashes with scrypt, r = 8 and p = 1, and reads scrypt with any parameters."""

    def __init__(self, options: ScryptOptions) -> None:
        self._cost = options.cost

    def reads(self, hash: str) -> bool:
        """Say whether it is a hash of scrypt."""
        return hash.startswith("$scrypt$")

    def hash(self, password: str) -> str:
        """Return a hash in the usual form: ``$scrypt$ln=17,r=8,p=1$salt$hash``."""
        salt = secrets.token_bytes(16)
        made = _scrypt(password, salt, self._cost, _BLOCK, 1)
        return f"$scrypt$ln={self._cost},r={_BLOCK},p=1${_text(salt)}${_text(made)}"

    def verify(self, hash: str, password: str) -> bool:
        """Say whether `hash` was made of `password`."""
        found = _FORM.fullmatch(hash)
        if found is None:
            return False
        try:
            salt, wanted = _bytes(found[4]), _bytes(found[5])
            cost, block, passes = int(found[1]), int(found[2]), int(found[3])
            made = _scrypt(password, salt, cost, block, passes)
        except (ValueError, OverflowError):  # no base64, or parameters that scrypt cannot have
            return False
        return hmac.compare_digest(made, wanted)

    def outdated(self, hash: str) -> bool:
        """Say whether `hash` has other parameters than new ones."""
        return not hash.startswith(f"$scrypt$ln={self._cost},r={_BLOCK},p=1$")


def _scrypt(password: str, salt: bytes, cost: int, block: int, passes: int) -> bytes:
    # What OpenSSL counts: V and T of 128 * r bytes a step, and B. Its own limit is 32 MiB.
    memory = 128 * block * (2**cost + passes + 2)
    try:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=2**cost, r=block, p=passes, maxmem=memory, dklen=32
        )
    except MemoryError as error:
        raise Unavailable("there is not enough memory to hash a password") from error


def _text(value: bytes) -> str:
    return b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), validate=True)
