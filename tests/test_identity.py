"""Identity: what is checked at start, several components at once, and each one's own ways."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from kit_pyjwt.identity import BearerOptions, own_key, read_keys
from kit_stdlib.identity import SessionIdentityOptions
from werkzeug.test import Client

from kit import App, Component, ConfigError, KitError, Meta, References, Unique, hookimpl
from kit.contracts.identity import QuickPasswords
from kit.options import Secret
from kit.slots.identity import ApiKeys, IdentityOptions, Users, logged_in
from kit.slots.identity.users import UserDirectory
from kit.slots.tokens import derived_key
from kit.testing import client

SECRET = "0123456789abcdef" * 4
PASSWORD = "ein längeres : Geheimnis"
JSON = {"Accept": "application/json"}


@dataclass
class User:
    email: Annotated[str, Meta(max_length=200), Unique]
    password: Annotated[str, Meta(max_length=255)] = ""
    active: bool = True
    id: int | None = None


@dataclass
class Key:
    prefix: Annotated[str, Meta(max_length=16), Unique]
    digest: Annotated[str, Meta(max_length=64)]
    user: Annotated[int, References(User, on_delete="cascade")]
    label: Annotated[str, Meta(max_length=40)] = ""
    id: int | None = None


def make(folder: Any, *use: str, **tables: Any) -> App:
    config: dict[str, Any] = {
        "app": {"secret_key": SECRET},
        "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{folder}/test.db"},
        "sessions": {"use": "beaker"},
        "passwords": {"use": ["kit.contracts.identity:QuickPasswords"]},
        "tokens": {"use": "pyjwt"},
        "rates": {"use": "memory"},
        "identity": {"use": list(use)},
    }
    for name, table in tables.items():
        config[name] = {**config[name], **table} if table is not None else {}
    app = App({name: one for name, one in config.items() if one}, plugins={"own": Own()})
    app.records(User, Key)
    app.provider(scope="app", name="users")(lambda: Users(User, active="active"))
    app.provider(scope="app", name="api_keys")(lambda: ApiKeys(Key))

    @app.get("/me")
    def me(user):
        return {"user": user and user.email}

    @app.get("/inside", requires=logged_in)
    def inside(user):
        return {"user": user.email}

    @app.post("/login")
    def login(accounts, request):
        accounts.login(accounts.find(request.form["email"]))

    return app


def fill(app: App) -> tuple[User, User]:
    """Start an application, and return Ada and Ben."""

    def add(store):
        hashed = QuickPasswords().hash(PASSWORD)
        return store.add(User("ada@example.org", hashed)), store.add(
            User("ben@example.org", hashed)
        )

    return app.start().call(add)


@pytest.fixture
def started() -> Iterator[Any]:
    """A function that makes and fills an application, which is stopped afterwards."""
    made = []

    def start(*given: Any, **tables: Any) -> App:
        app = make(*given, **tables)
        made.append(app)
        app.users = fill(app)
        return app

    yield start
    for app in made:
        app.stop()


def ask(app: App, path: str = "/me", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client(app, use_cookies=False).get(path, headers={**JSON, **named})


def basic(email: str, password: str = PASSWORD) -> str:
    return f"Basic {base64.b64encode(f'{email}:{password}'.encode()).decode()}"


def session(app: App, email: str) -> str:
    browser = client(app)
    browser.post("/login", data={"email": email})
    return f"session={browser.get_cookie('session').value}"


# At start


def problems(app: App) -> list[str]:
    with pytest.raises(ConfigError) as info:
        app.start()
    return [f"{one.where}: {one.what} {one.mend}" for one in info.value.problems]


@dataclass
class Loose:
    email: Annotated[str, Meta(max_length=200)]
    password: Annotated[str, Meta(max_length=40)]
    roles: int = 0
    active: bool | None = None
    verified: str = ""
    id: int | None = None


def test_all_mistakes_in_users_are_found_at_once(tmp_path):
    app = make(tmp_path, "basic")
    app.records(Loose)
    named = Users(Loose, roles="roles", active="active", verified="verfied")
    app.own_providers[:] = []
    app.provider(scope="app", name="users")(lambda: named)
    found = problems(app)
    line = f"{__file__}:"
    assert [one.startswith(line) for one in found] == [True] * 5
    assert "Users(Loose, name='email'): Loose.email is not text that is unique" in found[0]
    assert "password='password'): Loose.password is not text of 255 or more" in found[1]
    assert "roles='roles'): Loose.roles is not text, or an Enum of text" in found[2]
    assert "active='active'): Loose.active is not bool" in found[3]
    assert "Loose has no such field. Fields: active, email" in found[4]
    assert "Did you mean 'verified'?" in found[4]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (
            Users(Loose),
            "Users(Loose): that is none of the records. Register it: app.records(Loose)",
        ),
        (Users("User"), "Users('User'): that is none of the records"),
        (User, "the provider 'users' returns type. Let it return kit.slots.identity.Users(...)"),
        (None, "the provider 'users' returns NoneType"),
    ],
)
def test_users_has_to_be_there_and_of_a_record(tmp_path, users, message):
    app = make(tmp_path, "basic")
    app.own_providers[:] = []
    app.provider(scope="app", name="users")(lambda: users)
    [found] = problems(app)
    assert message in found


@dataclass
class BadKey:
    prefix: Annotated[str, Meta(max_length=8), Unique]
    digest: Annotated[str, Meta(max_length=40)]
    user: int
    id: int | None = None


def test_all_mistakes_in_api_keys_are_found_at_once(tmp_path):
    app = make(tmp_path, "api_key")
    app.records(BadKey)
    app.own_providers[:] = [one for one in app.own_providers if one.name == "users"]
    app.provider(scope="app", name="api_keys")(lambda: ApiKeys(BadKey))
    found = problems(app)
    assert len(found) == 3
    assert "prefix='prefix'): BadKey.prefix is not text of 16 characters that is unique" in found[0]
    assert "digest='digest'): BadKey.digest is not text of 64 characters" in found[1]
    assert "user='user'): BadKey.user is not the id of a User" in found[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"realm": 'a"b'}, "realm"),
        ({"realm": "a\nb"}, "realm"),
        ({"realm": "ä"}, "realm"),
        ({"attempts": "many"}, "attempts: 'many' is no rate"),
        ({"address_attempts": "0 / minute"}, "address_attempts"),
        ({"reset": 0}, "at least one second"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        IdentityOptions(**options)


@pytest.mark.parametrize(
    "login", ["login", "//login", "https://example.org/login", "/\\login", "/log in", "", "/a\nb"]
)
def test_the_page_to_log_in_is_a_path(login):
    with pytest.raises(ValueError, match="is no path"):
        SessionIdentityOptions(login=login)


def test_the_two_cookies_have_two_names(tmp_path):
    app = make(tmp_path, "session", identity={"session": {"cookie": "session"}})
    [found] = problems(app)
    assert "is the name of the session's cookie" in found


def test_one_component_keeps_logins(tmp_path):
    app = make(tmp_path, "session", "kit_stdlib.identity:SessionIdentity")
    assert "use has SessionIdentity, session, and all of them keep logins" in problems(app)[0]


def test_options_of_accounts_are_the_same_for_all_components(tmp_path):
    tables = {"basic": {"attempts": "3 / hour"}, "session": {"realm": "its own"}}
    app = make(tmp_path, "session", "basic", identity=tables)
    assert "[identity] attempts is not the same for all components" in problems(app)[0]


# Several at once


def test_the_first_that_knows_somebody_decides(started, tmp_path):
    app = started(tmp_path, "session", "basic")
    cookie = session(app, "ada@example.org")
    found = ask(app, Cookie=cookie, Authorization=basic("ben@example.org"))
    assert found.json == {"user": "ada@example.org"}
    assert ask(app, Authorization=basic("ben@example.org")).json == {"user": "ben@example.org"}
    assert ask(app, Cookie=cookie).json == {"user": "ada@example.org"}


def test_wrong_credentials_are_not_made_good_by_others(started, tmp_path):
    app = started(tmp_path, "basic", "session")
    cookie = session(app, "ada@example.org")
    assert ask(app, Cookie=cookie, Authorization=basic("ben@example.org", "x")).status_code == 401
    assert ask(app, Cookie=cookie, Authorization="Bearer x").json == {"user": "ada@example.org"}


def test_a_refusal_has_the_challenges_of_all(started, tmp_path):
    app = started(tmp_path, "session", "basic", "bearer", "api_key", identity={"realm": "shop"})
    mine = ['Cookie realm="shop"', 'Basic realm="shop", charset="UTF-8"']
    mine += ['Bearer realm="shop"', 'ApiKey realm="shop"']
    assert ask(app, "/inside").headers.getlist("WWW-Authenticate") == mine
    found = ask(app, "/inside", Authorization="Bearer x").headers.getlist("WWW-Authenticate")
    wrong = 'Bearer realm="shop", error="invalid_token", error_description="The token is not valid"'
    assert found == [wrong, mine[0], mine[1], mine[3]]


def test_browsers_are_sent_to_the_page_to_log_in(started, tmp_path):
    app = started(tmp_path, "session", "basic", identity={"session": {"login": "/hello"}})
    answer = client(app).get("/inside?page=2", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        "/hello?next=/inside%3Fpage%3D2",
    )
    assert ask(app, "/inside").status_code == 401


def test_browsers_with_wrong_credentials_are_asked_again(started, tmp_path):
    app = started(tmp_path, "session", "basic")
    html = {"Accept": "text/html", "Authorization": basic("ada@example.org", "x")}
    answer = client(app).get("/inside", headers=html)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_user_is_loaded_once_for_a_request(started, tmp_path, monkeypatch):
    app = started(tmp_path, "session", "bearer")
    cookie = session(app, "ada@example.org")
    loaded = []
    get = UserDirectory.get

    def counted(self, *given, **more):
        loaded.append(given)
        return get(self, *given, **more)

    monkeypatch.setattr(UserDirectory, "get", counted)
    assert ask(app, "/inside", Cookie=cookie).status_code == 200
    assert len(loaded) == 1


def test_who_names_no_user_pays_for_none(started, tmp_path, monkeypatch):
    app = make(tmp_path, "session")

    @app.get("/plain")
    def plain():
        return "plain"

    fill(app)
    monkeypatch.setattr(UserDirectory, "get", None)
    answer = ask(app, "/plain", Cookie=f"session={'x' * 43}")
    assert answer.text == "plain"
    assert "Vary" not in answer.headers
    app.stop()


def test_a_handler_may_allow_a_cache(tmp_path):
    app = make(tmp_path, "basic")

    @app.get("/mine")
    def mine(user, response_headers):
        response_headers["Cache-Control"] = "private, max-age=60"
        return user.email

    fill(app)
    answer = ask(app, "/mine", Authorization=basic("ada@example.org"))
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert "Authorization" in answer.headers["Vary"]
    app.stop()


class Careless:
    """A component of an application that does not look whether a user is active."""

    challenge = 'Careless realm="x"'
    headers = ("X-Id",)

    def __init__(self, options: IdentityOptions) -> None:
        pass

    def identify(self, environ, store):
        return store.get(User, int(environ["HTTP_X_ID"])) if "HTTP_X_ID" in environ else None


class Own:
    @hookimpl
    def kit_components(self):
        return [Component(slot="identity", name="careless", factory=Careless)]


def test_whoever_is_not_active_is_nobody_whatever_a_component_says(tmp_path):
    app = make(tmp_path, "careless")
    ada, _ = fill(app)
    assert ask(app, X_Id=str(ada.id)).json == {"user": "ada@example.org"}
    app.call(lambda store: store.save(replace(ada, active=False)))
    assert ask(app, X_Id=str(ada.id)).json == {"user": None}
    app.stop()


def test_tests_can_say_who_is_asking(started, tmp_path):
    app = started(tmp_path, "session")
    with app.override(user=app.users[0]):
        assert ask(app, "/inside").json == {"user": "ada@example.org"}


# Basic


def test_a_right_pair_is_hashed_and_counted_once(started, tmp_path, monkeypatch):
    app = started(tmp_path, "basic")
    computed = []
    verify = QuickPasswords.verify
    monkeypatch.setattr(
        QuickPasswords, "verify", lambda *given: computed.append(1) or verify(*given)
    )
    for _ in range(30):
        assert ask(app, Authorization=basic("ada@example.org")).json["user"]
    assert len(computed) == 1


def test_wrong_pairs_are_limited(started, tmp_path):
    app = started(tmp_path, "basic")
    for _ in range(10):
        assert ask(app, Authorization=basic("ada@example.org", "x")).status_code == 401
    assert ask(app, Authorization=basic("ada@example.org", "x")).status_code == 429
    assert ask(app, Authorization=basic("ada@example.org")).status_code == 429


def test_a_pair_that_was_right_goes_with_the_password(started, tmp_path):
    app = started(tmp_path, "basic")
    assert ask(app, Authorization=basic("ada@example.org")).status_code == 200
    app.call(lambda accounts: accounts.change_password(app.users[0], "another long secret"))
    assert ask(app, Authorization=basic("ada@example.org")).status_code == 401


def test_only_so_many_pairs_are_kept(started, tmp_path, monkeypatch):
    monkeypatch.setattr("kit_stdlib.identity._KEPT", 1)
    app = started(tmp_path, "basic")
    for email in ("ada@example.org", "ben@example.org"):
        assert ask(app, Authorization=basic(email)).status_code == 200
    assert len(app.provided("identity")["basic"]._right) == 1


# Bearer tokens of the application


def bearer(app: App, user: User) -> str:
    return f"Bearer {app.provided('identity')['bearer'].issue(user)}"


def encoded(data: bytes | dict[str, Any]) -> str:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """A token with any header and claims, signed with HMAC-SHA256 whatever the header says."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"Bearer {text}.{encoded(hmac.digest(key, text.encode(), 'sha256'))}"


