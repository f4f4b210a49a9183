"""Guards: by login, by role, and by the rules of a record, before any handler runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import pytest

from kit import App, ConfigError, KitError, Meta, References, Routes, Unique
from kit.contracts.identity import QuickPasswords
from kit.slots.identity import ALL, Allow, Deny, Users, logged_in, may, role
from kit.slots.identity.acl import is_allowed
from kit.testing import client


class Rank(Enum):
    ADMIN = "admin"
    CLERK = "clerk"


@dataclass
class User:
    name: Annotated[str, Meta(max_length=80), Unique]
    password: Annotated[str, Meta(max_length=255)] = ""
    roles: Annotated[str, Meta(max_length=80)] = ""
    rank: Rank | None = None
    id: int | None = None


@dataclass
class Note:
    owner: Annotated[int, References(User)]
    text: Annotated[str, Meta(max_length=80)] = ""
    public: bool = False
    id: int | None = None

    __owner__ = "owner"

    def __acl__(self):
        return [
            (Deny, "role:banned", ALL),
            (Allow, "owner", ("view", "edit")),
            (Allow, "role:admin", ALL),
            *([(Allow, "everyone", "view")] if self.public else []),
        ]


@dataclass
class Diary:
    owner: Annotated[int, References(User)]
    id: int | None = None

    __owner__ = "owner"


@dataclass
class Plain:
    text: Annotated[str, Meta(max_length=80)] = ""
    id: int | None = None


ROLES = {"ada": "admin, clerk", "ben": "", "eve": "banned", "kim": "clerk"}
RANKS = {"ada": Rank.ADMIN, "kim": Rank.CLERK}
PASSWORD = "a long enough secret"
PERSISTENCE = ("sqlalchemy", "peewee")


@pytest.fixture(params=PERSISTENCE)
def app(tmp_path, request) -> Iterator[App]:
    made = make(tmp_path, request.param)
    yield made
    made.stop()


def make(folder: Any, persistence: str = "sqlalchemy", **fields: Any) -> App:
    app = App(
        {
            "app": {"secret_key": "0123456789abcdef" * 4},
            "persistence": {"use": persistence, "url": f"sqlite:///{folder}/test.db"},
            "passwords": {"use": ["kit.contracts.identity:QuickPasswords"]},
            "tokens": {"use": "itsdangerous"},
            "rates": {"use": "memory"},
            "identity": {"use": ["basic"]},
        }
    )
    app.records(User, Note, Diary)
    users = Users(User, name="name", **{"roles": "roles", **fields})
    app.provider(scope="app", name="users")(lambda: users)
    return app


def fill(app: App) -> dict[str, User]:
    """Start an application, and return its users by name; Ben has a note of each kind."""

    def add(store):
        hashed = QuickPasswords().hash(PASSWORD)
        users = [User(name, hashed, roles, RANKS.get(name)) for name, roles in ROLES.items()]
        for user in users:
            store.add(user)
        store.add(Note(users[1].id, "private"))
        store.add(Note(users[1].id, "public", public=True))
        store.add(Diary(users[1].id))
        return users

    return {user.name: user for user in app.start().call(add)}


def ask(app: App, path: str, name: str | None = None, method: str = "GET") -> Any:
    auth = (name, PASSWORD) if name else None
    return client(app).open(path, method=method, auth=auth, headers={"Accept": "application/json"})


def status(app: App, path: str, name: str | None = None, method: str = "GET") -> int:
    return ask(app, path, name, method).status_code


# Logged in, and by role


def test_who_is_not_logged_in_is_refused_before_the_handler(app):
    called = []

    @app.route("/inside", methods=["GET", "POST"], requires=logged_in)
    def inside():
        called.append(1)
        return "in"

    fill(app)
    assert [status(app, "/inside", method=method) for method in ("GET", "POST", "HEAD")] == [
        401
    ] * 3
    assert not called
    assert status(app, "/inside", "ben") == 200


def test_a_role_lets_those_through_who_have_one_of_its_names(app):
    @app.get("/admin", requires=role("admin"))
    def admin():
        return "admin"

    @app.get("/staff", requires=role("clerk", "boss"))
    def staff():
        return "staff"

    fill(app)
    found = {name: (status(app, "/admin", name), status(app, "/staff", name)) for name in ROLES}
    assert found == {"ada": (200, 200), "ben": (403, 403), "eve": (403, 403), "kim": (403, 200)}
    assert status(app, "/admin") == 401


def test_a_role_may_be_an_enum(tmp_path):
    app = make(tmp_path, roles="rank")

    @app.get("/admin", requires=role("admin"))
    def admin():
        return "admin"

    fill(app)
    assert [status(app, "/admin", name) for name in ROLES] == [200, 403, 403, 403]
    app.stop()


def test_guards_of_a_group_come_before_those_of_its_routes(app):
    group = Routes("/office", requires=logged_in)

    @group.get("/open")
    def everybody():
        return "everybody"

    @group.get("/admin", requires=[role("clerk"), role("admin")])
    def admin():
        return "admin"

    app.include(group)
    fill(app)
    assert [status(app, "/office/open", name) for name in (None, "ben")] == [401, 200]
    assert [status(app, "/office/admin", name) for name in (None, "kim", "ada")] == [401, 403, 200]


def test_a_role_needs_users_that_have_roles(tmp_path):
    app = make(tmp_path, roles=None)

    @app.get("/admin", requires=role("admin"))
    def admin():
        return "admin"

    with pytest.raises(ConfigError, match=r"Users\(User, \.\.\.\) does not say roles="):
        app.start()


@pytest.mark.parametrize("names", [(), (1,), (logged_in,)])
def test_a_role_has_a_name(names):
    with pytest.raises(TypeError, match=r"role\(\) takes names of roles"):
        role(*names)


# By the rules of a record


@pytest.fixture
def notes(app) -> App:
    @app.get("/notes/<int:id>", requires=may("view", Note))
    def show(id, record):
        return {"id": id, "text": record.text}

    @app.post("/notes/<int:id>", requires=may("edit", Note))
    def edit(id, record):
        return {"id": id, "text": record.text}

    fill(app)
    return app


PRIVATE, PUBLIC, MISSING = "/notes/1", "/notes/2", "/notes/3"


@pytest.mark.parametrize(
    ("path", "name", "view", "edit"),
    [
        (PRIVATE, None, 401, 401),
        (PRIVATE, "ben", 200, 200),
        (PRIVATE, "ada", 200, 200),
        (PRIVATE, "kim", 404, 404),
        (PRIVATE, "eve", 404, 404),
        (PUBLIC, None, 200, 401),
        (PUBLIC, "ben", 200, 200),
        (PUBLIC, "ada", 200, 200),
        (PUBLIC, "kim", 200, 403),
        (PUBLIC, "eve", 404, 404),
        (MISSING, None, 401, 401),
        (MISSING, "ada", 404, 404),
        (MISSING, "kim", 404, 404),
    ],
)
def test_the_rules_of_a_record_decide(notes, path, name, view, edit):
    assert (status(notes, path, name), status(notes, path, name, "POST")) == (view, edit)


def test_a_record_that_is_hidden_looks_like_one_that_is_not_there(notes):
    hidden, missing = ask(notes, PRIVATE, "kim"), ask(notes, MISSING, "kim")
    assert hidden.text.replace("id 1", "id 3") == missing.text
    assert [h for h in hidden.headers if h[0] != "Content-Length"] == [
        h for h in missing.headers if h[0] != "Content-Length"
    ]
    hidden, missing = ask(notes, PRIVATE), ask(notes, MISSING)
    assert hidden.text == missing.text


def test_the_handler_gets_the_record(notes):
    assert ask(notes, PRIVATE, "ben").json == {"id": 1, "text": "private"}


@pytest.mark.parametrize("path", ["/notes/%31", "/notes/1", "/notes/%31?id=2", "/notes/1?user=2"])
def test_the_guard_sees_the_path_that_the_handler_sees(notes, path):
    assert ask(notes, path, "ben").json["id"] == 1
    assert status(notes, path, "kim") == 404


@pytest.mark.parametrize(
    "path", ["/notes/2/../1", "/notes/./1", "//notes/1", "/notes/1/", "/notes/01"]
)
def test_no_other_way_of_writing_a_path_gets_around_it(notes, path):
    assert ask(notes, path, "kim").status_code in (308, 400, 404)


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "-1", "1e0", "１"])
def test_numbers_that_are_no_id_are_not_there(notes, number):
    assert status(notes, f"/notes/{number}", "ben") == 404


def test_the_value_of_the_path_may_have_another_name(app):
    @app.get("/of/<int:note_id>", requires=may("view", Note, id="note_id"))
    def show(note_id, record):
        return {"text": record.text}

    fill(app)
    assert ask(app, "/of/1", "ben").json == {"text": "private"}
    assert status(app, "/of/1", "kim") == 404


def test_a_value_that_the_path_does_not_have_is_found_at_start(app):
    @app.get("/notes/<int:note>", requires=may("view", Note))
    def show(note):
        return "never"

    with pytest.raises(ConfigError, match="nothing provides 'id'"):
        app.start()


def test_each_of_several_guards_has_its_own_record(app):
    @app.get(
        "/diaries/<int:diary>/notes/<int:note>",
        requires=[may("view", Diary, id="diary"), may("view", Note, id="note")],
    )
    def show(diary, note, record):
        return {"record": type(record).__name__}

    fill(app)
    assert ask(app, "/diaries/1/notes/2", "ben").json == {"record": "Note"}
    assert status(app, "/diaries/1/notes/2", "kim") == 404


def test_a_record_with_an_owner_and_no_rules_is_its_owners(app):
    @app.get("/diaries/<int:id>", requires=may("read", Diary))
    def show(id):
        return "my diary"

    fill(app)
    assert [status(app, "/diaries/1", name) for name in (None, *ROLES)] == [401, 404, 200, 404, 404]


def test_templates_and_handlers_can_ask_too(app):
    @app.get("/can")
    def show(store, can):
        notes = store.find(Note)
        return {what: [can(what, note) for note in notes] for what in ("view", "edit", "sell")}

    fill(app)
    assert ask(app, "/can").json == {
        "view": [False, True],
        "edit": [False, False],
        "sell": [False, False],
    }
    assert ask(app, "/can", "ben").json == {
        "view": [True, True],
        "edit": [True, True],
        "sell": [False, False],
    }
    assert ask(app, "/can", "ada").json["sell"] == [True, True]


def test_record_without_a_guard_says_so(app, caplog):
    @app.get("/")
    def show(record):
        return "never"

    fill(app)
    assert status(app, "/") == 500
    assert "no guard of its route is may(...)" in caplog.text


@pytest.mark.parametrize("what", [Plain, "Note", None, Note(1)])
def test_a_class_without_rules_is_a_mistake_of_the_author(what):
    with pytest.raises(TypeError, match="does not say who may do what"):
        may("view", what)


# The lists


def rules(*given: Any, owner: Any = None) -> Any:
    namespace = {"__acl__": lambda self: list(given)}
    if owner is not None:
        namespace |= {"__owner__": "by", "by": owner}
    return type("Listed", (), namespace)()


ADA = User("ada", id=7)


@pytest.mark.parametrize(
    ("given", "stranger", "ada", "admin"),
    [
        ([], False, False, False),
        ([(Allow, "everyone", "view")], True, True, True),
        ([(Allow, "everyone", ALL)], True, True, True),
        ([(Allow, "everyone", "edit")], False, False, False),
        ([(Allow, "everyone", ("edit", "view"))], True, True, True),
        ([(Allow, "everyone", ())], False, False, False),
        ([(Allow, "everyone", "viewer")], False, False, False),
        ([(Allow, "authenticated", "view")], False, True, True),
        ([(Allow, "user:7", "view")], False, True, True),
        ([(Allow, "user:77", "view")], False, False, False),
        ([(Allow, "role:admin", "view")], False, False, True),
        ([(Allow, "role:adm", "view")], False, False, False),
        ([(Deny, "user:7", "view"), (Allow, "everyone", "view")], True, False, False),
        ([(Allow, "everyone", "view"), (Deny, "user:7", ALL)], True, True, True),
        ([(Deny, "everyone", ALL), (Allow, "role:admin", ALL)], False, False, False),
        ([(Deny, "user:7", "edit"), (Allow, "user:7", "view")], False, True, True),
    ],
)
def test_the_first_rule_that_fits_decides(given, stranger, ada, admin):
    record = rules(*given)
    found = [is_allowed("view", record, None, ()), is_allowed("view", record, ADA, ())]
    assert [*found, is_allowed("view", record, ADA, {"admin"})] == [stranger, ada, admin]


def test_the_owner_is_who_is_in_that_field():
    rule = (Allow, "owner", "view")
    assert is_allowed("view", rules(rule, owner=7), ADA, ())
    assert not is_allowed("view", rules(rule, owner=8), ADA, ())
    assert not is_allowed("view", rules(rule, owner=7), None, ())


def test_nobody_owns_what_has_no_owner():
    class Orphan:
        __owner__ = "by"
        by = None

    assert not is_allowed("view", Orphan(), User("new"), ())
    assert not is_allowed("view", Orphan(), None, ())


@pytest.mark.parametrize(
    "rule",
    [
        (Allow, "rol:admin", "view"),
        (Deny, "Everyone", ALL),
        (Allow, "role:", "view"),
        (Allow, "owner", "view"),
        ("allow", "everyone", "view"),
        (Allow, "everyone"),
        (Allow, ["everyone"], "view"),
        (Allow, "everyone", None),
        "everyone",
        None,
    ],
)
def test_a_rule_that_cannot_be_read_lets_nobody_through(rule):
    with pytest.raises(KitError, match=re.escape("Listed.__acl__ has the rule")):
        is_allowed("view", rules(rule, (Allow, "everyone", ALL)), ADA, ())
