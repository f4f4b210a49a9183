"""Accounts on several stacks: passwords, limits, logins, what remembers them, and tokens."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest
from kit_argon2.passwords import Argon2Options, Argon2Passwords
from werkzeug.test import Client

from kit import App, Component, Conflict, KitError, Meta, Unavailable, Unique, hookimpl
from kit.contracts.identity import QuickPasswords
from kit.errors import Invalid, TooMany
from kit.options import Size
from kit.slots.identity import Users, logged_in
from kit.slots.identity.logins import GRACE, USER_KEY
from kit.slots.rates import RatesOptions
from kit.testing import client, emptied

SECRET = "0123456789abcdef" * 4
PASSWORD = "tiny horse staple"
OTHER = "large cow battery"
DAY = 86400


@dataclass
class User:
    email: Annotated[str, Meta(max_length=200), Unique]
    password: Annotated[str, Meta(max_length=255)] = ""
    name: Annotated[str, Meta(max_length=80)] = ""
    active: bool = True
    verified: bool = False
    id: int | None = None


class Counted(Argon2Passwords):
    """Argon2, with the least parameters; counts how often anything is computed."""

    def __init__(self, options: Argon2Options) -> None:
        super().__init__(replace(options, time=2, memory=Size(19 * 1024**2), parallelism=1))
        self.computed = 0
        self._counting = threading.Lock()

    def _count(self) -> None:
        with self._counting:
            self.computed += 1

    def hash(self, password: str) -> str:
        self._count()
        return super().hash(password)

    def verify(self, hash: str, password: str) -> bool:
        self._count()
        return super().verify(hash, password)


class Away:
    """Rates whose store does not answer."""

    def __init__(self, options: RatesOptions) -> None:
        pass

    def hit(self, key: str, rate: Any) -> float:
        raise Unavailable("away")


class Extra:
    @hookimpl
    def kit_components(self) -> list[Component]:
        return [
            Component(slot="passwords", name="counted", factory=Counted),
            Component(slot="passwords", name="quick", factory=QuickPasswords),
            Component(slot="rates", name="away", factory=Away),
        ]


STACKS = {
    "sqlalchemy, beaker, itsdangerous": ("sqlalchemy", "beaker", "itsdangerous"),
    "peewee, itsdangerous, pyjwt": ("peewee", "itsdangerous", "pyjwt"),
}
SERVER_SIDE = "sqlalchemy, beaker, itsdangerous"


def make(folder: Any, stack: str = SERVER_SIDE, **tables: Any) -> App:
    persistence, sessions, tokens = STACKS[stack]
    config: dict[str, Any] = {
        "app": {"secret_key": SECRET},
        "persistence": {"use": persistence, "url": f"sqlite:///{folder}/test.db"},
        "sessions": {"use": sessions},
        "passwords": {"use": ["counted", "quick"]},
        "tokens": {"use": tokens},
        "rates": {"use": "memory"},
        "identity": {"use": ["session"]},
    }
    for name, table in tables.items():
        config[name] = {**config[name], **table} if table is not None else {}
    app = App({name: one for name, one in config.items() if one}, plugins={"extra": Extra()})
    app.records(User)
    app.provider(scope="app", name="users")(
        lambda: Users(User, active="active", verified="verified")
    )
    if config["sessions"]:
        _declare(app)
    return app


def _declare(app: App) -> None:
    @app.get("/me")
    def me(user):
        return {"user": user and user.id}

    @app.get("/inside", requires=logged_in)
    def inside(user):
        return {"user": user.id}

    @app.post("/login")
    def login(request, accounts):
        user = accounts.check(request.form["email"], request.form["password"])
        if user is None:
            return "Name or password is wrong.", 422
        accounts.login(user, remember="remember" in request.form)
        return "in"

    @app.post("/logout")
    def logout(accounts):
        accounts.logout()

    @app.post("/password")
    def password(request, user, accounts):
        accounts.change_password(user, request.form["password"])

    @app.get("/note")
    def note(session):
        return {"note": session.get("note")}

    @app.post("/note")
    def write(session, request):
        session["note"] = request.form["note"]

    @app.get("/fails")
    def fails(user):
        raise LookupError("on purpose")


@pytest.fixture(params=STACKS)
def stack(request):
    return request.param


@pytest.fixture
def app(tmp_path, stack) -> Iterator[App]:
    made = make(tmp_path, stack)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def site(tmp_path) -> Iterator[App]:
    """The stack that keeps its sessions on the server."""
    made = make(tmp_path)
    made.start()
    yield made
    made.stop()


def register(app: App, email: str = "ada@example.org", **fields: Any) -> User:
    hashed = Argon2Passwords(Argon2Options(time=2, memory=Size(19 * 1024**2), parallelism=1)).hash(
        PASSWORD
    )
    user = User(email, **{"password": hashed, **fields})
    return app.call(lambda store: store.add(user))


def stored(app: App, user: User) -> User:
    return app.call(lambda store: store.get(User, user.id))


def computed(app: App) -> int:
    return app.provided("passwords")["counted"].computed


def check(app: App, email: str, password: str) -> Any:
    return app.call(lambda accounts: accounts.check(email, password))


def log_in(app: App, email: str = "ada@example.org", password: str = PASSWORD, **more: str) -> Any:
    browser = client(app)
    answer = browser.post("/login", data={"email": email, "password": password, **more})
    assert answer.text == "in", answer.text
    return browser


def who(browser: Any) -> int | None:
    return browser.get("/me").json["user"]


def cookie(browser: Any, name: str) -> str | None:
    found = browser.get_cookie(name)
    return found.value if found else None


def copied(app: App, **cookies: str | None) -> Any:
    """A browser of somebody who has copied these cookies."""
    browser = client(app)
    for name, value in cookies.items():
        browser.set_cookie(name, value or "")
    return browser


# Passwords


def test_a_right_pair_is_its_user(app):
    user = register(app)
    assert check(app, "ada@example.org", PASSWORD).id == user.id
    assert check(app, "  ADA@Example.org ", PASSWORD).id == user.id


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.org", OTHER),
        ("ada@example.org", ""),
        ("eve@example.org", PASSWORD),
        ("off@example.org", PASSWORD),
        ("none@example.org", ""),
        ("none@example.org", PASSWORD),
        ("\0", PASSWORD),
        ("\ud800", PASSWORD),
        ("", PASSWORD),
        ("a" * 5000, PASSWORD),
    ],
)
def test_any_other_pair_is_nobody_and_costs_one_hash(app, email, password):
    register(app)
    register(app, "off@example.org", active=False)
    register(app, "none@example.org", password="")
    before = computed(app)
    assert check(app, email, password) is None
    assert computed(app) == before + 1


def test_a_right_pair_costs_one_hash_too(site):
    register(site)
    before = computed(site)
    assert check(site, "ada@example.org", PASSWORD)
    assert computed(site) == before + 1


def test_a_hash_that_is_out_of_date_is_replaced(app):
    user = register(app, password=QuickPasswords().hash(PASSWORD))
    assert check(app, "ada@example.org", PASSWORD).password.startswith("$argon2id$")
    assert stored(app, user).password.startswith("$argon2id$")
    assert check(app, "ada@example.org", PASSWORD)


def test_a_hash_that_was_changed_meanwhile_is_not_replaced(app):
    user = register(app)
    now = user.password
    app.call(lambda accounts: accounts._upgrade(user, "what was read before", PASSWORD))
    assert stored(app, user).password == now


def test_a_hash_is_replaced_for_no_other_field(app):
    """What another request changed in the user since it was read stays changed."""
    user = register(app)
    old = replace(user)
    app.call(lambda store: store.save(replace(user, name="Ada", active=True)))
    app.call(lambda accounts: accounts.change_password(old, OTHER))
    assert stored(app, user).name == "Ada"


def test_failed_checks_are_logged_without_what_was_given(app, caplog):
    register(app)
    with caplog.at_level(logging.INFO, "kit.security"):
        check(app, "ada@example.org", OTHER)
        check(app, "my password by mistake", OTHER)
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "event=login_failed",
        "event=login_failed",
    ]
    assert OTHER not in caplog.text
    assert "mistake" not in caplog.text


# The limiter


def attempt(app: App, email: str, password: str = OTHER, address: str = "192.0.2.1") -> int:
    answer = client(app).post(
        "/login",
        data={"email": email, "password": password},
        environ_overrides={"REMOTE_ADDR": address},
    )
    return answer.status_code


def test_an_account_is_checked_ten_times_in_fifteen_minutes(app):
    register(app)
    for number in range(10):
        assert attempt(app, "ada@example.org", address=f"192.0.2.{number}") == 422
    answer = client(app).post("/login", data={"email": "Ada@example.org", "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert attempt(app, "ben@example.org") == 422


def test_names_that_nobody_has_are_limited_as_well(app):
    for number in range(10):
        assert attempt(app, "eve@example.org", address=f"192.0.2.{number}") == 422
    assert attempt(app, "eve@example.org", address="192.0.2.99") == 429


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("192.0.2.1", "192.0.2.1", 429),
        ("192.0.2.1", "192.0.2.2", 422),
        ("2001:db8::1", "2001:db8::ffff", 429),
        ("2001:db8::1", "2001:db8:0:1::1", 422),
    ],
)
def test_an_address_checks_ten_times_whatever_the_accounts(site, first, last, status):
    for number in range(10):
        assert attempt(site, f"user{number}@example.org", address=first) == 422
    assert attempt(site, "another@example.org", address=last) == status


def test_what_is_refused_costs_no_hash(site):
    register(site)
    for _ in range(10):
        attempt(site, "ada@example.org")
    before = computed(site)
    assert attempt(site, "ada@example.org", PASSWORD) == 429
    assert computed(site) == before


@pytest.fixture(params=["memory", "redis"])
def rates(request) -> dict[str, Any]:
    """A store for the limiter that nobody else counts in."""
    if request.param == "memory":
        return {"use": "memory"}
    url = request.getfixturevalue("redis_url")
    return {"use": "redis", "redis": {"url": url, "namespace": f"t{secrets.token_hex(8)}"}}


@pytest.mark.parametrize("limits", [{}, {"address_attempts": "1000 / minute"}])
def test_threads_do_not_get_more_checks(tmp_path, rates, limits):
    app = make(tmp_path, identity=limits, rates=rates)
    register(app.start())
    before, ready = computed(app), threading.Barrier(20)

    def one(number: int) -> int:
        ready.wait()
        return attempt(app, "ada@example.org")

    with ThreadPoolExecutor(20) as threads:
        found = sorted(threads.map(one, range(20)))
    assert found == [422] * 10 + [429] * 10
    assert computed(app) == before + 10
    app.stop()


def test_without_the_store_of_the_limiter_nobody_is_checked(tmp_path):
    app = make(tmp_path, rates={"use": "away"})
    register(app.start())
    before = computed(app)
    assert attempt(app, "ada@example.org", PASSWORD) == 503
    assert computed(app) == before
    app.stop()


def test_the_numbers_are_options(tmp_path):
    app = make(tmp_path, identity={"attempts": "2 / hour", "address_attempts": "3 / hour"})
    app.start()
    assert [attempt(app, "ada@example.org") for _ in range(3)] == [422, 422, 429]
    assert attempt(app, "ben@example.org") == 429
    app.stop()


# Logins


def test_a_login_gets_a_new_session(site):
    register(site)
    browser = client(site)
    browser.post("/note", data={"note": "in the cart"})
    before = cookie(browser, "session")
    browser.post("/login", data={"email": "ada@example.org", "password": PASSWORD})
    assert cookie(browser, "session") not in (before, None)
    assert browser.get("/note").json == {"note": "in the cart"}
    planted = copied(site, session=before)
    assert who(planted) is None
    assert planted.get("/note").json == {"note": None}


def test_a_session_that_was_planted_is_not_logged_in(site):
    register(site)
    planted = secrets.token_urlsafe(32)
    victim = copied(site, session=planted)
    victim.post("/login", data={"email": "ada@example.org", "password": PASSWORD})
    assert who(victim) is not None
    assert who(copied(site, session=planted)) is None


def test_a_wrong_password_logs_nobody_in(app):
    register(app)
    browser = client(app)
    browser.post("/login", data={"email": "ada@example.org", "password": OTHER})
    assert who(browser) is None


def test_a_logout_ends_the_session(site):
    register(site)
    browser = log_in(site)
    session = cookie(browser, "session")
    browser.post("/logout")
    assert cookie(browser, "session") is None
    assert who(browser) is None
    assert who(copied(site, session=session)) is None


def test_a_logout_without_a_login_does_nothing(app):
    assert client(app).post("/logout").status_code == 204


def test_another_user_gets_nothing_of_the_session_before(app):
    register(app)
    ben = register(app, "ben@example.org")
    browser = log_in(app)
    browser.post("/note", data={"note": "of Ada"})
    browser.post("/login", data={"email": "ben@example.org", "password": PASSWORD})
    assert who(browser) == ben.id
    assert browser.get("/note").json == {"note": None}


def test_the_same_user_keeps_the_session(app):
    register(app)
    browser = log_in(app)
    browser.post("/note", data={"note": "of Ada"})
    browser.post("/login", data={"email": "ada@example.org", "password": PASSWORD})
    assert browser.get("/note").json == {"note": "of Ada"}


CHANGES = {
    "deleted": lambda store, user: store.delete(user),
    "disabled": lambda store, user: store.save(replace(user, active=False)),
    "password": lambda store, user: store.save(replace(user, password="")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_session_ends_with_its_user(app, change):
    user = register(app)
    browser = log_in(app)
    browser.post("/note", data={"note": "private"})
    assert who(browser) == user.id
    app.call(lambda store: change(store, user))
    assert browser.get("/inside").status_code == 303
    assert who(browser) is None
    assert browser.get("/note").json == {"note": None}


def test_a_changed_password_ends_the_other_sessions(app, stack):
    user = register(app)
    here, there = log_in(app), log_in(app)
    before = cookie(here, "session")
    assert here.post("/password", data={"password": OTHER}).status_code == 204
    assert who(here) == user.id
    assert who(there) is None
    assert cookie(here, "session") != before
    assert who(copied(app, session=before)) is None
    assert check(app, "ada@example.org", OTHER)
    assert check(app, "ada@example.org", PASSWORD) is None


def test_who_changes_the_password_of_another_stays_who_he_is(app):
    ada, ben = register(app), register(app, "ben@example.org")

    app.stop()

    @app.post("/others")
    def others(user, store, accounts):
        accounts.change_password(store.get(User, ben.id), OTHER)

    browser = log_in(app)
    assert browser.post("/others").status_code == 204
    assert who(browser) == ada.id


def test_a_changed_password_changes_the_user_that_was_given(app):
    user = register(app)
    app.call(lambda accounts, store: store.save(accounts.change_password(user, OTHER)))
    assert check(app, "ada@example.org", OTHER)


def test_forms_from_before_the_login_are_refused_after_it(tmp_path):
    app = make(tmp_path)

    @app.get("/form")
    def token_of(csrf_token):
        return csrf_token

    register(app.start())
    browser = client(app, csrf=True)
    origin = {"Origin": "http://localhost"}
    token = browser.get("/form").text
    form = {"email": "ada@example.org", "password": PASSWORD, "csrf_token": token}
    assert browser.post("/login", data=form, headers=origin).text == "in"
    again = browser.post("/note", data={"note": "x", "csrf_token": token}, headers=origin)
    assert again.status_code == 403
    fresh = browser.get("/form").text
    again = browser.post("/note", data={"note": "x", "csrf_token": fresh}, headers=origin)
    assert again.status_code == 204
    app.stop()


# What remembers a login


def remembered(app: App) -> Any:
    """A browser that was told to remember, and whose session has ended."""
    browser = log_in(app, remember="yes")
    browser.delete_cookie("session")
    return browser


def wait(app: App, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Move the clock by which tokens end."""
    monkeypatch.setattr(app.provided("tokens"), "_clock", lambda: time.time() + seconds)


