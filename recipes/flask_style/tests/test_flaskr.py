"""What the blog promises, whatever it is put together from."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flaskr.db import Post, User
from pages import Page, text

from kit.testing import in_process

VISITOR = [("Flaskr", "/"), ("Register", "/auth/register"), ("Log In", "/auth/login")]
ADA = [("Flaskr", "/"), ("Log Out", "/auth/logout"), ("ada", None)]
PAGES = {"/": "Posts", "/auth/register": "Register", "/auth/login": "Log In"}
NASTY = '<b>"Zoë\'s" &amp; ${1} {{ 2 }}</b>'


@pytest.fixture
def post(ada, stored):
    """A post of Ada's."""
    ada.write("Notes", "On the engine.")
    return stored(Post)[0]


def assert_redirects(response, path):
    assert response.status_code in (302, 303)
    assert response.headers["Location"] == path


# All pages


def test_hello_says_hello_and_nothing_else(client):
    response = client.get("/hello")
    assert response.text == "Hello, World!"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(("path", "heading"), PAGES.items())
def test_pages_for_everybody(client, path, heading):
    response = client.get(path)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert Page(response).heading == heading
    assert Page(response).nav == VISITOR


def test_pages_for_users(ada, post):
    headings = {"/create": "New Post", f"/{post.id}/update": 'Edit "Notes"', **PAGES}
    for path, heading in headings.items():
        assert ada.page(path).heading == heading
        assert ada.page(path).nav == ADA


def test_the_stylesheet_is_served_here(client):
    address = client.page().all("link[@rel='stylesheet']")[0].get("href")
    response = client.get(address)
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert b"prefers-color-scheme: dark" in response.data


@pytest.mark.parametrize("path", ["../kit.toml", "%2e%2e/db.py", "..%2fdb.py", "..%5cdb.py", "%00"])
def test_other_files_are_out_of_reach(client, path):
    assert client.get(f"/static/{path}").status_code in (400, 403, 404)


@pytest.mark.parametrize(
    "path", ["/nope", "/auth", "/1/nope", "/-1/update", "/x/update", "/1.5/update"]
)
def test_an_unknown_address_is_404_in_the_dress_of_the_pages(client, ada, path):
    for browser, nav in ((client, VISITOR), (ada, ADA)):
        response = browser.get(path)
        assert response.status_code == 404
        assert Page(response).heading == "Not Found"
        assert Page(response).nav == nav


@pytest.mark.parametrize(
    ("method", "path", "has"),
    [
        ("GET", "/1/delete", {"POST"}),
        ("POST", "/", {"GET"}),
        ("POST", "/hello", {"GET"}),
        ("POST", "/auth/logout", {"GET"}),
        ("PUT", "/create", {"GET", "POST"}),
        ("DELETE", "/1/update", {"GET", "POST"}),
    ],
)
def test_a_method_that_an_address_lacks_is_405(client, ada, method, path, has):
    for browser, nav in ((client, VISITOR), (ada, ADA)):
        response = browser.open(path, method=method)
        assert response.status_code == 405
        allowed = set(response.headers["Allow"].split(", "))
        assert has <= allowed <= {*has, "HEAD", "OPTIONS"}
        assert Page(response).nav == nav


