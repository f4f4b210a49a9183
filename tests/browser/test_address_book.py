"""The address book as a person meets it, in a browser, on a phone and on a desktop."""

from __future__ import annotations

import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

PASSWORD = "a quiet harbour at dusk"
NEW = "seven lighthouses in fog"
SQUARE = 24  # pixels, the height of a photo


def png(red: int, green: int, blue: int) -> dict[str, Any]:
    """Return a photo to upload: a square of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = (b"\0" + bytes([red, green, blue]) * SQUARE) * SQUARE
    header = struct.pack(">IIBBBBB", SQUARE, SQUARE, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    content += chunk(b"IEND", b"")
    return {"name": "me.png", "mimeType": "image/png", "buffer": content}


def heading(page: Any) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def message(page: Any) -> str:
    return page.get_by_role("status").inner_text()


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def follow(page: Any, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()


def people(page: Any) -> list[str]:
    return page.locator(".who > a").all_inner_texts()


def add(page: Any, first: str, **values: str) -> None:
    """Add a contact by the form; `values` are texts by label."""
    page.goto("/contacts/new")
    page.get_by_label("First name").fill(first)
    for label, value in values.items():
        page.get_by_label(label.replace("_", " ")).fill(value)
    press(page, "Save")
    page.wait_for_url(re.compile(r"/contacts/\d+$"))


def assert_fits(page: Any) -> None:
    """Nothing sticks out of the page to the right."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


# Accounts


def test_signing_up(page: Any, email: str) -> None:
    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    press(page, "Sign up")
    assert page.title() == "Please check: Sign up · Address book"
    assert page.get_by_label("Name").get_attribute("aria-invalid") == "true"
    assert page.locator("#password-errors").inner_text() == "This field is required."
    page.get_by_label("Name").fill("Grace Hopper")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill("short")
    press(page, "Sign up")
    assert page.locator("#password-errors").inner_text() == "Use at least 8 characters."
    assert page.get_by_label("Name").input_value() == "Grace Hopper"
    assert page.get_by_label("Password").input_value() == ""
    assert_fits(page)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign up")
    page.wait_for_url("**/contacts")
    assert message(page) == "Welcome, Grace Hopper. This is your address book."
    assert page.get_by_role("heading", name="Nobody is here yet").is_visible()
    assert_fits(page)


def test_logging_out_and_in(grace: Any, email: str) -> None:
    press(grace, "Log out")
    assert message(grace) == "You are logged out."
    grace.goto("/contacts/new")
    assert grace.url.endswith("/login?next=/contacts/new")
    grace.get_by_label("E-mail").fill(email)
    grace.get_by_label("Password").fill("wrong")
    press(grace, "Log in")
    assert grace.get_by_role("alert").inner_text() == "E-mail or password is wrong."
    assert grace.get_by_label("E-mail").input_value() == email
    grace.get_by_label("Password").fill(PASSWORD)
    grace.get_by_label("Keep me logged in").check()
    press(grace, "Log in")
    grace.wait_for_url("**/contacts/new")
    kept = {cookie["name"]: cookie for cookie in grace.context.cookies()}
    assert kept["remember"]["httpOnly"]
    grace.context.clear_cookies(name="session")
    grace.goto("/contacts")
    assert heading(grace) == "Contacts 0"


