"""The components of the slot ``tokens`` under its contract."""

from __future__ import annotations

from collections.abc import Callable

from kit_itsdangerous.tokens import ItsdangerousTokens
from kit_pyjwt.tokens import JSONWebTokens

from kit.contracts.tokens import TokensContract
from kit.options import Secret


class TestItsdangerous(TokensContract):
    def make(
        self, secret_keys: tuple[Secret, ...], clock: Callable[[], float]
    ) -> ItsdangerousTokens:
        return ItsdangerousTokens(secret_keys, clock)


class TestPyjwt(TokensContract):
    def make(self, secret_keys: tuple[Secret, ...], clock: Callable[[], float]) -> JSONWebTokens:
        return JSONWebTokens(secret_keys, clock)