def later(app: App, seconds: float) -> None:
    """Move the clock by which the cookie that remembers is replaced."""
    remember = app.provided("identity")["session"]._cookie
    before = remember.clock
    remember.clock = lambda: before() + seconds


def test_a_login_is_remembered_after_its_session(app):
    user = register(app)
    browser = remembered(app)
    assert who(browser) == user.id
    assert cookie(browser, "session")
    browser.delete_cookie("remember")
    assert who(browser) == user.id


def test_a_login_is_not_remembered_unless_that_is_wanted(app):
    register(app)
    browser = log_in(app)
    assert cookie(browser, "remember") is None
    browser.delete_cookie("session")
    assert who(browser) is None


def test_the_cookie_that_remembers_has_the_attributes_of_the_session(tmp_path):
    app = make(tmp_path, sessions={"secure": True}, identity={"session": {"cookie": "stay"}})
    register(app.start())
    form = {"email": "ada@example.org", "password": PASSWORD, "remember": "yes"}
    answer = client(app).post("/login", data=form, base_url="https://localhost")
    [found] = [one for one in answer.headers.getlist("Set-Cookie") if "stay" in one]
    name, _, attributes = found.partition("=")
    assert name == "__Host-stay"
    assert attributes.endswith(f"; Max-Age={30 * DAY}; Path=/; HttpOnly; SameSite=Lax; Secure")
    app.stop()


