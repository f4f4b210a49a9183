"""Mail by the standard library: over SMTP, into files, or onto the screen."""

from __future__ import annotations

import copy
import ipaddress
import os
import secrets
import smtplib
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import ClassVar, Literal

from kit.errors import InvalidValue, KitError, Unavailable
from kit.options import Duration, Secret
from kit.slots.mail import POLICY, MailOptions

_READABLE = policy.default.clone(utf8=True, cte_type="8bit", max_line_length=0)
_TEN_SECONDS = Duration(10)
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}


class ConsoleMail:
    """Prints messages on standard output, for a person to read: for development."""

    lacks: ClassVar = {"outages": "what the terminal does not show is not noticed"}

    def __init__(self) -> None:
        self._lock = Lock()

    def send(self, message: EmailMessage) -> None:
        """Print `message` between two lines of dashes."""
        text = f"{'-' * 72}\n{_readable(message)}\n{'-' * 72}\n"
        with self._lock:
            sys.stdout.write(text)
            sys.stdout.flush()


def _readable(message: EmailMessage) -> str:
    """Return a message with its texts as they are, in place of what is sent."""
    shown = copy.deepcopy(message)
    for part in shown.walk():
        if part.get_content_maintype() == "text" and not part.is_attachment():
            part.set_content(part.get_content(), subtype=part.get_content_subtype(), cte="8bit")
    return shown.as_bytes(policy=_READABLE).decode("utf-8", "replace").rstrip("\n")


@dataclass(frozen=True, kw_only=True)
class FileOptions(MailOptions):
    """Options of the component ``file``.

    `folder` is where messages are written. It is made if it is missing, for its owner alone.
    """

    folder: Path = Path("mail")


class FileMail:
    """Writes each message to a file of its own, ``<time>-<random>.eml``: for development and tests.

    Programs for mail open such files. Only their owner may read them, and a file has its name only
    when all of it is there.
    """

    def __init__(self, options: FileOptions) -> None:
        self._folder = options.folder
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def send(self, message: EmailMessage) -> None:
        """Write `message`; Unavailable where the folder does not take it."""
        name = f"{time.time_ns()}-{secrets.token_hex(4)}"
        unfinished = self._folder / f".{name}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            try:
                with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
                    file.write(_as_sent(message))
                unfinished.rename(self._folder / f"{name}.eml")
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise Unavailable(f"mail cannot be written to {self._folder}: {error}") from error


def _as_sent(message: EmailMessage) -> bytes:
    """Return a message as it goes out: ASCII, or UTF-8 in the headers where they need it."""
    return message.as_bytes(policy=POLICY.clone(utf8=not _is_ascii(message)))


def _is_ascii(message: EmailMessage) -> bool:
    """Say whether ASCII is enough for all addresses; names and texts can be encoded."""
    headers = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc")
    found = [one for header in headers for one in message.get_all(header, [])]
    return all(address.addr_spec.isascii() for one in found for address in one.addresses)


@dataclass(frozen=True, kw_only=True)
class SmtpOptions(MailOptions):
    """Options of the component ``smtp``.

    `host` is the server. `tls` says how the connection to it is encrypted: ``"starttls"`` begins
    in the clear, ``"implicit"`` does not, and ``"none"`` is for a server on this machine. The
    server's certificate is checked in any case. `port` is 587, 465 or 25 by `tls` unless it is
    set. Where the server wants a login, `user` and `password` are for that; both are ASCII. It
    has `timeout` to take a connection, and for each of its answers.
    """

    host: str
    port: int | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    timeout: Duration = _TEN_SECONDS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.port is not None and not 1 <= self.port <= 65535:
            raise ValueError(f"port = {self.port}: write 1 to 65535")
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password go together: set both, or none")
        if not f"{self.user}{self.password}".isascii():
            raise ValueError("user and password have to be ASCII")
        if self.password and self.tls == "none" and not _is_here(self.host):
            raise ValueError("tls = 'none' would send the password in the clear: use 'starttls'")
        if not self.timeout:
            raise ValueError("timeout = 0: without time no server answers")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class SmtpMail:
    """Hands messages to a mail server, over a connection of its own for each."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._place = options.host, options.port or _PORTS[options.tls]
        self._tls = ssl.create_default_context()

    @cached_property
    def _name(self) -> str:
        return socket.getfqdn()  # which may take the time of a look-up

    def send(self, message: EmailMessage) -> None:
        """Send `message` to all in To, Cc and Bcc, which nobody is shown."""
        sender, *recipients = _envelope(message)
        shown = copy.copy(message)
        del shown["Bcc"]
        # Its own send_message would write ">From" where a line begins with that word.
        content = _as_sent(shown)
        options = () if _is_ascii(message) else ("SMTPUTF8", "BODY=8BITMIME")
        with self._explained(), self._connected() as server:
            try:
                refused = server.sendmail(sender, recipients, content, options)
            except smtplib.SMTPRecipientsRefused as error:
                raise _refusal(error.recipients, "nobody") from error
            except smtplib.SMTPNotSupportedError as error:
                raise InvalidValue(
                    "the mail server does not take addresses with letters beyond ASCII"
                ) from error
        if refused:
            raise _refusal(refused, "only the others")

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        timeout, name = float(self._options.timeout), self._name
        server: smtplib.SMTP
        if self._options.tls == "implicit":
            server = smtplib.SMTP_SSL(*self._place, name, timeout=timeout, context=self._tls)
        else:
            server = smtplib.SMTP(*self._place, name, timeout=timeout)
        try:
            if self._options.tls == "starttls":
                server.starttls(context=self._tls)
            if self._options.password:
                server.login(self._options.user, self._options.password)
            yield server
        finally:
            with suppress(smtplib.SMTPException, OSError):  # it has answered for the message
                server.quit()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say where the server is, what it said, and whether to try again."""
        where = f"the mail server {self._place[0]}:{self._place[1]}"
        try:
            yield
        except smtplib.SMTPResponseException as error:
            raise _answered(f"{where} refuses", error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
            mend = f"look at tls = {self._options.tls!r}, user and password in [mail.smtp]"
            raise KitError(f"{where} cannot be used: {error}; {mend}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"{where} is away: {error}") from error


def _envelope(message: EmailMessage) -> list[str]:
    """Return the sender and the recipients, from parsed headers: a name never becomes one."""
    found = message["Sender"] or message["From"]
    everybody = [*found.addresses[:1]]
    for header in ("To", "Cc", "Bcc"):
        for one in message.get_all(header, []):
            everybody += one.addresses
    return [one.addr_spec for one in everybody]


def _answered(what: str, code: int, answer: bytes | str) -> KitError:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return (KitError if code >= 500 else Unavailable)(f"{what}: {code} {text}")


def _refusal(refused: dict[str, tuple[int, bytes]], reached: str) -> KitError:
    answers = [
        f"{name}: {code} {text.decode('utf-8', 'replace')}"
        for name, (code, text) in refused.items()
    ]
    later = any(code < 500 for code, _ in refused.values())
    return (Unavailable if later else InvalidValue)(
        f"the mail server refuses {'; '.join(answers)}, and {reached} got the message"
    )
