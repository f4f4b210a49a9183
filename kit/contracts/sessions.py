"""The contract of the slot ``sessions``: how a store behaves, and what the kernel makes of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from markupsafe import Markup
from werkzeug.datastructures import Headers

from kit.contracts import Contract, clause
from kit.errors import KitError, Unavailable
from kit.slots.sessions import SessionKeeper, SessionsOptions, SessionStore, session
from kit.slots.sessions.lifecycle import Session

MINUTE = 60


class Clock:
    """A clock that stands still until the test moves `now`, in seconds since 1970."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Browser:
    """Sends its cookies with each request and keeps those it gets.

    `headers` are those that the session added to the last response.
    """

    def __init__(self, keeper: SessionKeeper) -> None:
        self.keeper = keeper
        self.cookies: dict[str, str] = {}
        self.headers = Headers()

    @contextmanager
    def request(self, header: str | None = None) -> Iterator[Session]:
        """Give the session of one request; several may be open at once, as in parallel requests.

        `header` is a Cookie header to send in place of the browser's own cookies.
        """
        environ: dict[str, Any] = {}
        if header is None:
            header = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if header:
            environ["HTTP_COOKIE"] = header
        headers = Headers()
        with contextmanager(session)(self.keeper, environ, headers) as given:
            yield given
        self.headers = headers
        for cookie in headers.getlist("Set-Cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in cookie:
                del self.cookies[name]

    @property
    def key(self) -> str:
        """The value of the session cookie, or the empty string."""
        return self.cookies.get("session", "")

    def replay(self, key: str) -> dict[str, Any]:
        """Return the data that a client with the session cookie `key` sees."""
        with Browser(self.keeper).request(f"session={key}") as seen:
            return dict(seen)


class SessionsContract(Contract):
    """What every session component promises. Subclasses give the fixture ``component``.

    The first clauses ask the component itself, the others go through the kernel's ``session``.
    """

    capabilities: ClassVar = {
        "revocation": "a record can be ended before its time: at logout, at rotation, by the store",
        "merging": "a record that another request changed meanwhile is noticed on saving",
    }

    @pytest.fixture
    def component(self) -> SessionStore:
        """The component under test; it may hold records of other tests."""
        raise NotImplementedError("give the fixture `component`: a new session store")

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock by which the kernel decides what has expired."""
        return Clock()

    @pytest.fixture
    def keeper(self, component: SessionStore, clock: Clock) -> SessionKeeper:
        """The kernel's part, around the component, with the default options."""
        return SessionKeeper(component, SessionsOptions(), clock)

    @pytest.fixture
    def browser(self, keeper: SessionKeeper) -> Browser:
        """A visitor without cookies."""
        return Browser(keeper)

    @pytest.fixture
    def calls(self, component: SessionStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The names of the methods of the component that were called, in order."""
        called: list[str] = []

        def record(name: str, method: Any) -> Any:
            def call(*arguments: Any) -> Any:
                called.append(name)
                return method(*arguments)

            return call

        for name in ("load", "save", "delete", "purge"):
            monkeypatch.setattr(component, name, record(name, getattr(component, name)))
        return called

    # The store.

    @clause("S1")
    def test_saved_is_loaded(self, component: SessionStore) -> None:
        """A record is loaded byte for byte under the key that saving it returned."""
        for record in (b'{"data":{}}', '{"text":"äß€😀"}'.encode(), b'{"x":"%b"}' % (b"y" * 2000)):
            key = component.save(new_id(), record, None, MINUTE)
            assert key is not None
            assert component.load(key) == record

    @clause("S2")
    def test_other_keys_load_nothing(self, component: SessionStore) -> None:
        """A key that saving did not return loads nothing, whatever it looks like."""
        key = component.save(new_id(), b'{"data":{}}', None, MINUTE)
        assert key is not None
        other = "B" if key[0] == "A" else "A"
        for forged in (new_id(), other + key[1:], key[:-1], key + "A", "A" * 300, "../../etc"):
            assert component.load(forged) is None, forged

    @clause("S3", needs="revocation")
    def test_deleted_is_gone(self, component: SessionStore) -> None:
        """A deleted record is gone, and deleting it again does nothing."""
        key = component.save(new_id(), b"{}", None, MINUTE)
        assert key is not None
        component.delete(key)
        assert component.load(key) is None
        component.delete(key)

    @clause("S4", needs="merging")
    def test_save_compares(self, component: SessionStore) -> None:
        """A record is saved only if what is stored is what was expected."""
        key = new_id()
        assert component.save(key, b"1", b"0", MINUTE) is None
        assert component.load(key) is None
        assert component.save(key, b"1", None, MINUTE) == key
        assert component.save(key, b"2", None, MINUTE) is None
        assert component.save(key, b"2", b"0", MINUTE) is None
        assert component.load(key) == b"1"
        assert component.save(key, b"2", b"1", MINUTE) == key
        assert component.load(key) == b"2"

    @clause("S5", needs="merging")
    def test_save_is_atomic(self, component: SessionStore) -> None:
        """Of parallel saves that expect the same, exactly one succeeds."""
        key, threads = new_id(), 8
        component.save(key, b"0", None, MINUTE)
        with ThreadPoolExecutor(threads) as pool:
            for turn in range(10):
                expected = component.load(key)
                records = [b"%d.%d" % (turn, number) for number in range(threads)]
                saved = list(pool.map(lambda r: component.save(key, r, expected, MINUTE), records))  # noqa: B023
                assert len(saved) - saved.count(None) == 1
                assert component.load(key) == records[saved.index(key)]

    @clause("S6", needs="revocation")
    def test_store_forgets(self, component: SessionStore) -> None:
        """A record is gone when its lifetime is over, and purging leaves the others alone."""
        short, long = new_id(), new_id()
        component.save(short, b"{}", None, 1)
        component.save(long, b"{}", None, MINUTE)
        assert component.load(short) == b"{}"
        deadline = time.monotonic() + 3
        while component.load(short) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert component.load(short) is None
        assert component.purge() >= 0
        assert component.load(long) == b"{}"

    # What a handler sees.

    @clause("S7")
    def test_data_come_back(self, browser: Browser) -> None:
        """Values come back in the next request with type and content."""
        values = {
            "plain": ["ä\x00'<", 1, -(2**70), 1.5, True, None, {"a": [], "": {}}],
            "tagged": [datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31), date.min],
            "more": (b"\x00\xff", Decimal("1.10"), UUID(int=1), {1, 2}, Markup("<b>"), ()),
            "looks tagged": {"$date": "2026-01-31", "b": {"$x": 1}, "c": [{"$set": [1]}]},
        }
        with browser.request() as session:
            session.update(values)
        with browser.request() as session:
            for key, value in values.items():
                assert repr(session[key]) == repr(value)

    @clause("S8")
    def test_untouched_costs_nothing(self, browser: Browser, calls: list[str]) -> None:
        """A session that is not touched asks nothing of the store and adds no header."""
        with browser.request() as session:
            session["a"] = 1
        calls.clear()
        with browser.request():
            pass
        assert calls == []
        assert list(browser.headers) == []

    @clause("S9")
    def test_reading_sets_no_cookie(self, browser: Browser, calls: list[str]) -> None:
        """A session that is read but not filled adds Vary, sets no cookie, stores nothing."""
        with browser.request() as session:
            assert "a" not in session
        assert list(browser.headers) == [("Vary", "Cookie")]
        assert "save" not in calls

    @clause("S10")
    def test_unchanged_is_not_saved(self, browser: Browser, calls: list[str]) -> None:
        """A session that is only read is not saved, and forbids to cache the response."""
        with browser.request() as session:
            session["a"] = {3, 1, 2}
        calls.clear()
        with browser.request() as session:
            assert session["a"] == {1, 2, 3}
        assert calls == ["load"]
        assert sorted(browser.headers) == [("Cache-Control", "no-store"), ("Vary", "Cookie")]

    @clause("S11")
    def test_cookie_flags(self, component: SessionStore, browser: Browser, clock: Clock) -> None:
        """The cookie is HttpOnly, SameSite=Lax, for one host; a secure one is __Host- too."""
        with browser.request() as session:
            session["a"] = 1
        name, *flags = browser.headers["Set-Cookie"].split("; ")
        assert name.startswith("session=")
        assert sorted(flags) == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax"]
        assert browser.headers["Cache-Control"] == "no-store"
        secure = Browser(SessionKeeper(component, SessionsOptions(secure=True), clock))
        with secure.request() as session:
            session["a"] = 1
        name, *flags = secure.headers["Set-Cookie"].split("; ")
        assert name.startswith("__Host-session=")
        assert "Secure" in flags

    @clause("S12")
    def test_ids_are_random(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel makes a new id of 256 random bits for each session."""
        asked: list[str] = []
        store = browser.keeper.rules.store
        save = store.save

        def spy(key: str, *rest: Any) -> str | None:
            asked.append(key)
            return save(key, *rest)

        monkeypatch.setattr(store, "save", spy)
        for _ in range(20):
            with Browser(browser.keeper).request() as session:
                session["a"] = 1
        assert len(set(asked)) == 20
        assert all(len(key) == 43 for key in asked)
        assert all(len({key[place] for key in asked}) > 1 for place in range(43))

    @clause("S13")
    def test_no_fixation(self, browser: Browser) -> None:
        """An id that the client invented is never adopted."""
        invented = new_id()
        browser.cookies["session"] = invented
        with browser.request() as session:
            session["user"] = 1
        assert browser.key != invented
        assert browser.replay(invented) == {}

    @clause("S14", needs="revocation")
    def test_rotation(self, browser: Browser) -> None:
        """Rotation moves the data to a new id, and the old one is dead."""
        with browser.request() as session:
            session["cart"] = [1]
        old = browser.key
        with browser.request() as session:
            session.rotate()
            session["user"] = 1
        assert browser.key != old
        assert browser.replay(browser.key) == {"cart": [1], "user": 1}
        assert browser.replay(old) == {}

    @clause("S15", needs="revocation")
    def test_rotation_ends_slow_requests(self, browser: Browser) -> None:
        """A request that began before a rotation and ends after it changes nothing."""
        with browser.request() as session:
            session["a"] = 1
        old = browser.key
        with browser.request() as slow:
            slow["b"] = 1
            with browser.request() as session:
                session.rotate()
            new = browser.key
        assert browser.key == new
        assert browser.replay(old) == {}
        assert browser.replay(new) == {"a": 1}

    @clause("S16")
    def test_logout(self, browser: Browser) -> None:
        """Destroying a session expires the cookie; what is set afterwards is in a new session."""
        with browser.request() as session:
            session["user"] = 1
        first = browser.key
        with browser.request() as session:
            session.destroy()
            assert dict(session) == {}
        assert browser.key == ""
        with browser.request() as session:
            assert dict(session) == {}
            session["user"] = 2
        second = browser.key
        assert second not in ("", first)
        with browser.request() as session:
            session.clear()
            session["note"] = "bye"
        assert browser.key not in ("", first, second)
        assert browser.replay(browser.key) == {"note": "bye"}

    @clause("S17", needs="revocation")
    def test_logout_is_final(self, browser: Browser) -> None:
        """A destroyed session stays dead, also for its old cookie and for a slow request."""
        with browser.request() as session:
            session["user"] = 1
        old = browser.key
        with browser.request() as slow:
            slow["a"] = 1
            with browser.request() as session:
                session.destroy()
        assert browser.key == ""
        assert browser.replay(old) == {}

    @clause("S18")
    def test_idle_limit(self, browser: Browser, clock: Clock) -> None:
        """A session that is not used for 30 minutes has ended; use keeps it alive."""
        with browser.request() as session:
            session["a"] = 1
        for _ in range(3):
            clock.now += 29 * MINUTE
            with browser.request() as session:
                assert dict(session) == {"a": 1}
        clock.now += 30 * MINUTE
        assert browser.replay(browser.key) == {}

    @clause("S19")
    def test_absolute_limit(self, browser: Browser, clock: Clock) -> None:
        """A session ends 12 hours after it began, however much it is used."""
        with browser.request() as session:
            session["n"] = 0
        for _ in range(12 * 3 - 1):
            clock.now += 20 * MINUTE
            with browser.request() as session:
                session["n"] += 1
        clock.now += 20 * MINUTE
        assert browser.replay(browser.key) == {}

    @clause("S20")
    def test_access_time(
        self,
        browser: Browser,
        clock: Clock,
        calls: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The time of access is saved at most once a minute, and a failure to do so is no error."""
        with browser.request() as session:
            session["a"] = 1
        calls.clear()
        for seconds in (58, 3, 58):
            clock.now += seconds
            with browser.request() as session:
                assert session["a"] == 1
        assert calls.count("save") == 1

        def fail(*arguments: object) -> None:
            raise Unavailable("the store is away")

        monkeypatch.setattr(browser.keeper.rules.store, "save", fail)
        clock.now += 2 * MINUTE
        with browser.request() as session:
            assert session["a"] == 1

    @clause("S21")
    def test_nothing_is_saved_on_failure(self, browser: Browser, calls: list[str]) -> None:
        """A request that failed saves nothing."""
        with browser.request() as session:
            session["a"] = 1
        calls.clear()
        with suppress(ZeroDivisionError), browser.request() as session:
            session["a"] = 1 / (session["a"] - 1)
        with suppress(ZeroDivisionError), browser.request() as session:
            session["a"] = 2
            raise ZeroDivisionError
        assert "save" not in calls
        assert browser.replay(browser.key) == {"a": 1}

    @clause("S22")
    def test_nested_changes_and_deletions(self, browser: Browser) -> None:
        """Changes inside a value are saved, and so are deletions."""
        with browser.request() as session:
            session.update(cart={"items": [1]}, gone=1, kept=1, same=1)
        with browser.request() as session:
            session["cart"]["items"].append(2)
            session["same"] = 1
            del session["gone"]
            assert "gone" not in session
        assert browser.replay(browser.key) == {
            "cart": {"items": [1, 2]},
            "kept": 1,
            "same": 1,
        }

    @clause("S23", needs="merging")
    def test_merging(self, browser: Browser) -> None:
        """Parallel requests that change different keys lose none of the changes."""
        with browser.request() as session:
            session.update(a=1, b=1, c=1, d=1)
        with browser.request() as slow:
            slow["a"] = 2
            del slow["b"]
            with browser.request() as quick:
                quick["c"] = 2
                quick["e"] = 2
        assert browser.replay(browser.key) == {"a": 2, "c": 2, "d": 1, "e": 2}

    @clause("S24", needs="merging")
    def test_change_is_atomic(self, browser: Browser) -> None:
        """No call of `change` is lost, however many requests run in parallel."""
        with browser.request() as session:
            session["a"] = 1

        together = Barrier(8)

        def count(_: int) -> None:
            with browser.request() as session:
                session.change("n", lambda n: n + 1, 0)
                session.change("list", lambda items: [*items, 1], [])
                together.wait(timeout=30)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count, range(40)))
        assert browser.replay(browser.key) == {"a": 1, "n": 40, "list": [1] * 40}

    @clause("S25")
    def test_neighbour_cookies(self, browser: Browser) -> None:
        """The session is found among cookies of any shape."""
        with browser.request() as session:
            session["a"] = 1
        cookie = f"session={browser.key}"
        for neighbour in (
            "b[x]=2",
            '{"j":1}',
            "\xff=\xfe",
            "=",
            "a",
            'q="',
            "xsession=1",
            "session=",
        ):
            for header in (
                f"{neighbour}; {cookie}",
                f"{cookie}; {neighbour}",
                f"{neighbour};{cookie}",
            ):
                with browser.request(header) as session:
                    assert dict(session) == {"a": 1}, header

    @clause("S26")
    def test_malformed_cookies(self, browser: Browser, calls: list[str]) -> None:
        """A cookie that is no key is no session, and never reaches the store."""
        for value in (
            "",
            '""',
            "a b",
            "\xff" * 43,
            "'" * 43,
            "../" * 14 + "x",
            "a" * 5000,
            "%41" * 14,
        ):
            with browser.request(f"session={value}") as session:
                assert dict(session) == {}
        assert calls == []

    @clause("S27")
    def test_size(self, browser: Browser) -> None:
        """A large session comes back whole, or its request fails; nothing is dropped silently."""
        large = secrets.token_hex(10_000)
        try:
            with browser.request() as session:
                session["large"] = large
        except KitError as error:
            assert "4093" in str(error)  # noqa: PT017
        else:
            assert browser.replay(browser.key) == {"large": large}

    @clause("S28")
    def test_unfit_values(self, browser: Browser, calls: list[str]) -> None:
        """A value that JSON cannot tell apart is refused with its key and type."""
        loop: list[Any] = []
        loop.append(loop)
        for value in (object(), [Browser], {1: 2}, float("nan"), "\ud800", loop, frozenset()):
            with pytest.raises(TypeError, match=r"session\['odd'\]"), browser.request() as session:
                session["odd"] = value
        with pytest.raises(TypeError, match="object"), browser.request() as session:
            session["odd"] = object()
        assert "save" not in calls

    @clause("S29")
    def test_flashes(self, browser: Browser) -> None:
        """A flashed message is shown once, in order, with its category and as safe as it was."""
        with browser.request() as session:
            session.flash("saved")
            session.flash(Markup("<b>!"), "error")
        with browser.request() as session:
            assert session.flashes() == [("message", "saved"), ("error", Markup("<b>!"))]
            assert session.flashes() == []
        with browser.request() as session:
            assert session.flashes() == []

    @clause("S30")
    def test_json_never_pickle(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        """The store gets JSON and gives bytes that are read as JSON and as nothing else."""
        saved: list[bytes] = []
        store = browser.keeper.rules.store
        save = store.save

        def spy(key: str, record: bytes, *rest: Any) -> str | None:
            saved.append(record)
            return save(key, record, *rest)

        monkeypatch.setattr(store, "save", spy)
        with browser.request() as session:
            session["a"] = (1, b"x")
        record = msgspec.json.decode(saved[0])
        assert record["data"] == {"a": {"$tuple": [1, {"$bytes": "eA=="}]}}
        for planted in (b"\x80\x04N.", b"cos\nsystem\n(S'x'\ntR.", b"{}", b"\xff"):
            monkeypatch.setattr(store, "load", lambda key, planted=planted: planted)
            assert browser.replay(browser.key) == {}

    # What coroutine functions see: loaded before they begin.

    @clause("S31")
    def test_loaded_ahead(self, browser: Browser, calls: list[str]) -> None:
        """What was loaded ahead asks nothing more of the store until it is saved."""
        uses: list[Callable[[Session], object]] = [
            lambda session: session["a"],
            lambda session: session.update(a=2, b={"c": []}),
            lambda session: session.change("n", lambda n: n + 1, 0),
            lambda session: session.pop("b"),
            lambda session: session.flash("saved"),
            lambda session: session.flashes(),
            lambda session: session.rotate(),
            lambda session: (dict(session), len(session), session.stored),
            lambda session: session.destroy(),
            lambda session: session.update(a=2),
            lambda session: session.clear(),
            lambda session: session.update(a=1),
        ]
        with browser.request() as session:
            session["a"] = 1
        for number, use in enumerate(uses):
            calls.clear()
            asked = ["load"] if browser.key else []
            with browser.request() as session:
                session.load()
                session.load()
                assert calls == asked, number
                use(session)
                assert calls == asked, number
        assert browser.replay(browser.key) == {"a": 1}

    @clause("S32")
    def test_loading_ahead_is_no_touch(self, browser: Browser, calls: list[str]) -> None:
        """To load ahead is no touch: it adds no header, and asks nothing for a new visitor."""
        with browser.request() as session:
            session.load()
        assert calls == []
        with browser.request() as session:
            session["a"] = 1
        calls.clear()
        with browser.request() as session:
            session.load()
            assert not session.touched
        assert calls == ["load"]
        assert list(browser.headers) == []


def new_id() -> str:
    """Return a key as the kernel makes them."""
    return secrets.token_urlsafe(32)