def forged(app: App, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with the application's own signature, and with another header or other claims."""
    mine = own_key(Secret(SECRET))
    ada, now = app.users[0], int(time.time())
    usual = {"iss": "framekit", "aud": "framekit", "sub": str(ada.id), "exp": now + 60, "iat": now}
    usual["ver"] = app.provided("user_records").proof(ada, "login")
    found = {name: one for name, one in {**usual, **claims}.items() if one is not None}
    header = {"alg": "HS256", "kid": mine.key_id} if header is None else header
    return signed(header, found, derived_key(SECRET, "identity.bearer"))


def test_a_token_is_its_users(started, tmp_path):
    app = started(tmp_path, "bearer")
    for user in app.users:
        assert ask(app, Authorization=bearer(app, user)).json == {"user": user.email}
    assert ask(app, Authorization=forged(app)).json == {"user": "ada@example.org"}


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": 0},
        {"exp": "never"},
        {"exp": float("nan")},
        {"iss": None},
        {"iss": "other"},
        {"iss": ["framekit"]},
        {"aud": None},
        {"aud": "other"},
        {"aud": []},
        {"sub": None},
        {"sub": "999"},
        {"sub": "-1"},
        {"sub": "１"},
        {"sub": "1" * 40},
        {"sub": "ada@example.org"},
        {"sub": 1},
        {"ver": None},
        {"ver": "0" * 32},
        {"ver": 7},
        {"nbf": 2**40},
        {"iat": 2**40},
    ],
)
def test_each_claim_counts(started, tmp_path, claims):
    app = started(tmp_path, "bearer")
    assert ask(app, Authorization=forged(app, **claims)).status_code == 401


