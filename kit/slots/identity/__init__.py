"""Identity: components say who is asking, and accounts, guards and rules of records build on it.

Several components may be on at once. Each is asked in the order of ``use``, and the first that
knows somebody decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from kit.components import Slot
from kit.options import Duration
from kit.plugins import hookimpl
from kit.slots.identity.accounts import Accounts, accounts
from kit.slots.identity.acl import ALL, Allow, Deny
from kit.slots.identity.guards import can, loaded_records, logged_in, may, record, role, user_roles
from kit.slots.identity.keys import ApiKeys
from kit.slots.identity.users import Users, user_directory, user_records
from kit.slots.identity.visitors import identities, session_login, user, visitor
from kit.slots.rates import Rate

__all__ = [
    "ALL",
    "Accounts",
    "Allow",
    "ApiKeys",
    "Deny",
    "Identity",
    "IdentityOptions",
    "Users",
    "logged_in",
    "may",
    "role",
]

_HOUR = Duration(3600)
_TWO_DAYS = Duration(2 * 86400)


@dataclass(frozen=True, kw_only=True)
class IdentityOptions:
    """Options that mean the same for every component.

    `realm` is what clients are told that they log in to. A password is checked at most `attempts`
    times for one account, and `address_attempts` times for one address (of IPv6: one network),
    right ones included; what is more ends in 429. A token for a new password is good for `reset`,
    and one that proves an address for `verify`.
    """

    realm: str = "this site"
    attempts: str = "10 / 15 minutes"
    address_attempts: str = "10 / 15 minutes"
    reset: Duration = _HOUR
    verify: Duration = _TWO_DAYS

    def __post_init__(self) -> None:
        if not self.realm.isascii() or not self.realm.isprintable() or set(self.realm) & set('"\\'):
            raise ValueError(f"realm = {self.realm!r}: use ASCII without quotes and backslashes")
        for name in ("attempts", "address_attempts"):
            try:
                Rate.parse(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        if self.reset < 1 or self.verify < 1:
            raise ValueError("reset and verify are at least one second")


class Identity(Protocol):
    """A way to say who is asking. Threads share one component.

    The factory names ``options``, annotated with a subclass of `IdentityOptions`, and other
    providers of application scope. A component that people log in through, by a form, has two
    members more: ``path``, where that form is, and ``login``, a method that names providers,
    yields a `kit.slots.identity.logins.Login`, and cleans up after it. Only one such component
    can be in use. A component that cannot do everything says so in ``lacks``.
    """

    @property
    def challenge(self) -> str:
        """What to send in WWW-Authenticate (RFC 9110, section 11.6.1): scheme and parameters."""
        ...

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the request headers that `identify` reads, for Vary."""
        ...

    def identify(self, *providers: Any, **named: Any) -> Any | None:
        """Return the record of the user who is asking, or None where the request says nothing.

        Its parameters name providers, as those of a handler do: ``environ``, ``store``, and
        ``user_directory``, which finds active users by id or name. Raises
        `kit.errors.Unauthorized` for credentials of this component that are wrong, whatever is
        wrong with them, with a challenge; and never for those of another scheme.
        """
        ...


slot = Slot(
    name="identity",
    protocol=Identity,
    options=IdentityOptions,
    providers=(
        user_records,
        identities,
        user_directory,
        session_login,
        visitor,
        user,
        accounts,
        user_roles,
        can,
        loaded_records,
        record,
    ),
    many=True,
    asks={
        "users": 'Say which record users are: @app.provider(scope="app") def users():'
        ' return kit.slots.identity.Users(User, name="email", password="password").',
        "api_keys": 'Say which record keys are: @app.provider(scope="app") def api_keys():'
        " return kit.slots.identity.ApiKeys(...).",
    },
    contract="kit.contracts.identity:IdentityContract",
)


kit_after = ("kit.slots.mail",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``identity``."""
    return [slot]
