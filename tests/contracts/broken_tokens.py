"""For every clause of the contract a component, or a kernel, that is broken in just that respect.

In class ``TestK7`` the test of clause K7 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from kit_pyjwt.tokens import JSONWebTokens

from kit.contracts.tokens import TokensContract
from kit.options import Secret
from kit.slots import tokens
from kit.slots.tokens import SingleUseTokens, derived_key, dump


class Signer:
    """A component that keeps the contract, for the others to break."""

    def __init__(self, secret_keys: tuple[Secret, ...], clock: Callable[[], float]) -> None:
        self.keys = secret_keys
        self.clock = clock

    def signature(self, secret: str, purpose: str, text: str) -> str:
        return hmac.digest(derived_key(secret, purpose), text.encode(), "sha256").hex()

    def sign(self, purpose: str, value: Any, lifetime: float) -> str:
        dump(value)
        payload = json.dumps([self.clock() + lifetime, value]).encode()
        text = urlsafe_b64encode(payload).decode().rstrip("=")
        return f"{text}.{self.signature(self.keys[0], purpose, text)}"

    def read(self, purpose: str, token: str) -> Any:
        text, _, signature = token.rpartition(".")
        try:
            signed = [self.signature(secret, purpose, text) for secret in self.keys]
            if not any(hmac.compare_digest(signature, one) for one in signed):
                return None
        except (TypeError, UnicodeEncodeError):
            return None
        return self.value(text)

    def value(self, text: str) -> Any:
        expires, value = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return value if self.clock() < expires else None


class Broken(TokensContract):
    Signer: Callable[..., Any] = Signer

    def make(self, secret_keys: tuple[Secret, ...], clock: Callable[[], float]) -> Any:
        return type(self).Signer(secret_keys, clock)


def broken(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Return a fixture that replaces an attribute of the kernel by ``make(the original)``."""

    @pytest.fixture(autouse=True)
    def replace(self: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return replace


class TestK1(Broken):
    class Signer(Signer):
        def read(self, purpose: str, token: str) -> Any:
            value = super().read(purpose, token)
            return float(value) if isinstance(value, int) else value


class TestK2(Broken):
    class Signer(Signer):
        def sign(self, purpose: str, value: Any, lifetime: float) -> str:
            return super().sign(purpose, value, lifetime) + "="

        def read(self, purpose: str, token: str) -> Any:
            return super().read(purpose, token.removesuffix("="))


class TestK3(Broken):
    class Signer(Signer):
        def read(self, purpose: str, token: str) -> Any:
            text, _, signature = token.rpartition(".")
            whole = self.signature(self.keys[0], purpose, text)
            return self.value(text) if whole.startswith(signature[:-2]) else None


class TestK4(Broken):
    class Signer(Signer):
        def read(self, purpose: str, token: str) -> Any:
            text, signature = token.split(".")
            return super().read(purpose, f"{text}.{signature}")


class TestK5(Broken):
    class Signer(Signer):
        def signature(self, secret: str, purpose: str, text: str) -> str:
            return super().signature(secret, purpose.strip(), text)


class TestK6(Broken):
    class Signer(Signer):
        def sign(self, purpose: str, value: Any, lifetime: float) -> str:
            return super().sign(purpose, value, max(lifetime, 100))


class TestK7(Broken):
    class Signer(Signer):
        def read(self, purpose: str, token: str) -> Any:
            return Signer(self.keys[:1], self.clock).read(purpose, token)


class TestK8(Broken):
    class Signer(Signer):
        def signature(self, secret: str, purpose: str, text: str) -> str:
            return super().signature(secret.strip(), purpose, text)


class TestK9(Broken):
    class Signer(JSONWebTokens):
        def read(self, purpose: str, token: str) -> Any:
            try:
                unsigned = jwt.get_unverified_header(token)["alg"] == "none"
                claims = jwt.decode(token, options={"verify_signature": False}) if unsigned else {}
            except (jwt.InvalidTokenError, KeyError, UnicodeEncodeError):
                claims = {}
            return claims.get("value") or super().read(purpose, token)


class TestK10(Broken):
    class Signer(Signer):
        def sign(self, purpose: str, value: Any, lifetime: float) -> str:
            if isinstance(value, tuple):
                value = list(value)
            return super().sign(purpose, value, lifetime)


class TestK11(Broken):
    class Signer(Signer):
        def sign(self, purpose: str, value: Any, lifetime: float) -> str:
            self.purpose = purpose
            time.sleep(0.0005)
            return super().sign(self.purpose, value, lifetime)


class TestK12(Broken):
    kernel = broken(tokens, "_digest", lambda digest: lambda purpose, state: digest(purpose, ""))


class TestK13(Broken):
    kernel = broken(
        SingleUseTokens,
        "read",
        lambda read: lambda s, purpose, token, state: read(s, purpose, token, state) or state(0),
    )


class TestK14(Broken):
    kernel = broken(
        SingleUseTokens,
        "read",
        lambda read: (
            lambda s, purpose, token, state: (
                s._tokens.read(purpose, token) or read(s, purpose, token, state)
            )
        ),
    )


class TestK15(Broken):
    kernel = broken(tokens, "_digest", lambda digest: lambda purpose, state: f"{purpose} {state}")
