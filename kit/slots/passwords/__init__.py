"""Passwords: a component hashes and verifies; which ones are taken, and how, is the kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kit.components import Slot
from kit.plugins import hookimpl
from kit.providers import provider
from kit.slots.passwords.policy import Passwords

SHORTEST, LONGEST_MINIMUM = 8, 64


@dataclass(frozen=True, kw_only=True)
class PasswordsOptions:
    """Options that mean the same for every way of hashing.

    ``use`` lists the components: the first makes new hashes, and all of them read the hashes that
    they made before. A new password has at least `minimum` characters: 8 or more, and 15 where
    nothing but the password is asked for at login (NIST SP 800-63B). It is none of the common
    passwords that come with the kit, nor of those in the file `blocklist` (UTF-8, one on a line),
    and it holds none of `words`, such as the name of the site.

    Each process works on `at_once` passwords at the same time, because every one takes much
    memory; a request waits ten seconds for its turn, and then ends in 503.
    """

    minimum: int = SHORTEST
    blocklist: Path | None = None
    words: tuple[str, ...] = ()
    at_once: int = 4

    def __post_init__(self) -> None:
        if not SHORTEST <= self.minimum <= LONGEST_MINIMUM:
            raise ValueError(
                f"minimum = {self.minimum}: passwords have at least {SHORTEST} characters, and"
                f" those of {LONGEST_MINIMUM} have to be long enough"
            )
        if self.at_once < 1:
            raise ValueError(f"at_once = {self.at_once}: write 1 or more")
        if self.blocklist is not None and not self.blocklist.is_file():
            raise ValueError(f"there is no file {self.blocklist}, which blocklist names")


class PasswordHasher(Protocol):
    """A way of hashing passwords, with its parameters. Threads share one.

    The factory names ``options``, with the parameters for new hashes: weaker ones than the OWASP
    password storage cheat sheet has are a ValueError at start. A hash is a line of ASCII of at
    most 255 characters that holds scheme, parameters and salt, so that it can be read whatever the
    options say meanwhile. Every password comes as it is to be hashed: whole, of any length that
    the kernel lets through, with any character that UTF-8 has.
    """

    def reads(self, hash: str) -> bool:
        """Say whether `hash` is of this scheme, with whatever parameters."""
        ...

    def hash(self, password: str) -> str:
        """Return a hash of `password` with a salt of its own."""
        ...

    def verify(self, hash: str, password: str) -> bool:
        """Say whether `hash` was made of `password`; False for what is no hash of this scheme."""
        ...

    def outdated(self, hash: str) -> bool:
        """Say whether `hash` was made otherwise than `hash` now would: make it anew at login."""
        ...


@provider(scope="app")
def password_keeper(
    passwords: dict[str, PasswordHasher], passwords_options: PasswordsOptions
) -> Passwords:
    """Hash, verify and check passwords by the rules of the configuration; see `Passwords`."""
    return Passwords(passwords.values(), passwords_options)


slot = Slot(
    name="passwords",
    protocol=PasswordHasher,
    options=PasswordsOptions,
    providers=(password_keeper,),
    many=True,
    contract="kit.contracts.passwords:PasswordsContract",
)


kit_after = ("kit.slots.sessions",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``passwords``."""
    return [slot]
