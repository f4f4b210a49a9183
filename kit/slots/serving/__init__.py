"""Serving: a component is a production server, which `kit serve` runs with the application."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from typing import Any, Literal, Protocol

from kit.components import Slot
from kit.options import Duration, Size
from kit.plugins import hookimpl

Gateway = Literal["wsgi", "asgi"]

_HALF_A_MINUTE = Duration(30)
_PING = Duration(20)
_HEAD = Size(65536)
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})").fullmatch

CAPABILITIES = {
    "wsgi": "it serves by WSGI",
    "asgi": "it serves by ASGI, and with it WebSockets",
    "addresses": "it listens on several addresses at once",
    "connections": "more connections than `connections` wait, or are refused",
    "idle_timeout": "who sends no headers for `idle_timeout` is cut off",
    "head": "the headers of a request are at most `head` in all",
    "ping": "WebSockets are pinged each `ping`",
    "slow clients": "by WSGI too, a client that is slow occupies no thread",
}
"""What a server may lack, by name, with what it is; those named like an option are that option."""


@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """Options that mean the same for every server.

    `bind` is where it listens: ``"127.0.0.1:8000"``, ``"[::1]:8000"``, ``"unix:run/app.sock"``.
    There are `workers` processes, each with an application of its own. `gateway` is the interface
    to the application; ``"auto"`` takes ASGI where handlers are coroutine functions or talk over
    WebSockets, if the server can, and else WSGI.

    The system keeps `backlog` connections that nobody has accepted yet. One worker has at most so
    many `connections` at a time. Whoever has not sent the headers of a request, of at most the
    size `head`, in `idle_timeout`, is cut off. WebSockets are pinged each `ping`. At the end, and
    for a reload, what is in hand has the time `grace` to be finished.

    `access_log` writes a line for each request to stdout.
    """

    bind: tuple[str, ...] = ("127.0.0.1:8000",)
    workers: int = 1
    gateway: Literal["auto", "wsgi", "asgi"] = "auto"
    backlog: int = 2048
    connections: int = 4000
    idle_timeout: Duration = _HALF_A_MINUTE
    head: Size = _HEAD
    ping: Duration = _PING
    grace: Duration = _HALF_A_MINUTE
    access_log: Literal["none", "plain", "json"] = "none"

    def __post_init__(self) -> None:
        if not self.bind:
            raise ValueError("bind is empty, so that nobody could connect: name an address")
        for address in self.bind:
            address_of(address)
        if len(set(self.bind)) < len(self.bind):
            raise ValueError("bind names one address twice")
        for name in ("workers", "backlog", "connections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1")
        for name in ("idle_timeout", "ping", "grace"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1 second")
        if not 8192 <= self.head <= 1024**2:
            raise ValueError("head is from 8 KiB to 1 MiB: browsers send cookies of some KiB")


def address_of(text: str) -> tuple[str, int] | str:
    """Return host and port of what stands in `bind`, or the path of a UNIX socket.

    Raises ValueError for what is neither.
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return text.removeprefix("unix:")
    found = _ADDRESS(text)
    if not found or int(found[2]) > 65535:
        raise ValueError(
            f"bind: {text!r} is no address: write '127.0.0.1:8000', '[::1]:8000' or"
            " 'unix:run/app.sock'"
        )
    return found[1].strip("[]"), int(found[2])


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a server has to serve in one process.

    `application` is a callable of the `gateway`. The `listeners` are bound and listen already,
    and other workers accept from them too. By WSGI `threads` requests are answered at a time.
    No request has a body larger than `body`, and no WebSocket a message larger than `message`.
    """

    application: Callable[..., Any]
    gateway: Gateway
    listeners: tuple[socket, ...]
    threads: int
    body: int
    message: int


class Server(Protocol):
    """A production server, as one process of it. Processes are made and ended by `kit serve`.

    The factory names ``options``. What a server cannot do stands in ``lacks`` of the class, by the
    names of `CAPABILITIES`, each with the reason: an option that needs it is then refused.
    """

    def serve(self, service: Service) -> None:
        """Serve in the main thread until SIGTERM comes, then finish what is in hand, and return.

        On SIGTERM nothing new is accepted, and what takes longer than `grace` may be dropped.
        By ASGI the lifespan protocol is spoken. What clients and proxies say in headers is handed
        through as it is, and nothing is concluded from it.
        """
        ...


slot = Slot(
    name="serving",
    protocol=Server,
    options=ServingOptions,
    contract="kit.contracts.serving:ServingContract",
)


kit_after = ("kit.slots.identity",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``serving``."""
    return [slot]
