"""The session: a mapping of the visitor's data that is loaded when touched and merged when saved.

The store behind it holds bytes under a key. Everything else is done here, the same way on every
store: ids, expiry, rotation, serialisation, and what happens when requests write in parallel.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kit.errors import Conflict, Unavailable
from kit.tagged import KEPT, dumps, loads

if TYPE_CHECKING:
    from kit.slots.sessions import SessionStore

_encode = msgspec.json.Encoder().encode


def dump(key: str, value: object) -> bytes:
    """Return `value` as the JSON that a session stores under `key`.

    Raises TypeError for what cannot be stored.
    """
    try:
        return dumps(value)
    except TypeError as error:
        raise TypeError(f"session[{key!r}] holds {error}; a session keeps {KEPT}") from error


class Record(msgspec.Struct):
    """What is stored: when the session began and was last used (whole seconds), and its data."""

    created: int
    accessed: int
    data: dict[str, msgspec.Raw]


_decode_record = msgspec.json.Decoder(Record).decode

# Stored in place of a record that moves to another id: expired by any clock, so nobody uses it.
_MOVED = Record(0, 0, {})

_MISSING = object()
_TRIES = 1000
_REFRESH = 60  # seconds between two writes of the access time
CSRF_KEY = "_csrf"  # where a session keeps the secret behind the tokens of its forms


@dataclass(frozen=True)
class SessionRules:
    """How long sessions live, in seconds, and what reads the time; one object for all requests."""

    store: SessionStore
    lifetime: float
    idle: float
    clock: Callable[[], float]

    def read(self, key: str) -> tuple[bytes, Record] | None:
        """Return the stored bytes and the record of a live session; None for any other key."""
        stored = self.store.load(key)
        if stored is None:
            return None
        try:
            record = _decode_record(stored)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return (stored, record) if self.time_left(record) > 0 else None

    def write(self, key: str, record: Record, expected: bytes | None) -> str | None:
        """Store `record` if `expected` is stored now; return the new key, or None if it is not."""
        return self.store.save(key, _encode(record), expected, max(self.time_left(record), 1))

    def time_left(self, record: Record) -> float:
        """Return the seconds until `record` expires by the absolute or the idle limit."""
        ends = min(record.created + self.lifetime, record.accessed + self.idle)
        return ends - self.clock()


class Session(MutableMapping[str, Any]):
    """The visitor's data, as handlers get it by naming ``session``.

    Values are str, int, float, bool, None, lists and dicts of them, and datetime, date, bytes,
    Decimal, UUID, set, tuple and Markup. Changes inside a list or dict count too. All changes are
    saved together when the handler succeeded, and none when it raised.

    Requests of one visitor that run in parallel are merged key by key: only keys that this
    request changed are written. Where the new value depends on the old one, use `change`.
    """

    __slots__ = (
        "_ahead",
        "_changes",
        "_cookie",
        "_ended",
        "_key",
        "_record",
        "_rotate",
        "_rules",
        "_sealed",
        "_stored",
        "_values",
        "_written",
    )

    def __init__(self, rules: SessionRules, key: str | None) -> None:
        self._rules = rules
        self._cookie = key  # what the browser sent
        self._key = key  # None for a session that is not stored yet
        self._ended: str | None = None
        self._record: Record | None = None
        self._sealed = False
        self._ahead: Any = _MISSING  # what `load` found
        self._reset()

    def _reset(self) -> None:
        self._stored: bytes | None = None
        self._values: dict[str, Any] = {}  # what was read or set
        self._written: set[str] = set()  # keys that were set or deleted outright
        self._changes: dict[str, list[Callable[[Any], Any]]] = {}
        self._rotate = False

    @property
    def touched(self) -> bool:
        """Whether anything was asked of the session."""
        return self._record is not None

    @property
    def unread(self) -> bool:
        """Whether a first touch would ask the store."""
        return self._record is None and self._key is not None and self._ahead is _MISSING

    @property
    def stored(self) -> bool:
        """Whether the store holds a record of this session, as far as this request knows."""
        return self._key is not None and self._record is not None

    def load(self) -> None:
        """Ask the store now, so that nothing else does until what changed is saved.

        This is no touch: who then never looks at the session has an answer that may be cached.
        """
        if self._key is not None and self.unread:
            self._ahead = self._rules.read(self._key)

    def _open(self) -> Record:
        if self._record is not None:
            return self._record
        return self._reload() or self._begin()

    def _reload(self) -> Record | None:
        found, self._ahead = self._ahead, _MISSING
        if found is _MISSING:
            found = self._rules.read(self._key) if self._key is not None else None
        if found is None:
            return None
        self._stored, self._record = found
        return self._record

    def _begin(self) -> Record:
        # An id that the store does not know is never adopted: the client may have invented it.
        now = int(self._rules.clock())
        self._key = None
        self._record = Record(now, now, {})
        self._reset()
        return self._record

    def __getitem__(self, key: str) -> Any:
        record = self._record or self._open()
        if key not in self._values:
            if key in self._written:
                raise KeyError(key)
            self._values[key] = loads(record.data[key])
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if type(key) is not str:
            raise TypeError(f"the keys of a session are str, not {type(key).__name__}")
        self._check_open()
        if self._record is None:
            self._open()
        self._values[key] = value
        self._written.add(key)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._check_open()
        self._values.pop(key, None)
        self._written.add(key)

    def __contains__(self, key: object) -> bool:
        stored = self._open().data
        return key in self._values or (key in stored and key not in self._written)

    def __iter__(self) -> Iterator[str]:
        return iter([key for key in {**self._open().data, **self._values} if key in self])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        state = "untouched" if self._record is None else "stored" if self.stored else "new"
        return f"<Session {state}>"

    def change(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Set `key` to ``function(old value)`` and return the new value.

        `default` stands in for a missing value. No update is lost: when a parallel request
        stored another value meanwhile, `function` is called again with that one on saving, so
        it should do nothing but compute.
        """

        def step(old: Any) -> Any:
            return function(deepcopy(default) if old is _MISSING else old)

        value = step(self.get(key, _MISSING))
        outright = key in self._written
        self[key] = value
        if not outright:
            self._written.remove(key)
            self._changes.setdefault(key, []).append(step)
        return value

    def rotate(self) -> None:
        """Move the data to a new id and end the old one: at login and at each gain of rights.

        Forms of pages from before are refused from then on: their token was of the old session.
        """
        self._check_open()
        self.pop(CSRF_KEY, None)
        self._rotate = True

    def destroy(self) -> None:
        """End the session, as at logout. What is set afterwards begins a new one."""
        self._check_open()
        self._open()
        self._ended = self._key or self._ended
        self._begin()

    def clear(self) -> None:
        """Forget everything: the same as `destroy`."""
        self.destroy()

    def flash(self, message: str, category: str = "message") -> None:
        """Keep `message` for the next call of `flashes`, normally that of the next page."""
        # A key for each message, so that parallel requests neither lose nor repeat one.
        self[f"_flash.{secrets.token_hex(8)}"] = (category, message)

    def flashes(self) -> list[tuple[str, str]]:
        """Return ``(category, message)`` for each waiting message, and forget them."""
        return [self.pop(key) for key in list(self) if key.startswith("_flash.")]

    def seal(self) -> None:
        """Refuse changes from now on: it is saved, and they would be lost."""
        self._sealed = True

    def _check_open(self) -> None:
        if self._sealed:
            raise RuntimeError(
                "the session is saved by now, and this change would be lost: a stream may change"
                " it before its first chunk, and a WebSocket only reads it"
            )

    def commit(self) -> str | None:
        """Save what changed, and return what the cookie is to hold now.

        The empty string means that the cookie is to be expired, None that it can stay as it is.
        Called by the kernel after the handler; raises TypeError for a value that cannot be
        stored and `kit.errors.Unavailable` when the store is away.
        """
        saved = None if self._record is None else self._save(self._record)
        return None if saved == self._cookie else saved

    def _save(self, record: Record) -> str | None:
        edits = self._edits(record)
        if self._ended is not None:
            self._rules.store.delete(self._ended)
        if self._key is not None:
            changed = edits or self._rotate or self._deleted(record)
            return self._update(self._key, edits) if changed else self._refresh(self._key, record)
        if edits:
            return self._create(self._merged(record, edits))
        return None if self._ended is None else ""

    def _edits(self, record: Record) -> dict[str, msgspec.Raw]:
        edits = {}
        for key, value in self._values.items():
            text = dump(key, value)
            if key not in record.data or bytes(record.data[key]) != text:
                edits[key] = msgspec.Raw(text)
        return edits

    def _deleted(self, record: Record) -> set[str]:
        return (self._written - self._values.keys()) & record.data.keys()

    def _merged(self, record: Record, edits: dict[str, msgspec.Raw]) -> Record:
        data = {**record.data, **edits}
        for key in self._deleted(record):
            del data[key]
        return Record(record.created, int(self._rules.clock()), data)

    def _replayed(self, record: Record) -> dict[str, msgspec.Raw]:
        edits = {}
        for key in self._changes.keys() - self._written:
            value = loads(record.data[key]) if key in record.data else _MISSING
            for step in self._changes[key]:
                value = step(value)
            edits[key] = msgspec.Raw(dump(key, value))
        return edits

    def _create(self, record: Record) -> str:
        key = self._rules.write(secrets.token_urlsafe(32), record, None)
        if key is None:
            raise Conflict("the session store has another record under an id just made")
        return key

    def _update(self, key: str, edits: dict[str, msgspec.Raw]) -> str | None:
        record: Record | None = self._open()
        for _ in range(_TRIES):
            if record is None:
                return None  # a logout or a rotation ended it meanwhile: it must not come back
            merged = self._merged(record, edits)
            saved = self._rules.write(key, _MOVED if self._rotate else merged, self._stored)
            if saved is not None:
                return self._move(key, merged) if self._rotate else saved
            record = self._reload()
            edits |= self._replayed(record) if record else {}
        raise Conflict("too many requests change this session at once")

    def _move(self, old: str, record: Record) -> str:
        new = self._create(record)
        self._rules.store.delete(old)
        return new

    def _refresh(self, key: str, record: Record) -> str | None:
        now = self._rules.clock()
        if now - record.accessed < min(_REFRESH, self._rules.idle / 2):
            return None
        try:
            return self._rules.write(key, self._merged(record, {}), self._stored)
        except Unavailable:
            return None
