"""The components of the slot ``identity`` under its contract, on several stacks."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from kit import Meta, References, Unique
from kit.app import App
from kit.contracts.identity import PASSWORD, Headers, IdentityContract, Site, User
from kit.slots.identity import ApiKeys


class Peewee:
    """Another stack: Peewee, sessions in signed cookies, tokens by PyJWT."""

    def stack(self, folder):
        peewee = {"use": "peewee", "url": f"sqlite:///{folder}/test.db"}
        others = {"sessions": {"use": "itsdangerous"}, "tokens": {"use": "pyjwt"}}
        return {**super().stack(folder), "persistence": peewee, **others}


class TestSession(IdentityContract):
    use = "session"

    def credentials(self, site: Site, user: User) -> Headers:
        return site.log_in(user)

    def wrong(self, site: Site, user: User) -> list[Headers]:
        good = self.credentials(site, user)["Cookie"]
        return [{"Cookie": f"session={secrets.token_urlsafe(32)}"}, {"Cookie": good[:-5]}]


class TestSessionOnPeewee(Peewee, TestSession):
    pass


class TestBasic(IdentityContract):
    use = "basic"

    def credentials(self, site: Site, user: User) -> Headers:
        return basic(user.name, PASSWORD)

    def wrong(self, site: Site, user: User) -> list[Headers]:
        pairs = [(user.name, "another long secret"), (user.name, ""), ("eve", PASSWORD)]
        return [basic(*pair) for pair in pairs]


class TestBasicOnPeewee(Peewee, TestBasic):
    pass


class TestBearer(IdentityContract):
    use = "bearer"

    def credentials(self, site: Site, user: User) -> Headers:
        return bearer(site.component.issue(user))

    def wrong(self, site: Site, user: User) -> list[Headers]:
        good = site.component.issue(user)
        claims = jwt.decode(good, options={"verify_signature": False})
        unsigned = jwt.encode(claims, None, algorithm="none")
        other_key = jwt.encode(claims, secrets.token_bytes(32), algorithm="HS256")
        return [bearer(one) for one in (unsigned, other_key, f"{good}.x")]


class TestBearerOnPeewee(Peewee, TestBearer):
    pass


class TestBearerOfAnotherIssuer(IdentityContract):
    use = "bearer"
    keys = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())]

    @pytest.fixture(autouse=True)
    def _key_file(self, tmp_path: Path) -> None:
        rsa_key, ec_key = (key.public_key() for key in self.keys)
        members = [
            {**RSAAlgorithm.to_jwk(rsa_key, as_dict=True), "kid": "r1", "use": "sig"},
            {**ECAlgorithm.to_jwk(ec_key, as_dict=True), "kid": "e1", "alg": "ES256"},
        ]
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"keys": members}))
        names = {"issuer": "https://id.example.org", "audience": "shop", "user": "name"}
        type(self).options = {"keys": str(file), **names}

    def token(self, user: User, algorithm: str = "RS256", kid: str = "r1", **more: object) -> str:
        now = int(time.time())
        claims = {"iss": "https://id.example.org", "aud": "shop", "exp": now + 60}
        claims |= {"sub": user.name, **more}
        key = self.keys[0] if algorithm == "RS256" else self.keys[1]
        return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else {})

    def credentials(self, site: Site, user: User) -> Headers:
        return bearer(self.token(user))

    def wrong(self, site: Site, user: User) -> list[Headers]:
        past = int(time.time()) - 3600
        return [
            bearer(self.token(user, aud="another")),
            bearer(self.token(user, iss="https://other.example.org")),
            bearer(self.token(user, exp=past)),
            bearer(self.token(user, kid="e1")),
            bearer(self.token(user, algorithm="ES256")),
            bearer(self.token(user, sub="eve")),
        ]


@dataclass
class Key:
    prefix: Annotated[str, Meta(max_length=16), Unique]
    digest: Annotated[str, Meta(max_length=64)]
    user: Annotated[int, References(User, on_delete="cascade")]
    label: Annotated[str, Meta(max_length=40)] = ""
    id: int | None = None


class TestApiKey(IdentityContract):
    use = "api_key"

    def prepare(self, app: App) -> None:
        app.records(Key)
        app.provider(scope="app", name="api_keys")(lambda: ApiKeys(Key))

    def key(self, site: Site, user: User) -> str:
        component = site.component
        return site.app.call(lambda store: component.issue(store, user, label="for tests"))

    def credentials(self, site: Site, user: User) -> Headers:
        return {"X-API-Key": self.key(site, user)}

    def wrong(self, site: Site, user: User) -> list[Headers]:
        prefix = self.key(site, user)[:21]
        unknown = f"key_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"
        return [{"X-API-Key": f"{prefix}{secrets.token_urlsafe(32)}"}, {"X-API-Key": unknown}]


class TestApiKeyAsScheme(Peewee, TestApiKey):
    def credentials(self, site: Site, user: User) -> Headers:
        return {"Authorization": f"ApiKey {self.key(site, user)}"}


def basic(name: str, password: str) -> Headers:
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}
