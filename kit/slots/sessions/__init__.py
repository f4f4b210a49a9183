"""Sessions: a component keeps records under keys; ids, cookies and expiry are the kernel's."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from werkzeug.datastructures import Headers

from kit.components import Slot
from kit.errors import KitError
from kit.options import Duration
from kit.plugins import hookimpl
from kit.providers import provider
from kit.slots.sessions.lifecycle import Session, SessionRules
from kit.waiting import in_thread, spawn, wait

_HALF_A_DAY = Duration(12 * 3600)
_HALF_AN_HOUR = Duration(30 * 60)
SESSION_ID = r"[A-Za-z0-9_-]{43}"
LONGEST_COOKIE = 4093


@dataclass(frozen=True, kw_only=True)
class SessionsOptions:
    """Options that mean the same for every session library.

    A session ends `lifetime` after it began, and sooner if it is not used for `idle`. The cookie
    is called `cookie`; it is HttpOnly always, and with `secure` (switch it on wherever there is
    https) it is sent over https only, under a name with the prefix ``__Host-`` as long as `path`
    and `domain` permit that. Without `domain` only the host that set the cookie gets it back.
    `same_site` says whether it comes with requests from other sites: ``"Lax"`` with links to this
    site, ``"Strict"`` never, ``"None"`` always, which needs `secure`.
    """

    lifetime: Duration = _HALF_A_DAY
    idle: Duration = _HALF_AN_HOUR
    cookie: str = "session"
    secure: bool = False
    same_site: Literal["Lax", "Strict", "None"] = "Lax"
    path: str = "/"
    domain: str = ""

    def __post_init__(self) -> None:
        if self.lifetime < 1 or self.idle < 1:
            raise ValueError("lifetime and idle are at least one second")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.cookie):
            raise ValueError(f"cookie = {self.cookie!r}: use letters, digits, '_' and '-'")
        if not re.fullmatch(r"/[!-:<-~]*", self.path):
            raise ValueError(f"path = {self.path!r} is no path: write for example '/shop'")
        if not re.fullmatch(r"[A-Za-z0-9.-]*", self.domain):
            raise ValueError(f"domain = {self.domain!r} is no domain name")
        if self.same_site == "None" and not self.secure:
            raise ValueError("same_site = 'None' needs secure = true: browsers refuse it otherwise")

    @property
    def cookie_name(self) -> str:
        """The name that the cookie has on the wire."""
        host_only = self.path == "/" and not self.domain
        return f"__Host-{self.cookie}" if self.secure and host_only else self.cookie


class SessionStore(Protocol):
    """A store of bytes under keys that compares before it saves. Threads share one.

    The factory names ``options``, and perhaps other providers such as ``secret_key``. A failure
    of the store is raised as `kit.errors.Unavailable`. Records are never pickled.

    On an asynchronous library all methods are coroutine functions (``async def``), ``close`` too;
    event loops and threads share the component then.

    A component may have these class attributes too. ``key_form`` is a regular expression for its
    keys; without it they are the kernel's ids, `SESSION_ID`, and a cookie that does not match
    never gets here. ``lacks`` says which capabilities of the slot's contract it cannot have, and
    why. A ``close`` method is called when the application stops.
    """

    def load(self, key: str) -> bytes | None:
        """Return what is stored under `key`; None if that is nothing, or expired, or forged."""
        ...

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str | None:
        """Store `record` for `lifetime` seconds if `expected` is stored now (None: nothing).

        Return the key that loads the record, which goes into the cookie, or None if something
        else is stored and nothing was saved. To compare and to save is one atomic step.
        """
        ...

    def delete(self, key: str) -> None:
        """Forget what is stored under `key`, if anything."""
        ...

    def purge(self) -> int:
        """Remove expired records and return how many; 0 where the store does so by itself."""
        ...


class AwaitedSessions:
    """A store of coroutine functions, as plain code has it: each method waits for its result."""

    awaited = True

    def __init__(self, store: Any) -> None:
        self._store = store
        for name in ("key_form", "lacks"):
            if hasattr(store, name):
                setattr(self, name, getattr(store, name))

    def load(self, key: str) -> bytes | None:
        """Return what is stored under `key`, or None."""
        record: bytes | None = wait(self._store.load(key))
        return record

    def save(self, key: str, record: bytes, expected: bytes | None, lifetime: float) -> str | None:
        """Store `record` if `expected` is stored now; return its key, or None."""
        saved: str | None = wait(self._store.save(key, record, expected, lifetime))
        return saved

    def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""
        wait(self._store.delete(key))

    def purge(self) -> int:
        """Remove expired records and return how many."""
        removed: int = wait(self._store.purge())
        return removed

    def close(self) -> None:
        """Close the store, if it can be closed."""
        if hasattr(self._store, "close"):
            wait(self._store.close())


def plain_store(store: Any) -> SessionStore:
    """Return what plain code uses of a component: itself, if its methods are plain."""
    if not inspect.iscoroutinefunction(getattr(store, "load", None)):
        found: SessionStore = store
        return found
    return AwaitedSessions(store)


class SessionKeeper:
    """Opens the session of a request, and saves it and sets the cookie when the request is done.

    One object serves the application. `clock` returns the time in seconds since 1970.
    """

    def __init__(
        self,
        store: SessionStore,
        options: SessionsOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = SessionRules(store, options.lifetime, options.idle, clock)
        self._name = options.cookie_name
        # Looks for one well-formed cookie in the header, whatever its neighbours look like. Of
        # several with the name the first counts, which browsers choose as the most specific.
        key = getattr(store, "key_form", SESSION_ID)
        cookie = rf"(?:^|;)[ \t]*{re.escape(self._name)}=({key})[ \t]*(?:;|\Z)"
        self._find = re.compile(cookie, re.ASCII).search
        self._attributes = f"; Path={options.path}; HttpOnly; SameSite={options.same_site}"
        if options.domain:
            self._attributes += f"; Domain={options.domain}"
        if options.secure:
            self._attributes += "; Secure"

    def open(self, environ: Mapping[str, Any]) -> Session:
        """Return the session of a request; nothing is loaded until it is touched."""
        found = self._find(environ.get("HTTP_COOKIE", ""))
        return Session(self.rules, found[1] if found else None)

    def close(self, session: Session, headers: Headers) -> None:
        """Save `session`, and add what the response needs to `headers`.

        A session that was not touched adds nothing. One that holds data forbids caching, unless
        `headers` have a Cache-Control already; a cookie forbids it in any case.
        """
        # The cookie of a session that has expired is left alone: a parallel login may just have
        # replaced it, and this response would take the new one away.
        if not session.touched:
            return
        key = session.commit()
        headers.add("Vary", "Cookie")
        if key is not None:
            headers.add("Set-Cookie", self.cookie(key))
            headers["Cache-Control"] = "no-store"
        elif session.stored and not any(name.lower() == "cache-control" for name, _ in headers):
            headers.add("Cache-Control", "no-store")

    def cookie(self, key: str) -> str:
        """Return the Set-Cookie header for `key`; the empty string expires the cookie.

        Raises KitError where it is longer than browsers accept.
        """
        seconds = int(self.rules.lifetime) if key else 0
        cookie = f"{self._name}={key}; Max-Age={seconds}{self._attributes}"
        if len(cookie) > LONGEST_COOKIE:
            raise KitError(
                f"the session cookie has {len(cookie)} bytes, and browsers drop those over"
                f" {LONGEST_COOKIE}: keep less in the session, or use a component that keeps"
                " it on the server"
            )
        return cookie


@provider(scope="app")
def session_keeper(sessions: SessionStore, sessions_options: SessionsOptions) -> SessionKeeper:
    """The rules for ids, cookies and expiry, with the store that the config picked."""
    return SessionKeeper(sessions, sessions_options)


@provider(inline=True)
def session(
    session_keeper: SessionKeeper, environ: dict[str, Any], response_headers: Headers
) -> Iterator[Session]:
    """The visitor's data, kept from request to request: a mapping of JSON-able values."""
    session = session_keeper.open(environ)
    yield session
    session_keeper.close(session, response_headers)
    session.seal()


@provider(name="session", awaited=True)
async def loaded_session(session: Session, sessions: SessionStore) -> Session:
    """The same in coroutine functions: what the store has of it is there before they begin."""
    if session.unread:
        aside = spawn if getattr(sessions, "awaited", False) else in_thread
        await aside(session.load)
    return session


slot = Slot(
    name="sessions",
    protocol=SessionStore,
    options=SessionsOptions,
    providers=(session_keeper, session, loaded_session),
    waits=True,
    plain=plain_store,
    contract="kit.contracts.sessions:SessionsContract",
)


kit_after = ("kit.slots.persistence",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``sessions``."""
    return [slot]
