"""Tokens as JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, by PyJWT."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jwt

from kit.options import Secret
from kit.slots.tokens import derived_key, dump

if TYPE_CHECKING:
    from jwt.types import Options

ALGORITHM = "HS256"
_OWN_CLOCK: Options = {"verify_exp": False, "strict_aud": True, "require": ["aud", "exp", "value"]}


class JSONWebTokens:
    """Signs values as the claim ``value`` of a JSON Web Token, whose audience is the purpose."""

    def __init__(
        self, secret_keys: tuple[Secret, ...], clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = secret_keys
        self._clock = clock

    def sign(self, purpose: str, value: Any, lifetime: float) -> str:
        """Return a token of header, claims and signature."""
        dump(value)
        claims = {"aud": purpose, "exp": math.ceil(self._clock() + lifetime), "value": value}
        return jwt.encode(claims, derived_key(self._keys[0], purpose), ALGORITHM)

    def read(self, purpose: str, token: str) -> Any:
        """Return the value of a token, or None."""
        for secret in self._keys:
            try:
                key = derived_key(secret, purpose)
                claims = jwt.decode(
                    token, key, algorithms=[ALGORITHM], audience=purpose, options=_OWN_CLOCK
                )
            except (jwt.InvalidTokenError, UnicodeEncodeError):
                continue
            return claims["value"] if self._clock() < claims["exp"] else None
        return None
