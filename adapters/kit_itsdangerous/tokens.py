"""Tokens signed with HMAC-SHA256, by itsdangerous."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from kit.options import Secret
from kit.slots.tokens import derived_key, dump


class ItsdangerousTokens:
    """Signs values with itsdangerous: compressed where that is shorter, never encrypted."""

    def __init__(
        self, secret_keys: tuple[Secret, ...], clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = secret_keys
        self._clock = clock

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        keys = [derived_key(secret, purpose) for secret in reversed(self._keys)]  # the last signs
        return URLSafeSerializer(
            keys,
            salt="kit.tokens",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def sign(self, purpose: str, value: Any, lifetime: float) -> str:
        """Return a token of compressed JSON and a signature."""
        dump(value)
        expires = math.ceil(self._clock() + lifetime)
        signed: str | bytes = self._serializer(purpose).dumps([expires, value])
        return signed if isinstance(signed, str) else signed.decode()

    def read(self, purpose: str, token: str) -> Any:
        """Return the value of a token, or None."""
        try:
            expires, value = self._serializer(purpose).loads(token)
        except (BadData, UnicodeEncodeError):
            return None
        return value if self._clock() < expires else None
