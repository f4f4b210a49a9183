"""Mail: a component delivers messages; what handlers send goes out when all is committed."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from typing import Protocol

from werkzeug.datastructures import Headers

from kit.components import Slot
from kit.errors import InvalidValue, KitError
from kit.plugins import hookimpl
from kit.providers import provider

logger = logging.getLogger("kit")

POLICY = policy.SMTP.clone(cte_type="7bit")
"""How messages are written: lines end in CR LF, and all is ASCII, which any server passes on."""

_LONGEST = 1000  # characters of a name, and of a subject
_LOCAL = re.compile(r"[^\s\"(),:;<>@[\\\]]{1,64}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DIFFERING = re.compile("[\xdf\u1e9e\u03c2\u200c\u200d]")  # IDNA 2003 would make ss of \xdf


@dataclass(frozen=True, kw_only=True)
class MailOptions:
    """Options that mean the same for every way of delivery.

    `sender` is whom messages come from: ``"shop@example.org"`` or ``"Shop <shop@example.org>"``.
    """

    sender: str

    def __post_init__(self) -> None:
        try:
            address(self.sender)
        except InvalidValue as error:
            raise ValueError(f"sender: {error}") from error


class Mail(Protocol):
    """A way of delivery. Threads share one component.

    The factory names ``options``. A component that cannot do everything says so in ``lacks``. A
    ``close`` method is called when the application stops.
    """

    def send(self, message: EmailMessage) -> None:
        """Deliver `message` to all whom it is addressed to, before this returns.

        Raises `kit.errors.Unavailable` where that may succeed later, `kit.errors.InvalidValue`
        where the address of a recipient is refused for good, and `kit.errors.KitError` for a
        mistake in the configuration. The message stays as it is.
        """
        ...


def address(given: str | Address) -> Address:
    """Return the one address that `given` is: ``ada@example.org`` or ``Ada <ada@example.org>``.

    A domain may have letters beyond ASCII, and goes out as IDNA has it. Raises InvalidValue for
    what is no address, and for several.
    """
    if isinstance(given, Address):
        name, local, domain = given.display_name, given.username, given.domain
    else:
        name, local, domain = _split(given)
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    if not _LOCAL.fullmatch(local) or dots or len(name) > _LONGEST or _unprintable(name + local):
        shown = str(given)[:_LONGEST]
        raise InvalidValue(f"{shown!r} is no address for mail: write one, as ada@example.org")
    return Address(name, local, _ascii_domain(domain))


def _split(text: str) -> tuple[str, str, str]:
    """Return name, local part and domain, with nothing in them for a text that has them not."""
    name, plain = "", text.strip()
    if plain.endswith(">"):
        name, _, plain = plain[:-1].rpartition("<")
        name = name.strip()
        if name.startswith('"') and name.endswith('"'):
            name = name[1:-1]
    if any(mark in name for mark in '"<>\\'):
        return "", "", ""
    local, _, domain = plain.strip().rpartition("@")
    return name, local, domain


def _ascii_domain(domain: str) -> str:
    if _DIFFERING.search(domain):
        raise InvalidValue(
            f"{domain!r} has letters that versions of IDNA read differently: write it with xn--"
        )
    try:
        name = domain.encode("idna").decode() if len(domain) <= 253 else ""
    except UnicodeError:
        name = ""
    if len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):
        raise InvalidValue(f"{domain[:_LONGEST]!r} is no domain for mail")
    return name


def _unprintable(text: str) -> bool:
    """Say whether a text for one line holds controls, line separators or half characters."""
    return any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text)


class Outbox:
    """What a request sends: delivered when all that it stored is committed, dropped when it failed.

    Handlers get one by naming ``outbox``.
    """

    def __init__(self, sender: str) -> None:
        self._sender = address(sender)
        self._messages: list[EmailMessage] = []
        self._open = True

    def send(
        self,
        *,
        to: str | Address | Iterable[str | Address],
        subject: str,
        text: str,
        html: str = "",
    ) -> EmailMessage:
        """Make a message, put it into the outbox, and return it, for example to attach files.

        `to` is one address or several, which see each other; a str is one address, with or
        without a name. With `html`, readers show that, or else `text`. Raises InvalidValue for
        an address that is none, and for a `subject` of several lines or 1000 characters.
        """
        if not self._open:
            raise RuntimeError("the outbox has gone out: send before the response is streamed")
        several = [to] if isinstance(to, (str, Address)) else list(to)
        if not several:
            raise InvalidValue("a message needs somebody to go to")
        if len(subject) > _LONGEST or _unprintable(subject):
            raise InvalidValue(f"a subject is one line of at most {_LONGEST} characters")
        message = EmailMessage(POLICY)
        message["From"] = self._sender
        message["To"] = [address(one) for one in several]
        message["Subject"] = subject
        message["Date"] = localtime()
        message["Message-ID"] = make_msgid(domain=self._sender.domain)
        try:
            message.set_content(text)
            if html:
                message.add_alternative(html, subtype="html")
        except UnicodeEncodeError as error:
            raise InvalidValue(f"a message cannot hold half a character: {error}") from error
        self._messages.append(message)
        return message

    def deliver(self, mail: Mail) -> None:
        """Deliver all messages, each for itself. What fails is logged: the rest is done by now."""
        self._open = False
        for message in self._messages:
            try:
                mail.send(message)
            except Exception as error:
                text = str(error)
                for one in message["To"].addresses:
                    text = text.replace(one.addr_spec, "<recipient>")
                logger.error(
                    "the message %s was not delivered: %s: %s",
                    message["Message-ID"],
                    type(error).__name__,
                    text,
                    exc_info=None if isinstance(error, KitError) else error,
                )


@provider(inline=True)
def outbox(mail: Mail, mail_options: MailOptions, response_headers: Headers) -> Iterator[Outbox]:
    """Send messages, when the unit of work is committed; see `Outbox`."""
    # It names response_headers to be closed last, after the unit of work.
    outbox = Outbox(mail_options.sender)
    yield outbox
    outbox.deliver(mail)


slot = Slot(
    name="mail",
    protocol=Mail,
    options=MailOptions,
    providers=(outbox,),
    waits=True,
    contract="kit.contracts.mail:MailContract",
)


kit_after = ("kit.slots.rates",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``mail``."""
    return [slot]
