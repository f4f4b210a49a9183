"""A stack for JSON APIs, put together from Framekit: errors, tokens, and pages of lists."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, TypeVar

from kit import App, Conflict, Invalid, Meta, Patch, Unauthorized, provider
from kit.options import Duration
from kit.slots.identity import IdentityOptions
from kit.slots.identity.users import UserDirectory, UserRecords
from kit.slots.persistence.portable import Store
from kit.slots.tokens import Tokens

T = TypeVar("T")
BLANK = "can't be blank"
LONGEST_PAGE = 1000
PURPOSE = "api"
A_MONTH = Duration(30 * 86400)


@dataclass
class Errors:
    """What went wrong: messages by the name of the member that they are about."""

    errors: dict[str, list[str]]


class API(App):
    """An application for programs: whatever goes wrong is answered as `Errors`."""

    def __init__(self, config: Any = "kit.toml") -> None:
        super().__init__(config)
        self.error(Exception)(failed)
        self.provider(token_identity)


def failed(error: Exception, status: int) -> Errors:
    """Answer for any exception, in place of the kernel's own pages."""
    if not isinstance(error, Invalid):
        return Errors({"body": [_said(error, status)]})
    found: dict[str, list[str]] = {}
    for one in error.errors:
        found.setdefault(_member(one["field"]), []).append(one["message"])
    return Errors(found)


def _said(error: Exception, status: int) -> str:
    phrase = HTTPStatus(status).phrase
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return phrase  # why is for the log alone
    return getattr(error, "description", "") or str(error) or phrase


def _member(field: str) -> str:
    """Return ``email`` of ``user.email``: the envelope is not worth mentioning."""
    envelope, _, inner = field.partition(".")
    return inner.partition(".")[0] or envelope or "body"


def sent(patch: Patch[Any], envelope: str) -> dict[str, Any]:
    """Return what was sent within an envelope; 422 for a body without it."""
    if envelope not in patch.values:
        patch.refuse(**{envelope: BLANK})
    inner: dict[str, Any] = patch.values[envelope]
    return inner


# Who is asking


@dataclass(frozen=True, kw_only=True)
class TokenOptions(IdentityOptions):
    """Options of `TokenIdentity`: a token is good for `lifetime`."""

    lifetime: Duration = A_MONTH


class TokenIdentity:
    """Clients send a token of the slot ``tokens``, as ``Authorization: Token ...``.

    Tokens end with the password. The one that was used to change it stays good, if the record of
    users has a text ``kept_token`` to note it in; see `keep`.
    """

    headers = ("Authorization",)
    openapi: ClassVar[dict[str, str]] = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word Token, a space, and the token that a login gives.",
    }

    def __init__(self, options: TokenOptions, tokens: Tokens, user_records: UserRecords) -> None:
        self.challenge = f'Token realm="{options.realm}"'
        self._lifetime = options.lifetime
        self._tokens = tokens
        self._records = user_records

    def issue(self, user: Any) -> str:
        """Return a token for a user."""
        proof = self._records.proof(user, "login")
        claims = {"user": user.id, "proof": proof, "id": secrets.token_hex(16)}
        return self._tokens.sign(PURPOSE, claims, self._lifetime)

    def identify(self, environ: Mapping[str, Any], user_directory: UserDirectory) -> Any | None:
        """Return whom the token names; raise Unauthorized for a token that is not good."""
        token = _token(environ)
        if token is None:
            return None
        claims = self._tokens.read(PURPOSE, token)
        user = user_directory.get(claims["user"]) if claims else None
        if user is None or not self._is_good(user, claims):
            raise Unauthorized("The token is not valid.", [self.challenge])
        return user

    def keep(self, user: Any, environ: Mapping[str, Any]) -> None:
        """Let the token of this request stay good with another password."""
        user.kept_token = self._tokens.read(PURPOSE, _token(environ) or "")["id"]

    def _is_good(self, user: Any, claims: dict[str, Any]) -> bool:
        kept = getattr(user, "kept_token", "")
        return self._records.proves(user, "login", claims["proof"]) or claims["id"] == kept


@provider(scope="app")
def token_identity(identity: dict[str, Any]) -> TokenIdentity:
    """The component that makes tokens."""
    found: TokenIdentity = identity["TokenIdentity"]
    return found


def _token(environ: Mapping[str, Any]) -> str | None:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "token" else None


# Lists and links


@dataclass
class Page:
    """The part of a list that the query of a URL asks for. Filters are fields of a subclass."""

    limit: Annotated[int, Meta(ge=0)] = 20
    offset: Annotated[int, Meta(ge=0)] = 0


def listed(store: Store, record: type[T], page: Page, **lookups: Any) -> tuple[list[T], int]:
    """Return the page of the records that the lookups fit, the newest first, and their number."""
    limit = min(page.limit, LONGEST_PAGE)
    some: list[T] = store.find(record, order_by="-id", limit=limit, offset=page.offset, **lookups)
    return some, store.count(record, **lookups)


def link(store: Store, record: object) -> None:
    """Store a record that is there once, or not at all."""
    with suppress(Conflict), store.savepoint():
        store.add(record)


def unlink(store: Store, record: type[Any], **lookups: Any) -> None:
    """Delete the records that the lookups fit, if they are there."""
    for found in store.find(record, **lookups):
        with suppress(LookupError):  # somebody else was faster
            store.delete(found)