@pytest.mark.parametrize("path", ["/", "/nope", "/hello", "/static/style.css"])
def test_every_answer_is_guarded(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in headers["Content-Security-Policy"]


# Register


def test_who_registers_is_stored_and_not_logged_in_yet(client, stored):
    form = {"username": "ada", "password": "secret"}
    assert client.page("/auth/register").all("input[@type='password'][@name='password']")
    assert_redirects(client.submit("/auth/register", **form), "/auth/login")
    [user] = stored(User)
    assert user.username == "ada"
    assert "secret" not in user.password
    assert client.page("/auth/login").nav == VISITOR


@pytest.mark.parametrize(
    ("username", "password", "message"),
    [
        ("", "", "Username is required."),
        ("", "x", "Username is required."),
        ("ada", "", "Password is required."),
        ("a" * 256, "x", "username: the value is longer than 255"),
        ("a\0", "x", "username: the text has a NUL character"),
    ],
)
def test_a_wrong_registration_is_shown_again(client, stored, username, password, message):
    response = client.submit("/auth/register", username=username, password=password)
    assert response.status_code == 200
    assert Page(response).heading == "Register"
    assert Page(response).messages == [message]
    assert stored(User) == []


def test_a_name_is_given_once_and_keeps_its_password(client, ada):
    response = client.submit("/auth/register", username="ada", password="other")
    assert Page(response).messages == ["User ada is already registered."]
    response = client.submit("/auth/login", username="ada", password="other")
    assert Page(response).messages == ["Incorrect password."]
    assert_redirects(client.log_in("ada"), "/")


def test_names_are_compared_exactly(user, client):
    for name in ("ada", "Ada", "ada ", "ädá"):
        user(name)
    assert Page(client.log_in("ADA")).messages == ["Incorrect username."]


def test_names_are_escaped(user):
    assert user(NASTY).page().nav[-1] == (NASTY, None)


# Log in and out


@pytest.mark.parametrize(
    ("username", "password", "message"),
    [
        ("ben", "ada's password", "Incorrect username."),
        ("", "", "Incorrect username."),
        ("ada", "wrong", "Incorrect password."),
        ("ada", "", "Incorrect password."),
    ],
)
def test_a_wrong_login_is_shown_again(client, ada, username, password, message):
    response = client.submit("/auth/login", username=username, password=password)
    assert response.status_code == 200
    assert Page(response).heading == "Log In"
    assert Page(response).messages == [message]
    assert client.page().messages == []
    assert client.page().nav == VISITOR


def test_a_login_replaces_the_session(ada, visitor):
    one, other = visitor(), visitor()
    assert one.page("/auth/login").fields()
    before = one.get_cookie("session")
    one.log_in("ada")
    after = one.get_cookie("session")
    assert after.http_only
    assert after.value != before.value
    other.set_cookie("session", before.value)
    assert other.page().nav == VISITOR


def test_a_logout_empties_the_session(ada):
    assert_redirects(ada.get("/auth/logout"), "/")
    assert ada.page().nav == VISITOR
    assert_redirects(ada.get("/create"), "/auth/login")


def test_a_cookie_that_the_client_changed_counts_as_none(ada, visitor):
    value = ada.get_cookie("session").value
    for forged in (value[:-2], value[::-1], "x" * len(value), '{"user_id": 1}', ""):
        browser = visitor()
        browser.set_cookie("session", forged)
        assert browser.page().nav == VISITOR


# The posts


def test_nobody_has_written_anything_yet(client, ada):
    assert client.page().articles == ada.page().articles == []
    assert client.page().links == []
    assert ada.page().links == [("New", "/create")]


def test_posts_are_listed_newest_first(app, client, ada):
    now = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)

    def write(store):
        ada = store.first(User)
        for title, seconds in (("one", 0), ("two", -1), ("three", 0), ("four", 1)):
            store.add(Post(ada.id, now + timedelta(seconds=seconds), title, f"{title}!"))

    app.call(write)
    assert client.page().articles == [
        "four by ada on 2024-03-01 four!",
        "three by ada on 2024-02-29 three!",
        "one by ada on 2024-02-29 one!",
        "two by ada on 2024-02-29 two!",
    ]


def test_a_post_shows_its_author_and_date_and_keeps_its_lines(client, ada):
    begun = datetime.now(UTC)
    ada.write("Notes", "one\r\n  two")
    dates = {f"{when:%Y-%m-%d}" for when in (begun, datetime.now(UTC))}
    shown = client.page()
    assert [text(one) for one in shown.all("article//h2")] == ["Notes"]
    assert shown.articles[0] in {f"Notes by ada on {date} one two" for date in dates}
    assert shown.all("article/p[@class='body']")[0].text == "one\r\n  two"
    assert "white-space: pre-wrap" in client.get("/static/style.css").text


def test_what_is_typed_is_escaped(ada):
    ada.write(NASTY, NASTY)
    [article] = ada.page().articles
    assert article.startswith(f"{NASTY} Edit by ada on ")
    assert article.endswith(f" {NASTY}")
    path = ada.page().links[-1][1]
    assert ada.page(path).heading == f'Edit "{NASTY}"'
    assert {"title": NASTY, "body": NASTY}.items() <= ada.page(path).fields().items()


def test_authors_alone_see_a_link_to_edit(client, ada, user, post):
    ben = user("ben")
    ben.write("Kites")
    edit = f"/{post.id}/update"
    assert ("Edit", edit) in ada.page().links
    assert ("Edit", edit) not in ben.page().links
    assert [len(one.page().links) for one in (client, ada, ben)] == [0, 2, 2]


# Create, update, delete


def test_a_post_is_stored(ada, stored):
    assert_redirects(ada.submit("/create", title="Notes", body=""), "/")
    [post] = stored(Post)
    assert (post.title, post.body) == ("Notes", "")


def test_a_post_without_title_is_shown_again(ada, stored):
    response = ada.submit("/create", title="", body="\nkept")
    assert response.status_code == 200
    assert Page(response).messages == ["Title is required."]
    assert Page(response).fields()["body"] == "\nkept"
    assert stored(Post) == []


def test_a_form_without_its_fields_is_400(ada):
    response = ada.post("/create", data={"csrf_token": ada.token})
    assert response.status_code == 400
    assert Page(response).nav == ADA