def test_the_cookie_that_remembers_is_replaced_at_use(site):
    register(site)
    browser = remembered(site)
    before = cookie(browser, "remember")
    assert who(browser) is not None
    assert cookie(browser, "remember") not in (before, None)
    browser.delete_cookie("session")
    assert who(browser) is not None


def test_parallel_requests_are_all_remembered(site):
    user = register(site)
    text = cookie(remembered(site), "remember")
    browsers = [copied(site, remember=text) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(who, browsers)) == [user.id] * 8
    replaced = {cookie(browser, "remember") for browser in browsers} - {text}
    assert len(replaced) == 1


def test_a_copy_that_was_replaced_ends_the_series(site, caplog):
    register(site)
    browser = remembered(site)
    thief = copied(site, remember=cookie(browser, "remember"))
    assert who(browser) is not None
    later(site, GRACE + 1)
    assert who(thief) is None
    assert "event=remember_cookie_reused" in caplog.text
    browser.delete_cookie("session")
    assert who(browser) is None


def test_after_a_logout_no_copy_is_good(site):
    register(site)
    browser = remembered(site)
    first = cookie(browser, "remember")
    assert who(browser) is not None
    second = cookie(browser, "remember")
    browser.post("/logout")
    assert cookie(browser, "remember") is None
    assert who(copied(site, remember=first)) is None
    assert who(copied(site, remember=second)) is None


