"""The server's side of ASGI, played by a script; coroutine functions are tests here, too."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kit import App
from kit.waiting import end_threads

PATIENCE = 10  # seconds, for a test that hangs


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    values = {name: pyfuncitem.funcargs[name] for name in names}

    async def limited() -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await pyfuncitem.obj(**values)
        finally:
            await end_threads()

    asyncio.run(limited())
    return True


class Connection:
    """One request as a server drives it: `give` messages to the application, read what it sent.

    `hold` keeps the application waiting in `send` from the message of that number on, counted
    from 0, and `broken` raises OSError there: the client is gone.
    """

    def __init__(
        self, asgi: Any, scope: dict[str, Any], *, hold: int | None, broken: int | None
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.received = 0
        self.hold, self.broken = hold, broken
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self.task = asyncio.create_task(asgi(scope, self._receive, self._send))
        self.task.add_done_callback(lambda _: asyncio.ensure_future(self._notify()))

    def give(self, body: bytes = b"", *, more: bool = False) -> Connection:
        """Hand over a piece of the body of the request."""
        self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": more})
        return self

    def leave(self) -> Connection:
        """Tell that the client is gone."""
        self._inbox.put_nowait({"type": "http.disconnect"})
        return self

    def tell(self, kind: str) -> Connection:
        """Hand over a message without more to it."""
        self._inbox.put_nowait({"type": kind})
        return self

    async def _receive(self) -> dict[str, Any]:
        message = await self._inbox.get()
        self.received += 1
        if message["type"] == "http.disconnect":
            self._inbox.put_nowait(message)
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._changed:
            if self.broken is not None and len(self.sent) >= self.broken:
                raise OSError("the client is gone")
            self.sent.append(message)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self.hold is None or len(self.sent) <= self.hold)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def release(self) -> None:
        """Let the application go on sending."""
        self.hold = None
        await self._notify()

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Return what was sent, when it is `count` messages."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.sent) >= count or self.task.done())
        return self.sent

    async def ended(self) -> Connection:
        """Wait for the application to return; raise what it raised."""
        await asyncio.shield(self.task)
        return self

    @property
    def status(self) -> int:
        [start] = [one for one in self.sent if one["type"] == "http.response.start"]
        assert start is self.sent[0]
        return start["status"]

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in self.sent[0]["headers"]]

    @property
    def chunks(self) -> list[bytes]:
        """The body as it was sent, which has to be at its end."""
        bodies = [one for one in self.sent if one["type"] == "http.response.body"]
        assert [one.get("more_body", False) for one in bodies] == [True] * (len(bodies) - 1) + [
            False
        ]
        return [one.get("body", b"") for one in bodies]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


def scope(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    """Return the scope of a request."""
    made = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }
    return {**made, **more}


@pytest.fixture
def connect() -> Callable[..., Connection]:
    """A function that begins a request; `give` it a body, if only an empty one."""

    def connect(app: App, path: str = "/", method: str = "GET", **more: Any) -> Connection:
        hold, broken = more.pop("hold", None), more.pop("broken", None)
        return Connection(app.asgi, scope(path, method, **more), hold=hold, broken=broken)

    return connect


@pytest.fixture
def make_app() -> Iterator[Callable[..., App]]:
    """A function that makes an application, which is stopped at the end."""
    made: list[App] = []

    def make(config: dict[str, Any] | None = None, **more: Any) -> App:
        made.append(App(config or {}, **more))
        return made[-1]

    yield make
    for app in made:
        app.stop()


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    return make_app()
