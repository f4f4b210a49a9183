"""What all applications do, and how to tell that they do it right."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from client import Answer, App, Environ, ask, cookie_of, get, post

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
HELLO = "Hello, World!"
FIELDS = ("first_name", "last_name", "phone_number")
FORM = b"first_name=Ada&last_name=Lovelace&phone_number=%2B44+20+7946+0018"
ECHO = {"first_name": "Ada", "last_name": "Lovelace", "phone_number": "+44 20 7946 0018"}
TITLE = "My Contacts"
BEAKER = {"session.type": "memory", "session.key": "session", "session.timeout": 1800}


@dataclass(frozen=True)
class Contact:
    """A row of the template."""

    id: int
    first_name: str
    last_name: str
    phone_number: str


CONTACTS = [Contact(n, f"First {n}", f"<Last {n}>", f"+44 20 7946 {n:04}") for n in range(1, 13)]


@dataclass(frozen=True)
class Case:
    """One kind of request. `prepare` returns what makes the n-th request to an application."""

    name: str
    prepare: Callable[[App], Callable[[int], Environ]]
    right: Callable[[Answer, int], bool]
    sessions: bool = False

    def verify(self, name: str, app: App) -> None:
        """Raise an error that shows the answer if the application `name` does not do this."""
        request = self.prepare(app)
        for number in (1, 2, 30):
            answer = ask(app, request(number))
            if not self.right(answer, number):
                raise ValueError(f"{name} answers {self.name!r} with {answer}")


def _steadily(path: str) -> Callable[[App], Callable[[int], Environ]]:
    return lambda app: lambda number: get(path)


def _counting(app: App) -> Callable[[int], Environ]:
    cookie = cookie_of(ask(app, get("/count")))
    return lambda number: get("/count", cookie)


def _listed(answer: Answer, number: int) -> bool:
    page = " ".join(answer.body.decode().split())
    rows = [
        f"<td>{c.first_name}</td><td>{html.escape(c.last_name)}</td><td>{c.phone_number}</td>"
        for c in CONTACTS
    ]
    return answer.status == 200 and TITLE in page and all(row in page for row in rows)


CASES = [
    Case("plain text", _steadily("/"), lambda a, _: (a.status, a.body) == (200, HELLO.encode())),
    Case(
        "JSON",
        _steadily("/json"),
        lambda a, _: a.status == 200 and json.loads(a.body) == {"message": HELLO},
    ),
    Case(
        "<int:id>",
        lambda app: lambda number: get(f"/item/{number}"),
        lambda a, number: (a.status, a.body) == (200, b"%d" % number),
    ),
    Case("404", lambda app: lambda number: get(f"/missing/{number}"), lambda a, _: a.status == 404),
    Case("template of 12 rows", _steadily("/contacts"), _listed),
    Case(
        "form of 3 fields",
        lambda app: lambda number: post("/form", FORM),
        lambda a, _: a.status == 200 and json.loads(a.body) == ECHO,
    ),
    Case(
        "session counter",
        _counting,
        # Who keeps sessions in the cookie counts from the same cookie again and again.
        lambda a, _: a.status == 200 and int(a.body) >= 2,
        sessions=True,
    ),
]
