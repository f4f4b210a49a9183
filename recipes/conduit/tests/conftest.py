"""Clients of an API without data, on whatever stack the configuration picks.

The tests keep away from the application's own database and secret.
"""

import os
import secrets
import tempfile
from itertools import count

import pytest

TEMPORARY = tempfile.TemporaryDirectory()
os.environ.setdefault("KIT_PERSISTENCE__URL", f"sqlite:///{TEMPORARY.name}/test.db")
os.environ.setdefault("KIT_APP__SECRET_KEY", secrets.token_urlsafe(32))
os.environ.setdefault("KIT_IDENTITY__ADDRESS_ATTEMPTS", "1000000 / hour")
os.environ.setdefault("KIT_PASSWORDS__ARGON2__MEMORY", "7 MiB")  # the least that is accepted
os.environ.setdefault("KIT_PASSWORDS__ARGON2__TIME", "5")
os.environ.setdefault("KIT_PASSWORDS__ARGON2__PARALLELISM", "1")

NUMBERS = count(1)


@pytest.fixture(scope="session")
def app():
    from conduit import app

    yield app.start()
    app.stop()
    TEMPORARY.cleanup()


class Caller:
    """Somebody who uses the API; with a `user` as that user."""

    def __init__(self, app, user=None):
        from kit.testing import client

        self.client = client(app)
        self.user = user
        self.name = user and user["username"]
        self.headers = {"Authorization": f"Token {user['token']}"} if user else {}

    def send(self, method, path, **options):
        options["headers"] = {**self.headers, **options.get("headers", {})}
        return self.client.open(f"/api{path}", method=method, **options)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def post(self, path, json=None, **options):
        return self.send("POST", path, json=json, **options)

    def put(self, path, json=None, **options):
        return self.send("PUT", path, json=json, **options)

    def delete(self, path, **options):
        return self.send("DELETE", path, **options)

    def write(self, title="How to train your dragon", **members):
        """Publish an article, and return what comes."""
        article = {"title": title, "description": "Ever wonder how?", "body": "Very carefully."}
        answer = self.post("/articles", {"article": {**article, **members}})
        assert answer.status_code == 201, answer.text
        return answer.json["article"]

    def listed(self, path="/articles", **query):
        """Return the titles of a list of articles, and the number of all."""
        answer = self.get(path, query_string=query)
        assert answer.status_code == 200, answer.text
        return [one["title"] for one in answer.json["articles"]], answer.json["articlesCount"]


@pytest.fixture(scope="session")
def fresh(app):
    """The application; there was nothing in the store when the tests began."""
    from kit.testing import emptied

    return emptied(app)


@pytest.fixture
def empty(fresh):
    """There is nothing in the store when the test begins, which takes its time on servers."""
    from kit.testing import emptied

    emptied(fresh)


@pytest.fixture
def anybody(fresh):
    """Somebody who is not logged in."""
    return Caller(fresh)


@pytest.fixture(scope="session")
def password_hash(app):
    """The hash of the password of all users that `join` makes: hashing takes its time."""
    return app.call(lambda password_keeper: password_keeper.hash("jakejake"))


@pytest.fixture
def join(app, anybody, password_hash):
    """Return a function that makes a user, and returns what acts for that user."""
    from conduit.records import User
    from conduit.users import answer

    def add(name, store, token_identity):
        email = f"{secrets.token_hex(8)}@example.org"  # attempts are counted beyond this run
        user = store.add(User(email, name, password_hash))
        return vars(answer(user, token_identity).user)

    def make(name="user"):
        return Caller(app, app.call(add, name=f"{name}{next(NUMBERS)}"))

    return make


@pytest.fixture
def jake(join):
    return join("jake")


@pytest.fixture
def anah(join):
    return join("anah")
