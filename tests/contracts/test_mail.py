"""The components of the slot ``mail`` under its contract."""

from __future__ import annotations

import email
import re
import socket
from collections.abc import Callable, Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from kit_stdlib.mail import ConsoleMail, FileMail, FileOptions, SmtpMail, SmtpOptions

from kit.contracts.mail import SENDER, MailContract

Delivered = Callable[[], list[EmailMessage]]


def parsed(content: bytes) -> EmailMessage:
    """Parse a message whose headers may be UTF-8 (RFC 6532), which the library leaves undone."""
    message = email.message_from_bytes(content, policy=policy.SMTP)
    for name, value in list(message.raw_items()):
        text = value.encode("ascii", "surrogateescape").decode()
        message.replace_header(name, re.sub(r"\r?\n", "", text))
    return message


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class TestConsole(MailContract):
    @pytest.fixture
    def component(self) -> ConsoleMail:
        return ConsoleMail()

    @pytest.fixture
    def delivered(self, capsys: pytest.CaptureFixture[str]) -> Delivered:
        def read() -> list[EmailMessage]:
            _, *shown = capsys.readouterr().out.split(f"{'-' * 72}\n")
            return [parsed(text.encode()) for text in shown[::2] if text.strip()]

        return read


class TestFile(MailContract):
    @pytest.fixture
    def component(self, tmp_path: Path) -> FileMail:
        return FileMail(FileOptions(sender=SENDER, folder=tmp_path / "mail"))

    @pytest.fixture
    def delivered(self, component: FileMail) -> Delivered:
        def read() -> list[EmailMessage]:
            assert not [*component._folder.glob(".*")]
            return [parsed(file.read_bytes()) for file in sorted(component._folder.glob("*.eml"))]

        return read

    @pytest.fixture
    def away(self, component: FileMail) -> FileMail:
        component._folder.rmdir()
        component._folder.write_text("no folder any more")
        return component


class Inbox:
    """What a mail server does with the messages that it got: it keeps them."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        return "250 OK"


class TestSmtp(MailContract):
    @pytest.fixture
    def inbox(self) -> Inbox:
        return Inbox()

    @pytest.fixture
    def component(self, inbox: Inbox) -> Iterator[SmtpMail]:
        port = free_port()
        server = Controller(inbox, "127.0.0.1", port, enable_SMTPUTF8=True)
        server.start()
        yield SmtpMail(SmtpOptions(sender=SENDER, host="127.0.0.1", port=port, tls="none"))
        server.stop()

    @pytest.fixture
    def delivered(self, inbox: Inbox) -> Delivered:
        return lambda: [parsed(content) for content in inbox.contents]

    @pytest.fixture
    def away(self) -> SmtpMail:
        options = SmtpOptions(sender=SENDER, host="127.0.0.1", port=free_port(), tls="none")
        return SmtpMail(options)
