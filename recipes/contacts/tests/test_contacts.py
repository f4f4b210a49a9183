"""What the contacts manager does, whatever it is put together from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from contacts import Call, Contact
from pages import Page, text

from kit.testing import client as browser
from kit.testing import in_process

ADA = {"first_name": "Ada", "last_name": "Lovelace", "phone_number": "+44 20 7946 0958"}
GRACE = {"first_name": "Grace", "last_name": "Hopper", "phone_number": "555-0143"}
REQUIRED = "This field is required."
LIMITS = [("first_name", 100), ("last_name", 100), ("phone_number", 32)]
NO_IDS = ["-1", "abc", "1.5", "", "1x", "+1", "%201", "%EF%BC%91", "9" * 40]


@pytest.fixture
def ada(client, stored) -> Contact:
    """Ada Lovelace, stored."""
    client.post("/", data=ADA)
    return stored(Contact)[0]


@pytest.fixture
def stored(app):
    """What the store holds of a record."""
    return lambda record: app.call(lambda store: store.find(record))


def page(client) -> Page:
    return Page(client.get("/"))


def assert_redirects_home(response) -> None:
    assert response.status_code in (302, 303)
    assert response.headers["Location"] == "/"


def allowed(response) -> set[str]:
    return set(response.headers["Allow"].split(", "))


# The page


def test_it_starts_without_contacts(client, stored):
    assert text(page(client).one("table/tbody")) == "No contacts found."
    assert stored(Contact) == stored(Call) == []


def test_the_title_and_the_headings(client):
    shown = page(client)
    assert "PyContacts" in text(shown.one("title"))
    assert [text(item) for level in ("h1", "h2") for item in shown.all(level)] == [
        "My Contacts",
        "Add Contact",
    ]


def test_the_heading_cells(client, ada):
    heads = [text(cell) for cell in page(client).all("th")]
    assert heads == ["First", "Last", "Phone Number", "Delete", "Action"]


def test_contacts_are_listed_oldest_first(client):
    for number in (3, 1, 2):
        client.post("/", data={**ADA, "first_name": f"Ada {number}"})
    assert [first for first, _, _ in page(client).rows] == ["Ada 3", "Ada 1", "Ada 2"]


def test_a_row_shows_the_fields_and_two_controls(client, ada):
    shown = page(client)
    assert shown.rows == [list(ADA.values())]
    assert "No contacts found." not in shown.text
    *_, delete, call = shown.one("tbody/tr")
    assert [delete[0].get(name) for name in ("method", "action")] == [
        "post",
        f"/delete-contact/{ada.id}",
    ]
    assert [call[0].get(name) for name in ("method", "action")] == ["post", f"/call/{ada.id}"]
    assert text(call[0].find("button")) == "Call now!"


def test_the_form(client):
    shown = page(client)
    form = shown.one("form[@action='/']")
    assert form.get("method") == "post"
    assert list(shown.values.items()) == [(name, "") for name in ADA]
    labels = {label.get("for"): text(label) for label in form.iter("label")}
    assert labels == {
        "first_name": "First Name",
        "last_name": "Last Name",
        "phone_number": "Phone Number",
    }
    visible = [item for item in form.iter("input") if item.get("type") != "hidden"]
    assert {item.get("id") for item in visible} == set(labels)
    assert [text(button) for button in form.iter("button")] == ["Save"]


def test_head_is_get_without_a_body(client, ada):
    page(client)  # with the message about the contact
    got, headed = client.get("/"), client.head("/")
    assert (headed.status_code, headed.data) == (200, b"")
    assert headed.headers["Content-Type"] == got.headers["Content-Type"]
    assert headed.headers["Content-Length"] == str(len(got.data))


def test_the_page_is_utf8_and_brings_everything_itself(client, ada):
    response = client.get("/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<style" not in response.text
    assert "<script" not in response.text
    shown = Page(response)
    assert not shown.all("*[@style]")
    links = [item.get("href") for item in [*shown.all("link"), *shown.all("a")]]
    assert all(link.startswith("/") or link == "data:," for link in links)


# Adding


def test_a_contact_is_stored(client, stored):
    assert_redirects_home(client.post("/", data=ADA))
    assert stored(Contact) == [Contact(**ADA, id=stored(Contact)[0].id)]
    assert page(client).rows == [list(ADA.values())]


def test_a_form_may_come_as_multipart(client, stored):
    client.post("/", data=ADA, content_type="multipart/form-data")
    assert [contact.name for contact in stored(Contact)] == ["Ada Lovelace"]


def test_other_browsers_see_it_too(app, client, ada):
    assert page(browser(app)).rows == [list(ADA.values())]


def test_ids_grow_and_are_not_used_again(client, stored):
    for _ in range(2):
        client.post("/", data=ADA)
    first, second = (contact.id for contact in stored(Contact))
    client.post(f"/delete-contact/{second}")
    client.post("/", data=ADA)
    assert first < second < stored(Contact)[-1].id


def test_a_client_cannot_choose_the_id_or_add_fields(client, stored):
    client.post("/", data={**ADA, "id": "4711", "boss": "yes"}, query_string={"id": "4711"})
    assert [contact.id == 4711 for contact in stored(Contact)] == [False]


def test_fields_in_the_query_do_not_count(client, stored):
    assert client.post("/", query_string=ADA).status_code == 422
    assert stored(Contact) == []


def test_all_of_unicode_is_kept(client):
    values = ["Zoë 😀", "Müller-Łukasiewicz 李", "☎ ٠١٢"]
    client.post("/", data=dict(zip(ADA, values, strict=True)))
    assert page(client).rows == [values]


def test_blanks_around_a_value_are_not_stored(client, stored):
    client.post("/", data={name: f"  {value}\t" for name, value in ADA.items()})
    assert page(client).rows == [list(ADA.values())]
    assert stored(Contact)[0].first_name == "Ada"


@pytest.mark.parametrize("blank", [None, "", "   ", "\t", "\u00a0\u2003", " \r\n "])
def test_three_missing_fields_are_named_three_times(client, stored, blank):
    response = client.post("/", data={} if blank is None else dict.fromkeys(ADA, blank))
    assert response.status_code == 422
    assert Page(response).text.count(REQUIRED) == 3
    assert Page(response).errors == dict.fromkeys(ADA, REQUIRED)
    assert stored(Contact) == []


@pytest.mark.parametrize("name", ADA)
def test_one_missing_field_is_named_beside_it(client, stored, name):
    sent = {**ADA, name: " "}
    response = client.post("/", data=sent)
    assert Page(response).errors == {name: REQUIRED}
    assert Page(response).one(f"input[@name='{name}']").get("aria-invalid") == "true"
    assert Page(response).values == sent
    assert stored(Contact) == []


@pytest.mark.parametrize(("name", "longest"), LIMITS)
def test_a_value_may_be_as_long_as_its_limit(client, stored, name, longest):
    assert_redirects_home(client.post("/", data={**ADA, name: "😀" * longest}))
    assert getattr(stored(Contact)[0], name) == "😀" * longest


@pytest.mark.parametrize(("name", "longest"), LIMITS)
def test_a_longer_value_is_refused_with_the_limit(client, stored, name, longest):
    sent = {**ADA, name: "x" * (longest + 1)}
    response = client.post("/", data=sent)
    assert response.status_code == 422
    assert list(Page(response).errors) == [name]
    assert str(longest) in Page(response).errors[name].split()
    assert Page(response).values == sent
    assert stored(Contact) == []


def test_a_refused_form_still_lists_the_contacts(client, ada):
    response = client.post("/", data={**GRACE, "first_name": ""})
    assert Page(response).rows == [list(ADA.values())]
    assert Page(response).values == {**GRACE, "first_name": ""}


def test_the_first_field_at_fault_gets_the_focus(client):
    response = client.post("/", data={"first_name": "Ada"})
    assert [item.get("name") for item in Page(response).all("input[@autofocus]")] == ["last_name"]
    assert not page(client).all("input[@autofocus]")


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", "\"'><b>&amp;", "${7*7}{{7*7}}%"])
def test_everything_typed_is_escaped(client, nasty):
    sent = dict.fromkeys(ADA, nasty)
    refused = client.post("/", data={**sent, "first_name": ""})
    assert Page(refused).values == {**sent, "first_name": ""}
    client.post("/", data=sent)
    response = client.get("/")
    assert Page(response).rows == [[nasty] * 3]
    assert Page(response).messages == [f"Saved {nasty} {nasty}."]
    for raw in ("<script", "<b>"):
        assert raw not in response.text
        assert raw not in refused.text


def test_a_character_that_no_database_takes_is_refused(client, stored):
    response = client.post("/", data={**ADA, "last_name": "Love\0lace"})
    assert response.status_code == 422
    assert list(Page(response).errors) == ["last_name"]
    assert stored(Contact) == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"first_name=%ff", 400), (b"first_name=" + b"x" * 3_000_000, 413)]
)
def test_a_malformed_or_huge_form_stores_nothing(client, stored, body, status):
    response = client.post("/", data=body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == status
    assert stored(Contact) == []


# As data


def test_the_list_comes_as_json_to_those_who_ask_for_it(client, ada):
    response = client.get("/", headers={"Accept": "application/json"})
    assert response.headers["Content-Type"] == "application/json"
    assert response.json == {"contacts": [{**ADA, "id": ada.id}]}
    assert "Accept" in response.headers["Vary"]


def test_the_list_comes_as_xml_to_those_who_ask_for_it(client, ada):
    response = client.get("/", headers={"Accept": "application/xml"})
    assert response.mimetype == "application/xml"
    (contact,) = ElementTree.fromstring(response.data).find("contacts")
    assert {item.tag: item.text for item in contact} == {**ADA, "id": str(ada.id)}


def test_a_message_waits_for_a_page(client, ada):
    client.get("/", headers={"Accept": "application/json"})
    assert page(client).messages == ["Saved Ada Lovelace."]


def test_a_form_that_there_is_not_is_406(client):
    assert client.get("/", headers={"Accept": "image/png"}).status_code == 406


def test_a_contact_may_come_as_json(client, stored):
    assert_redirects_home(client.post("/", json=ADA))
    refused = client.post("/", json={name: ADA[name] for name in ("first_name", "phone_number")})
    assert (refused.status_code, refused.mimetype) == (422, "application/problem+json")
    assert [(e["field"], e["message"]) for e in refused.json["errors"]] == [("last_name", REQUIRED)]
    assert [contact.name for contact in stored(Contact)] == ["Ada Lovelace"]


# Forgery


@pytest.fixture
def strict(app, client):
    """A browser of which forms are asked for their token."""
    return browser(app, csrf=True)


def test_one_token_is_good_for_every_form_of_a_visitor(strict, stored):
    token = {"csrf_token": page(strict).token}
    assert_redirects_home(strict.post("/", data={**ADA, **token}))
    number = stored(Contact)[0].id
    assert_redirects_home(strict.post(f"/call/{number}", data=token))
    assert_redirects_home(strict.post(f"/delete-contact/{number}", data=token))


@pytest.mark.parametrize("token", [None, "", "x" * 88])
def test_a_form_without_its_token_changes_nothing(strict, stored, token):
    page(strict)
    response = strict.post("/", data=ADA if token is None else {**ADA, "csrf_token": token})
    assert response.status_code == 403
    assert text(Page(response).one("h1")) == "Forbidden"
    assert stored(Contact) == []


def test_the_token_of_another_visitor_is_no_good(app, strict, stored):
    token = page(browser(app)).token
    page(strict)
    assert strict.post("/", data={**ADA, "csrf_token": token}).status_code == 403
    assert stored(Contact) == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_the_page_of_another_site_changes_nothing(strict, stored, headers):
    data = {**ADA, "csrf_token": page(strict).token}
    assert strict.post("/", data=data, headers=headers).status_code == 403
    assert stored(Contact) == []


# Deleting


def test_deleting_removes_one_contact(client, ada):
    client.post("/", data=GRACE)
    assert_redirects_home(client.post(f"/delete-contact/{ada.id}"))
    assert page(client).rows == [list(GRACE.values())]


def test_deleting_again_is_404(client, ada):
    client.post(f"/delete-contact/{ada.id}")
    assert client.post(f"/delete-contact/{ada.id}").status_code == 404


def test_of_many_at_once_one_deletes(app, client, ada, stored):
    def delete(_) -> int:
        return browser(app).post(f"/delete-contact/{ada.id}").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(delete, range(8)))
    assert statuses == [303, *[404] * 7]
    assert stored(Contact) == []


# Calling


def test_calling_is_recorded_and_the_contact_stays(client, ada, stored):
    assert_redirects_home(client.post(f"/call/{ada.id}"))
    (call,) = stored(Call)
    assert call.number == ada.phone_number
    assert abs(call.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert stored(Contact) == [ada]


def test_every_call_is_recorded(client, ada, stored):
    for _ in range(3):
        client.post(f"/call/{ada.id}")
    assert [call.number for call in stored(Call)] == [ada.phone_number] * 3


@in_process("it gives the application another telephone")
def test_another_telephone_service_can_take_its_place(app, client, ada, stored):
    class Telephone:
        def __init__(self):
            self.called = []

        def call(self, number):
            self.called.append(number)

    service = Telephone()
    with app.override(telephone=service):
        assert_redirects_home(client.post(f"/call/{ada.id}"))
    assert service.called == [ada.phone_number]
    assert stored(Call) == []


def test_calling_nobody_is_404_and_not_recorded(client, ada, stored):
    assert client.post(f"/call/{ada.id + 1}").status_code == 404
    assert stored(Call) == []


def test_the_conference_is_xml(client):
    response = client.get("/conference-twiml")
    assert response.status_code == 200
    assert response.mimetype in ("text/xml", "application/xml")
    root = ElementTree.fromstring(response.data)
    assert root.tag == "Response"
    assert root.find("Dial/Conference").text.strip() == "pycontacts"


# Addresses and methods


@pytest.mark.parametrize("action", ["delete-contact", "call"])
@pytest.mark.parametrize("number", [*NO_IDS, "0", str(2**63 - 1), str(2**63)])
def test_what_is_no_id_of_a_contact_is_404(client, ada, stored, action, number):
    assert client.post(f"/{action}/{number}").status_code == 404
    assert stored(Contact) == [ada]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_on_the_page_are_405(client, method):
    response = client.open("/", method=method, data=ADA)
    assert response.status_code == 405
    assert allowed(response) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_a_method_that_nobody_knows_is_refused(client):
    response = client.open("/", method="FROBNICATE")
    assert response.status_code in (400, 405, 501)  # some servers say it before the application


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("action", ["delete-contact", "call"])
@pytest.mark.parametrize("number", [1, 10**9])
def test_the_row_controls_take_only_post(client, ada, stored, action, method, number):
    response = client.open(f"/{action}/{number}", method=method)
    assert response.status_code == 405
    assert allowed(response) == {"POST", "OPTIONS"}
    assert "Set-Cookie" not in response.headers
    assert stored(Contact) == [ada]
    assert stored(Call) == []


@pytest.mark.parametrize("path", ["/conference-twiml", "/style.css"])
def test_what_is_only_read_takes_only_get(client, path):
    response = client.post(path)
    assert response.status_code == 405
    assert allowed(response) == {"GET", "HEAD", "OPTIONS"}
    assert client.head(path).data == b""


@pytest.mark.parametrize(
    "path", ["/nope", "/delete-contact", "/call/1/2", "/kit.toml", "/contacts.db", "/static"]
)
def test_an_unknown_address_is_404(client, path):
    assert client.get(path).status_code == 404
    assert client.head(path).data == b""


@pytest.mark.parametrize(
    "path", ["/../kit.toml", "/%2e%2e/kit.toml", "/style.css/../kit.toml", "/..%5ckit.toml", "/%00"]
)
def test_files_are_out_of_reach(client, path):
    assert client.get(path).status_code in (400, 404)


@pytest.mark.parametrize("host", ["example.org:8080", "127.0.0.1", "[::1]:8000"])
def test_any_host_is_served_and_redirects_stay_on_it(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200
    assert_redirects_home(client.post("/", data=ADA, headers={"Host": host}))


def test_errors_are_shown_in_the_dress_of_the_page(client):
    response = client.get("/nope")
    assert response.status_code == 404
    assert text(Page(response).one("h1")) == "Not Found"
    assert "PyContacts" in text(Page(response).one("title"))
    assert {link.get("href") for link in Page(response).all("a")} == {"/"}


@in_process("it breaks the store of the application")
def test_a_failure_is_shown_without_its_details(app, client, caplog):
    class Broken:
        def find(self, *_, **__):
            raise RuntimeError("the password is swordfish")

    with app.override(store=Broken()):
        response = client.get("/")
    assert response.status_code == 500
    assert text(Page(response).one("h1")) == "Internal Server Error"
    assert "swordfish" not in response.text
    assert "swordfish" in caplog.text


@pytest.mark.parametrize("path", ["/", "/nope", "/style.css", "/conference-twiml", "/call/1"])
def test_every_answer_is_guarded(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    for rule in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in headers["Content-Security-Policy"]


def test_the_stylesheet_is_sent_once(client):
    address = page(client).one("link[@rel='stylesheet']").get("href")
    response = client.get(address)
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert b"prefers-color-scheme: dark" in response.data
    again = client.get(address, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


# Messages


def test_a_visitor_who_sees_no_form_gets_no_cookie(client):
    for path in ("/nope", "/style.css", "/conference-twiml"):
        assert "Set-Cookie" not in client.get(path).headers
    assert "Set-Cookie" not in client.get("/", headers={"Accept": "application/json"}).headers


def test_each_message_is_shown_once(client, stored):
    client.post("/", data=ADA)
    assert page(client).messages == ["Saved Ada Lovelace."]
    assert page(client).messages == []
    (ada,) = stored(Contact)
    client.post(f"/call/{ada.id}")
    client.post(f"/delete-contact/{ada.id}")
    assert page(client).messages == ["Calling Ada Lovelace.", "The contact is deleted."]
    assert page(client).messages == []


def test_a_message_waits_for_the_next_page_also_if_that_has_errors(client, ada):
    assert Page(client.post("/", data={})).messages == ["Saved Ada Lovelace."]
    assert page(client).messages == []


def test_a_message_is_for_its_own_visitor(app, client, ada):
    assert page(browser(app)).messages == []
    assert page(client).messages == ["Saved Ada Lovelace."]


def test_the_cookie_is_not_for_scripts_and_cannot_be_made_up(client):
    client.post("/", data=ADA)
    cookie = client.get_cookie("session")
    assert cookie.http_only
    assert not cookie.secure
    value = cookie.value
    for forged in (value[:-1], value[::-1], "x" * len(value), "{}", '"'):
        client.set_cookie("session", forged)
        assert page(client).messages == []
    client.set_cookie("session", value)
    assert page(client).messages == ["Saved Ada Lovelace."]