def test_after_a_logout_the_browser_is_not_remembered(app):
    register(app)
    browser = log_in(app, remember="yes")
    browser.post("/logout")
    assert cookie(browser, "remember") is None
    assert who(browser) is None


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_remembers_ends_with_its_user(app, change):
    user = register(app)
    browser = remembered(app)
    app.call(lambda store: change(store, user))
    assert who(browser) is None


def test_a_changed_password_ends_what_remembers(app):
    register(app)
    here, there = log_in(app, remember="yes"), remembered(app)
    before = cookie(here, "remember")
    here.post("/password", data={"password": OTHER})
    assert who(here) is not None
    assert cookie(here, "remember") is None
    assert who(there) is None
    assert who(copied(app, remember=before)) is None


def test_what_remembers_ends_after_thirty_days(app, monkeypatch):
    user = register(app)
    browser = remembered(app)
    wait(app, monkeypatch, 30 * DAY - 60)
    assert who(copied(app, remember=cookie(browser, "remember"))) == user.id
    wait(app, monkeypatch, 30 * DAY + 60)
    assert who(browser) is None


def test_a_use_does_not_make_it_last_longer(site):
    register(site)
    browser = remembered(site)
    find = site.provided("identity")["session"]._cookie.find

    def until() -> float:
        return find({"HTTP_COOKIE": f"remember={cookie(browser, 'remember')}"})[1].until

    before = until()
    later(site, 7 * DAY)
    assert who(browser) is not None
    assert until() == before


