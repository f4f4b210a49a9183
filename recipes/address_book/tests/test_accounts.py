"""What accounts promise, whatever the address book is put together from."""

from __future__ import annotations

import re
import secrets

import pytest
from pages import PASSWORD, Page

REQUIRED = "This field is required."
ADA = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}
NEW = "seven lighthouses in fog"


def login(browser, email, password=PASSWORD, query="", **more):
    return browser.post(f"/login{query}", data={"email": email, "password": password, **more})


def assert_logged_in(browser):
    assert browser.get("/contacts").status_code == 200


def assert_logged_out(browser):
    response = browser.get("/contacts")
    assert (response.status_code, response.headers["Location"]) == (303, "/login?next=/contacts")


# Sign up


def test_strangers_are_welcomed_without_a_cookie(client):
    response = client.get("/")
    assert Page(response).heading == "All your people in one place"
    assert "Set-Cookie" not in response.headers


def test_who_signs_up_is_logged_in(client):
    response = client.post("/signup", data=ADA)
    assert (response.status_code, response.headers["Location"]) == (303, "/contacts")
    page = Page(client.get("/contacts"))
    assert page.messages == ["Welcome, Ada. This is your address book."]
    assert client.get("/").headers["Location"] == "/contacts"


def test_the_form_says_all_that_is_missing(client):
    response = client.post("/signup", data={})
    assert response.status_code == 422
    page = Page(response)
    assert page.title == "Please check: Sign up"
    assert page.errors == dict.fromkeys(ADA, REQUIRED)
    assert page.summary == (f"Name: {REQUIRED} E-mail: {REQUIRED} Password: {REQUIRED}")


def test_values_are_kept_but_for_the_password(client):
    page = Page(client.post("/signup", data={**ADA, "email": 'x"<b>'}))
    assert set(page.errors) == {"email"}
    assert page.values["name"] == "Ada"
    assert page.values["email"] == 'x"<b>'
    assert page.values["password"] == ""


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "Use at least 8 characters."),
        ("password123", "Choose another one: this is one of the first that everybody tries."),
        ("my address book", "Leave out your name, your address, and the name of this site."),
    ],
)
def test_weak_passwords_are_refused(client, password, reason):
    response = client.post("/signup", data={**ADA, "password": password})
    assert response.status_code == 422
    assert Page(response).errors == {"password": reason}


@pytest.mark.parametrize("email", [ADA["email"], "ADA@Example.org"])
def test_an_address_has_one_account(client, browser, email):
    client.post("/signup", data=ADA)
    response = browser().post("/signup", data={**ADA, "email": email})
    assert response.status_code == 422
    assert set(Page(response).errors) == {"email"}


def test_passwords_are_stored_as_hashes(app, client):
    from address_book.records import User

    client.post("/signup", data=ADA)
    [user] = app.call(lambda store: store.find(User))
    assert re.match(r"\$(argon2id|scrypt)\$", user.password)


# Log in and out


def test_logging_out_and_in(grace):
    response = grace.post("/logout")
    assert (response.status_code, response.headers["Location"]) == (303, "/login")
    assert Page(grace.get("/login")).messages == ["You are logged out."]
    assert_logged_out(grace)
    assert login(grace, grace.email.upper()).headers["Location"] == "/contacts"
    assert_logged_in(grace)


def test_a_wrong_password_and_an_unknown_address_look_alike(grace, client):
    pages = []
    unknown = f"{secrets.token_hex(4)}@example.org"
    for email, password in [(grace.email, "wrong"), (unknown, PASSWORD)]:
        response = login(client, email, password)
        assert response.status_code == 422
        assert Page(response).summary == "E-mail or password is wrong."
        pages.append(re.sub(r'value="[^"]*"', "", response.text))
    assert pages[0] == pages[1]
    assert_logged_out(client)


def test_a_login_leads_to_where_somebody_wanted_to_go(grace):
    grace.post("/logout")
    response = login(grace, grace.email, query="?next=/import")
    assert response.headers["Location"] == "/import"


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_and_never_to_another_site(grace, there):
    grace.post("/logout")
    response = login(grace, grace.email, query=f"?next={there}")
    assert response.headers["Location"] == "/contacts"


def test_the_cookie_is_not_for_scripts_and_changes_at_the_login(grace):
    grace.post("/logout")
    grace.get("/login")
    before = grace.get_cookie("session")
    response = login(grace, grace.email)
    cookie = next(c for c in response.headers.getlist("Set-Cookie") if c.startswith("session="))
    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie
    assert before is None or before.value not in cookie