def test_a_post_is_changed(ada, post, stored):
    path = f"/{post.id}/update"
    shown = ada.page(path)
    assert {"title": "Notes", "body": "On the engine."}.items() <= shown.fields().items()
    assert_redirects(ada.submit(path, title="Sketches", body=""), "/")
    [changed] = stored(Post)
    assert (changed.id, changed.created) == (post.id, post.created)
    assert (changed.title, changed.body) == ("Sketches", "")


def test_a_change_without_title_is_shown_again(ada, post, stored):
    response = ada.submit(f"/{post.id}/update", title="", body="other")
    assert response.status_code == 200
    assert Page(response).messages == ["Title is required."]
    assert Page(response).heading == 'Edit "Notes"'
    assert {"title": "", "body": "other"}.items() <= Page(response).fields().items()
    assert stored(Post) == [post]


def test_a_post_is_deleted(ada, post, stored):
    delete = f"/{post.id}/delete"
    assert_redirects(ada.submit(f"/{post.id}/update", delete), "/")
    assert stored(Post) == []
    assert ada.post(delete, data={"csrf_token": ada.token}).status_code == 404


# Access


@pytest.mark.parametrize("path", ["/create", "/{}/update", "/{}/delete", "/987654/update"])
def test_first_one_has_to_be_logged_in(client, post, stored, path):
    path = path.format(post.id)
    with_token = {"title": "Mine", "body": "", "csrf_token": client.token}
    if not path.endswith("delete"):
        assert_redirects(client.get(path), "/auth/login")
    assert_redirects(client.post(path, data=with_token), "/auth/login")
    assert_redirects(client.post(path, data={"title": "Mine", "body": ""}), "/auth/login")
    assert_redirects(client.post(path), "/auth/login")
    assert stored(Post) == [post]


@pytest.mark.parametrize("id", [0, 987654, 10**17])
def test_then_the_post_has_to_be_there(ada, post, stored, id):
    data = {"title": "x", "body": "", "csrf_token": ada.token}
    responses = [ada.get(f"/{id}/update")]
    responses += [ada.post(f"/{id}/{action}", data=data) for action in ("update", "delete")]
    assert [one.status_code for one in responses] == [404, 404, 404]
    assert f"Post id {id} doesn't exist." in text(Page(responses[0]).root)
    assert stored(Post) == [post]


def test_then_it_has_to_be_ones_own(user, post, stored):
    ben = user("ben")
    data = {"title": "x", "body": "", "csrf_token": ben.token}
    responses = [ben.get(f"/{post.id}/update")]
    responses += [ben.post(f"/{post.id}/{action}", data=data) for action in ("update", "delete")]
    assert [one.status_code for one in responses] == [403, 403, 403]
    assert {Page(one).heading for one in responses} == {"Forbidden"}
    assert stored(Post) == [post]


@pytest.mark.parametrize("token", [{}, {"csrf_token": ""}, {"csrf_token": "x" * 88}])
def test_a_form_without_the_right_token_is_refused(client, ada, post, stored, token):
    form = {"username": "ben", "password": "x", "title": "x", "body": "", **token}
    for path in ("/auth/register", "/auth/login"):
        assert client.post(path, data=form).status_code == 403
    for path in ("/create", f"/{post.id}/update", f"/{post.id}/delete"):
        assert ada.post(path, data=form).status_code == 403
    assert stored(Post) == [post]
    assert [user.username for user in stored(User)] == ["ada"]


def test_a_form_of_another_site_is_refused(ada, post, stored):
    headers = {"Origin": "https://evil.example"}
    form = {"csrf_token": ada.token}
    assert ada.post(f"/{post.id}/delete", data=form, headers=headers).status_code == 403
    assert stored(Post) == [post]


# The store


def test_a_command_empties_the_store(client, ada, post, stored):
    kit = Path(sys.executable).with_name("kit")
    done = subprocess.run(
        [kit, "init-db"], cwd=Path(__file__).parents[1], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "Initialized the database.\n"), done.stderr
    assert stored(User) == stored(Post) == []
    assert ada.page().nav == VISITOR
    ada.submit("/auth/register", username="ben", password="x")
    assert ada.page().nav == VISITOR, "an old session is nobody else's"


@in_process("it breaks the store of the application")
def test_a_failure_is_shown_without_its_details(app, ada, caplog):
    class Broken:
        def first(self, *_, **__):
            raise RuntimeError("the password is swordfish")

    with app.override(store=Broken()):
        response = ada.get("/")
    assert response.status_code == 500
    assert Page(response).heading == "Internal Server Error"
    assert "swordfish" not in response.text
    assert "swordfish" in caplog.text
