"""A real browser for the address book: Chromium, driven by Playwright, and a server of its own.

`KIT_TEST_CHROMIUM` says where Chromium is; unset, the usual names are tried. What is missing skips
these tests by name, or fails them where `KIT_TEST_REQUIRE_SERVICES=1`.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "address_book"
AXE = ROOT / "build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"phone": (375, 740), "desktop": (1280, 800)}
PASSWORD = "a quiet harbour at dusk"


def missing(what: str, mend: str) -> NoReturn:
    """Skip, or fail where services are required."""
    message = f"{what}: {mend}"
    if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, without pages; while it is there, an event loop runs in the thread of tests."""
    given = os.environ.get("KIT_TEST_CHROMIUM")
    names = [given] if given else ["chromium", "chromium-browser", "google-chrome"]
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        looked = " or ".join(names)
        missing(f"there is no {looked}", "apt-get install chromium, or set KIT_TEST_CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed", "pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    if not AXE.is_file():
        missing("axe-core is not installed", "make browser")
    return AXE.read_text("utf-8")


@dataclass
class Server:
    """The address book, served: where it is, and what it wrote."""

    url: str
    mail: Path
    log: Path

    def last_mail(self, to: str) -> str:
        """Return the text of the last mail to an address."""
        for file in sorted(self.mail.glob("*.eml"), reverse=True):
            message = message_from_bytes(file.read_bytes(), policy=policy.default)
            if message["To"] == to:
                return message.get_content()
        raise AssertionError(f"there is no mail to {to}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The recipe, served by `kit run` on a free port; addresses are those that a proxy says."""
    folder = tmp_path_factory.mktemp("served")
    own = {
        "KIT_APP__SECRET_KEY": secrets.token_urlsafe(32),
        "KIT_PERSISTENCE__URL": f"sqlite:///{folder}/test.db",
        "KIT_MAIL__USE": "file",
        "KIT_MAIL__FILE__FOLDER": f"{folder}/mail",
        "KIT_PASSWORDS__ARGON2__MEMORY": "19 MiB",
        "KIT_PASSWORDS__ARGON2__TIME": "2",
        "KIT_SECURITY__PROXIES": "1",
        "PHOTOS": f"{folder}/photos",
        "PYTHONUNBUFFERED": "1",
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "COV_"))}
    log = folder / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [Path(sys.executable).with_name("kit"), "run", "--port", "0"],
            cwd=RECIPE,
            env={**environment, **own},
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert running.stdout
    found = re.search(r"http://\S+", running.stdout.readline())
    assert found, log.read_text()
    yield Server(found[0], folder / "mail", log)
    running.terminate()
    running.stdout.close()
    running.wait(10)
    assert "Traceback" not in log.read_text()


@contextmanager
def visitors(chromium: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Give a function that opens a page of a visitor of their own.

    Nothing may be asked of other hosts than the server, and no script may fail or be refused.
    """
    contexts, complaints = [], []

    def request(sent: Any) -> None:
        if not sent.url.startswith(("http://127.0.0.1:", "about:")):
            complaints.append(f"a request went to {sent.url}")

    def said(entry: Any) -> None:
        if "Content Security Policy" in entry.text:
            complaints.append(entry.text)

    def make(size: str = "desktop", **options: Any) -> Any:
        width, height = SIZES[size]
        address = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
        context = chromium.new_context(
            base_url=server.url,
            viewport={"width": width, "height": height},
            extra_http_headers={"X-Forwarded-For": address},
            **options,
        )
        context.set_default_timeout(10_000)
        context.on("request", request)
        context.on("console", said)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def new_page(chromium: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """A function that opens a page of a visitor of their own."""
    with visitors(chromium, server) as make:
        yield make


@pytest.fixture(scope="module")
def visit(chromium: Any, server: Server) -> Iterator[Any]:
    """A page of a visitor, for several tests."""
    with visitors(chromium, server) as make:
        yield make()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, new_page: Callable[..., Any]) -> Any:
    """A page of a stranger, as wide as a phone, and as wide as a desktop."""
    return new_page(request.param)


@pytest.fixture
def email() -> str:
    return f"grace-{secrets.token_hex(4)}@example.org"


@pytest.fixture(scope="session")
def sign_up() -> Callable[[Any, str], Any]:
    """Return a function that signs somebody up on a page, which then shows an empty book."""

    def sign_up(page: Any, email: str) -> Any:
        page.goto("/signup")
        page.get_by_label("Name").fill("Grace Hopper")
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign up").click()
        page.wait_for_url("**/contacts")
        return page

    return sign_up


@pytest.fixture
def grace(page: Any, sign_up: Callable[..., Any], email: str) -> Any:
    """A page of somebody who is logged in, in both widths."""
    return sign_up(page, email)


@pytest.fixture
def signed_up(new_page: Callable[..., Any], sign_up: Callable[..., Any], email: str) -> Any:
    """A page of somebody who is logged in, as wide as a desktop."""
    return sign_up(new_page(), email)


@pytest.fixture
def import_people(server: Server) -> Callable[[Any, int], None]:
    """Return a function that fills an address book with people called Person 01, 02, ..."""

    def fill(page: Any, number: int) -> None:
        rows = "".join(f"Person,{one:02},p{one}@example.org\n" for one in range(1, number + 1))
        content = f"first_name,last_name,email\n{rows}".encode()
        page.goto("/import")
        file = {"name": "people.csv", "mimeType": "text/csv", "buffer": content}
        page.get_by_label("CSV file").set_input_files(file)
        page.get_by_role("button", name="Import").click()
        page.wait_for_url("**/contacts")

    return fill
