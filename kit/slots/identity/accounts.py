"""Accounts: passwords checked and changed, logins begun and ended, tokens for what goes by mail."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.errors import Invalid, KitError, TooMany
from kit.providers import provider
from kit.security import logs
from kit.slots.identity.logins import Login
from kit.slots.identity.users import UserDirectory, UserRecords, assigned, folded
from kit.slots.passwords.policy import Passwords
from kit.slots.persistence.portable import Store
from kit.slots.rates import Rate, Rates, address_prefix
from kit.slots.tokens import SingleUseTokens

if TYPE_CHECKING:
    from kit.slots.identity import IdentityOptions
    from kit.slots.identity.users import Purpose


class Accounts:
    """The accounts of the users, for one request; the provider ``accounts``.

    No method tells a stranger by its answer or by its time whether there is an account.
    """

    def __init__(
        self,
        store: Store,
        records: UserRecords,
        passwords: Passwords,
        tokens: SingleUseTokens,
        rates: Rates,
        login: Login | None,
        options: IdentityOptions,
        environ: Mapping[str, Any],
    ) -> None:
        self._store = store
        self._records = records
        self._directory = UserDirectory(store, records)
        self._passwords = passwords
        self._tokens = tokens
        self._rates = rates
        self._login = login
        self._options = options
        self._environ = environ

    def find(self, name: str) -> Any | None:
        """Return the active user with this name; None if there is none."""
        return self._directory.named(name)

    def check(self, name: str, password: str) -> Any | None:
        """Return the active user with this name and password; None for any other pair.

        A hash that is out of date is replaced. Raises `kit.errors.TooMany` (429) after too many
        checks for this name or from this address, whatever the password, and
        `kit.errors.Unavailable` (503) where they cannot be counted.
        """
        self._count(name)
        user = self._directory.named(name)
        stored = self._records.password(user) if user is not None else ""
        good = self._passwords.verify(stored, password)  # one computation, whoever it is
        if user is None or not good:
            logs.event("login_failed", self._environ, user=user.id if user else "unknown")
            return None
        return self._upgrade(user, stored, password) if self._passwords.outdated(stored) else user

    def _count(self, name: str) -> None:
        address = address_prefix(self._environ.get("REMOTE_ADDR", ""))
        account = hashlib.sha256(folded(name).encode(errors="replace")).hexdigest()
        for key, limit in (
            (f"login from {address}", self._options.address_attempts),
            (f"login as {account}", self._options.attempts),
        ):
            if wait := self._rates.hit(key, Rate.parse(limit)):
                logs.event("login_limited", self._environ, limit=limit)
                raise TooMany(wait)

    def _upgrade(self, user: Any, stored: str, password: str) -> Any:
        """Replace a hash, unless the password was changed since it was read; return the user."""
        fresh: Any = self._store.get(self._records.record, user.id, lock=True)
        now = self._records.password(fresh)
        if now == stored:
            return self._save(user, {self._records.users.password: self._passwords.hash(password)})
        return fresh if self._passwords.verify(now, password) else None

    def login(self, user: Any, *, remember: bool = False) -> None:
        """Log a user in, in a session with a new id; with `remember` also after it has ended.

        Ask `check` first: this believes whom it is given. Raises KitError unless a component that
        keeps logins is in use, such as ``session``.
        """
        self._kept().begin(user.id, self._records.proof(user, "login"), remember=remember)

    def logout(self) -> None:
        """End the session, and what remembers it; for who is not logged in as well."""
        self._kept().end()

    def _kept(self) -> Login:
        if self._login is None:
            raise KitError(
                "nothing here keeps a login: add a component that does, for example"
                ' [identity] use = ["session"]'
            )
        return self._login

    def refusals(self, password: str, name: str = "") -> list[str]:
        """Return a sentence for each reason against a new password; an empty list takes it."""
        return self._passwords.check_new(password, name)

    def register(self, *, password: str, **fields: Any) -> Any:
        """Store a new user with these fields, and return it.

        The name is stored as `folded` makes it. Raises `kit.errors.Invalid` (422) for a password
        that is too weak, and `kit.errors.Conflict` (409) for a name that is taken, after which
        the unit of work goes on.
        """
        named = self._records.users
        name = folded(fields[named.name])
        self._refuse(password, name)
        hashed = self._passwords.hash(password)
        user = self._records.record(**{**fields, named.name: name, named.password: hashed})
        with self._store.savepoint():
            return self._store.add(user)

    def _refuse(self, password: str, name: str) -> None:
        reasons = self.refusals(password, name)
        if reasons:
            raise Invalid(
                {"field": "password", "code": "password", "message": one} for one in reasons
            )

    def change_password(self, user: Any, password: str) -> Any:
        """Give a user another password, and return the user.

        It ends whatever was logged in with the old one, except for this session, which gets a new
        id. Ask `check` for the old password first. Raises `kit.errors.Invalid` (422) for one that
        is too weak.
        """
        self._refuse(password, self._records.name(user))
        hashed = self._passwords.hash(password)
        user = self._save(user, {self._records.users.password: hashed})
        if self._login is not None and self._login.is_of(user.id):
            self._login.begin(user.id, self._records.proof(user, "login"), remember=False)
        logs.event("password_changed", self._environ, user=user.id)
        return user

    def reset_token(self, user: Any) -> str:
        """Return a token that lets whoever has it set a new password, once; for a mail."""
        return self._token("reset", user, self._options.reset)

    def reset(self, token: str, password: str) -> Any | None:
        """Set a new password with a token, and return the user.

        None where the token is forged, expired or used, or the user is not active. Raises
        `kit.errors.Invalid` (422) for a password that is too weak: the token stays good.
        """
        user = self._of_token("reset", token)
        return None if user is None else self.change_password(user, password)

    def verify_token(self, user: Any) -> str:
        """Return a token that proves, once, that a user reads mail to his name."""
        self._verified()
        return self._token("verify", user, self._options.verify)

    def verify(self, token: str) -> Any | None:
        """Note that the name of a user is verified, and return the user.

        None where the token is forged, expired or used, or the user is not active, or has
        another name by now.
        """
        field = self._verified()
        user = self._of_token("verify", token)
        return None if user is None else self._save(user, {field: True})

    def _verified(self) -> str:
        if self._records.users.verified is None:
            record = self._records.record.__name__
            raise KitError(f'Users({record}, ...) does not say verified="...": name a bool field')
        return self._records.users.verified

    def _token(self, purpose: Purpose, user: Any, lifetime: float) -> str:
        state = self._records.proof(user, purpose)
        return self._tokens.sign(f"identity.{purpose}", user.id, lifetime, state)

    def _of_token(self, purpose: Purpose, token: str) -> Any | None:
        users = []

        def state(identity: object) -> str | None:
            # Locked, so that of two requests with one token the second sees that it was used.
            user = self._directory.get(identity, lock=True)
            users.append(user)
            return None if user is None else self._records.proof(user, purpose)

        found = self._tokens.read(f"identity.{purpose}", token, state)
        return None if found is None else users[-1]

    def _save(self, user: Any, values: dict[str, Any]) -> Any:
        """Change some fields of a user, and no others that were changed meanwhile."""
        fresh: Any = self._store.get(self._records.record, user.id, lock=True)
        self._store.save(assigned(fresh, values))
        return assigned(user, values)


@provider(blocks=True)
def accounts(
    store: Store,
    user_records: UserRecords,
    password_keeper: Passwords,
    single_use_tokens: SingleUseTokens,
    rates: Rates,
    session_login: Login | None,
    identity_options: IdentityOptions,
    environ: dict[str, Any],
) -> Accounts:
    """Check passwords, log in and out, register, reset and verify; see `Accounts`."""
    return Accounts(
        store,
        user_records,
        password_keeper,
        single_use_tokens,
        rates,
        session_login,
        identity_options,
        environ,
    )
