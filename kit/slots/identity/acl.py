"""Access control lists: who may do what with a record, said by the record itself.

A record class has a method ``__acl__`` that returns rules, the first that fits decides::

    def __acl__(self):
        return [
            (Deny, "role:guest", ALL),
            (Allow, "owner", ("view", "edit")),
            (Allow, "role:admin", ALL),
            (Allow, "everyone", "view"),
        ]

Where none fits, the answer is no. The second part of a rule is a principal: ``"everyone"``,
``"authenticated"`` (whoever is logged in), ``"user:7"``, ``"role:admin"``, or ``"owner"``: the
user whose id is in the field that the class attribute ``__owner__`` names. A class that has
``__owner__`` and no ``__acl__`` is its owner's alone. The third part is a permission, several, or
`ALL`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum
from typing import Any

from kit.errors import KitError


class Effect(Enum):
    """What a rule does for those whom it fits."""

    ALLOW = "allow"
    DENY = "deny"


Allow, Deny = Effect.ALLOW, Effect.DENY
ALL = "*"
"""Every permission."""

Rule = tuple[Effect, str, str | Collection[str]]
"""A rule of a list: allow or deny, a principal, and one permission or several."""

_NAMED = ("everyone", "authenticated", "owner")
_PREFIXES = ("user:", "role:")


def principals(user: Any, roles: Iterable[str]) -> frozenset[str]:
    """Return the principals that a user has everywhere; `user` is None for a stranger."""
    if user is None:
        return frozenset({"everyone"})
    return frozenset(
        {"everyone", "authenticated", f"user:{user.id}", *(f"role:{role}" for role in roles)}
    )


def is_allowed(permission: str, record: Any, user: Any, roles: Iterable[str]) -> bool:
    """Say whether the rules of `record` give `permission` to a user; without a rule they do not.

    Raises KitError for a rule that cannot be read: nobody gets anything by it.
    """
    mine = principals(user, roles)
    owner = _owner(record)
    if user is not None and owner is not None and owner == user.id:
        mine |= {"owner"}
    for rule in _rules(record):
        effect, principal, permissions = _checked(rule, record)
        wanted = (permissions,) if isinstance(permissions, str) else permissions
        if principal in mine and (permission in wanted or ALL in wanted):
            return effect is Allow
    return False


def has_rules(record: type) -> bool:
    """Say whether a class has rules: ``__acl__``, ``__owner__``, or both."""
    return hasattr(record, "__acl__") or hasattr(record, "__owner__")


def _owner(record: Any) -> Any:
    field = getattr(record, "__owner__", "")
    return getattr(record, field) if field else None


def _rules(record: Any) -> Iterable[Rule]:
    rules = getattr(record, "__acl__", None)
    if rules is not None:
        found: Iterable[Rule] = rules()
        return found
    return [(Allow, "owner", ALL)] if hasattr(record, "__owner__") else []


def _checked(rule: Any, record: Any) -> Rule:
    match rule:
        case (Effect(), str() as principal, permissions) if _is_principal(principal, record):
            if isinstance(permissions, (str, list, tuple, set, frozenset)):
                return rule[0], principal, permissions
    raise KitError(
        f"{type(record).__name__}.__acl__ has the rule {rule!r}. A rule is (Allow or Deny,"
        " principal, permission or several), and principals are 'everyone', 'authenticated',"
        " 'user:7', 'role:admin', and 'owner' where the class says __owner__ = \"field\"."
    )


def _is_principal(principal: str, record: Any) -> bool:
    if principal == "owner":
        return hasattr(record, "__owner__")
    return principal in _NAMED or any(
        principal.startswith(prefix) and principal != prefix for prefix in _PREFIXES
    )
