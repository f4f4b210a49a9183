"""Tokens: a component signs values for a purpose and a time, as links in mail carry them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kit.components import Slot
from kit.plugins import hookimpl
from kit.providers import provider


@dataclass(frozen=True, kw_only=True)
class TokensOptions:
    """The slot has no options of its own: keys are ``secret_key`` and ``secret_key_fallbacks``."""


class Tokens(Protocol):
    """Signs values, so that they can go through somebody's hands and come back unchanged.

    Whoever holds a token can read its value, and use it as often as the lifetime lets them; see
    `SingleUseTokens` for less. The factory names ``secret_keys``: the first signs, and what any
    of them has signed is read. It takes ``clock`` too, a function that returns the seconds since
    1970, with the default ``time.time``. Threads share a component.

    A key is derived for tokens alone (`derived_key`), so that nothing else that the application
    signs, such as a session, is a token. Which algorithm a token says that it was signed with
    changes nothing.
    """

    def sign(self, purpose: str, value: Any, lifetime: float) -> str:
        """Return a token for `value`, of the characters that a URL has (RFC 3986, section 2.3).

        It is read until `lifetime` seconds from now, and for the same `purpose` alone. `value` is
        what JSON has: see `dump`, which raises TypeError for anything else.
        """
        ...

    def read(self, purpose: str, token: str) -> Any:
        """Return the value of a token, or None for one that is forged, expired, or of another use.

        Never raises, whatever `token` is.
        """
        ...


def dump(value: Any) -> str:
    """Return `value` as compact JSON of ASCII.

    Raises TypeError for None, and for what JSON would not give back as it is: tuples and sets,
    dates, keys that are not text, NaN.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        if value is not None and json.loads(text) == value:
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    raise TypeError(
        f"a token cannot hold this {type(value).__name__}: it holds str, int, float, bool, list,"
        " and dict with str keys, of which it gives back the same"
    )


def derived_key(secret: str, purpose: str) -> bytes:
    """Return the key of 32 bytes that signs for `purpose`, made of one of ``secret_keys``."""
    return hmac.digest(secret.encode(), f"kit.tokens.{purpose}".encode(), "sha256")


class SingleUseTokens:
    """Tokens that end with the first use: for password resets, and to confirm an address.

    Nothing is stored for that. A token is bound to a state that its use changes, such as the hash
    of the password that it is there to replace, and is worth nothing once that has changed.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def sign(self, purpose: str, value: Any, lifetime: float, state: str) -> str:
        """Return a token for `value`, good for `lifetime` seconds, or until `state` is another.

        The token holds a hash of `state`: who has the token could try out short ones.
        """
        dump(value)
        return self._tokens.sign(f"once:{purpose}", [value, _digest(purpose, state)], lifetime)

    def read(self, purpose: str, token: str, state: Callable[[Any], str | None]) -> Any:
        """Return the value of a token, or None.

        `state` is called with the value, and returns what the state is now; None stands for a
        value that is of no use any more, such as the number of an account that is gone.
        """
        match self._tokens.read(f"once:{purpose}", token):
            case [value, str(digest)]:
                now = state(value)
                if now is not None and hmac.compare_digest(digest, _digest(purpose, now)):
                    return value
        return None


def _digest(purpose: str, state: str) -> str:
    return hashlib.sha256(f"{purpose}\0{state}".encode()).hexdigest()


@provider(scope="app")
def single_use_tokens(tokens: Tokens) -> SingleUseTokens:
    """Sign values for one use, such as a password reset; see `SingleUseTokens`."""
    return SingleUseTokens(tokens)


slot = Slot(
    name="tokens",
    protocol=Tokens,
    options=TokensOptions,
    providers=(single_use_tokens,),
    contract="kit.contracts.tokens:TokensContract",
)


kit_after = ("kit.slots.passwords",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``tokens``."""
    return [slot]
