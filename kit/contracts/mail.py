"""The contract of the slot ``mail``: what arrives of a message, and when the kernel sends it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import ClassVar

import pytest
from werkzeug.datastructures import Headers

from kit.contracts import Contract, clause
from kit.errors import InvalidValue, Unavailable
from kit.slots.mail import Mail, MailOptions, Outbox, outbox

SENDER = "Käthe's Shop <shop@example.org>"
TO = "ada@example.net"
LONG = "A long line of words. " * 300
TEXT = "First line\n\n.\n..\n.two dots.\nFrom here on\n  indented  \n=20 &lt;\n" + LONG + "\nend\n"
HTML = "<p>Grüße &amp; <b>Küsse</b> 😀</p>\n"
INJECTED = ("a\nBcc: eve@example.com", "a\r\nBcc: eve@example.com", "a\rBcc: x", "a\0", "a\u2028b")

Delivered = Callable[[], list[EmailMessage]]


@contextmanager
def request(component: Mail) -> Iterator[Outbox]:
    """Give the outbox of one request, as a handler gets it."""
    with contextmanager(outbox)(component, MailOptions(sender=SENDER), Headers()) as box:
        yield box


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    """Return the text of a message, with line ends as Python has them."""
    part = message.get_body((kind,))
    assert part is not None, f"there is no {kind} text in {message.as_string()}"
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


def recipients(message: EmailMessage) -> list[tuple[str, str]]:
    """Return names and addresses in To."""
    return [(one.display_name, f"{one.username}@{one.domain}") for one in message["To"].addresses]


class MailContract(Contract):
    """What every way of delivery promises. Subclasses give `component` and `delivered`.

    What can be away needs ``away`` too. The first clauses are about what arrives, and the others
    about what the kernel sends.
    """

    capabilities: ClassVar = {"outages": "it notices that a message cannot be delivered"}

    @pytest.fixture
    def component(self) -> Mail:
        """The component under test."""
        raise NotImplementedError("give the fixture `component`: a way of delivery")

    @pytest.fixture
    def delivered(self, component: Mail) -> Delivered:
        """A function that returns all messages that arrived, parsed, in their order."""
        raise NotImplementedError("give the fixture `delivered`: a function for what arrived")

    @pytest.fixture
    def away(self) -> Mail:
        """The component, with nothing there to deliver to."""
        raise NotImplementedError("give the fixture `away`, or say that it lacks 'outages'")

    # What arrives.

    @clause("M1")
    def test_a_message_arrives(self, component: Mail, delivered: Delivered) -> None:
        """A message arrives with sender, recipient, subject, date, and its text."""
        with request(component) as box:
            box.send(to=TO, subject="Hello", text="One line.\n")
        [message] = delivered()
        assert message["From"].addresses[0].addr_spec == "shop@example.org"
        assert recipients(message) == [("", TO)]
        assert message["Subject"] == "Hello"
        assert abs(parsedate_to_datetime(message["Date"]).timestamp() - time.time()) < 60
        assert text_of(message) == "One line.\n"
        assert message.get_body(("html",)) is None

    @clause("M2")
    def test_letters_arrive(self, component: Mail, delivered: Delivered) -> None:
        """Letters beyond ASCII arrive in names, subject and text."""
        subject = "Grüße aus Österreich, 你好 😀 " * 5
        with request(component) as box:
            box.send(to=f"Zoë Ångström <{TO}>", subject=subject, text=f"Straße 😀 {subject}")
        [message] = delivered()
        assert message["From"].addresses[0].display_name == "Käthe's Shop"
        assert recipients(message) == [("Zoë Ångström", TO)]
        assert message["Subject"].rstrip() == subject.rstrip()
        assert text_of(message) == f"Straße 😀 {subject}\n"

    @clause("M3")
    def test_two_forms_arrive(self, component: Mail, delivered: Delivered) -> None:
        """Text and HTML of one message arrive as alternatives, the text first."""
        with request(component) as box:
            box.send(to=TO, subject="Two", text="Grüße", html=HTML)
        [message] = delivered()
        assert message.get_content_type() == "multipart/alternative"
        kinds = [part.get_content_type() for part in message.iter_parts()]
        assert kinds == ["text/plain", "text/html"]
        assert text_of(message) == "Grüße\n"
        assert text_of(message, "html") == HTML

    @clause("M4")
    def test_every_line_arrives(self, component: Mail, delivered: Delivered) -> None:
        """Lines arrive as they are: single dots, long ones, empty ones, spaces at the ends."""
        with request(component) as box:
            box.send(to=TO, subject="Lines", text=TEXT)
            box.send(to=TO, subject="Lines", text=f"é{TEXT}", html=f"<pre>{TEXT}")
        plain, both = delivered()
        assert text_of(plain) == TEXT
        assert text_of(both) == f"é{TEXT}"
        assert text_of(both, "html") == f"<pre>{TEXT}"

    @clause("M5")
    def test_everybody_is_named(self, component: Mail, delivered: Delivered) -> None:
        """Several recipients arrive each with its own name, whatever is in that."""
        names = ["", "Lovelace, Ada", "Ångström, Zoë", 'The "Boss"', "a@b.example", "x" * 60] * 3
        to = [Address(name, f"no{number}", "example.net") for number, name in enumerate(names)]
        with request(component) as box:
            box.send(to=to, subject="All", text="of you")
        [message] = delivered()
        assert recipients(message) == [(one.display_name, one.addr_spec) for one in to]

    @clause("M6")
    def test_addresses_beyond_ascii_arrive(self, component: Mail, delivered: Delivered) -> None:
        """A domain with other letters goes out as IDNA has it; a local part arrives as it is."""
        with request(component) as box:
            box.send(to="info@bücher.example", subject="Domain", text="x")
            box.send(to="Zoë <zoë@bücher.example>", subject="Both", text="é")
        domain, both = delivered()
        assert recipients(domain) == [("", "info@xn--bcher-kva.example")]
        assert recipients(both) == [("Zoë", "zoë@xn--bcher-kva.example")]
        assert text_of(both) == "é\n"

    @clause("M7")
    def test_attachments_arrive(self, component: Mail, delivered: Delivered) -> None:
        """A file that was attached to a message arrives byte for byte."""
        content = bytes(range(256)) * 20
        with request(component) as box:
            message = box.send(to=TO, subject="File", text="see there", html=HTML)
            message.add_attachment(
                content, maintype="application", subtype="octet-stream", filename="Übersicht.bin"
            )
        [message] = delivered()
        assert text_of(message) == "see there\n"
        [file] = message.iter_attachments()
        assert file.get_filename() == "Übersicht.bin"
        assert file.get_content() == content

    @clause("M8")
    def test_threads_do_not_meet(self, component: Mail, delivered: Delivered) -> None:
        """Messages of threads that send at the same time arrive each whole."""

        def work(number: int) -> None:
            with request(component) as box:
                box.send(to=TO, subject=f"Number {number}", text=f"{number}\n" * 500)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(24)))
        found = {message["Subject"]: text_of(message) for message in delivered()}
        assert found == {f"Number {number}": f"{number}\n" * 500 for number in range(24)}

    @clause("M9")
    def test_a_message_stays_as_it_is(self, component: Mail, delivered: Delivered) -> None:
        """Sending changes nothing about a message, so that it can be sent again."""
        with request(component) as box:
            message = box.send(to=f"Zoë <{TO}>", subject="Twice", text="é", html=HTML)
            before = message.as_bytes()
        component.send(message)
        assert message.as_bytes() == before
        assert [one["Message-ID"] for one in delivered()] == [message["Message-ID"]] * 2

    @clause("M10", needs="outages")
    def test_an_outage_is_told(self, away: Mail) -> None:
        """A message that cannot be delivered now raises Unavailable, soon."""
        message = Outbox(SENDER).send(to=TO, subject="Away", text="x")
        start = time.monotonic()
        with pytest.raises(Unavailable):
            away.send(message)
        assert time.monotonic() - start < 15

    # What the kernel sends, and when.

    @clause("M11")
    @pytest.mark.parametrize("evil", INJECTED, ids=ascii)
    def test_no_header_comes_in(self, component: Mail, delivered: Delivered, evil: str) -> None:
        """A line break in a subject, a name or an address is refused, and nothing is sent."""
        with request(component) as box:
            for to, subject in (
                (TO, evil),
                (f"{evil}@example.net", "x"),
                (f"ada@{evil}", "x"),
                (f"{evil} <{TO}>", "x"),
                (f"{TO}{evil[1:]}", "x"),
                (f"Ada <{TO}{evil[1:]}>", "x"),
            ):
                with pytest.raises(InvalidValue):
                    box.send(to=to, subject=subject, text="x")
        assert delivered() == []

    @clause("M12")
    def test_a_text_is_one_address(self, component: Mail, delivered: Delivered) -> None:
        """A str that names several recipients, or none, is refused."""
        for to in (
            *(f"{TO}, eve@example.com", f"{TO},eve@example.com", f"{TO};eve@example.com"),
            *(f"{TO} eve@example.com", f"Ada <{TO}>, eve@example.com", f"<{TO}> <eve@a.example>"),
            *(f'"{TO}" <eve@example.com>, <{TO}>', f"friends: {TO};", f"Ada {TO}", f"<{TO}"),
            *("", "ada", "@example.net", "ada@", "a b@example.net", "ada@exa mple.net", "a@b@c"),
            *(".ada@example.net", "a..b@example.net", "ada@-x.net", "ada@example..net", "ada@.net"),
            *("(c)ada@example.net", '"a b"@example.net', "ada@[127.0.0.1]", "x" * 65 + "@a.net"),
            *("ada@straße.example", "ada@" + "x" * 64 + ".net", "\ud800@example.net"),
            *(" " * 10**5, "<" * 10**5, '"' * 10**5, "a" * 10**5 + "@b.c", "a@" + "é." * 10**5),
        ):
            with request(component) as box, pytest.raises(InvalidValue):
                box.send(to=to, subject="x", text="x")
            with request(component) as box, pytest.raises(InvalidValue):
                box.send(to=[TO, to], subject="x", text="x")
        with request(component) as box, pytest.raises(InvalidValue):
            box.send(to=[], subject="x", text="x")
        assert delivered() == []

    @clause("M13")
    def test_messages_go_out_at_the_end(self, component: Mail, delivered: Delivered) -> None:
        """Messages are delivered when the request has succeeded, in the order of sending."""
        with request(component) as box:
            for subject in ("first", "second", "third"):
                box.send(to=TO, subject=subject, text="x")
                assert delivered() == []
        assert [message["Subject"] for message in delivered()] == ["first", "second", "third"]

    @clause("M14")
    def test_a_failed_request_sends_nothing(self, component: Mail, delivered: Delivered) -> None:
        """A request that failed sends nothing."""
        failing = request(component)
        failing.__enter__().send(to=TO, subject="x", text="x")
        error = ZeroDivisionError()
        assert not failing.__exit__(ZeroDivisionError, error, None)
        assert delivered() == []

    @clause("M15")
    @pytest.mark.parametrize(
        "error", [Unavailable("away"), InvalidValue(f"550 no {TO} here"), RuntimeError("away")]
    )
    def test_what_fails_then_is_logged(
        self,
        component: Mail,
        delivered: Delivered,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        error: Exception,
    ) -> None:
        """A message that cannot be delivered then is in the log by its number; others go out."""
        send = component.send

        def failing(message: EmailMessage) -> None:
            if message["Subject"] == "lost":
                raise error
            send(message)

        monkeypatch.setattr(component, "send", failing)
        with caplog.at_level(logging.ERROR, "kit"), request(component) as box:
            lost = box.send(to=TO, subject="lost", text="x")
            box.send(to=TO, subject="kept", text="x")
        assert [message["Subject"] for message in delivered()] == ["kept"]
        [told] = [record.getMessage() for record in caplog.records]
        assert lost["Message-ID"] in told
        assert str(error).replace(TO, "<recipient>") in told
        assert TO not in told

    @clause("M16")
    def test_nothing_is_sent_too_late(self, component: Mail, delivered: Delivered) -> None:
        """Sending after the messages went out, as from a stream, is an error, never forgotten."""
        with request(component) as box:
            pass
        with pytest.raises(RuntimeError, match="has gone out"):
            box.send(to=TO, subject="late", text="x")
        assert delivered() == []

    @clause("M17")
    def test_what_no_message_can_hold_is_refused(
        self, component: Mail, delivered: Delivered
    ) -> None:
        """Halves of characters in a text, and a subject of over 1000 characters, are refused."""
        for more in ({"text": "\ud800"}, {"html": "\ud800"}, {"subject": "x" * 1001}):
            with request(component) as box, pytest.raises(InvalidValue):
                box.send(**{"to": TO, "subject": "x", "text": "x", **more})
        with request(component) as box:
            box.send(to=TO, subject="é" * 1000, text="x")
        assert delivered()[0]["Subject"] == "é" * 1000

    @clause("M18")
    def test_messages_have_a_number(self, component: Mail, delivered: Delivered) -> None:
        """Every message has an id of its own, in the domain of the sender."""
        with request(component) as box:
            for _ in range(3):
                box.send(to=TO, subject="x", text="x")
        numbers = {message["Message-ID"] for message in delivered()}
        assert len(numbers) == 3
        assert all(number.endswith("@example.org>") for number in numbers)