def test_a_token_ends_and_says_so(started, tmp_path):
    app = started(tmp_path, "bearer", identity={"bearer": {"leeway": "1 minute"}})
    assert ask(app, Authorization=forged(app, exp=int(time.time()) - 50)).status_code == 200
    answer = ask(app, Authorization=forged(app, exp=int(time.time()) - 70))
    assert answer.status_code == 401
    assert 'error_description="The token has expired"' in answer.headers["WWW-Authenticate"]


def test_the_header_of_a_token_decides_nothing(started, tmp_path):
    app = started(tmp_path, "bearer")
    assert ask(app, Authorization=forged(app, {"alg": "HS256"})).status_code == 200
    for header in (
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": ["HS256"]},
        {},
        {"alg": "HS256", "kid": "other"},
        {"alg": "HS256", "kid": ["x"]},
        {"alg": "HS256", "kid": {}},
        {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}, "kid": "AAAA"},
    ):
        assert ask(app, Authorization=forged(app, header)).status_code == 401, header


def test_tokens_for_something_else_are_no_bearer_tokens(started, tmp_path):
    app = started(tmp_path, "bearer")
    tokens, [ada, _] = app.provided("tokens"), app.users
    found = [
        app.call(lambda accounts: accounts.reset_token(ada)),
        tokens.sign("identity.bearer", {"sub": "1"}, 60),
        tokens.sign("framekit", str(ada.id), 60),
    ]
    for token in found:
        assert ask(app, Authorization=f"Bearer {token}").status_code == 401
    mine = bearer(app, ada).removeprefix("Bearer ")
    assert tokens.read("framekit", mine) is None


