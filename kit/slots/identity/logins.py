"""Logins: a session says who is logged in, and a second cookie may remember that for longer."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from werkzeug.datastructures import Headers

from kit.options import Duration
from kit.security import logs
from kit.slots.identity.users import UserDirectory
from kit.slots.sessions import SessionKeeper, SessionsOptions, SessionStore
from kit.slots.sessions.lifecycle import Session
from kit.slots.tokens import Tokens

USER_KEY = "_user"  # where a session keeps the id of the user and the proof for it
PURPOSE = "identity.remember"
GRACE = 60  # seconds for which a cookie is good after the next one: requests come in parallel


class Token(msgspec.Struct, array_like=True, frozen=True):
    """What a cookie that remembers says: the user, until when, and its number in a series.

    `until` is in seconds since 1970. `series` is where the store keeps which number is the
    latest; it is empty where the store could not take a cookie back anyway.
    """

    user: int
    proof: str
    until: float
    series: str = ""
    number: str = ""


class Series(msgspec.Struct, array_like=True, frozen=True):
    """What is stored of a series: its latest number, the one before, and when that was replaced."""

    latest: str
    before: str = ""
    replaced: float = 0


_encode = msgspec.json.encode
_decode_series = msgspec.json.Decoder(Series).decode


class RememberCookie:
    """The cookie that logs in again after the session has ended. Threads share one object.

    It holds a signed token that is bound to the password, and is replaced at each use. Whoever
    comes with one that was replaced has copied it, or was copied: then that series ends. The
    series is kept in the store of the sessions, so that a logout ends all copies, too; a store
    that lacks ``revocation`` lacks this as well.
    """

    def __init__(
        self,
        tokens: Tokens,
        store: SessionStore,
        options: SessionsOptions,
        name: str,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._store = None if "revocation" in getattr(store, "lacks", {}) else store
        self._lifetime = lifetime
        self.clock = clock
        mine = SessionsOptions(
            lifetime=Duration(lifetime),
            cookie=name,
            secure=options.secure,
            same_site=options.same_site,
            path=options.path,
            domain=options.domain,
        )
        self.header = SessionKeeper(store, mine).cookie
        text = r"[A-Za-z0-9._~-]{1,4000}"
        cookie = rf"(?:^|;)[ \t]*{re.escape(mine.cookie_name)}=({text})[ \t]*(?:;|\Z)"
        self._find = re.compile(cookie, re.ASCII).search

    def find(self, environ: Mapping[str, Any]) -> tuple[str, Token | None]:
        """Return the text of the cookie that came, or an empty one, and the token in it."""
        found = self._find(environ.get("HTTP_COOKIE", ""))
        if not found:
            return "", None
        try:
            token = msgspec.convert(self._tokens.read(PURPOSE, found[1]), Token)
        except msgspec.ValidationError:
            token = None
        return found[1], token

    def is_good(self, token: Token, environ: Mapping[str, Any]) -> bool:
        """Say whether the series of a token goes on; end it where the token was replaced."""
        if not token.series or self._store is None:
            return not token.series and self._store is None
        _, series = self._load(token)
        if series is None:
            return False
        late = self.clock() - series.replaced >= GRACE
        if token.number == series.latest or (token.number == series.before and not late):
            return True
        self._store.delete(token.series)
        logs.event("remember_cookie_reused", environ, user=token.user)
        return False

    def new(self, user: int, proof: str) -> str:
        """Return the text of a cookie that begins a series."""
        until = self.clock() + self._lifetime
        if self._store is None:
            return self._sign(Token(user, proof, until))
        number = secrets.token_urlsafe(16)
        stored = _encode(Series(number))
        key = self._store.save(secrets.token_urlsafe(32), stored, None, self._lifetime)
        return self._sign(Token(user, proof, until, key or "", number))

    def next(self, token: Token) -> str | None:
        """Return the text that replaces a cookie; None where a parallel request has done so."""
        stored, series = self._load(token)
        if self._store is None or series is None or series.latest != token.number:
            return None
        number, now = secrets.token_urlsafe(16), self.clock()
        after = _encode(Series(number, token.number, now))
        if self._store.save(token.series, after, stored, max(token.until - now, 1)) is None:
            return None
        return self._sign(Token(token.user, token.proof, token.until, token.series, number))

    def end(self, token: Token) -> None:
        """End the series of a token, for all copies of its cookies."""
        if self._store is not None and token.series:
            self._store.delete(token.series)

    def _load(self, token: Token) -> tuple[bytes | None, Series | None]:
        stored = self._store.load(token.series) if self._store and token.series else None
        try:
            return stored, None if stored is None else _decode_series(stored)
        except msgspec.DecodeError:
            return stored, None

    def _sign(self, token: Token) -> str:
        value = msgspec.to_builtins(token)
        return self._tokens.sign(PURPOSE, value, max(token.until - self.clock(), 1))


@dataclass
class Login:
    """Who is logged in by the session of a request, and how that begins and ends.

    The store of the cookie is written when the request has succeeded, like that of the session.
    """

    session: Session
    cookie: RememberCookie
    environ: Mapping[str, Any]

    def __post_init__(self) -> None:
        self._came, self._token = self.cookie.find(self.environ)
        self._sends: Callable[[], str | None] | None = None

    def user(self, directory: UserDirectory) -> Any | None:
        """Return who is logged in, by the session or else by the cookie that remembers.

        A login that does not hold any more (the password was changed, the user is gone) ends the
        session with all that is in it.
        """
        if (found := self.session.get(USER_KEY)) is not None:
            user = directory.get(*found)
            if user is not None:
                return user
            self.session.destroy()
        return self._remembered(directory)

    def _remembered(self, directory: UserDirectory) -> Any | None:
        token = self._token
        if token is None or not self.cookie.is_good(token, self.environ):
            return None
        user = directory.get(token.user, token.proof)
        if user is None:
            # The cookie itself is left alone: a parallel login may just have replaced it.
            self.cookie.end(token)
            return None
        self._enter(token.user, token.proof)
        self._sends = lambda: self.cookie.next(token)
        return user

    def _enter(self, user: int, proof: str) -> None:
        found = self.session.get(USER_KEY)
        if found is not None and found[0] != user:
            self.session.destroy()  # nothing of another user's session goes on in this one
        self.session.rotate()
        self.session[USER_KEY] = [user, proof]

    def begin(self, user: int, proof: str, *, remember: bool) -> None:
        """Log a user in: under a new id, and with a cookie that remembers if that is wanted."""
        self._enter(user, proof)
        self.forget()
        if remember:
            self._sends = lambda: self._replaced(self.cookie.new(user, proof))

    def is_of(self, user: int) -> bool:
        """Say whether this user is logged in by the session."""
        found = self.session.get(USER_KEY)
        return found is not None and found[0] == user

    def end(self) -> None:
        """Log out: the session ends, and what remembers it."""
        self.session.destroy()
        self.forget()

    def forget(self) -> None:
        """End the series of the cookie that came, and expire the cookie."""
        self._sends = lambda: self._replaced("")

    def _replaced(self, text: str) -> str | None:
        if self._token is not None:
            self.cookie.end(self._token)
        return text if text or self._came else None

    def close(self, headers: Headers) -> None:
        """Write to the store what is to be remembered, and set the cookie."""
        text = self._sends() if self._sends else None
        if text is not None:
            headers.add("Set-Cookie", self.cookie.header(text))


def open_login(
    cookie: RememberCookie, session: Session, environ: Mapping[str, Any], headers: Headers
) -> Iterator[Login]:
    """Yield the login of a request; what it remembers is written when the request succeeded."""
    login = Login(session, cookie, environ)
    yield login
    login.close(headers)
