"""Guards: functions that stand before a handler, and let nobody through who may not.

``@app.get("/contacts/<int:id>", requires=may("view", Contact))``. Whoever is not logged in gets
401, or the page to log in; whoever is, and may not, gets 403, or 404 where he may not even know.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kit.errors import Forbidden, KitError, RecordNotFound
from kit.providers import provider
from kit.slots.identity.acl import has_rules, is_allowed
from kit.slots.identity.users import UserRecords
from kit.slots.identity.visitors import Identities
from kit.slots.persistence.portable import Store

Can = Callable[[str, Any], bool]
Guard = Callable[..., None]
VIEW = "view"
"""The permission without which a record is not there for a user: 404, not 403."""


def logged_in(user: Any, identities: Identities) -> None:
    """Let users through, whoever they are."""
    if user is None:
        raise identities.unauthorized()


def role(*names: str) -> Guard:
    """Make a guard that lets users through who have one of these roles.

    Raises TypeError without a name.
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError('role() takes names of roles: write for example role("admin")')
    wanted = frozenset(names)

    def guard(user: Any, identities: Identities, user_roles: Callable[..., frozenset[str]]) -> None:
        if user is None:
            raise identities.unauthorized()
        if wanted.isdisjoint(user_roles(user)):
            raise Forbidden("You do not have the role that this takes.")

    return guard


def may(permission: str, record: type, *, id: str = "id") -> Guard:
    """Make a guard that asks the rules of a record (`kit.slots.identity.acl`) for a permission.

    The record is of this class, and the value `id` of the path is its id. The handler gets it by
    naming ``record``. Whoever may not ``"view"`` the record gets the 404 of one that is not
    there, whoever may view it and not more gets 403, and a stranger gets 401 for either.

    Raises TypeError for a class without rules.
    """
    if not isinstance(record, type) or not has_rules(record):
        name = getattr(record, "__name__", repr(record))
        raise TypeError(
            f"may({permission!r}, {name}): {name} does not say who may do what. Give it a method"
            ' __acl__(self), or __owner__ = "field" where that holds the id of its only user.'
        )

    def guard(
        identity: int,
        user: Any,
        can: Can,
        store: Store,
        identities: Identities,
        loaded_records: list[Any],
    ) -> None:
        found = _found(store, record, identity)
        if found is not None and can(permission, found):
            loaded_records.append(found)
        elif user is None:
            raise identities.unauthorized()
        elif found is not None and permission != VIEW and can(VIEW, found):
            raise Forbidden("You may see this, but not do that with it.")
        else:
            raise RecordNotFound(f"there is no {record.__name__} with the id {identity}")

    signature = inspect.signature(guard)
    given = [
        one.replace(name=id) if name == "identity" else one
        for name, one in signature.parameters.items()
    ]
    guard.__signature__ = signature.replace(parameters=given)  # type: ignore[attr-defined]  # inspect reads it
    return guard


def _found(store: Store, record: type, identity: int) -> Any | None:
    try:
        return store.get(record, identity)
    except RecordNotFound:
        return None


@provider(typed=True)
def user_roles(user_records: UserRecords) -> Callable[..., Any]:
    """The function from a user to the roles that he has."""
    if user_records.users.roles is None:
        name = user_records.record.__name__
        raise TypeError(f'Users({name}, ...) does not say roles="...", the field that holds them')
    return lambda: user_records.roles


@provider(inline=True)
def can(user: Any, user_records: UserRecords) -> Can:
    """Say whether the user may do something with a record: ``can("edit", contact)``."""
    roles = user_records.roles(user) if user is not None else frozenset()
    return lambda permission, record: is_allowed(permission, record, user, roles)


@provider(inline=True)
def loaded_records() -> list[Any]:
    """The records that guards of this request have loaded, in their order."""
    return []


@provider(inline=True)
def record(loaded_records: list[Any]) -> Any:
    """The record that the last guard `may` has let the user through to."""
    if not loaded_records:
        raise KitError("a handler names 'record', but no guard of its route is may(...)")
    return loaded_records[-1]