def test_a_request_that_fails_replaces_nothing(site):
    register(site)
    browser = remembered(site)
    before = cookie(browser, "remember")
    assert browser.get("/fails").status_code == 500
    assert cookie(browser, "remember") == before
    later(site, GRACE + 1)
    assert who(browser) is not None


def test_a_login_that_is_not_to_be_remembered_ends_the_one_that_is(site):
    register(site)
    ben = register(site, "ben@example.org")
    browser = log_in(site, remember="yes")
    of_ada = cookie(browser, "remember")
    browser.post("/login", data={"email": "ben@example.org", "password": PASSWORD})
    browser.delete_cookie("session")
    assert who(browser) is None
    assert who(copied(site, remember=of_ada)) is None
    assert who(log_in(site, "ben@example.org")) == ben.id


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "é", "a" * 9000])
def test_what_is_no_token_remembers_nobody(app, text):
    register(app)
    answer = Client(app, use_cookies=False).get("/me", headers={"Cookie": f"remember={text}"})
    assert answer.json == {"user": None}


def test_tokens_for_something_else_remember_nobody(app):
    user = register(app)
    tokens = app.provided("tokens")
    proof = app.provided("user_records").proof(user, "login")
    value = [user.id, proof, 2**33, "", ""]
    for purpose in ("identity.reset", "remember", ""):
        assert who(copied(app, remember=tokens.sign(purpose, value, 60))) is None
    for value in ([user.id], {"user": user.id}, [str(user.id), proof, 2**33, "", ""], user.id):
        text = tokens.sign("identity.remember", value, 60)
        assert who(copied(app, remember=text)) is None