def test_former_secret_keys_are_good_until_they_are_taken_out(started, tmp_path):
    old = started(tmp_path, "bearer")
    token = bearer(old, old.users[0])
    new = {"secret_key": "f" * 64}
    both = make(tmp_path, "bearer", app={**new, "secret_key_fallbacks": [SECRET]})
    one = make(tmp_path, "bearer", app=new)
    assert ask(both, Authorization=token).status_code == 200
    assert ask(one, Authorization=token).status_code == 401
    fresh = bearer(both, old.users[0])
    assert ask(one, Authorization=fresh).status_code == 200
    assert ask(old, Authorization=fresh).status_code == 401
    both.stop()
    one.stop()


def test_a_token_too_long_is_not_even_read(started, tmp_path):
    app = started(tmp_path, "bearer")
    assert ask(app, Authorization=forged(app, more="a" * 1000)).status_code == 200
    assert ask(app, Authorization=forged(app, more="a" * 9000)).status_code == 401


# Bearer tokens of another issuer

RSA = rsa.generate_private_key(65537, 2048)
RSA_TWO = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
NAMES = {"issuer": "https://id.example.org", "audience": "shop", "claim": "email", "user": "name"}


def public(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    member = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**member, **({"kid": kid} if kid else {}), **more}


def key_file(folder: Path, *members: Any) -> str:
    file = folder / "keys.json"
    file.write_text(json.dumps({"keys": members}))
    return str(file)


