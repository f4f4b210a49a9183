"""T1 to T11: sessions."""

from __future__ import annotations

import hashlib
import http.cookies
import json
import os
import re
import resource
import secrets
import stat
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import pytest
from itsdangerous import URLSafeTimedSerializer
from kit_beaker import local, servers
from kit_beaker import sessions as beaker
from kit_itsdangerous import sessions as signed

from kit import App, ConfigError, Unavailable
from kit.cli import deploy
from kit.reader import Reader
from kit.slots.sessions import SESSION_ID, SessionKeeper, lifecycle
from kit.slots.sessions.lifecycle import Session, SessionRules
from traps import replaced, trap, weakening
from traps.stand import KEY, Stand, ask, cookie, sent, wait_until

STORES = ("memory werkzeug", "file ffroute", "database werkzeug", "redis ffroute")
COOKIES = ("itsdangerous werkzeug",)
BOTH = ("memory werkzeug", "itsdangerous ffroute")


def shop(stand: Stand, **tables: Any) -> App:
    """An application with a login."""
    app = stand.app(**tables)
    app.meanwhile = lambda: None

    @app.post("/login/<name>")
    def login(name, session):
        session.rotate()
        session["user"] = name
        return "in"

    @app.get("/who")
    def who(session):
        return session.get("user", "nobody")

    @app.post("/logout")
    def logout(session):
        session.destroy()

    @app.post("/slow")
    def slow(session):
        session["basket"] = 1
        app.meanwhile()
        return "done"

    app.get("/page")(lambda: "page")
    return app


def users(stand: Stand, app: App) -> list[str]:
    """Return who is logged in by what the store holds."""
    return sorted(data["user"] for data in stand.session_data(app) if "user" in data)


def adopt(session: Session, record: Any) -> str | None:
    """Begin a session under whatever id the browser sent."""
    return session._rules.write(session._cookie or "A" * 43, record, None)


@trap("T1", (*STORES, *COOKIES))
def an_id_that_a_client_invented_is_never_adopted(stand: Stand) -> None:
    app = shop(stand)
    victim = stand.client(app)
    invented = secrets.token_urlsafe(32)
    if stand.parts[0] == "itsdangerous":
        record = msgspec.json.encode({"created": 2**31, "accessed": 2**31, "data": {"user": "eve"}})
        invented = str(_signer("another key " * 4).dumps(record))
        assert sent(app, f"session={invented}") == (200, "nobody")
    victim.set_cookie("session", invented)
    assert victim.post("/login/ann").text == "in"
    assert victim.get("/who").text == "ann"
    assert cookie(victim) != invented
    assert sent(app, f"session={invented}") == (200, "nobody")
    keys = [key.rpartition(":")[2] for key in stand.sessions(app)]
    assert not {invented, hashlib.sha256(invented.encode()).hexdigest()} & set(keys)


weakening("T1", "werkzeug")(replaced(Session, "_create", lambda create: adopt))
weakening("T1", "ffroute")(replaced(Session, "_create", lambda create: adopt))


def _signer(key: str) -> URLSafeTimedSerializer:
    options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(
        key, salt="kit.sessions", serializer=signed._Plain, signer_kwargs=options
    )
