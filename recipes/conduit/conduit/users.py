"""Users: register, log in, see and change one's own account."""

from __future__ import annotations

from typing import Literal

from framework import sent

from conduit.records import User
from conduit.schemas import Account, Login, Registration, UserAnswer, UserUpdate
from kit import Body, Conflict, Patch, Routes, Unauthorized, openapi
from kit.slots.identity import logged_in
from kit.slots.identity.users import folded

TAKEN = "has already been taken"
routes = Routes("/api", name="users")


@routes.post("/users")
def register(
    body: Body[Registration], store, password_keeper, token_identity
) -> tuple[UserAnswer, Literal[201]]:
    """Register."""
    given = body.value.user
    user = User(folded(given.email), given.username, password_keeper.hash(given.password))
    keep(user, store.add, store, body)
    return answer(user, token_identity), 201


@routes.post("/users/login")
@openapi.raises(401, 429)
def log_in(body: Body[Login], accounts, token_identity) -> UserAnswer:
    """Log in."""
    given = body.value.user
    user = accounts.check(given.email, given.password)
    if user is None:
        raise Unauthorized("E-mail or password is wrong.", [token_identity.challenge])
    return answer(user, token_identity)


@routes.get("/user", requires=logged_in)
def current(user, token_identity) -> UserAnswer:
    """Show the account of who is asking."""
    return answer(user, token_identity)


@routes.put("/user", requires=logged_in)
def update(
    patch: Patch[UserUpdate], user, store, environ, password_keeper, token_identity
) -> UserAnswer:
    """Change the account of who is asking. What is not sent stays."""
    values = sent(patch, "user")
    if "email" in values:
        values["email"] = folded(values["email"])
    if "password" in values:
        values["password"] = password_keeper.hash(values["password"])
    user = store.get(User, user.id, lock=True)
    for name, value in values.items():
        setattr(user, name, value)
    if "password" in values:
        token_identity.keep(user, environ)
    keep(user, store.save, store, patch)
    return answer(user, token_identity)


def answer(user, token_identity) -> UserAnswer:
    token = token_identity.issue(user)
    return UserAnswer(Account(user.email, token, user.username, user.bio, user.image))


def keep(user, write, store, body):
    """Store a user, unless somebody else has the name or the address already.

    Of two who come at once the database lets one through, and the other one is told so, too.
    """
    refuse_taken(user, store, body)
    try:
        with store.savepoint():
            write(user)
    except Conflict:
        refuse_taken(user, store, body)
        raise


def refuse_taken(user, store, body):
    taken = {
        f"user.{name}": TAKEN
        for name in ("email", "username")
        if store.count(User, **{name: getattr(user, name), "id__ne": user.id})
    }
    if taken:
        body.refuse(**taken)