def test_a_token_without_series_is_nothing_where_series_are_kept(site):
    user = register(site)
    proof = site.provided("user_records").proof(user, "login")
    text = site.provided("tokens").sign("identity.remember", [user.id, proof, 2**33, "", ""], 60)
    assert who(copied(site, remember=text)) is None


def test_what_a_former_secret_key_has_signed_is_still_good(tmp_path, stack):
    old = make(tmp_path, stack)
    user = register(old.start())
    token = reset_token(old, user)
    unknown = make(tmp_path, stack, app={"secret_key": "f" * 64})
    assert reset(unknown, token) is None
    new = make(tmp_path, stack, app={"secret_key": "f" * 64, "secret_key_fallbacks": [SECRET]})
    assert reset(new, token)
    for app in (old, unknown, new):
        app.stop()


# Registering


def test_a_new_user_is_stored_with_a_hash(app):
    user = app.call(
        lambda accounts: accounts.register(email=" Ada@Example.ORG", password=PASSWORD, name="Ada")
    )
    found = stored(app, user)
    assert (found.email, found.name) == ("ada@example.org", "Ada")
    assert found.password.startswith("$argon2id$")
    assert check(app, "ADA@example.org", PASSWORD).id == user.id


def test_a_name_that_is_taken_is_a_conflict_that_can_be_handled(app):
    register(app)

    def twice(accounts, store):
        before = computed(app)
        with suppress(Conflict):
            accounts.register(email="ADA@example.org", password=PASSWORD)
            pytest.fail("no conflict")
        assert computed(app) == before + 1
        return accounts.register(email="ben@example.org", password=PASSWORD)

    assert app.call(twice).id
    assert app.call(lambda store: store.count(User)) == 2


@pytest.mark.parametrize("password", ["short", "password", "aaaaaaaaaaaa", "lovelace-analytical"])
def test_a_weak_password_is_invalid_input(app, password):
    def new(accounts):
        accounts.register(email="lovelace@example.org", password=password)

    with pytest.raises(Invalid) as info:
        app.call(new)
    assert {error["field"] for error in info.value.errors} == {"password"}
    assert app.call(lambda store: store.count(User)) == 0
    user = register(app, "lovelace@example.org")
    with pytest.raises(Invalid):
        app.call(lambda accounts: accounts.change_password(user, password))
    found = app.call(lambda accounts: accounts.refusals(password, "lovelace@example.org"))
    assert found == [error["message"] for error in info.value.errors]


# Tokens for a new password


def reset_token(app: App, user: User) -> str:
    return app.call(lambda accounts: accounts.reset_token(user))


def reset(app: App, token: str, password: str = OTHER) -> Any:
    return app.call(lambda accounts: accounts.reset(token, password))


def test_a_token_sets_a_new_password_once(app):
    user = register(app)
    token = reset_token(app, user)
    browser = log_in(app)
    assert reset(app, token).id == user.id
    assert check(app, "ada@example.org", OTHER)
    assert who(browser) is None
    assert reset(app, token, "yet another secret") is None
    assert check(app, "ada@example.org", OTHER)


def test_all_tokens_for_a_reset_end_with_one(app):
    user = register(app)
    tokens = [reset_token(app, user) for _ in range(3)]
    assert reset(app, tokens[1])
    assert [reset(app, token) for token in tokens] == [None, None, None]


@pytest.mark.parametrize("database_url", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_of_parallel_requests_with_one_token_one_counts(tmp_path, stack, database_url):
    app = make(tmp_path, stack, persistence={"url": database_url})
    user = register(emptied(app))
    token = reset_token(app, user)
    ready = threading.Barrier(4)

    def one(number: int) -> Any:
        ready.wait()
        return reset(app, token, f"another secret {number}")

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(one, range(4)))
    assert len([user for user in found if user]) == 1
    app.stop()


RENAMED = {"renamed": lambda store, user: store.save(replace(user, email="new@example.org"))}


