"""Profiles: what users see of each other, and whom they follow."""

from __future__ import annotations

from framework import link, unlink

from conduit.records import Follow, User
from conduit.schemas import Profile, ProfileAnswer
from kit import RecordNotFound, Routes
from kit.slots.identity import logged_in

routes = Routes("/api/profiles", name="profiles")


@routes.get("/<username>")
def show(username, user, store) -> ProfileAnswer:
    """Show a user."""
    return answer(store, named(store, username), user)


@routes.post("/<username>/follow", requires=logged_in)
def follow(username, user, store) -> ProfileAnswer:
    """Follow a user."""
    followed = named(store, username)
    link(store, Follow(user.id, followed.id))
    return answer(store, followed, user)


@routes.delete("/<username>/follow", requires=logged_in)
def unfollow(username, user, store) -> ProfileAnswer:
    """Follow a user no longer."""
    followed = named(store, username)
    unlink(store, Follow, follower=user.id, followed=followed.id)
    return answer(store, followed, user)


def named(store, username) -> User:
    found = store.first(User, username=username)
    if found is None:
        raise RecordNotFound("There is no such user.")
    return found


def answer(store, shown, viewer) -> ProfileAnswer:
    return ProfileAnswer(profiles(store, [shown.id], viewer)[shown.id])


def profiles(store, ids, viewer) -> dict[int, Profile]:
    """Return the profiles of users by id, as `viewer` sees them; two queries for all."""
    follows = store.find(Follow, follower=viewer.id, followed__in=set(ids)) if viewer else ()
    followed = {one.followed for one in follows}
    return {
        one.id: Profile(one.username, one.bio, one.image, one.id in followed)
        for one in store.find(User, id__in=set(ids))
    }
