"""What the kernel makes of sessions beyond the contract: the mapping, the cookie, the options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from kit_beaker.sessions import BeakerOptions, BeakerSessions
from werkzeug.datastructures import Headers

from kit.contracts.sessions import Browser, Clock
from kit.errors import Conflict, Unavailable
from kit.options import Duration
from kit.slots.sessions import SessionKeeper, SessionsOptions, session
from kit.slots.sessions.lifecycle import Session, dump
from kit.tagged import loads


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(clock: Clock) -> SessionKeeper:
    return SessionKeeper(BeakerSessions(BeakerOptions()), SessionsOptions(), clock)


@pytest.fixture
def browser(keeper: SessionKeeper) -> Browser:
    return Browser(keeper)


@pytest.fixture
def new(keeper: SessionKeeper) -> Session:
    return keeper.open({})


def refuse(*arguments: object) -> None:
    """Save nothing, as if another request were always first."""


def fail(*arguments: object) -> None:
    raise Unavailable("the store is away")


def test_it_is_a_mapping(new: Session) -> None:
    new.update(a=1, b=2)
    assert (len(new), list(new), dict(new)) == (2, ["a", "b"], {"a": 1, "b": 2})
    assert new.pop("a") == 1
    assert new.pop("a", "gone") == "gone"
    assert new.setdefault("c", []) == []
    with pytest.raises(KeyError, match="a"):
        new["a"]
    with pytest.raises(KeyError, match="a"):
        del new["a"]
    assert list(new.items()) == [("b", 2), ("c", [])]


def test_its_keys_are_text(new: Session) -> None:
    with pytest.raises(TypeError, match="keys of a session are str, not int"):
        new[1] = "one"
    with pytest.raises(TypeError, match="keys of a session are str, not NoneType"):
        new.change(None, str)


def test_it_says_what_state_it_is_in(browser: Browser) -> None:
    with browser.request() as session:
        assert repr(session) == "<Session untouched>"
        session["a"] = 1
        assert repr(session) == "<Session new>"
    with browser.request() as session:
        assert session["a"] == 1
        assert repr(session) == "<Session stored>"


def test_equal_sets_give_equal_bytes() -> None:
    one, other = {0, 8}, {8, 0}
    assert [*one] != [*other]
    assert dump("a", one) == dump("a", other)


@pytest.mark.parametrize(
    "value", [{}, {"$date": 1, "$": 2}, [{"$dict": []}], {"$no": (1, {"": 2})}]
)
def test_a_dict_that_looks_like_a_tag_stays_a_dict(value: object) -> None:
    assert repr(loads(dump("a", value))) == repr(value)


def test_an_unfit_value_is_named_with_its_key_and_type() -> None:
    with pytest.raises(TypeError, match=r"session\['cart'\] holds a Clock; a session keeps str"):
        dump("cart", {"items": [Clock()]})
    with pytest.raises(TypeError, match="holds the float inf"):
        dump("cart", float("inf"))
    with pytest.raises(TypeError, match="holds a dict with keys that are not str"):
        dump("cart", {1: 2})


def test_nesting_has_a_limit_that_reading_can_reach() -> None:
    value: Any = "deep"
    for _ in range(64):
        value = [value]
    assert loads(dump("a", value)) == value
    with pytest.raises(TypeError, match="nested more than 64 levels deep"):
        dump("a", [value])


def test_change_counts_from_what_this_request_set(browser: Browser) -> None:
    with browser.request() as session:
        session["n"] = 1
    with browser.request() as slow:
        slow["n"] = 10
        assert slow.change("n", lambda n: n + 1) == 11
        with browser.request() as quick:
            quick["n"] = 5
    assert browser.replay(browser.key) == {"n": 11}


def test_change_after_a_deletion_starts_from_the_default(browser: Browser) -> None:
    with browser.request() as session:
        session["n"] = 7
    with browser.request() as session:
        del session["n"]
        assert session.change("n", lambda n: n + 1, 0) == 1
    assert browser.replay(browser.key) == {"n": 1}


def test_setting_after_a_change_wins(browser: Browser) -> None:
    with browser.request() as session:
        session["n"] = 7
    with browser.request() as slow:
        slow.change("n", lambda n: n + 1)
        slow["n"] = 0
        with browser.request() as quick:
            quick["n"] = 50
    assert browser.replay(browser.key) == {"n": 0}


def test_change_never_shares_its_default(browser: Browser) -> None:
    default: list[int] = []

    def add(items: list[int]) -> list[int]:
        items.append(1)
        return items

    with browser.request() as session:
        session["a"] = 1
    with browser.request() as slow:
        slow.change("items", add, default)
        with browser.request() as quick:
            quick.change("items", add, default)
    assert browser.replay(browser.key)["items"] == [1, 1]
    assert default == []


def test_setting_the_value_that_is_stored_changes_and_loses_nothing(browser: Browser) -> None:
    with browser.request() as session:
        session["a"] = 1
    stored = browser.keeper.rules.store.load(browser.key)
    with browser.request() as session:
        session["a"] = 1
    assert browser.keeper.rules.store.load(browser.key) == stored
    with browser.request() as session:
        session["a"] = 1
        session["b"] = 2
    assert browser.replay(browser.key) == {"a": 1, "b": 2}


def test_a_store_that_never_saves_ends_in_a_conflict(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with browser.request() as session:
        session["a"] = 1
    monkeypatch.setattr(browser.keeper.rules.store, "save", refuse)
    with pytest.raises(Conflict, match="too many requests"), browser.request() as session:
        session["a"] = 2
    with pytest.raises(Conflict, match="under an id just made"), browser.request("") as session:
        session["a"] = 2


def test_a_parallel_logout_wins_over_a_rotation(browser: Browser) -> None:
    with browser.request() as session:
        session["user"] = 1
    with browser.request() as slow:
        slow.rotate()
        with browser.request() as session:
            session.destroy()
    assert browser.key == ""
    assert browser.keeper.rules.store.purge() == 0
    assert browser.keeper.rules.store._backend.dictionary == {}


def test_a_rotation_keeps_what_a_parallel_request_saved_before_it(browser: Browser) -> None:
    with browser.request() as session:
        session["a"] = 1
    with browser.request() as slow:
        slow.rotate()
        with browser.request() as quick:
            quick["cart"] = [1]
    assert browser.replay(browser.key) == {"a": 1, "cart": [1]}


def test_rotation_does_not_prolong_the_absolute_limit(browser: Browser, clock: Clock) -> None:
    with browser.request() as session:
        session["a"] = 1
    for _ in range(36):
        clock.now += 20 * 60
        with browser.request() as session:
            session.rotate()
    assert browser.replay(browser.key) == {}


def test_a_failing_store_is_the_error_of_the_request(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser.keeper.rules.store, "save", fail)
    with pytest.raises(Unavailable), browser.request() as session:
        session["a"] = 1
    assert browser.key == ""


def test_a_message_flashed_after_the_logout_is_shown(browser: Browser) -> None:
    with browser.request() as session:
        session["user"] = 1
    with browser.request() as session:
        session.destroy()
        session.flash("Good bye")
    with browser.request() as session:
        assert session.flashes() == [("message", "Good bye")]
        assert "user" not in session


def test_messages_flashed_in_parallel_are_all_shown_once(browser: Browser) -> None:
    with browser.request() as session:
        session.flash("first")
    with browser.request() as slow:
        assert len(slow.flashes()) == 1
        with browser.request() as quick:
            quick.flash("second")
    with browser.request() as session:
        assert session.flashes() == [("message", "second")]


def test_a_session_that_a_request_ended_sets_no_second_cookie(browser: Browser) -> None:
    with browser.request() as session:
        session["a"] = 1
        session.destroy()
    assert "Set-Cookie" not in browser.headers


def test_the_first_of_several_well_formed_cookies_counts(browser: Browser) -> None:
    with browser.request() as session:
        session["a"] = 1
    other = "x" * 43
    with browser.request(f"session={browser.key}; session={other}") as session:
        assert session["a"] == 1
    with browser.request(f"session={other}; session={browser.key}") as session:
        assert dict(session) == {}


def test_the_view_may_allow_caching_unless_a_cookie_is_set(keeper: SessionKeeper) -> None:
    @contextmanager
    def request(environ: dict[str, str], headers: Headers) -> Iterator[Session]:
        headers["cache-control"] = "private, max-age=60"
        with contextmanager(session)(keeper, environ, headers) as given:
            yield given

    headers = Headers()
    with request({}, headers) as given:
        given["a"] = 1
    assert headers["Cache-Control"] == "no-store"
    environ = {"HTTP_COOKIE": headers["Set-Cookie"].split(";")[0]}
    headers = Headers()
    with request(environ, headers) as given:
        assert given["a"] == 1
    assert headers["Cache-Control"] == "private, max-age=60"


def test_the_options_shape_the_cookie(keeper: SessionKeeper) -> None:
    def cookie(**options: Any) -> str:
        return SessionKeeper(keeper.rules.store, SessionsOptions(**options)).cookie("k")

    plain = "Max-Age=43200; Path=/; HttpOnly; SameSite=Lax"
    assert cookie() == f"session=k; {plain}"
    assert cookie(secure=True) == f"__Host-session=k; {plain}; Secure"
    assert cookie(cookie="sid", path="/shop", secure=True, lifetime=Duration(60)) == (
        "sid=k; Max-Age=60; Path=/shop; HttpOnly; SameSite=Lax; Secure"
    )
    assert cookie(domain="example.org", same_site="Strict") == (
        "session=k; Max-Age=43200; Path=/; HttpOnly; SameSite=Strict; Domain=example.org"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lifetime": Duration(0)}, "at least one second"),
        ({"idle": Duration(0.5)}, "at least one second"),
        ({"cookie": "a b"}, "cookie = 'a b'"),
        ({"cookie": ""}, "cookie = ''"),
        ({"path": "shop"}, "path = 'shop' is no path"),
        ({"path": "/; Secure"}, "is no path"),
        ({"domain": "a;b"}, "domain = 'a;b' is no domain name"),
        ({"same_site": "None"}, "needs secure = true"),
    ],
)
def test_options_that_make_no_cookie_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SessionsOptions(**options)


def test_the_store_is_told_how_long_the_record_may_live(
    browser: Browser, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    store = browser.keeper.rules.store
    save = store.save
    monkeypatch.setattr(store, "save", lambda *given: told.append(given[3]) or save(*given))
    clock.now = 1_000_000.0
    with browser.request() as session:
        session["n"] = 0
    for _ in range(35):
        clock.now += 20 * 60
        with browser.request() as session:
            session["n"] += 1
    assert told[0] == 30 * 60
    assert told[-1] == 20 * 60


def test_a_record_of_another_format_is_no_session(browser: Browser) -> None:
    with browser.request() as session:
        session["a"] = 1
    store = browser.keeper.rules.store
    stored = store.load(browser.key)
    assert stored is not None
    changed = msgspec.json.encode({"created": "yesterday", "accessed": 1, "data": {}})
    store.save(browser.key, changed, stored, 60)
    assert browser.replay(browser.key) == {}
