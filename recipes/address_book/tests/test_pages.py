"""What all pages promise: their dress, their headers, and that only they can change something."""

from __future__ import annotations

import secrets

import pytest
from pages import PASSWORD, Page

from kit import Unavailable

OPEN = ["/", "/signup", "/login", "/forgotten", "/reset/x"]
OWN = ["/contacts", "/contacts/new", "/contacts/{id}", "/contacts/{id}/edit"]
OWN += ["/contacts/{id}/delete", "/import", "/account"]


@pytest.fixture
def contact(grace, stored):
    grace.post("/contacts", data={"first_name": "Ada"})
    return stored()[0]


def assert_dressed(response):
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(response)
    assert page.root.get("lang") == "en"
    assert page.title
    assert page.heading
    for tag in ("script", "style"):
        assert not page.all(tag)
    assert not page.all("*[@style]")
    links = [item.get("href") for item in [*page.all("link"), *page.all("a")]]
    assert all(link.startswith(("/", "#", "mailto:", "tel:")) for link in links)
    assert page.one("a[@class='skip']").get("href") == "#main"
    assert page.one("link[@rel='stylesheet']").get("href") == "/static/style.css"
    labels = {label.get("for") for label in page.all("label")}
    fields = page.all("input") + page.all("select") + page.all("textarea")
    assert {field.get("id") for field in fields if field.get("type") != "hidden"} <= labels
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "form-action 'self'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", OPEN)
def test_pages_for_strangers_are_dressed(client, path):
    assert_dressed(client.get(path))


@pytest.mark.parametrize("path", OWN)
def test_pages_for_users_are_dressed_and_not_cached(grace, contact, path):
    response = grace.get(path.format(id=contact.id))
    assert_dressed(response)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nope", 404, "Not Found"),
        ("GET", "/contacts/7", 404, "Not Found"),
        ("DELETE", "/contacts", 405, "Method Not Allowed"),
        ("GET", "/contacts?page=0", 422, "Unprocessable Entity"),
    ],
)
def test_errors_are_dressed(grace, method, path, status, title):
    response = grace.open(path, method=method)
    assert response.status_code == status
    assert Page(response).title == title
    assert_dressed(response)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("swordfish"), 500), (Unavailable("swordfish"), 503)]
)
def test_failures_are_dressed_and_tell_nothing(app, grace, caplog, error, status):
    class Broken:
        def page(self, wanted):
            raise error

    with app.override(book=Broken()):
        response = grace.get("/contacts")
    assert response.status_code == status
    assert_dressed(response)
    assert "swordfish" not in response.text
    assert "swordfish" in caplog.text


def test_forms_need_their_token(browser):
    client = browser(csrf=True)
    assert client.post("/login", data={"email": "x", "password": "x"}).status_code == 403
    response = client.post("/signup", data={"name": "Ada"})
    assert response.status_code == 403
    assert_dressed(response)
    assert "The form is out of date" in Page(response).text


def test_every_form_brings_its_token(browser, stored):
    client = browser(csrf=True)

    def send(path, action=None, **values):
        page = Page(client.get(path))
        response = client.post(action or path, data={**page.values, **values})
        assert response.status_code == 303, path
        return response

    email = f"ada-{secrets.token_hex(4)}@example.org"  # logins are counted for 15 minutes
    send("/signup", name="Ada", email=email, password=PASSWORD)
    send("/contacts/new", "/contacts", first_name="Mum")
    [mum] = stored()
    send(f"/contacts/{mum.id}", f"/contacts/{mum.id}/favourite")
    send(f"/contacts/{mum.id}/edit", f"/contacts/{mum.id}", first_name="Ma")
    send("/account", current=PASSWORD, password="seven lighthouses in fog")
    send(f"/contacts/{mum.id}/delete")
    log_out = Page(client.get("/contacts")).one("form[@action='/logout']/input")
    assert client.post("/logout", data={"csrf_token": log_out.get("value")}).status_code == 303
    assert stored() == []


@pytest.mark.parametrize("path", ["/photos", "/kit.toml", "/static/../kit.toml", "/static/nope"])
def test_files_are_out_of_reach(client, path):
    assert client.get(path).status_code in (400, 404)


def test_the_stylesheet_is_sent_once(client):
    response = client.get("/static/style.css")
    assert response.mimetype == "text/css"
    again = client.get("/static/style.css", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304
