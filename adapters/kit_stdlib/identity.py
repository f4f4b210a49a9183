"""Who is asking: by a session, by HTTP Basic (RFC 7617), or by an API key."""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar

from werkzeug.datastructures import Headers

from kit.errors import Unauthorized
from kit.options import Duration
from kit.slots.formats import Negotiator
from kit.slots.identity import IdentityOptions
from kit.slots.identity.accounts import Accounts
from kit.slots.identity.keys import (
    ApiKeys,
    check_api_keys,
    digest_of,
    key_fields,
    new_key,
    prefix_of,
)
from kit.slots.identity.logins import Login, RememberCookie, open_login
from kit.slots.identity.users import UserDirectory, UserRecords
from kit.slots.persistence.portable import Store
from kit.slots.persistence.records import Table
from kit.slots.sessions import SessionsOptions, SessionStore
from kit.slots.sessions.lifecycle import Session
from kit.slots.tokens import Tokens

Environ = Mapping[str, Any]
_A_MONTH = Duration(30 * 86400)
_KEPT = 1000  # pairs of name and password that were right


@dataclass(frozen=True, kw_only=True)
class SessionIdentityOptions(IdentityOptions):
    """Options of the component ``session``.

    `login` is the path of the page to log in, where browsers are sent by a guard. Who wants to be
    remembered stays so for `remember`, by a cookie of the name `cookie`, which has the attributes
    of the session's.
    """

    login: str = "/login"
    remember: Duration = _A_MONTH
    cookie: str = "remember"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", self.login):
            raise ValueError(f"login = {self.login!r} is no path: write for example '/login'")
        if self.remember < 1:
            raise ValueError("remember is at least one second")


class SessionIdentity:
    """Users log in by a page of the application, and a session of the slot ``sessions`` knows it.

    A changed password ends all other sessions of a user, and whatever remembers him.
    """

    headers = ("Cookie",)
    lacks: ClassVar = {
        "scheme": "a cookie has none",
        "challenge after": "a browser sends its cookie by itself, also one that is out of date",
    }

    def __init__(
        self,
        options: SessionIdentityOptions,
        sessions: SessionStore,
        sessions_options: SessionsOptions,
        tokens: Tokens,
    ) -> None:
        if options.cookie == sessions_options.cookie:
            raise ValueError(f"cookie = {options.cookie!r} is the name of the session's cookie")
        self.challenge = f'Cookie realm="{options.realm}"'
        self.openapi = {"type": "apiKey", "in": "cookie", "name": sessions_options.cookie_name}
        self.path = options.login
        self._cookie = RememberCookie(
            tokens, sessions, sessions_options, options.cookie, options.remember
        )

    def login(
        self, session: Session, environ: Environ, response_headers: Headers
    ) -> Iterator[Login]:
        """Open the login of a request, and write what remembers it when it has succeeded."""
        yield from open_login(self._cookie, session, environ, response_headers)

    def identify(self, session_login: Login, user_directory: UserDirectory) -> Any | None:
        """Return who is logged in."""
        return session_login.user(user_directory)


class BasicIdentity:
    """Clients send name and password with each request (RFC 7617, in UTF-8): over https only.

    A pair that was right is known again without another hash, until the password changes; so it
    counts once as an attempt, in each process.
    """

    headers = ("Authorization",)

    def __init__(self, options: IdentityOptions) -> None:
        self.challenge = f'Basic realm="{options.realm}", charset="UTF-8"'
        self._secret = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._lock = Lock()

    def identify(
        self, environ: Environ, accounts: Accounts, user_records: UserRecords
    ) -> Any | None:
        """Return who has this name and password; raise Unauthorized if nobody does."""
        encoded = credentials(environ, "basic")
        if encoded is None:
            return None
        try:
            name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            raise Unauthorized("The credentials cannot be read.", [self.challenge])
        user = accounts.find(name)
        stored = user_records.password(user) if user is not None else ""
        if user is not None and self._mark(name, password, stored) in self._right:
            return user
        user = accounts.check(name, password)
        if user is None:
            raise Unauthorized("Name or password is wrong.", [self.challenge])
        self._keep(self._mark(name, password, user_records.password(user)))
        return user

    def _mark(self, *parts: str) -> bytes:
        return hmac.digest(self._secret, "\0".join(parts).encode(errors="replace"), "sha256")

    def _keep(self, mark: bytes) -> None:
        with self._lock:
            if len(self._right) >= _KEPT:
                del self._right[next(iter(self._right))]
            self._right[mark] = None


class ApiKeyIdentity:
    """Programs send a key, in ``X-API-Key`` or as ``Authorization: ApiKey ...``.

    Keys are records of the application, which it names by a provider ``api_keys`` that returns
    `kit.slots.identity.ApiKeys`. Stored is the SHA-256 of a key of 256 random bits.
    """

    headers = ("X-API-Key", "Authorization")
    lacks: ClassVar = {"password": "a key is good until it is deleted"}

    def __init__(
        self,
        options: IdentityOptions,
        api_keys: ApiKeys,
        user_records: UserRecords,
        tables: dict[type, Table],
        negotiator: Negotiator,
    ) -> None:
        check_api_keys(api_keys, user_records, tables)
        negotiator.refuse(api_keys.record, "it has the digest of a key")
        self.challenge = f'ApiKey realm="{options.realm}"'
        self.openapi = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        self._keys = api_keys

    def identify(self, environ: Environ, store: Store, user_directory: UserDirectory) -> Any | None:
        """Return whose key it is; raise Unauthorized for one that is unknown or revoked."""
        key = environ.get("HTTP_X_API_KEY") or credentials(environ, "apikey")
        if key is None:
            return None
        prefix = prefix_of(key)
        lookup: dict[str, Any] = {self._keys.prefix: prefix}
        found = store.first(self._keys.record, **lookup) if prefix else None
        digest = getattr(found, self._keys.digest, "")
        user = None
        if hmac.compare_digest(digest.encode(), digest_of(key).encode()):
            user = user_directory.get(getattr(found, self._keys.user))
        if user is None:
            raise Unauthorized("The API key is not valid.", [self.challenge])
        return user

    def issue(self, store: Store, user: Any, **fields: Any) -> str:
        """Make a key for a user, and return its text, which nobody can read again later.

        `fields` are those that the record of the application has besides.
        """
        key, prefix = new_key()
        record = self._keys.record(**fields, **key_fields(self._keys, user, prefix, key))
        store.add(record)
        return key


def credentials(environ: Environ, scheme: str) -> str | None:
    """Return what the Authorization header holds for a scheme, or None if it is of another."""
    found, _, rest = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return rest.strip() if found.lower() == scheme else None