@pytest.mark.parametrize("change", (CHANGES | RENAMED).values(), ids=CHANGES | RENAMED)
def test_a_token_for_a_reset_ends_with_what_it_was_for(app, change):
    user = register(app)
    token = reset_token(app, user)
    app.call(lambda store: change(store, user))
    assert reset(app, token) is None


def test_a_token_for_a_reset_ends_after_an_hour(app, monkeypatch):
    token = reset_token(app, register(app))
    wait(app, monkeypatch, 3660)
    assert reset(app, token) is None
    wait(app, monkeypatch, 3540)
    assert reset(app, token)


def test_a_weak_password_leaves_the_token_good(app):
    user = register(app)
    token = reset_token(app, user)
    with pytest.raises(Invalid):
        reset(app, token, "short")
    assert reset(app, token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "\0", "a" * 9000])
def test_what_is_no_token_resets_nothing(app, token):
    register(app)
    assert reset(app, token) is None
    assert app.call(lambda accounts: accounts.verify(token)) is None


def test_a_token_is_for_one_purpose(app):
    user = register(app)
    other = app.call(lambda accounts: accounts.verify_token(user))
    assert reset(app, other) is None
    token = reset_token(app, user)
    assert app.call(lambda accounts: accounts.verify(token)) is None


# Tokens that prove an address


def test_a_token_proves_an_address_once(app):
    user = register(app)
    token = app.call(lambda accounts: accounts.verify_token(user))
    assert app.call(lambda accounts: accounts.verify(token)).verified
    assert stored(app, user).verified
    assert app.call(lambda accounts: accounts.verify(token)) is None


def test_a_token_proves_no_other_address(app):
    user = register(app)
    token = app.call(lambda accounts: accounts.verify_token(user))
    app.call(lambda store: store.save(replace(user, email="other@example.org")))
    assert app.call(lambda accounts: accounts.verify(token)) is None
    assert not stored(app, user).verified


def test_a_verification_logs_nobody_out(app):
    user = register(app)
    browser = log_in(app)
    token = app.call(lambda accounts: accounts.verify_token(user))
    app.call(lambda accounts: accounts.verify(token))
    assert who(browser) == user.id


# What is missing


def test_without_a_component_that_keeps_logins_there_are_none(tmp_path):
    app = make(tmp_path, sessions=None, identity={"use": ["basic"]})
    user = register(app.start())
    with pytest.raises(KitError, match="nothing here keeps a login"):
        app.call(lambda accounts: accounts.login(user))
    assert check(app, "ada@example.org", PASSWORD)
    app.stop()


def test_limits_raise_for_callers_too(site):
    for _ in range(10):
        check(site, "ada@example.org", OTHER)
    with pytest.raises(TooMany):
        check(site, "ada@example.org", OTHER)


def test_the_key_of_the_session_holds_no_hash(site):
    user = register(site)

    def look(session, accounts):
        accounts.login(user)
        return session[USER_KEY]

    identity, proof = site.call(look)
    assert identity == user.id
    assert proof not in user.password
    assert user.password not in proof


@dataclass(frozen=True)
class Frozen:
    email: Annotated[str, Meta(max_length=200), Unique]
    password: Annotated[str, Meta(max_length=255)] = ""
    id: int | None = None


def test_a_frozen_user_stays_logged_in_after_the_hash_was_upgraded(tmp_path):
    def served(schemes):
        app = App(
            {
                "app": {"secret_key": "k" * 32},
                "persistence": {"use": "peewee", "url": f"sqlite:///{tmp_path}/test.db"},
                "sessions": {"use": "beaker"},
                "passwords": {"use": schemes},
                "tokens": {"use": "itsdangerous"},
                "rates": {"use": "memory"},
                "identity": {"use": ["session"]},
            }
        )
        app.records(Frozen)
        app.provider(scope="app", name="users")(lambda: Users(Frozen))

        @app.post("/login", csrf=False)
        def login(accounts):
            accounts.login(accounts.check("ada@example.org", "correct horse battery"))

        app.get("/me")(lambda user: user.email if user else "nobody")
        return app.start()

    old = served(["scrypt"])
    old.call(
        lambda accounts: accounts.register(
            email="ada@example.org", password="correct horse battery"
        )
    )
    old.stop()
    new = served(["argon2", "scrypt"])
    browser = client(new)
    assert browser.post("/login").status_code == 204
    assert browser.get("/me").text == "ada@example.org"
    new.stop()
