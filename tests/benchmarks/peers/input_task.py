"""What all applications do with input, and how to tell that they do it right.

Each has the form of a contact at ``/contacts/new``, which is sent to ``/contacts`` with the token
against forgery that stands in it; takes the same as JSON at ``/api/contacts``; and shows `CARD` at
``/api/card``. A contact that was accepted is put into `BOOK`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from client import Answer, App, Environ, ask, cookie_of, get, post

from peers.task import Case

GROUPS = ("family", "friends", "work", "other")
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
LABELS = {
    "first_name": "First name",
    "last_name": "Last name",
    "email": "E-mail",
    "phone": "Phone",
    "group": "Group",
    "birthday": "Birthday",
    "rank": "Rank",
    "discount": "Discount",
    "notes": "Notes",
    "favourite": "Favourite",
}
TYPED = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.org",
    "phone": "+44 20 7946 0018",
    "group": "friends",
    "birthday": date(1815, 12, 10),
    "rank": 36,
    "discount": Decimal("12.50"),
    "notes": "Notes on the <Analytical Engine>, & on how to weave algebra with it.",
    "favourite": True,
}
WRITTEN = {name: "on" if value is True else str(value) for name, value in TYPED.items()}
MISTAKEN = {**WRITTEN, "email": "ada.example.org", "birthday": "1815-02-30", "rank": "1000"}
JSON = json.dumps({n: v if isinstance(v, (bool, int)) else str(v) for n, v in TYPED.items()})
BOOK: deque[Any] = deque(maxlen=1)

_BROWSER = {
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
    "HTTP_ORIGIN": "http://127.0.0.1:8000",
    "HTTP_REFERER": "http://127.0.0.1:8000/contacts/new",
    "HTTP_SEC_FETCH_SITE": "same-origin",
}


@dataclass(frozen=True)
class Card:
    """What is shown as JSON."""

    id: UUID
    first_name: str
    last_name: str
    email: str
    phone: str
    group: str
    birthday: date
    rank: int
    discount: Decimal
    created: datetime


CARD = Card(
    id=UUID("12345678-1234-5678-1234-567812345678"),
    **{name: TYPED[name] for name in TYPED if name not in ("notes", "favourite")},
    created=datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
)


class _Page(HTMLParser):
    """The controls of a page, as a browser would send them, and how many errors it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.controls: list[tuple[str, str, str]] = []  # name, kind, value
        self.errors = 0
        self._lists: list[bool] = []  # those that are open: whether it is one of errors
        self._name = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        name = about.get("name") or ""
        if tag == "input":
            kind, value = about.get("type") or "text", about.get("value") or ""
            if kind == "checkbox":
                value = "on" if "checked" in about else ""
            self.controls.append((name, kind, value))
        elif tag in ("textarea", "select"):
            self._name = name
            self.controls.append((name, tag, ""))
        elif tag == "option" and "selected" in about:
            self.controls[-1] = (self._name, "select", about["value"] or "")
        elif tag == "ul":
            self._lists.append((about.get("class") or "").startswith("error"))
        self.errors += tag == "li" and any(self._lists)

    def handle_data(self, data: str) -> None:
        if self.controls and self.controls[-1][1] == "textarea" and self._name:
            name, kind, text = self.controls[-1]
            self.controls[-1] = (name, kind, text + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "ul":
            self._lists.pop()
        elif tag in ("textarea", "select"):
            self._name = ""

    def shown(self) -> dict[str, str]:
        """Return what the fields show."""
        return {name: text.strip() for name, kind, text in self.controls if kind != "hidden"}


def _filled(values: dict[str, str]) -> Callable[[App], Callable[[int], Environ]]:
    """Return what loads the form in a session of its own, fills it in, and sends it."""

    def prepare(app: App) -> Callable[[int], Environ]:
        answer = ask(app, {**get("/contacts/new"), **_BROWSER})
        controls = _Page(answer.body.decode()).controls
        sent = [
            (name, value if kind == "hidden" else values[name]) for name, kind, value in controls
        ]
        body, cookie = urlencode(sent).encode(), cookie_of(answer)
        return lambda number: {**post("/contacts", body, cookie=cookie), **_BROWSER}

    return prepare


def _is_stored() -> bool:
    """Whether a contact was accepted just now, with every value of its own type."""
    found = vars(BOOK.pop()) if BOOK else {}
    return all(
        found.get(name) == value and type(found.get(name)) is type(value)
        for name, value in TYPED.items()
    )


def _is_redirect(answer: Answer, number: int) -> bool:
    locations = [value for name, value in answer.headers if name.lower() == "location"]
    return answer.status in (302, 303) and locations == ["/contacts"] and _is_stored()


def _is_shown_again(answer: Answer, number: int) -> bool:
    text = answer.body.decode()
    page = _Page(text)
    labelled = all(f">{label}" in text for label in LABELS.values())
    right = page.shown() == MISTAKEN and page.errors == 3 and labelled
    return answer.status in (200, 422) and right and not BOOK


def _is_confirmed(answer: Answer, number: int) -> bool:
    return answer.status == 200 and json.loads(answer.body) == {"rank": 36} and _is_stored()


def _is_card(answer: Answer, number: int) -> bool:
    found = json.loads(answer.body)
    readers = {"birthday": _day, "created": _moment, "discount": Decimal, "id": UUID}
    found |= {name: read(found[name]) for name, read in readers.items()}
    return answer.status == 200 and found == vars(CARD)


def _day(text: str) -> date:
    return parsedate_to_datetime(text).date() if "," in text else date.fromisoformat(text)


def _moment(text: str) -> datetime:
    return parsedate_to_datetime(text) if "," in text else datetime.fromisoformat(text)


def _verify_refusal(name: str, app: App) -> None:
    """Raise an error if the application takes a form without its token, or without its cookie."""
    good = _filled(WRITTEN)(app)(1)
    body, cookie = good["wsgi.input"].read(), good["HTTP_COOKIE"]
    no_token = b"&".join(pair for pair in body.split(b"&") if not pair.startswith(b"csrf"))
    for forged in (post("/contacts", no_token, cookie=cookie), post("/contacts", body)):
        answer = ask(app, {**forged, **_BROWSER})
        if answer.status in (302, 303) or BOOK:
            raise ValueError(f"{name} takes a forged form, and answers with {answer}")


CASES = [
    Case("form of 10 fields", _filled(WRITTEN), _is_redirect),
    Case("form with 3 mistakes", _filled(MISTAKEN), _is_shown_again),
    Case(
        "JSON in, 10 fields",
        lambda app: lambda number: post("/api/contacts", JSON.encode(), "application/json"),
        _is_confirmed,
    ),
    Case("JSON out, 10 fields", lambda app: lambda number: get("/api/card"), _is_card),
]


def verify(name: str, app: App) -> None:
    """Raise an error that shows the answer if the application `name` does not do all this."""
    for case in CASES:
        case.verify(name, app)
    _verify_refusal(name, app)
