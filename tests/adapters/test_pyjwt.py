"""What is particular to tokens that are JSON Web Tokens."""

from __future__ import annotations

import warnings

import jwt
import pytest
from kit_pyjwt.tokens import JSONWebTokens

from kit.options import Secret
from kit.slots.tokens import derived_key

KEY = Secret("a secret key of 32 bytes or more")
CLAIMS = {"aud": "reset", "exp": 99999999999, "value": "admin"}


def test_a_token_has_the_usual_claims() -> None:
    token = JSONWebTokens((KEY,), lambda: 1000).sign("reset", {"id": 7}, 60)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims == {"aud": "reset", "exp": 1060, "value": {"id": 7}}


@pytest.mark.parametrize("change", [{}, {"aud": "verify"}, {"aud": ["reset"]}, {"exp": 1}])
@pytest.mark.parametrize("missing", ["", "aud", "exp", "value"])
def test_claims_count_even_if_the_signature_is_right(change: dict, missing: str) -> None:
    claims = {**CLAIMS, **change}
    claims.pop(missing, None)
    token = jwt.encode(claims, derived_key(KEY, "reset"), "HS256")
    right = claims == CLAIMS
    assert JSONWebTokens((KEY,)).read("reset", token) == ("admin" if right else None)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_no_other_algorithm_is_right_with_the_right_key(algorithm: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the key is short for these
        token = jwt.encode(CLAIMS, derived_key(KEY, "reset"), algorithm)
    assert JSONWebTokens((KEY,)).read("reset", token) is None


def test_the_secret_key_itself_signs_no_token() -> None:
    """So a bearer token for the audience "reset" is no token for that purpose."""
    token = jwt.encode(CLAIMS, KEY, "HS256")
    assert JSONWebTokens((KEY,)).read("reset", token) is None


def test_a_short_secret_key_does_not_warn() -> None:
    tokens = JSONWebTokens((Secret("short"),))
    assert tokens.read("reset", tokens.sign("reset", 1, 60)) == 1
