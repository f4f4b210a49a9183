"""What the import of a CSV file promises."""

from __future__ import annotations

import pytest
from pages import Page, multipart, text

GOOD = "first_name,last_name,birthday\nAda,Lovelace,1815-12-10\nMum,,\n"
MIXED = """\
first_name,email,notes
Ada,ada@example.org,"a note
of two lines"
,nobody@example.org,
Bob,nope,

Mum,,
"""


def send(browser, content, **values):
    data = content if isinstance(content, bytes) else content.encode()
    return browser.post("/import", **multipart("file", data, **values))


def refused(response):
    """The rows of the report: line, column, what was found."""
    return [[text(cell) for cell in row][:3] for row in Page(response).all("tbody/tr")]


def test_a_good_file_is_added(grace, stored):
    response = send(grace, GOOD)
    assert (response.status_code, response.headers["Location"]) == (303, "/contacts")
    page = Page(grace.get("/contacts"))
    assert page.messages == ["Contacts added: 2."]
    assert page.names == ["Ada Lovelace", "Mum"]
    assert str(stored()[0].birthday) == "1815-12-10"


def test_bad_rows_are_reported_by_line_and_good_ones_added(grace, stored):
    response = send(grace, MIXED)
    assert response.status_code == 200
    page = Page(response)
    assert page.heading == "2 added, 2 refused"
    assert refused(response) == [["4", "first_name", ""], ["5", "email", "nope"]]
    assert [contact.name for contact in stored()] == ["Ada", "Mum"]


def test_all_or_nothing(grace, stored):
    response = send(grace, MIXED, all_or_nothing="on")
    assert response.status_code == 422
    assert Page(response).heading == "0 added, 2 refused"
    assert stored() == []
    assert send(grace, GOOD, all_or_nothing="on").status_code == 303


def test_programs_get_the_report_as_data(grace):
    sent = multipart("file", MIXED.encode())
    report = grace.post("/import", **sent, headers={"Accept": "application/json"}).json
    assert report["added"] == 2
    assert [row["line"] for row in report["refused"]] == [4, 5]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffFirst name;Last name\r\nAda;Lovelace\r\n",
        "\tLast name \tFirst name\tShoe size\n\tLovelace\tAda\t38\n",
        'last_name,first_name\n"Lovelace","Ada"',
    ],
)
def test_files_of_other_programs(grace, stored, content):
    assert send(grace, content).status_code == 303
    assert [contact.name for contact in stored()] == ["Ada Lovelace"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"first_name\n\xe4rger\n", "This is not UTF-8: save it as CSV in UTF-8."),
        (b"name,phone\nAda,1\n", "The first line names no column first_name."),
        (b"", "The first line names no column first_name."),
        (b"\x89PNG\r\n", "This is not UTF-8: save it as CSV in UTF-8."),
        (b"first_name\n" + b"Ada\n" * 5001, "These are more than 5000 rows: take several files."),
    ],
)
def test_what_is_no_such_file_is_refused(grace, stored, content, message):
    response = send(grace, content)
    assert response.status_code == 422
    assert Page(response).errors == {"file": message}
    assert stored() == []


def test_a_file_has_to_be_chosen(grace):
    response = grace.post("/import", data={})
    assert Page(response).errors == {"file": "Please choose a file."}


def test_large_files_are_refused(grace):
    assert send(grace, "first_name\n" + "x" * 2_100_000).status_code == 422
    assert send(grace, "first_name\n" + "x" * 3_000_000).status_code == 413


def test_an_export_comes_back_as_it_was(grace, new_user, stored):
    nasty = {
        "first_name": "=1+1",
        "last_name": "'tHart",
        "company": 'A "b", c; d',
        "phone": "+49 30 1234",
        "notes": "one\ntwo\n\n-three",
        "address": "-5",
        "group": "family",
        "favourite": "on",
    }
    grace.post("/contacts", data=nasty)
    exported = grace.get("/contacts.csv?size=all").data
    other = new_user("Other")
    assert send(other, exported).status_code == 303
    first, second = stored()
    assert second.owner != first.owner
    for name in (*nasty, "birthday", "email"):
        assert getattr(second, name) == getattr(first, name), name
