"""The contract of the slot ``identity``: who is asking, and what happens to those who only say so.

The clauses go through an application with the component in use, as a client would: an author says
how a user gets credentials, and which credentials are wrong.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from msgspec import Meta
from werkzeug.test import Client, TestResponse

from kit.app import App
from kit.components import Component
from kit.contracts import Contract, clause
from kit.plugins import hookimpl
from kit.slots.identity import Identity, Users, logged_in
from kit.slots.persistence.records import Unique
from kit.testing import client

Headers = dict[str, str]
PASSWORD = "a long enough secret"  # noqa: S105 - of the users of these tests
REALM = "the contract"
_CHALLENGE = re.compile(r"[!#$%&\'*+.^_`|~0-9A-Za-z-]+( [ -~]+)?")
_NASTY = (
    *("", " ", "\x80\xff", "é", "%00", "a" * 10_000, ".", "..", "=", "====", ":", "Og==", "6Q=="),
    *("null", "{}", "[]", "-1", "1", "1 OR 1=1", "a.b.c", "e30.e30.", "e30.e30.e30", "\t,;,\t"),
)


@dataclass
class User:
    """The users of these tests."""

    name: Annotated[str, Meta(max_length=80), Unique]
    password: Annotated[str, Meta(max_length=255)]
    active: bool = True
    id: int | None = None


class QuickPasswords:
    """Hashes passwords quickly, and not well: for tests alone."""

    def reads(self, hash: str) -> bool:
        """Say whether a hash is of this kind."""
        return hash.startswith("$quick$")

    def hash(self, password: str) -> str:
        """Return a hash with a salt of its own."""
        return self._hash(secrets.token_hex(8), password)

    def verify(self, hash: str, password: str) -> bool:
        """Say whether `hash` was made of `password`."""
        return hash == self._hash(hash.split("$")[2], password)

    def outdated(self, hash: str) -> bool:
        """Say that no hash is outdated."""
        return False

    @staticmethod
    def _hash(salt: str, password: str) -> str:
        return f"$quick${salt}${hashlib.sha256(f'{salt}{password}'.encode()).hexdigest()}"


class _Tested:
    """The plug-in that gives a component, where it is no string for ``use``."""

    def __init__(self, factory: Callable[..., Any]) -> None:
        self.factory = factory

    @hookimpl
    def kit_components(self) -> list[Component]:
        """Declare the component under test."""
        return [Component(slot="identity", name="tested", factory=self.factory)]


class Site:
    """An application with two users, ``ada`` and ``ben``, and the component under test.

    ``/open`` answers everybody, with the id of the user or None; ``/inside`` wants a user.
    """

    def __init__(self, app: App, name: str) -> None:
        self.app = app
        self.name = name

    @property
    def component(self) -> Identity:
        """The component under test."""
        found: Identity = self.app.provided("identity")[self.name]
        return found

    def get(self, path: str, headers: Headers | None = None, **query: Any) -> TestResponse:
        """Ask for a page, as a program without cookies of its own."""
        asked = {"Accept": "application/json", **(headers or {})}
        return Client(self.app, use_cookies=False).get(path, headers=asked, query_string=query)

    def user(self, headers: Headers) -> int | None:
        """Return the id of the user that these headers make, None for a stranger."""
        answer = self.get("/open", headers)
        assert answer.status_code in (200, 401, 429), answer.status
        found: int | None = (
            answer.json["user"] if answer.status_code == 200 and answer.json else None
        )
        return found

    def log_in(self, user: User) -> Headers:
        """Log a user in by the page for that, and return the cookies that this gives."""
        form = {"name": user.name, "password": PASSWORD}
        answer = client(self.app).post("/login", data=form)
        cookies = [one.split(";")[0] for one in answer.headers.getlist("Set-Cookie")]
        return {"Cookie": "; ".join(cookies)}

    def change(self, user: User, **values: Any) -> None:
        """Change fields of a stored user."""

        def change(store: Any) -> None:
            found = store.get(User, user.id, lock=True)
            for name, value in values.items():
                setattr(found, name, value)
            store.save(found)

        self.app.call(change)


class IdentityContract(Contract):
    """What every component for identity promises. Subclasses say `use` and give `credentials`.

    `use` is what stands in ``[identity] use``, or a factory; `options` are those of the component.
    """

    capabilities: ClassVar = {
        "scheme": "reads credentials in Authorization",
        "challenge after": "refuses credentials that are wrong, also where no user is needed",
        "password": "its credentials end when the password of the user is changed",
    }
    use: ClassVar[Any] = ""
    options: ClassVar[dict[str, Any]] = {}

    def stack(self, folder: Path) -> dict[str, Any]:
        """Return the rest of the configuration; `folder` is an empty one."""
        return {
            "app": {"secret_key": "0123456789abcdef" * 4},
            "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{folder}/test.db"},
            "sessions": {"use": "beaker"},
            "passwords": {"use": ["kit.contracts.identity:QuickPasswords"]},
            "tokens": {"use": "itsdangerous"},
            "rates": {"use": "memory"},
        }

    def prepare(self, app: App) -> None:
        """Add to the application what the component wants of it, such as a record for keys."""

    def credentials(self, site: Site, user: User) -> Headers:
        """Return the headers of a request by which the component knows `user`; anew each time."""
        raise NotImplementedError(f"{type(self).__name__}.credentials has to return headers")

    def wrong(self, site: Site, user: User) -> list[Headers]:
        """Return headers that are well-formed credentials of this component, and nobody's."""
        raise NotImplementedError(f"{type(self).__name__}.wrong has to return lists of headers")

    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
        """The application, started, with an empty database; the environment sets nothing in it."""
        for setting in [name for name in os.environ if re.match("KIT_[A-Z]+__", name)]:
            monkeypatch.delenv(setting)
        name, plugins = (
            ("tested", {"tested": _Tested(self.use)}) if callable(self.use) else ("", {})
        )
        table = {"use": [name or self.use], "realm": REALM}
        name = name or self.use.rpartition(":")[2]
        identity = {**table, name: self.options} if self.options else table
        app = App({**self.stack(tmp_path), "identity": identity}, plugins=plugins)
        app.records(User)
        _declare(app)
        self.prepare(app)
        with_users = Site(app.start(), name)
        app.call(_add_users)
        yield with_users
        app.stop()

    @pytest.fixture
    def component(self, site: Site) -> Identity:
        """The component under test."""
        return site.component

    @pytest.fixture
    def ada(self, site: Site) -> User:
        """One user."""
        return _named(site, "ada")

    @pytest.fixture
    def ben(self, site: Site) -> User:
        """Another user."""
        return _named(site, "ben")

    @clause("I1")
    def test_no_credentials_are_nobodys(self, site: Site, component: Identity) -> None:
        """A request without credentials has no user, and is refused only where one is needed."""
        assert site.get("/open").json == {"user": None}
        assert site.get("/inside").status_code == 401

    @clause("I2")
    def test_credentials_are_those_of_one_user(self, site: Site, ada: User, ben: User) -> None:
        """Credentials of a user make that user, and no other."""
        for user in (ada, ben, ada):
            headers = self.credentials(site, user)
            assert site.get("/open", headers).json == {"user": user.id}
            assert site.get("/inside", headers).status_code == 200

    @clause("I3")
    def test_wrong_credentials_are_nobodys(self, site: Site, ada: User) -> None:
        """Credentials that are wrong make nobody."""
        assert self.wrong(site, ada), "the contract needs wrong credentials"
        for headers in self.wrong(site, ada):
            assert site.user(headers) is None, headers

    @clause("I4")
    def test_malformed_credentials_are_nobodys(
        self, site: Site, ada: User, component: Identity
    ) -> None:
        """Whatever the headers hold is nobody's credentials, and never a failure (5xx)."""
        for header, value in self.credentials(site, ada).items():
            start = value.removesuffix(_secret(header, value))
            for nasty in _NASTY:
                assert site.user({header: f"{start}{nasty}"}) is None, nasty
                assert site.user({header: nasty}) is None, nasty

    @clause("I5")
    def test_changed_credentials_are_nobodys(self, site: Site, ada: User) -> None:
        """Credentials with one character changed are nobody's."""
        headers = self.credentials(site, ada)
        for header, value in headers.items():
            for position in (len(value) // 4, len(value) // 2, len(value) * 3 // 4):
                other = "B" if value[position] == "A" else "A"
                forged = f"{value[:position]}{other}{value[position + 1 :]}"
                assert site.user({**headers, header: forged}) is None, (header, position)

    @clause("I6")
    def test_other_schemes_are_ignored(self, site: Site, component: Identity) -> None:
        """Credentials of a scheme that is not its own are ignored, not refused."""
        for value in ("Foreign abc", "Foreign", "Digest username=ada", "Negotiate YII=", "ada"):
            assert site.get("/open", {"Authorization": value}).json == {"user": None}
        assert site.get("/open", {"Cookie": "foreign=abc; b[x]=2"}).json == {"user": None}

    @clause("I7")
    def test_who_is_refused_is_told_how_to_come(self, site: Site, component: Identity) -> None:
        """A 401 has the component's challenge: a scheme, and the realm of the options."""
        answer = site.get("/inside")
        assert answer.headers.getlist("WWW-Authenticate") == [component.challenge]
        assert _CHALLENGE.fullmatch(component.challenge)
        assert f'realm="{REALM}"' in component.challenge

    @clause("I8", needs="challenge after")
    def test_wrong_credentials_are_refused_everywhere(self, site: Site, ada: User) -> None:
        """Wrong credentials are refused with a challenge of the same scheme, also where no user
        is needed: the client is to know that it is taken for a stranger.
        """
        scheme = site.component.challenge.partition(" ")[0]
        for headers in self.wrong(site, ada):
            answer = site.get("/open", headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith(f"{scheme} ")

    @clause("I9")
    def test_deleted_users_are_nobody(self, site: Site, ada: User) -> None:
        """The credentials of a user who is deleted are nobody's."""
        headers = self.credentials(site, ada)
        assert site.user(headers) == ada.id
        site.app.call(lambda store: store.delete(User, ada.id))
        assert site.user(headers) is None
        assert site.get("/inside", headers).status_code == 401

    @clause("I10")
    def test_disabled_users_are_nobody(self, site: Site, ada: User) -> None:
        """The credentials of a user who is not active are nobody's."""
        headers = self.credentials(site, ada)
        assert site.user(headers) == ada.id
        site.change(ada, active=False)
        assert site.user(headers) is None
        assert site.get("/inside", headers).status_code == 401

    @clause("I11", needs="password")
    def test_credentials_end_with_the_password(self, site: Site, ada: User) -> None:
        """Credentials end when the password of the user is changed."""
        headers = self.credentials(site, ada)
        assert site.user(headers) == ada.id
        site.change(ada, password=QuickPasswords().hash("another long secret"))
        assert site.user(headers) is None

    @clause("I12")
    def test_answers_for_a_user_are_kept_by_no_cache(self, site: Site, ada: User) -> None:
        """An answer that depends on the user names the headers read in Vary, and is not stored
        by a cache where there is one.
        """
        headers = self.credentials(site, ada)
        known, stranger = site.get("/open", headers), site.get("/open")
        assert known.headers["Cache-Control"] == "no-store"
        for answer in (known, stranger):
            varies = {name.strip().lower() for name in answer.headers.get("Vary", "").split(",")}
            assert {header.lower() for header in headers} <= varies

    @clause("I13")
    def test_credentials_count_in_headers_only(self, site: Site, ada: User) -> None:
        """Credentials in the address, where logs and other sites see them, are nobody's."""
        for header, value in self.credentials(site, ada).items():
            for name in (header, "access_token", "api_key", "token", "key", "session", "auth"):
                for given in (value, _secret(header, value)):
                    assert site.get("/open", None, **{name: given}).json == {"user": None}

    @clause("I14")
    def test_refused_credentials_are_not_told_on(
        self, site: Site, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Credentials that are refused stand neither in the answer nor in the log."""
        for headers in self.wrong(site, ada):
            with caplog.at_level(logging.DEBUG):
                answer = site.get("/inside", headers)
            told = f"{answer.text}{answer.headers}{caplog.text}"
            for header, value in headers.items():
                assert _secret(header, value) not in told
            assert PASSWORD not in told

    @clause("I15")
    def test_threads_do_not_mix_users(self, site: Site, ada: User, ben: User) -> None:
        """Requests of several users at the same time each have their own."""
        given = [(user.id, self.credentials(site, user)) for user in (ada, ben)] * 8
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda one: site.user(one[1]), given))
        assert found == [user for user, _ in given]

    @clause("I16", needs="scheme")
    def test_schemes_are_read_in_any_case(self, site: Site, ada: User) -> None:
        """The name of a scheme in Authorization counts in any case (RFC 9110, section 11.1)."""
        headers = self.credentials(site, ada)
        if key := headers.pop("X-API-Key", ""):
            headers["Authorization"] = f"ApiKey {key}"
        scheme, _, rest = headers["Authorization"].partition(" ")
        for written in (scheme.upper(), scheme.lower(), scheme.swapcase()):
            assert site.user({"Authorization": f"{written} {rest}"}) == ada.id

    @clause("I17")
    def test_wrong_credentials_end_nobody_elses(self, site: Site, ada: User, ben: User) -> None:
        """After wrong credentials of one client those of others are as good as before."""
        headers = self.credentials(site, ben)
        assert site.user(headers) == ben.id
        for wrong in self.wrong(site, ada):
            assert site.user(wrong) is None
        assert site.user(headers) == ben.id


def _secret(header: str, value: str) -> str:
    """Return what of a header is secret: the value of a cookie, or what follows a scheme."""
    return value.partition("=" if header == "Cookie" else " ")[2] or value


def _declare(app: App) -> None:
    app.provider(scope="app", name="users")(lambda: Users(User, name="name", active="active"))

    @app.get("/open")
    def show(user: Any) -> dict[str, Any]:
        return {"user": user and user.id}

    @app.get("/inside", requires=logged_in)
    def inside(user: Any) -> dict[str, Any]:
        return {"user": user.id}

    @app.post("/login")
    def login(request: Any, accounts: Any) -> str:
        user = accounts.check(request.form["name"], request.form["password"])
        accounts.login(user)
        return "in"


def _add_users(store: Any) -> None:
    hashed = QuickPasswords().hash(PASSWORD)
    for name in ("ada", "ben"):
        store.add(User(name, hashed))


def _named(site: Site, name: str) -> User:
    found: User = site.app.call(lambda store: store.first(User, name=name))
    return found