def test_a_forgotten_password(signed_up: Any, server: Any, email: str) -> None:
    page = signed_up
    press(page, "Log out")
    follow(page, "Forgot your password?")
    page.get_by_label("E-mail").fill(email)
    press(page, "Send the link")
    assert message(page) == "A mail is on its way to this address."
    page.goto(re.search(r"http://\S+", server.last_mail(email))[0])
    page.get_by_label("New password").fill(NEW)
    press(page, "Change the password")
    page.wait_for_url("**/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(NEW)
    press(page, "Log in")
    page.wait_for_url("**/contacts")


# Contacts


def test_adding_changing_and_deleting(grace: Any) -> None:
    follow(grace, "Add a contact")
    grace.get_by_label("E-mail").fill("nope")
    grace.get_by_label("Notes").fill("Likes numbers.")
    press(grace, "Save")
    grace.get_by_role("alert").get_by_role("link", name="First name").click()
    assert grace.evaluate("location.hash") == "#first_name"
    assert grace.get_by_label("Notes").input_value() == "Likes numbers."
    grace.get_by_label("First name").fill("Ada")
    grace.get_by_label("Last name").fill("Lovelace")
    grace.get_by_label("E-mail").fill("ada@example.org")
    grace.get_by_label("Group").select_option(label="Work")
    grace.get_by_label("Birthday").fill("1815-12-10")
    grace.get_by_label("Favourite").check()
    assert_fits(grace)
    press(grace, "Save")
    assert message(grace) == "Ada Lovelace is in your address book."
    assert grace.get_by_text("10 December 1815").is_visible()
    assert_fits(grace)
    follow(grace, "Edit")
    assert grace.get_by_label("Group").input_value() == "work"
    assert grace.get_by_label("Favourite").is_checked()
    grace.get_by_label("Last name").fill("King")
    press(grace, "Save")
    assert heading(grace) == "Ada King"
    press(grace, "Favourite")
    assert grace.get_by_role("button", name="Favourite").get_attribute("aria-pressed") == "false"
    follow(grace, "Delete")
    assert heading(grace) == "Delete Ada King?"
    press(grace, "Delete")
    assert message(grace) == "Ada King is deleted."


def test_a_photo(grace: Any) -> None:
    grace.goto("/contacts/new")
    grace.get_by_label("First name").fill("Ada")
    text = {"name": "me.png", "mimeType": "image/png", "buffer": b"<script>alert(1)</script>"}
    grace.get_by_label("Photo").set_input_files(text)
    press(grace, "Save")
    said = "Files of this type are not accepted, only: image/jpeg, image/png, image/webp."
    assert grace.locator("#photo-errors").inner_text() == said
    grace.get_by_label("Photo").set_input_files(png(200, 120, 60))
    press(grace, "Save")
    shown = grace.locator("main img.avatar")
    shown.wait_for()
    assert shown.evaluate("image => image.decode().then(() => image.naturalHeight)") == SQUARE
    follow(grace, "Edit")
    grace.get_by_label("Remove the photo").check()
    press(grace, "Save")
    grace.get_by_text("A", exact=True).wait_for()
    assert grace.locator("main img.avatar").count() == 0


def test_searching_and_paging(grace: Any, import_people: Callable[..., None]) -> None:
    import_people(grace, 45)
    assert message(grace) == "Contacts added: 45."
    add(grace, "Jörg", Last_name="Müller")
    grace.goto("/contacts")
    grace.get_by_label("Search").fill("muller")
    grace.get_by_label("Search").press("Enter")
    grace.wait_for_url("**q=muller**")
    assert people(grace) == ["Jörg Müller"]
    grace.get_by_label("Search").fill("person")
    press(grace, "Show")
    grace.wait_for_url("**q=person**")
    assert people(grace)[0] == "Person 01"
    assert_fits(grace)
    follow(grace, "Next")
    follow(grace, "Next")
    assert people(grace) == [f"Person {number}" for number in range(41, 46)]
    assert grace.get_by_label("Search").input_value() == "person"
    follow(grace, "Previous")
    assert people(grace)[0] == "Person 21"
    with grace.expect_download() as download:
        follow(grace, "CSV")
    assert download.value.suggested_filename == "contacts.csv"
    lines = download.value.path().read_text("utf-8").splitlines()
    assert len(lines) == 46


def test_nothing_needs_scripts(new_page: Callable[..., Any], email: str) -> None:
    page = new_page("phone", java_script_enabled=False)
    page.goto("/signup")
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign up")
    add(page, "Ada")
    follow(page, "Delete")
    press(page, "Delete")
    assert message(page) == "Ada is deleted."
    press(page, "Log out")
    assert heading(page) == "Log in"


# Keyboard


def test_the_menu_can_be_skipped(new_page: Callable[..., Any]) -> None:
    page = new_page()
    page.goto("/login")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    assert link.evaluate("link => link === document.activeElement")
    assert link.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    page.wait_for_url("**/login#main")
    page.keyboard.press("Tab")
    assert page.get_by_label("E-mail").evaluate("field => field === document.activeElement")


def test_signing_up_and_adding_by_keyboard_alone(new_page: Callable[..., Any], email: str) -> None:
    page = new_page()
    page.goto("/signup")
    keys = page.keyboard

    def focused() -> str:
        name = "e => e.labels?.[0]?.textContent.trim() || e.textContent.trim()"
        return page.evaluate_handle("document.activeElement").evaluate(name)

    def tab_to(name: str) -> None:
        for _ in range(30):
            keys.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", focused()
            if focused() == name:
                return
        raise AssertionError(f"{name} is not reached")

    tab_to("Name")
    keys.type("Grace")
    tab_to("E-mail")
    keys.type(email)
    tab_to("Password")
    keys.type(PASSWORD)
    keys.press("Enter")
    page.wait_for_url("**/contacts")
    tab_to("Add a contact")
    keys.press("Enter")
    page.wait_for_url("**/contacts/new")
    tab_to("First name")
    keys.type("Ada")
    tab_to("Group")
    keys.press("F")
    tab_to("Favourite")
    keys.press("Space")
    tab_to("Save")
    keys.press("Enter")
    page.wait_for_url(re.compile(r"/contacts/\d+$"))
    assert heading(page) == "Ada"
    assert page.get_by_role("button", name="Favourite").get_attribute("aria-pressed") == "true"


# Forgery


def test_a_form_without_its_token_is_refused(grace: Any) -> None:
    grace.goto("/contacts/new")
    grace.get_by_label("First name").fill("Mallory")
    grace.evaluate("document.querySelector('main [name=csrf_token]').remove()")
    press(grace, "Save")
    assert heading(grace) == "Forbidden"
    assert grace.get_by_text("The form is out of date").is_visible()
    assert_fits(grace)
    grace.goto("/contacts")
    assert people(grace) == []


@pytest.fixture
def foreign(server: Any) -> Iterator[str]:
    """The URL of a page of another origin, which sends a form to the address book at once."""
    form = f"""<form method=post action="{server.url}/contacts">
        <input name=first_name value=Mallory></form><script>document.forms[0].submit()</script>"""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, *values: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{other.server_port}/"
        other.shutdown()


def test_a_form_of_another_origin_is_refused(signed_up: Any, foreign: str) -> None:
    with signed_up.expect_response(lambda got: got.request.method == "POST") as posted:
        signed_up.goto(foreign)
    assert "session=" in posted.value.request.all_headers()["cookie"]
    assert posted.value.status == 403
    signed_up.wait_for_url("**/contacts")
    assert heading(signed_up) == "Forbidden"
    signed_up.goto("/contacts")
    assert people(signed_up) == []


# Looks, and what helps those who do not see them


STRANGERS = ["/", "/signup", "/login", "/forgotten", "/reset/x", "/nope"]
USERS = ["/contacts", "/contacts?q=nobody", "/contacts/new", "{}", "{}/edit", "{}/delete"]
USERS += ["/import", "/account", "/contacts?page=0", "/contacts/999999"]


def spoiled(page: Any, path: str) -> None:
    """Send the form of a page without what it needs, so that it shows what is wrong."""
    page.goto(path)
    page.get_by_role("main").locator("form[method=post] button").last.click()
    page.get_by_role("alert").wait_for()


def every_page(page: Any, sign_up: Callable[..., Any]) -> Iterator[str]:
    """Go to each page of the address book, and yield its name."""
    for path in STRANGERS:
        page.goto(path)
        yield path
    for path in ("/signup", "/login"):
        spoiled(page, path)
        yield f"{path} with errors"
    sign_up(page, "everybody@example.org")
    yield "an empty book"
    page.goto("/contacts/new")
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("Phone").fill("+44 20 7946 0958")
    page.get_by_label("Photo").set_input_files(png(60, 120, 200))
    press(page, "Save")
    page.wait_for_url(re.compile(r"/contacts/\d+$"))
    ada = page.url
    yield "a contact with a photo"
    add(page, "Jörg", Last_name="Müller", Company="x" * 60, Phone="1" * 40)
    for path in USERS:
        page.goto(path.format(ada))
        yield path
    for path in ("/contacts/new", "/account"):
        spoiled(page, path)
        yield f"{path} with errors"
    page.goto("/import")
    rows = b"first_name,email\n,x\nA," + b"x" * 80 + b"\n"
    file = {"name": "x.csv", "mimeType": "text/csv", "buffer": rows}
    page.get_by_label("CSV file").set_input_files(file)
    press(page, "Import")
    page.get_by_role("heading", name="0 added, 2 refused").wait_for()
    yield "an import with errors"


@pytest.fixture(scope="module")
def findings(visit: Any, axe: str, sign_up: Callable[..., Any]) -> dict[str, list[Any]]:
    """What is wrong with any page: by axe-core in each colour scheme, and where it is too wide."""
    found: dict[str, list[Any]] = {"light": [], "dark": [], "wide": []}
    for name in every_page(visit, sign_up):
        visit.evaluate(axe)
        for scheme in ("light", "dark"):
            visit.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            result = visit.evaluate("axe.run(document, {resultTypes: ['violations']})")
            for one in result["violations"]:
                nodes = [node["failureSummary"] + node["html"] for node in one["nodes"]]
                found[scheme].append((name, one["impact"], one["id"], nodes))
        for width in (1280, 768, 375, 320):
            visit.set_viewport_size({"width": width, "height": 740})
            if visit.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found["wide"].append((name, width))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(findings: dict[str, list[Any]], scheme: str) -> None:
    assert findings[scheme] == []


def test_every_page_fits_on_every_screen(findings: dict[str, list[Any]]) -> None:
    assert findings["wide"] == []


def test_dark_is_dark(new_page: Callable[..., Any]) -> None:
    def colours(scheme: str) -> list[str]:
        page = new_page(color_scheme=scheme)
        page.goto("/login")
        style = "getComputedStyle(document.body)"
        return [page.evaluate(f"{style}.{name}") for name in ("backgroundColor", "color")]

    def brightness(colour: str) -> int:
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    light, dark = colours("light"), colours("dark")
    assert brightness(light[0]) > 600 > 200 > brightness(light[1])
    assert brightness(dark[0]) < 200 < 600 < brightness(dark[1])


def test_a_printed_list_has_no_menu(signed_up: Any) -> None:
    add(signed_up, "Ada")
    signed_up.goto("/contacts")
    signed_up.emulate_media(media="print")
    assert people(signed_up) == ["Ada"]
    for hidden in (signed_up.get_by_role("search"), signed_up.get_by_text("Log out")):
        assert not hidden.is_visible()
