"""Sessions in signed cookies. Visitors can read them, and nobody can change or end them early."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from itsdangerous import BadData, URLSafeTimedSerializer

from kit.options import Secret
from kit.slots.sessions import SessionsOptions

_OLD_COPY = "the browser has the only copy, and an old copy stays valid until it expires"


class _Plain:
    """Passes a record, which is JSON already, to and from the signer."""

    @staticmethod
    def dumps(record: bytes) -> bytes:
        return record

    @staticmethod
    def loads(record: bytes) -> bytes:
        return record


class SignedCookieSessions:
    """Keeps each record in its cookie: compressed, dated, and signed with HMAC-SHA256.

    The first of the secret keys signs, and what any of them has signed is read. Not for logins
    that must be revocable: a copied cookie works until its session expires.
    """

    key_form = r"[A-Za-z0-9_.-]{1,4093}"
    lacks: ClassVar = {
        "revocation": f"nothing is stored on the server: {_OLD_COPY}",
        "merging": f"the last response wins: {_OLD_COPY}",
    }

    def __init__(self, options: SessionsOptions, secret_keys: tuple[Secret, ...]) -> None:
        self._lifetime = int(options.lifetime)
        self._signer = URLSafeTimedSerializer(
            [*reversed(secret_keys)],  # the last signs
            salt="kit.sessions",
            serializer=_Plain,
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def load(self, key: str) -> bytes | None:
        """Return the record in the cookie; None if it is forged or older than the lifetime."""
        try:
            record: bytes = self._signer.loads(key, max_age=self._lifetime)
        except BadData:
            return None
        return record

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str:
        """Return the signed record: it is its own key. There is nothing to compare with."""
        signed: str | bytes = self._signer.dumps(record)
        return signed if isinstance(signed, str) else signed.decode()

    def delete(self, key: str) -> None:
        """Do nothing: the kernel expires the cookie."""

    def purge(self) -> int:
        """Return 0: there is nothing to purge."""
        return 0
