"""What is particular to mail over SMTP: encryption, logins, refusals, and what goes wrong."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from kit_stdlib.mail import SmtpMail, SmtpOptions

from kit.errors import InvalidValue, KitError, Unavailable
from kit.options import Duration, Secret
from kit.slots.mail import Outbox

SENDER = "shop@example.org"


class Inbox:
    """Keeps envelopes and contents; what `answers` has for a recipient is the answer to that."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answers: dict[str, str] = {}
        self.encrypted: list[bool] = []
        self.users: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - the library's name, like the next one
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return self.answers.get("", "250 OK")

    def log_in(self, server: Any, session: Any, envelope: Any, way: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.users.append(data.login)
        return AuthResult(success=data.password == b"right", handled=False)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def serve(inbox: Inbox) -> Iterator[Callable[..., int]]:
    """A function that starts a server with these options, and returns its port."""
    running = []

    def start(**options: Any) -> int:
        controller = Controller(inbox, "127.0.0.1", free_port(), **options)
        controller.start()
        running.append(controller)
        return controller.port

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """An authority for certificates that this machine trusts."""
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return authority


def certified(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def component(port: int, **options: Any) -> SmtpMail:
    given = {"host": "127.0.0.1", "tls": "none", "timeout": Duration(5), **options}
    return SmtpMail(SmtpOptions(sender=SENDER, port=port, **given))


def message(to: str = "ada@example.net") -> EmailMessage:
    return Outbox(SENDER).send(to=to, subject="Hello", text="Grüße")


def test_the_envelope_is_that_of_the_headers(serve: Callable[..., int], inbox: Inbox) -> None:
    sent = message("Ada, the first <ada@example.net>")
    sent["Cc"] = "bob@example.net"
    sent["Bcc"] = "eve@example.net"
    sent["Sender"] = "robot@example.org"
    component(serve()).send(sent)
    [envelope] = inbox.envelopes
    assert envelope.mail_from == "robot@example.org"
    assert envelope.rcpt_tos == ["ada@example.net", "bob@example.net", "eve@example.net"]
    assert b"eve@" not in envelope.content
    assert "Bcc" in sent, "the message stays as it is"


def test_what_goes_out_is_ascii(serve: Callable[..., int], inbox: Inbox) -> None:
    component(serve()).send(message("Zoë <zoe@bücher.example>"))
    [envelope] = inbox.envelopes
    assert envelope.content.isascii()
    assert envelope.rcpt_tos == ["zoe@xn--bcher-kva.example"]
    assert b"\n" not in envelope.content.replace(b"\r\n", b"")


def test_starttls_encrypts(serve: Callable[..., int], inbox: Inbox, authority: trustme.CA) -> None:
    port = serve(tls_context=certified(authority, "127.0.0.1"), require_starttls=True)
    component(port, tls="starttls").send(message())
    assert inbox.encrypted == [True]


def test_implicit_tls_encrypts(
    serve: Callable[..., int], inbox: Inbox, authority: trustme.CA
) -> None:
    port = serve(ssl_context=certified(authority, "127.0.0.1"))
    component(port, tls="implicit").send(message())
    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_is_not_trusted_stops_it(
    serve: Callable[..., int], inbox: Inbox, authority: trustme.CA, tls: str, wrong: str
) -> None:
    if wrong == "authority":
        context = certified(trustme.CA(), "127.0.0.1")
    else:
        context = certified(authority, "mail.example.org")
    port = serve(**{"ssl_context" if tls == "implicit" else "tls_context": context})
    with pytest.raises(KitError, match="CERTIFICATE_VERIFY_FAILED") as refused:
        component(port, tls=tls, user="shop", password=Secret("right")).send(message())
    assert refused.value.status == 500, "to try again does not help"
    assert inbox.envelopes == inbox.users == []


def test_a_server_without_encryption_is_not_used(serve: Callable[..., int], inbox: Inbox) -> None:
    """Somebody between may have taken it out of what the server offers."""
    with pytest.raises(KitError, match=r"STARTTLS.*tls = 'starttls'") as refused:
        component(serve(), tls="starttls").send(message())
    assert refused.value.status == 500
    assert inbox.envelopes == []


def test_it_logs_in(serve: Callable[..., int], inbox: Inbox, authority: trustme.CA) -> None:
    context = certified(authority, "127.0.0.1")
    port = serve(tls_context=context, authenticator=inbox.log_in, auth_required=True)
    mail = component(port, tls="starttls", user="shop", password=Secret("right"))
    mail.send(message())
    assert inbox.users == [b"shop"]
    assert len(inbox.envelopes) == 1


def test_a_wrong_password_is_told_and_not_shown(
    serve: Callable[..., int], inbox: Inbox, authority: trustme.CA
) -> None:
    context = certified(authority, "127.0.0.1")
    port = serve(tls_context=context, authenticator=inbox.log_in, auth_required=True)
    mail = component(port, tls="starttls", user="shop", password=Secret("hunter2"))
    with pytest.raises(KitError, match="refuses: 535") as refused:
        mail.send(message())
    assert refused.value.status == 500
    assert "hunter2" not in str(refused.value)


def test_a_server_without_logins_is_told(serve: Callable[..., int]) -> None:
    mail = component(serve(), user="shop", password=Secret("right"))
    with pytest.raises(KitError, match=r"AUTH.*user and password") as refused:
        mail.send(message())
    assert refused.value.status == 500


@pytest.mark.parametrize(
    ("answer", "error"), [("550 No such user", InvalidValue), ("450 Try later", Unavailable)]
)
def test_a_refused_recipient_is_told(
    serve: Callable[..., int], inbox: Inbox, answer: str, error: type[KitError]
) -> None:
    inbox.answers["ada@example.net"] = answer
    with pytest.raises(error, match=f"refuses ada@example.net: {answer}, and nobody got"):
        component(serve()).send(message())
    assert inbox.envelopes == []


def test_one_refused_recipient_of_several_is_told(serve: Callable[..., int], inbox: Inbox) -> None:
    inbox.answers["ada@example.net"] = "550 No such user"
    sent = message()
    sent["Cc"] = "bob@example.net"
    with pytest.raises(InvalidValue, match=r"refuses ada@.*only the others got"):
        component(serve()).send(sent)
    assert inbox.envelopes[0].rcpt_tos == ["bob@example.net"]


@pytest.mark.parametrize(
    ("answer", "status"), [("452 Disk full", 503), ("554 Looks like spam", 500)]
)
def test_a_refused_message_is_told(
    serve: Callable[..., int], inbox: Inbox, answer: str, status: int
) -> None:
    inbox.answers[""] = answer
    with pytest.raises(KitError, match=answer) as refused:
        component(serve()).send(message())
    assert refused.value.status == status


def test_addresses_beyond_ascii_need_a_server_for_them(
    serve: Callable[..., int], inbox: Inbox
) -> None:
    with pytest.raises(InvalidValue, match="beyond ASCII"):
        component(serve(enable_SMTPUTF8=False)).send(message("zoë@example.net"))
    assert inbox.envelopes == []
    component(serve(enable_SMTPUTF8=True)).send(message("zoë@example.net"))
    assert inbox.envelopes[0].smtp_utf8
    assert "zoë@example.net".encode() in inbox.envelopes[0].content


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ is away.*timed out"):
            component(silent.getsockname()[1], timeout=Duration(0.3)).send(message())
        assert time.monotonic() - start < 2


def test_a_server_that_hangs_up_is_away() -> None:
    with socket.socket() as rude:
        rude.bind(("127.0.0.1", 0))
        rude.listen()

        def hang_up() -> None:
            connection, _ = rude.accept()
            connection.sendall(b"220 hello\r\n")
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(Unavailable, match="is away"):
            component(rude.getsockname()[1]).send(message())
        thread.join()


def test_a_server_with_no_room_is_tried_again() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()

        def refuse() -> None:
            connection, _ = busy.accept()
            connection.sendall(b"421 too many connections\r\n")
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(Unavailable, match="refuses: 421"):
            component(busy.getsockname()[1]).send(message())
        thread.join()


def test_a_host_that_is_none_is_away() -> None:
    mail = SmtpMail(SmtpOptions(sender=SENDER, host="nowhere.invalid", timeout=Duration(5)))
    with pytest.raises(Unavailable, match=r"nowhere\.invalid:587 is away"):
        mail.send(message())


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("implicit", 465), ("none", 25)])
def test_the_port_is_that_of_the_encryption(tls: Any, port: int) -> None:
    assert SmtpMail(SmtpOptions(sender=SENDER, host="x", tls=tls))._place == ("x", port)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": 0}, "port = 0"),
        ({"port": 65536}, "port = 65536"),
        ({"user": "shop"}, "user and password go together"),
        ({"password": Secret("x")}, "user and password go together"),
        ({"user": "shöp", "password": Secret("x")}, "have to be ASCII"),
        ({"user": "shop", "password": Secret("x"), "tls": "none"}, "in the clear"),
        ({"timeout": Duration(0)}, "timeout = 0"),
        ({"sender": "nobody"}, "sender: 'nobody' is no address"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SmtpOptions(**{"sender": SENDER, "host": "mail.example.org", **options})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_a_password_may_stay_on_this_machine_in_the_clear(host: str) -> None:
    SmtpOptions(sender=SENDER, host=host, tls="none", user="shop", password=Secret("x"))