def foreign(key: Any, algorithm: str, kid: str | None = None, **more: Any) -> str:
    claims = {"iss": NAMES["issuer"], "aud": "shop", "exp": int(time.time()) + 60}
    claims |= {"sub": "x-77", "email": "Ada@example.org", **more}
    headers = {"kid": kid} if kid else {}
    return f"Bearer {jwt.encode(claims, key, algorithm, headers=headers)}"


def test_keys_are_found_by_their_name_and_replaced_in_turn(started, tmp_path):
    file = key_file(tmp_path, public(RSA, "one"), public(RSA_TWO, "two"), public(EC, "three"))
    app = started(tmp_path, "bearer", identity={"bearer": {"keys": file, **NAMES}})
    good = [(RSA, "RS256", "one"), (RSA_TWO, "RS256", "two"), (EC, "ES256", "three")]
    good += [(RSA_TWO, "RS256", None), (EC, "ES256", None)]
    for key, algorithm, kid in good:
        answer = ask(app, Authorization=foreign(key, algorithm, kid))
        assert answer.json == {"user": "ada@example.org"}, (algorithm, kid)
    for key, algorithm, kid in [(RSA, "RS256", "two"), (RSA, "RS256", "x"), (RSA, "RS512", "one")]:
        assert ask(app, Authorization=foreign(key, algorithm, kid)).status_code == 401
    for claims in ({"email": ["ada@example.org"]}, {"email": None}, {"email": "eve@example.org"}):
        answer = ask(app, Authorization=foreign(RSA, "RS256", "one", **claims))
        assert answer.status_code == 401
    with pytest.raises(KitError, match="tokens come from another issuer"):
        bearer(app, app.users[0])


