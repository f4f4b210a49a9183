"""What the contacts of a user promise, whatever the address book is put together from."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest
from pages import PASSWORD, Page, multipart

REQUIRED = "This field is required."
ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "company": "Analytical Engines",
    "group": "work",
    "email": "ada@example.org",
    "phone": "+44 20 7946 0958",
    "birthday": "1815-12-10",
    "address": "12 St James's Square\nLondon",
    "notes": "Likes numbers.",
    "favourite": "on",
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
WEBP = b"RIFF\x64\0\0\0WEBPVP8 " + bytes(100)


@pytest.fixture
def ada(grace, stored):
    """Ada Lovelace, in the address book of Grace."""
    grace.post("/contacts", data=ADA)
    return stored()[0]


def fill(browser, *names):
    for name in names:
        first, _, last = name.partition(" ")
        assert browser.post("/contacts", data={"first_name": first, "last_name": last})


def names(browser, query=""):
    return Page(browser.get(f"/contacts{query}")).names


def with_photo(content, **values):
    return multipart("photo", content, **{"first_name": "Ada", **values})


# The list


def test_an_empty_book_says_what_to_do(grace):
    page = Page(grace.get("/contacts"))
    assert page.heading == "Contacts 0"
    assert page.links["Add the first contact"] == "/contacts/new"
    assert page.links["Import a file"] == "/import"


def test_contacts_are_ordered_by_last_name_whatever_its_letters(grace):
    fill(grace, "Zoe Abel", "Émil Ärmel", "ada byron", "Bob Anders", "Mum")
    assert names(grace) == ["Zoe Abel", "Bob Anders", "Émil Ärmel", "ada byron", "Mum"]


def test_a_row_shows_how_to_reach_somebody(grace, ada):
    page = Page(grace.get("/contacts"))
    assert page.links["Ada Lovelace"] == f"/contacts/{ada.id}"
    assert page.links["ada@example.org"] == "mailto:ada@example.org"
    assert page.links["+44 20 7946 0958"] == "tel:+442079460958"
    for shown in ("Analytical Engines", "Work", "★"):
        assert shown in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=muller", ["Jörg Müller"]),
        ("?q=MÜLLER", ["Jörg Müller"]),
        ("?q=jorg+mul", ["Jörg Müller"]),
        ("?q=muller+jorg", ["Jörg Müller"]),
        ("?q=engines", ["Ada Lovelace"]),
        ("?q=ada@", ["Ada Lovelace"]),
        ("?q=7946", ["Ada Lovelace"]),
        ("?q=%25", []),
        ("?q=_", []),
        ("?q=%27", []),
        ("?group=work", ["Ada Lovelace"]),
        ("?group=family", []),
        ("?sort=newest", ["Jörg Müller", "Ada Lovelace"]),
        ("?sort=favourites", ["Ada Lovelace", "Jörg Müller"]),
        ("?sort=group", ["Jörg Müller", "Ada Lovelace"]),
    ],
)
def test_finding_and_sorting(grace, ada, query, found):
    fill(grace, "Jörg Müller")
    assert names(grace, query) == found


def test_who_is_not_found_gets_a_way_back(grace, ada):
    page = Page(grace.get("/contacts?q=nobody"))
    assert page.links["Show everybody"] == "/contacts"
    assert page.values["q"] == "nobody"


def test_paging_keeps_the_search(grace):
    fill(grace, *(f"Ada {number:02}" for number in range(45)), "Bob 1")
    first = Page(grace.get("/contacts?q=ada"))
    assert first.names == [f"Ada {number:02}" for number in range(20)]
    assert "1 to 20 of 45" in first.text
    assert "Previous" not in first.links
    second = Page(grace.get(first.links["Next"]))
    assert second.names[0] == "Ada 20"
    third = Page(grace.get(second.links["Next"]))
    assert third.names == [f"Ada {number:02}" for number in range(40, 45)]
    assert "41 to 45 of 45" in third.text
    assert "Next" not in third.links
    assert Page(grace.get(third.links["Previous"])).names == second.names


def test_page_sizes(grace):
    fill(grace, *(f"Ada {number:02}" for number in range(51)))
    page = Page(grace.get("/contacts?size=50"))
    assert len(page.names) == 50
    assert page.values["size"] == "50"
    assert len(names(grace, "?size=all")) == 51
    assert names(grace, "?size=50&page=99") == ["Ada 50"]


@pytest.mark.parametrize("query", ["?page=0", "?page=x", "?size=7", "?sort=nope", "?group=x"])
def test_a_query_that_means_nothing_is_422(grace, query):
    response = grace.get(f"/contacts{query}")
    assert response.status_code == 422
    assert Page(response).heading == "Unprocessable Entity"


# Add, change, delete


def test_a_contact_is_added_and_shown(grace, stored):
    response = grace.post("/contacts", data=ADA)
    [ada] = stored()
    assert (response.status_code, response.headers["Location"]) == (303, f"/contacts/{ada.id}")
    page = Page(grace.get(f"/contacts/{ada.id}"))
    assert page.messages == ["Ada Lovelace is in your address book."]
    assert page.heading == "Ada Lovelace"
    assert page.facts == {
        "E-mail": "ada@example.org",
        "Phone": "+44 20 7946 0958",
        "Birthday": "10 December 1815",
        "Address": "12 St James's Square London",
        "Notes": "Likes numbers.",
    }


def test_a_first_name_is_enough(grace, stored):
    grace.post("/contacts", data={"first_name": " Mum "})
    [mum] = stored()
    assert mum.first_name == "Mum"
    page = Page(grace.get(f"/contacts/{mum.id}"))
    assert page.facts == {}
    assert "There is no number and no address yet" in page.text


def test_all_mistakes_are_shown_and_nothing_is_lost(grace, stored):
    wrong = {**ADA, "first_name": " ", "email": "nope", "birthday": "soon", "notes": "x" * 5001}
    response = grace.post("/contacts", data=wrong)
    assert response.status_code == 422
    page = Page(response)
    assert page.errors == {
        "first_name": REQUIRED,
        "email": "This does not have the form that is asked for.",
        "birthday": "Please give a date such as 2026-01-31.",
        "notes": "Please use at most 5000 characters.",
    }
    assert page.values == {**wrong, "csrf_token": page.values["csrf_token"]}
    leading = [link for link in page.links.values() if link.startswith("#")]
    assert leading == ["#main", "#first_name", "#email", "#birthday", "#notes"]
    assert stored() == []


def test_what_users_write_is_never_markup(grace, stored):
    nasty = '<script>alert("1")</script>'
    grace.post("/contacts", data={"first_name": nasty, "notes": nasty, "company": nasty})
    [contact] = stored()
    for path in ("", f"/{contact.id}", f"/{contact.id}/edit", f"/{contact.id}/delete"):
        text = grace.get(f"/contacts{path}").text
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_a_contact_is_changed(grace, ada, stored):
    page = Page(grace.get(f"/contacts/{ada.id}/edit"))
    values = {name: one for name, one in page.values.items() if name != "csrf_token"}
    assert values == {**ADA, "favourite": "on"}
    response = grace.post(f"/contacts/{ada.id}", data={**values, "last_name": "King", "phone": ""})
    assert response.headers["Location"] == f"/contacts/{ada.id}"
    [king] = stored()
    assert (king.id, king.name, king.phone, king.email) == (ada.id, "Ada King", "", ada.email)
    assert names(grace, "?q=king") == ["Ada King"]
    assert names(grace, "?q=lovelace") == []


def test_mistakes_while_changing_are_shown_too(grace, ada, stored):
    response = grace.post(f"/contacts/{ada.id}", data={**ADA, "first_name": ""})
    assert response.status_code == 422
    page = Page(response)
    assert page.errors == {"first_name": REQUIRED}
    assert page.heading == "Edit Ada Lovelace"
    assert stored() == [ada]


def test_deleting_is_confirmed(grace, ada, stored):
    link = Page(grace.get(f"/contacts/{ada.id}")).links["Delete"]
    assert Page(grace.get(link)).heading == "Delete Ada Lovelace?"
    assert stored() == [ada]
    assert grace.post(link).headers["Location"] == "/contacts"
    assert Page(grace.get("/contacts")).messages == ["Ada Lovelace is deleted."]
    assert stored() == []


def test_the_star_is_switched(grace, ada, stored):
    for expected in (False, True):
        grace.post(f"/contacts/{ada.id}/favourite")
        assert stored()[0].favourite is expected
        button = Page(grace.get(f"/contacts/{ada.id}")).one("button[@aria-label='Favourite']")
        assert button.get("aria-pressed") == str(expected).lower()


@pytest.mark.parametrize("path", ["", "/edit", "/delete", "/photo"])
def test_contacts_of_others_are_not_there(ada, new_user, path):
    mallory = new_user("Mallory")
    for number in (ada.id, 10**9):
        assert mallory.get(f"/contacts/{number}{path}").status_code == 404


@pytest.mark.parametrize("path", ["", "/delete", "/favourite"])
def test_contacts_of_others_stay_as_they_are(ada, new_user, stored, path):
    mallory = new_user("Mallory")
    assert mallory.post(f"/contacts/{ada.id}{path}", data={"first_name": "x"}).status_code == 404
    assert names(mallory) == []
    assert stored() == [ada]


def test_owner_and_photo_are_never_input(grace, ada, stored):
    more = {"owner": "999", "photo": "secret.key", "search": "x", "id": "999"}
    grace.post(f"/contacts/{ada.id}", data={**ADA, **more})
    assert stored() == [ada]


# Photos


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")],
)
def test_a_photo_is_stored_and_shown_to_its_owner(
    grace, new_user, stored, photos, content, media_type
):
    grace.post("/contacts", **with_photo(content))
    [ada] = stored()
    [file] = photos.iterdir()
    assert file.name == ada.photo
    assert "me" not in file.name
    assert file.read_bytes() == content
    response = grace.get(f"/contacts/{ada.id}/photo")
    assert response.data == content
    assert response.headers["Content-Type"] == media_type
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "private" in response.headers["Cache-Control"] or (
        "no-store" in response.headers["Cache-Control"]
    )
    assert new_user("Mallory").get(f"/contacts/{ada.id}/photo").status_code == 404
    image = f"img[@src='/contacts/{ada.id}/photo']"
    assert Page(grace.get("/contacts")).all(image)


def test_another_photo_takes_the_place_of_the_first(grace, stored, photos):
    grace.post("/contacts", **with_photo(PNG))
    [ada] = stored()
    grace.post(f"/contacts/{ada.id}", **with_photo(JPEG))
    [file] = photos.iterdir()
    assert file.read_bytes() == JPEG
    grace.post(f"/contacts/{ada.id}", data={"first_name": "Ada"})
    assert list(photos.iterdir()) == [file]
    grace.post(f"/contacts/{ada.id}", data={"first_name": "Ada", "without_photo": "on"})
    assert list(photos.iterdir()) == []
    assert grace.get(f"/contacts/{ada.id}/photo").status_code == 404


def test_the_photo_goes_with_the_contact(grace, stored, photos):
    grace.post("/contacts", **with_photo(PNG))
    grace.post(f"/contacts/{stored()[0].id}/delete")
    assert list(photos.iterdir()) == []


def test_a_photo_stays_while_deleting_fails(app, grace, stored, photos):
    class Away:
        def delete(self, contact):
            raise RuntimeError("the disk is full")

    grace.post("/contacts", **with_photo(PNG))
    with app.override(book=Away()):
        assert grace.post(f"/contacts/{stored()[0].id}/delete").status_code == 500
    assert len(list(photos.iterdir())) == 1


@pytest.mark.parametrize("content", [b"<svg xmlns='x'/>", b"GIF89a", b"<script>", b""])
def test_what_is_no_photo_is_refused_whatever_its_name(grace, stored, photos, content):
    response = grace.post("/contacts", **with_photo(content))
    assert response.status_code == 422
    assert set(Page(response).errors) == {"photo"}
    assert stored() == []
    assert list(photos.iterdir()) == []


def test_large_photos_are_refused(grace, stored, photos):
    response = grace.post("/contacts", **with_photo(PNG + bytes(5_000_000)))
    assert response.status_code == 422
    assert Page(response).errors == {"photo": "This file is too large: at most 5 MB are accepted."}
    response = grace.post("/contacts", **with_photo(PNG + bytes(7_000_000)))
    assert response.status_code == 413
    assert Page(response).title == "Request Entity Too Large"
    assert stored() == []
    assert list(photos.iterdir()) == []


def test_a_photo_of_a_form_with_mistakes_is_not_kept(grace, photos):
    assert grace.post("/contacts", **with_photo(PNG, email="nope")).status_code == 422
    assert list(photos.iterdir()) == []


# Data


def test_the_same_list_comes_in_every_format(grace, ada):
    fill(grace, "Mum", "Jörg Müller")
    expected = ["Ada", "Jörg", "Mum"]
    data = grace.get("/contacts.json").json
    assert [one["first_name"] for one in data["contacts"]] == expected
    assert (data["total"], data["page"], data["pages"]) == (3, 1, 1)
    rows = list(csv.DictReader(io.StringIO(grace.get("/contacts.csv").text)))
    assert [one["first_name"] for one in rows] == expected
    tree = ElementTree.fromstring(grace.get("/contacts.xml").data)
    assert [item.findtext("first_name") for item in tree.find("contacts")] == expected


def test_one_contact_as_data(grace, ada):
    data = grace.get(f"/contacts/{ada.id}", headers={"Accept": "application/json"}).json
    assert data == {**ADA, "id": ada.id, "favourite": True, "photo": ""}


def test_private_fields_are_in_no_format(grace, ada):
    for suffix in ("json", "csv", "xml"):
        text = grace.get(f"/contacts.{suffix}").text
        assert "owner" not in text
        assert "search" not in text


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("application/xml", "application/xml"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
    ],
)
def test_accept_picks_the_format(grace, ada, accept, media_type):
    response = grace.get("/contacts", headers={"Accept": accept})
    assert response.mimetype == media_type
    assert "Accept" in response.headers["Vary"]


def test_a_format_that_is_not_there_is_406(grace):
    assert grace.get("/contacts", headers={"Accept": "image/png"}).status_code == 406


def test_exports_are_of_all_that_was_found(grace):
    fill(grace, *(f"Ada {number:02}" for number in range(25)), "Bob 1")
    links = Page(grace.get("/contacts?q=ada")).links
    assert {"CSV", "JSON", "XML"} <= set(links)
    assert len(grace.get(links["JSON"]).json["contacts"]) == 25
    assert len(grace.get(links["CSV"]).text.splitlines()) == 26


def test_programs_add_and_change_with_json(grace, client, stored):
    ada = {**ADA, "favourite": True}
    own = {"auth": (grace.email, PASSWORD), "headers": {"Origin": "http://localhost"}}
    response = client.post("/contacts", json=ada, **own)
    assert response.status_code == 303
    [contact] = stored()
    assert (contact.name, contact.favourite) == ("Ada Lovelace", True)
    client.post(f"/contacts/{contact.id}", json={**ada, "last_name": "King"}, **own)
    assert stored()[0].name == "Ada King"


def test_programs_get_mistakes_as_data(grace):
    response = grace.post("/contacts", json={"first_name": 7, "birthday": "soon"})
    assert response.status_code == 422
    assert response.mimetype == "application/problem+json"
    assert {error["field"] for error in response.json["errors"]} == {"first_name", "birthday"}


def test_programs_get_errors_as_data(grace):
    response = grace.get("/contacts/7", headers={"Accept": "application/json"})
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert response.json["status"] == 404


def test_programs_can_read_what_they_can_do(client):
    paths = client.get("/api/openapi.json").json["paths"]
    assert {"get", "post"} <= paths["/contacts"].keys()
    assert "/contacts/new" not in paths
    assert "/contacts/{id}" in client.get("/api/").text
