"""Bearer tokens (RFC 6750): JSON Web Tokens of this application, or of an issuer that it trusts."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt
from jwt.utils import base64url_encode

from kit.errors import KitError, Unauthorized
from kit.options import Duration, Secret
from kit.slots.identity import IdentityOptions
from kit.slots.identity.users import UserDirectory, UserRecords
from kit.slots.tokens import derived_key

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
_OWN_ALGORITHM = "HS256"
_QUARTER = Duration(15 * 60)
_HALF_A_MINUTE = Duration(30)
_LONGEST = 8192  # characters


@dataclass(frozen=True, kw_only=True)
class BearerOptions(IdentityOptions):
    """Options of the component ``bearer``.

    Without `keys` tokens are the application's own: it makes them with ``issue``, good for
    `lifetime`, and signs them with HS256 and the secret key. `keys` is a file of the public keys
    of another issuer (JWK Set, RFC 7517), read at start; its tokens are taken if they are signed
    with one of `algorithms`. Every token has an end, is by `issuer`, and for `audience`; `leeway`
    is how much clocks may differ. Its `claim` holds the id of the user, or the name, as `user`
    says.
    """

    keys: Path | None = None
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    issuer: str = "framekit"
    audience: str = "framekit"
    lifetime: Duration = _QUARTER
    leeway: Duration = _HALF_A_MINUTE
    claim: str = "sub"
    user: Literal["id", "name"] = "id"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.issuer and self.audience and self.claim and self.algorithms):
            raise ValueError("issuer, audience, claim and algorithms are not empty")
        if self.keys is not None and "framekit" in (self.issuer, self.audience):
            raise ValueError(
                "keys of another issuer need its name, as issuer, and that of this application,"
                " as audience: otherwise tokens that it made for others would be good here"
            )
        if self.keys is None and (self.claim, self.user) != ("sub", "id"):
            raise ValueError("claim and user are for tokens of another issuer: give its keys")
        if self.lifetime < 1:
            raise ValueError("lifetime is at least one second")


class BearerIdentity:
    """Clients send a JSON Web Token, as ``Authorization: Bearer ...``.

    A token of the application's own ends with the password, and is checked with the former secret
    keys, too. A token says itself neither which algorithm is right nor where its key is.
    """

    headers = ("Authorization",)

    def __init__(
        self, options: BearerOptions, secret_keys: tuple[Secret, ...], user_records: UserRecords
    ) -> None:
        self.challenge = f'Bearer realm="{options.realm}"'
        self._options = options
        self._records = user_records
        self._own = options.keys is None
        self.lacks = {} if self._own else {"password": "its issuer says how long a token is good"}
        self._keys = (
            read_keys(options.keys, options.algorithms)
            if options.keys
            else [own_key(secret) for secret in secret_keys]
        )
        self._required = ["exp", "iss", "aud", options.claim, *(["ver"] if self._own else [])]

    def issue(self, user: Any) -> str:
        """Return a token for a user. Raises KitError where tokens come from another issuer."""
        if not self._own:
            raise KitError("tokens come from another issuer here, by [identity.bearer] keys")
        options, now = self._options, int(time.time())
        claims = {
            "iss": options.issuer,
            "aud": options.audience,
            "sub": str(user.id),
            "iat": now,
            "exp": now + int(options.lifetime),
            "ver": self._records.proof(user, "login"),
        }
        key = self._keys[0]
        return jwt.encode(claims, key, _OWN_ALGORITHM, headers={"kid": key.key_id})

    def identify(self, environ: Mapping[str, Any], user_directory: UserDirectory) -> Any | None:
        """Return whom the token names; raise Unauthorized for a token that is not good."""
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            user = self._user(self._claims(token.strip()), user_directory)
        except jwt.ExpiredSignatureError:
            raise self._refused("The token has expired") from None
        except jwt.PyJWTError:
            user = None
        if user is None:
            raise self._refused("The token is not valid")
        return user

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _LONGEST:
            raise jwt.InvalidTokenError
        kid = jwt.get_unverified_header(token).get("kid")
        failure: jwt.PyJWTError = jwt.InvalidTokenError("no key for it")
        for key in self._keys:
            if kid not in (None, key.key_id):
                continue
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[_OWN_ALGORITHM] if self._own else self._options.algorithms,
                    issuer=self._options.issuer,
                    audience=self._options.audience,
                    leeway=self._options.leeway,
                    options={"require": self._required, "enforce_minimum_key_length": True},
                )
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
                failure = error  # without kid, it may be signed with the next one
        raise failure

    def _user(self, claims: dict[str, Any], directory: UserDirectory) -> Any | None:
        found = claims[self._options.claim]
        if not isinstance(found, str):
            return None
        if self._options.user == "name":
            return directory.named(found)
        if not (found.isascii() and found.isdecimal() and len(found) < 20):
            return None
        return directory.get(int(found), claims["ver"] if self._own else None)

    def _refused(self, why: str) -> Unauthorized:
        parameters = f'error="invalid_token", error_description="{why}"'
        return Unauthorized(f"{why}.", [f"{self.challenge}, {parameters}"])


def own_key(secret: Secret) -> jwt.PyJWK:
    """Return the key that a secret key of the application gives for its own tokens."""
    key = derived_key(secret, "identity.bearer")
    kid = hashlib.sha256(key).hexdigest()[:16]
    value = base64url_encode(key).decode()
    return jwt.PyJWK({"kty": "oct", "alg": _OWN_ALGORITHM, "kid": kid, "k": value})


def read_keys(file: Path, algorithms: Sequence[str]) -> list[jwt.PyJWK]:
    """Return the keys of a JWK Set that verify signatures.

    Raises ValueError with everything that is wrong with them, and OSError.
    """
    try:
        members = json.loads(file.read_text("utf-8"))["keys"]
        found = [one for one in members if one.get("use", "sig") == "sig"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f'{file} is no JWK Set: {{"keys": [...]}} ({error})') from error
    keys, wrong = [], []
    for number, member in enumerate(found, 1):
        try:
            keys.append(_public_key(member, algorithms))
        except (jwt.PyJWTError, ValueError) as error:
            wrong.append(f"key {member.get('kid', number)!r}: {error}")
    names = [key.key_id for key in keys]
    if len(set(names)) < len(names):
        wrong.append("several keys need a kid of their own each")
    if wrong or not keys:
        raise ValueError(f"{file}: {'; '.join(wrong) or 'there is no key for signatures in it'}")
    return keys


def _public_key(member: dict[str, Any], algorithms: Sequence[str]) -> jwt.PyJWK:
    if member.get("kty") == "oct" or "d" in member:
        raise ValueError("it is secret, and does not belong here: give the public key")
    key = jwt.PyJWK(member)
    if key.algorithm_name not in algorithms:
        raise ValueError(f"it is for {key.algorithm_name}, which algorithms does not list")
    if short := key.Algorithm.check_key_length(key.key):
        raise ValueError(short)
    return key
