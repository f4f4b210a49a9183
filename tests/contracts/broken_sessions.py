"""For every clause of the contract a component, or a kernel, that is broken in just that respect.

In class ``TestS7`` the test of clause S7 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kit import tagged
from kit.contracts.sessions import SessionsContract
from kit.slots.sessions import SessionKeeper, lifecycle
from kit.slots.sessions.lifecycle import Session, SessionRules


class Store:
    """A correct store, for the others to break."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[float, bytes]] = {}
        self.lock = threading.Lock()

    def load(self, key: str) -> bytes | None:
        expires, record = self.records.get(key, (0, b""))
        return record if expires > time.time() else None

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str | None:
        with self.lock:
            if self.load(key) != expected:
                return None
            self.records[key] = (time.time() + lifetime, record)
            return key

    def delete(self, key: str) -> None:
        self.records.pop(key, None)

    def purge(self) -> int:
        expired = [key for key in list(self.records) if self.load(key) is None]
        for key in expired:
            self.delete(key)
        return len(expired)


class OnStore(SessionsContract):
    @pytest.fixture
    def component(self) -> Store:
        return Store()


def broken(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Return a fixture that replaces an attribute of the kernel by ``make(the original)``."""

    @pytest.fixture(autouse=True)
    def replace(self: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return replace


def component(cls: type[Store]) -> Any:
    """Return the fixture that gives a broken store."""

    @pytest.fixture
    def component(self: object) -> Store:
        return cls()

    return component


class Stripping(Store):
    def save(self, key: str, record: bytes, *rest: Any) -> str | None:
        return super().save(key, record.decode().encode("ascii", "ignore"), *rest)


class Lenient(Store):
    def load(self, key: str) -> bytes | None:
        return next((super(Lenient, self).load(k) for k in self.records if k[1:] == key[1:]), None)


class Undead(Store):
    def delete(self, key: str) -> None:
        pass


class Careless(Store):
    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str:
        self.records[key] = (time.time() + lifetime, record)
        return key


class Racing(Store):
    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str | None:
        same = self.load(key) == expected
        time.sleep(0.01)
        if same:
            self.records[key] = (time.time() + lifetime, record)
        return key if same else None


class Eternal(Store):
    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str | None:
        return super().save(key, record, expected, 3600)


class Cutting(Store):
    def save(self, key: str, record: bytes, *rest: Any) -> str | None:
        head, tail = record[:5000], record[-3:]
        return super().save(key, record if len(record) < 5000 else head + tail, *rest)


class TestS1(OnStore):
    component = component(Stripping)


class TestS2(OnStore):
    component = component(Lenient)


class TestS3(OnStore):
    component = component(Undead)


class TestS4(OnStore):
    component = component(Careless)


class TestS5(OnStore):
    component = component(Racing)


class TestS6(OnStore):
    component = component(Eternal)


class TestS7(OnStore):
    kernel = broken(tagged, "_untag", lambda untag: lambda value: value)


class TestS8(OnStore):
    kernel = broken(SessionKeeper, "open", lambda open_: lambda *a: touch(open_(*a)))


class TestS9(OnStore):
    kernel = broken(Session, "_save", lambda save: lambda s, r: save(s, r) or s._create(r))


class TestS10(OnStore):
    kernel = broken(Session, "_refresh", lambda refresh: lambda s, key, r: s._update(key, {}))


class TestS11(OnStore):
    kernel = broken(SessionKeeper, "cookie", lambda c: lambda *a: c(*a).replace("; HttpOnly", ""))


class TestS12(OnStore):
    kernel = broken(lifecycle.secrets, "token_urlsafe", lambda t: lambda n: "A" * 20 + t(n)[20:])


class TestS13(OnStore):
    kernel = broken(Session, "_create", lambda create: adopt)


class TestS14(OnStore):
    kernel = broken(Session, "_move", lambda move: lambda s, old, r: keep(s, old, r))


class TestS15(OnStore):
    kernel = broken(Session, "_update", lambda update: lambda s, *a: update(s, *a) or revive(s))


class TestS16(OnStore):
    kernel = broken(Session, "destroy", lambda destroy: lambda s: [s.pop(key) for key in list(s)])


class TestS17(OnStore):
    kernel = broken(Session, "_update", lambda update: lambda s, *a: update(s, *a) or revive(s))


class TestS18(OnStore):
    kernel = broken(
        SessionRules, "time_left", lambda left: lambda s, r: r.created + s.lifetime - s.clock()
    )


class TestS19(OnStore):
    kernel = broken(
        SessionRules, "time_left", lambda left: lambda s, r: r.accessed + s.idle - s.clock()
    )


class TestS20(OnStore):
    kernel = broken(lifecycle, "_REFRESH", lambda seconds: 0)


class TestS21(OnStore):
    kernel = broken(Session, "__setitem__", lambda put: lambda s, k, v: (put(s, k, v), s.commit()))


class TestS22(OnStore):
    kernel = broken(Session, "_edits", lambda edits: lambda s, r: only(edits(s, r), s._written))


class TestS23(OnStore):
    kernel = broken(Session, "_reload", lambda reload: forget)


class TestS24(OnStore):
    kernel = broken(Session, "_replayed", lambda replayed: lambda s, r: {})


class TestS25(OnStore):
    kernel = broken(SessionKeeper, "open", lambda open_: strict)


class TestS26(OnStore):
    @pytest.fixture
    def component(self) -> Store:
        store = Store()
        store.key_form = "[^;]*"  # type: ignore[attr-defined]
        return store


class TestS27(OnStore):
    component = component(Cutting)


class TestS28(OnStore):
    kernel = broken(lifecycle, "dump", lambda dump: lambda k, v: lossy(dump, k, v))


class TestS29(OnStore):
    kernel = broken(
        Session, "flashes", lambda flashes: lambda s: [s[k] for k in s if k.startswith("_flash.")]
    )


class TestS30(OnStore):
    kernel = broken(SessionRules, "write", lambda write: write_pickle)
    other = broken(SessionRules, "read", lambda read: read_pickle)


class TestS31(OnStore):
    kernel = broken(Session, "load", lambda load: lambda session: None)


class TestS32(OnStore):
    kernel = broken(Session, "load", lambda load: Session._open)


def touch(session: Session) -> Session:
    session.get("a")
    return session


def adopt(session: Session, record: Any) -> str | None:
    return session._rules.write(session._cookie or "A" * 43, record, None)


def keep(session: Session, old: str, record: Any) -> str:
    """Rotate without ending the old session."""
    new = session._create(record)
    session._rules.write(old, record, session._rules.store.load(old))
    return new


def revive(session: Session) -> str:
    return session._create(session._merged(session._open(), {}))


def lossy(dump: Callable[[str, object], bytes], key: str, value: object) -> bytes:
    try:
        return dump(key, value)
    except TypeError:
        return dump(key, repr(value)[:99].encode("ascii", "replace").decode())


def write_pickle(rules: SessionRules, key: str, record: Any, expected: bytes | None) -> str | None:
    stored = pickle.dumps(msgspec.json.encode(record))
    return rules.store.save(key, stored, expected, rules.time_left(record))


def read_pickle(rules: SessionRules, key: str) -> Any:
    stored = rules.store.load(key)
    if stored is None:
        return None
    record = msgspec.json.decode(pickle.loads(stored), type=lifecycle.Record)
    return (stored, record) if rules.time_left(record) > 0 else None


def only(edits: dict[str, Any], written: set[str]) -> dict[str, Any]:
    return {key: value for key, value in edits.items() if key in written}


def forget(session: Session) -> Any:
    """Take what is stored now as expected, and put the data of the first reading over it."""
    before = session._record
    found = session._rules.read(session._key) if session._key else None
    if found is None:
        return None
    session._stored = found[0]
    session._record = before or found[1]
    return session._record


def strict(keeper: SessionKeeper, environ: dict[str, Any]) -> Session:
    """Find the cookie only where it stands alone."""
    name, _, key = environ.get("HTTP_COOKIE", "").partition("=")
    return Session(keeper.rules, key if name == "session" and len(key) == 43 else None)
