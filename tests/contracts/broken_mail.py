"""For every clause of the contract a component, or a kernel, that is broken in just that respect.

In class ``TestM7`` the test of clause M7 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from kit.contracts import mail as contract
from kit.contracts.mail import Delivered, MailContract
from kit.errors import KitError, Unavailable
from kit.slots import mail
from kit.slots.mail import Outbox


class Keeper:
    """A component that keeps the contract, for the others to break: it delivers to a list."""

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.kept: list[EmailMessage] = []

    def send(self, message: EmailMessage) -> None:
        if not self.there:
            raise Unavailable("nobody is there")
        self.kept.append(self.change(copy.deepcopy(message)))

    def change(self, message: EmailMessage) -> EmailMessage:
        return message


class Broken(MailContract):
    Keeper: Callable[..., Any] = Keeper

    @pytest.fixture
    def component(self) -> Any:
        return type(self).Keeper()

    @pytest.fixture
    def delivered(self, component: Any) -> Delivered:
        return lambda: list(component.kept)

    @pytest.fixture
    def away(self) -> Any:
        return type(self).Keeper(there=False)


def broken(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Return a fixture that replaces an attribute of the kernel by ``make(the original)``."""

    @pytest.fixture(autouse=True)
    def replace(self: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return replace


def replaced(header: str, make: Callable[[Any], Any]) -> type[Keeper]:
    """A component that changes a header."""

    class Changing(Keeper):
        def change(self, message: EmailMessage) -> EmailMessage:
            value = make(message[header])
            del message[header]
            message[header] = value
            return message

    return Changing


class TestM1(Broken):
    Keeper = replaced("Subject", str.upper)


class TestM2(Broken):
    Keeper = replaced("Subject", lambda text: text.encode("ascii", "replace").decode())


class TestM3(Broken):
    class Keeper(Keeper):
        def change(self, message: EmailMessage) -> EmailMessage:
            if message.is_multipart():
                message.set_payload([*message.iter_parts()][::-1])
            return message


class TestM4(Broken):
    class Keeper(Keeper):
        def change(self, message: EmailMessage) -> EmailMessage:
            for part in message.walk():
                if not part.is_multipart():
                    text = part.get_content().replace("\nFrom", "\n>From")
                    part.set_content(text, subtype=part.get_content_subtype())
            return message


class TestM5(Broken):
    Keeper = replaced("To", lambda to: [Address("", a.username, a.domain) for a in to.addresses])


class TestM6(Broken):
    kernel = broken(mail, "_ascii_domain", lambda ascii_domain: lambda domain: domain)


class TestM7(Broken):
    class Keeper(Keeper):
        def change(self, message: EmailMessage) -> EmailMessage:
            for part in message.iter_attachments():
                part.replace_header("Content-Disposition", "attachment")
            return message


class TestM8(Broken):
    class Keeper(Keeper):
        def send(self, message: EmailMessage) -> None:
            self.message = message
            time.sleep(0.002)
            super().send(self.message)


class TestM9(Broken):
    class Keeper(Keeper):
        def send(self, message: EmailMessage) -> None:
            super().send(message)
            message["X-Sent"] = "yes"


class TestM10(Broken):
    class Keeper(Keeper):
        def send(self, message: EmailMessage) -> None:
            if not self.there:
                raise KitError("nobody is there")
            super().send(message)


class TestM11(Broken):
    kernel = broken(mail, "_unprintable", lambda unprintable: lambda text: False)


class TestM12(Broken):
    """What the library makes of it: the first of several."""

    kernel = broken(
        mail,
        "address",
        lambda address: (
            lambda given: address(given if isinstance(given, Address) else first(given))
        ),
    )


class TestM13(Broken):
    kernel = broken(
        Outbox, "deliver", lambda deliver: lambda s, to: [s._messages.reverse(), deliver(s, to)]
    )


class TestM14(Broken):
    """An outbox that goes out whatever happens."""

    @pytest.fixture(autouse=True)
    def outbox(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def outbox(component: Any, options: Any, headers: Headers) -> Iterator[Outbox]:
            outbox = Outbox(options.sender)
            try:
                yield outbox
            finally:
                outbox.deliver(component)

        monkeypatch.setattr(contract, "outbox", outbox)


class TestM15(Broken):
    kernel = broken(Outbox, "deliver", lambda deliver: all_or_nothing)


class TestM16(Broken):
    kernel = broken(
        Outbox, "deliver", lambda deliver: lambda s, to: [deliver(s, to), setattr(s, "_open", True)]
    )


class TestM17(Broken):
    kernel = broken(mail, "_LONGEST", lambda longest: 10 * longest)


class TestM18(Broken):
    kernel = broken(mail, "make_msgid", lambda make: lambda domain: f"<1@{domain}>")


def first(text: str) -> str:
    return text.split(",")[0]


def all_or_nothing(box: Outbox, component: Any) -> None:
    for message in box._messages:
        component.send(message)
    box._open = False