def test_a_public_key_is_no_secret(started, tmp_path):
    """The trap of libraries that took the algorithm from the token: HS256 with the public key."""
    file = key_file(tmp_path, public(RSA, "one"))
    app = started(tmp_path, "bearer", identity={"bearer": {"keys": file, **NAMES}})
    claims = {"iss": NAMES["issuer"], "aud": "shop", "exp": 2**33, "email": "ada@example.org"}
    pem = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, pem.strip(), json.dumps(public(RSA, "one")).encode()):
        token = signed({"alg": "HS256", "kid": "one"}, claims, secret)
        assert ask(app, Authorization=token).status_code == 401


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "there is no key for signatures in it"),
        ([public(RSA, "one", use="enc")], "there is no key for signatures in it"),
        ([{"kty": "oct", "k": "AAAA", "kid": "s"}], "key 's': it is secret"),
        ([{**public(RSA, "p"), "d": "AAAA"}], "key 'p': it is secret"),
        (
            [public(RSA, "one", alg="RS512")],
            "key 'one': it is for RS512, which algorithms does not",
        ),
        ([public(RSA, "one"), public(EC, "one")], "several keys need a kid of their own each"),
        ([public(RSA, None), public(EC, None)], "several keys need a kid of their own each"),
        ([{"kty": "RSA", "kid": "x"}], "key 'x': "),
        ([{"kid": "x"}], "key 'x': "),
        ([{"kid": "x", "kty": "new"}, {"kid": "y", "kty": "EC"}], "key 'x': .*; key 'y': "),
        (["text"], "is no JWK Set"),
        ([public(rsa.generate_private_key(65537, 1024), "weak")], "key 'weak': .*2048"),
    ],
)
def test_keys_that_cannot_be_used_stop_the_start(tmp_path, members, message):
    with pytest.raises(ValueError, match=message):
        read_keys(Path(key_file(tmp_path, *members)), ("RS256", "ES256"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 7}', "-----BEGIN PUBLIC KEY-----"])
def test_a_file_that_holds_no_keys_stops_the_start(tmp_path, text):
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(ValueError, match="is no JWK Set"):
        read_keys(file, ("RS256",))


def test_a_file_that_is_not_there_stops_the_start(tmp_path):
    app = make(tmp_path, "bearer", identity={"bearer": {"keys": "none.json", **NAMES}})
    assert "none.json" in problems(app)[0]


@pytest.mark.parametrize(
    "options",
    [
        {"keys": Path("keys.json")},
        {"keys": Path("keys.json"), "issuer": "https://id.example.org"},
        {"claim": "email"},
        {"user": "name"},
        {"issuer": ""},
        {"audience": ""},
        {"lifetime": 0},
        {"algorithms": ()},
    ],
)
def test_options_of_bearer_that_open_a_gap_are_refused(options):
    with pytest.raises(ValueError, match=r"issuer|claim|lifetime"):
        BearerOptions(**options)


# API keys


def test_of_a_key_only_the_hash_is_stored(started, tmp_path):
    app = started(tmp_path, "api_key")
    component = app.provided("identity")["api_key"]
    key = app.call(lambda store: component.issue(store, app.users[1], label="ci"))
    [record] = app.call(lambda store: store.find(Key))
    assert (record.user, record.label) == (app.users[1].id, "ci")
    assert key.startswith(f"key_{record.prefix}_")
    assert len(key.removeprefix(f"key_{record.prefix}_")) == 43
    assert record.digest == hashlib.sha256(key.encode()).hexdigest()
    for header in ({"X_API_Key": key}, {"Authorization": f"ApiKey {key}"}):
        assert ask(app, **header).json == {"user": "ben@example.org"}
    assert ask(app, X_API_Key=record.digest).status_code == 401
    assert ask(app, X_API_Key=record.prefix).status_code == 401


def test_a_key_that_is_deleted_is_revoked(started, tmp_path):
    app = started(tmp_path, "api_key")
    component = app.provided("identity")["api_key"]
    keys = [app.call(lambda store: component.issue(store, app.users[0])) for _ in range(2)]
    app.call(lambda store: store.delete(store.find(Key, order_by="id")[0]))
    assert [ask(app, X_API_Key=key).status_code for key in keys] == [401, 200]


def test_the_header_for_keys_counts_before_the_other(started, tmp_path):
    app = started(tmp_path, "api_key", "basic")
    component = app.provided("identity")["api_key"]
    key = app.call(lambda store: component.issue(store, app.users[0]))
    found = ask(app, X_API_Key=key, Authorization=basic("ben@example.org"))
    assert found.json == {"user": "ada@example.org"}
    found = ask(app, X_API_Key="wrong", Authorization=f"ApiKey {key}")
    assert found.status_code == 401


def test_a_user_is_never_shown_as_data(caplog):
    app = App(
        {
            "app": {"secret_key": "k" * 32},
            "persistence": {"use": "peewee", "url": "sqlite:////tmp/test_never_opened.db"},
            "identity": {"use": ["basic"]},
            "passwords": {"use": ["scrypt"]},
            "tokens": {"use": "itsdangerous"},
            "rates": {"use": "memory"},
        }
    )
    app.records(User)
    app.provider(scope="app", name="users")(lambda: Users(User))
    app.get("/")(lambda: {"users": [User(email="ada@example.org", password="hash")]})
    app.check()
    plan = app._wiring.dispatch.static["/"].plans["GET"].answer
    with pytest.raises(TypeError, match="User is not shown as data"):
        plan({"REQUEST_METHOD": "GET"}, {})