@pytest.mark.parametrize("ticked", [True, False])
def test_who_wants_to_be_remembered_is(grace, ticked):
    grace.post("/logout")
    login(grace, grace.email, **({"remember": "on"} if ticked else {}))
    grace.delete_cookie("session")
    assert (grace.get("/contacts").status_code == 200) is ticked


def test_who_logs_out_is_not_remembered(grace):
    grace.post("/logout")
    login(grace, grace.email, remember="on")
    grace.post("/logout")
    assert_logged_out(grace)


@pytest.mark.parametrize(
    "path",
    ["/contacts", "/contacts/new", "/contacts/1", "/contacts/1/photo", "/import", "/account"],
)
def test_strangers_are_sent_to_the_login(client, path):
    response = client.get(path)
    assert (response.status_code, response.headers["Location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", ["/contacts", "/contacts/1", "/contacts/1/delete", "/import"])
def test_strangers_change_nothing(client, path):
    assert client.post(path, data={"first_name": "Ada"}).headers["Location"] == "/login"


def test_programs_are_told_how_to_log_in(client):
    response = client.get("/contacts", headers={"Accept": "application/json"})
    assert response.status_code == 401
    challenges = response.headers.getlist("WWW-Authenticate")
    assert any(one.startswith('Basic realm="Address book"') for one in challenges)
    assert response.mimetype == "application/problem+json"


def test_programs_log_in_with_each_request(grace, client):
    response = client.get("/contacts.json", auth=(grace.email, PASSWORD))
    assert response.json["total"] == 0
    assert "Set-Cookie" not in response.headers
    assert client.get("/contacts.json", auth=(grace.email, "wrong")).status_code == 401


def test_trying_passwords_is_limited(client, browser):
    nobody, somebody = (f"{secrets.token_hex(4)}@example.org" for _ in range(2))
    answers = [login(client, nobody, f"try {number}").status_code for number in range(11)]
    assert answers == [422] * 10 + [429]
    response = login(client, somebody, "another")
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert Page(response).heading == "Too Many Requests"
    assert login(browser(), somebody, "another").status_code == 422


# A new password


def link_in(message) -> str:
    return re.search(r"http://localhost(/reset/\S+)", message.get_content())[1]


def test_a_forgotten_password_is_replaced_by_mail(grace, browser, postbox):
    client = browser()
    response = client.post("/forgotten", data={"email": grace.email})
    assert response.headers["Location"] == "/login"
    [message] = postbox.messages
    assert message["To"] == grace.email
    assert "Hello Grace," in message.get_content()
    link = link_in(message)
    assert Page(client.get(link)).heading == "Choose a new password"
    assert client.post(link, data={"password": NEW}).headers["Location"] == "/login"
    assert Page(client.get("/login")).messages[-1].startswith("Your password is changed.")
    assert login(client, grace.email).status_code == 422
    assert login(client, grace.email, NEW).status_code == 303
    assert_logged_out(grace)


def test_a_link_is_good_for_one_new_password_that_is_not_weak(grace, client, postbox):
    client.post("/forgotten", data={"email": grace.email})
    link = link_in(postbox.messages[0])
    assert Page(client.post(link, data={"password": "short"})).errors == {
        "password": "Use at least 8 characters."
    }
    client.post(link, data={"password": NEW})
    for address in (link, "/reset/made-up"):
        response = client.post(address, data={"password": "another one, please"})
        assert response.status_code == 422
        assert "used already, or is too old" in Page(response).summary


def test_nobody_learns_whether_there_is_an_account(grace, client, postbox):
    answers = []
    for email in (grace.email, "nobody@example.org"):
        response = client.post("/forgotten", data={"email": email})
        answers.append((response.status_code, response.text, Page(client.get("/login")).messages))
    assert answers[0] == answers[1]
    assert [message["To"] for message in postbox.messages] == [grace.email, "nobody@example.org"]
    assert ["/reset/" in message.get_content() for message in postbox.messages] == [True, False]


def test_changing_the_password_ends_other_logins(grace, browser):
    other = browser()
    login(other, grace.email, remember="on")
    response = grace.post("/account", data={"current": PASSWORD, "password": NEW})
    assert response.headers["Location"] == "/account"
    assert_logged_in(grace)
    assert_logged_out(other)
    assert login(other, grace.email, NEW).status_code == 303


def test_changing_the_password_takes_the_current_one(grace):
    response = grace.post("/account", data={"current": "wrong", "password": NEW})
    assert Page(response).errors == {"current": "This is not your current password."}
    response = grace.post("/account", data={"current": PASSWORD, "password": "short"})
    assert Page(response).errors == {"password": "Use at least 8 characters."}
