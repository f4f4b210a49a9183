"""Visitors: what the components in use make of a request, put together at start."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers

from kit.errors import ConfigError, Problem, Unauthorized, listing
from kit.providers import provider, required
from kit.slots.identity.logins import Login
from kit.slots.identity.users import UserRecords

if TYPE_CHECKING:
    from kit.app import App
    from kit.assembly import Filling
    from kit.slots.identity import Identity

_OF_ACCOUNTS = ("attempts", "address_attempts", "reset", "verify")


class Identities:
    """The components of the slot ``identity`` that the config picked, as one.

    Raises ConfigError where two of them want to be logged in through.
    """

    def __init__(self, components: Mapping[str, Identity], records: UserRecords) -> None:
        self._components = components
        self._records = records
        self.headers = tuple(dict.fromkeys(h for c in components.values() for h in c.headers))
        with_login = {name: one for name, one in components.items() if hasattr(one, "login")}
        if len(with_login) > 1:
            what = f"[identity] use has {listing(with_login)}, and all of them keep logins."
            raise ConfigError([Problem("", what, "Use one of them.")])
        login = next(iter(with_login.values()), None)
        self.login: Callable[..., Iterator[Login]] | None = getattr(login, "login", None)
        self.path: str = getattr(login, "path", "")

    def unauthorized(self) -> Unauthorized:
        """Return the error for who is not logged in, with the challenges of all components."""
        return Unauthorized("Please log in first.", self._challenges(()), self.path)

    def _challenges(self, given: Iterable[str]) -> list[str]:
        """Return `given`, and the challenges of the other schemes."""
        schemes = {challenge.partition(" ")[0] for challenge in given}
        others = [one.challenge for one in self._components.values()]
        return [*given, *(one for one in others if one.partition(" ")[0] not in schemes)]

    def reader(self) -> Callable[..., Any]:
        """Return the function that finds the user of a request: it names what components need."""
        needs = {name: required(one.identify) for name, one in self._components.items()}
        names = tuple(dict.fromkeys(name for mine in needs.values() for name in mine))

        def visitor(*values: Any) -> Any | None:
            given = dict(zip(names, values, strict=True))
            for name, one in self._components.items():
                try:
                    found = one.identify(**{need: given[need] for need in needs[name]})
                except Unauthorized as error:
                    # No way to the page for the login: it would refuse these credentials, too.
                    raise Unauthorized(str(error), self._challenges(error.challenges)) from error
                if found is not None and self._records.is_active(found):
                    return found
            return None

        kind = inspect.Parameter.POSITIONAL_ONLY
        signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
        visitor.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it
        return visitor


@provider(scope="app")
def identities(app: App, identity: dict[str, Identity], user_records: UserRecords) -> Identities:
    """The components of the slot as one: their challenges, and the page for the login."""
    _check_shared(app.stack.filling("identity"))
    return Identities(identity, user_records)


def _check_shared(fillings: list[Filling]) -> None:
    """Refuse options of accounts that stand in the table of one component, as if it had its own."""
    for name in _OF_ACCOUNTS:
        if len({getattr(filling.options, name) for filling in fillings}) > 1:
            what = f"[identity] {name} is not the same for all components: accounts have only one."
            raise ConfigError([Problem(fillings[0].where, what, "Write it below [identity].")])


@provider(typed=True)
def visitor(identities: Identities) -> Callable[..., Any]:
    """Who the first component that knows somebody says is asking; it opens what they name."""
    return identities.reader()


@provider(typed=True)
def session_login(identities: Identities) -> Callable[..., Any]:
    """The login of a component that keeps one, such as ``session``; None without."""
    return identities.login or _no_login


def _no_login() -> None:
    return None


# `session_login` is named here, with a type, because components name it without one.
@provider
def user(
    visitor: Any, session_login: Login | None, identities: Identities, response_headers: Headers
) -> Any | None:
    """The user who is asking, a record of the application; None for a stranger.

    What is made for a user is not to be cached, unless the handler changes ``response_headers``.
    """
    for header in identities.headers:
        response_headers.add("Vary", header)
    if visitor is not None:
        response_headers.setdefault("Cache-Control", "no-store")
    return visitor
