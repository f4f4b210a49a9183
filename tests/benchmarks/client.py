"""A client in the same process: requests as a WSGI or ASGI server would hand them over."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from asgi import ASGI
from harness import Batch, cpu_time

App = Callable[..., Iterable[bytes]] | ASGI
Environ = dict[str, Any]

_SERVER: Environ = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_USER_AGENT": "benchmark",
    "HTTP_ACCEPT": "*/*",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": io.StringIO(),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
_NO_BODY = io.BytesIO()


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def get(path: str, cookie: str = "") -> Environ:
    """Return the environment of a GET."""
    environ = {**_SERVER, "PATH_INFO": path, "RAW_URI": path, "wsgi.input": _NO_BODY}
    return {**environ, "HTTP_COOKIE": cookie} if cookie else environ


def post(
    path: str, body: bytes, kind: str = "application/x-www-form-urlencoded", cookie: str = ""
) -> Environ:
    """Return the environment of a submitted form, or of another `kind` of body."""
    return {
        **get(path, cookie),
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


def ask(app: App, environ: Environ) -> Answer:
    """Send one request and read the whole answer."""
    if isinstance(app, ASGI):
        return Answer(*app.ask(environ))
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        started.append((status, headers))

    chunks = app(environ, start_response)
    body = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    status, headers = started[-1]
    return Answer(int(status[:3]), headers, body)


def cookie_of(answer: Answer) -> str:
    """Return the cookies that an answer sets, as the browser sends them back."""
    found = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    return "; ".join(value.partition(";")[0] for value in found)


def batch(app: App, request: Callable[[int], Environ], seconds: float) -> Batch:
    """Return a batch of about `seconds`; `request` makes the environment of the n-th request.

    Making the environments is not timed; reading and closing the body is.
    """
    few = [_spent(app, [request(number) for number in range(20)]) for _ in range(3)]
    count = min(max(int(seconds / (min(few) / 20 or 1e-9)), 20), 2000)

    def run() -> float:
        return _spent(app, [request(number) for number in range(count)]) / count

    return run


def _spent(app: App, environs: list[Environ]) -> float:
    if isinstance(app, ASGI):
        return cpu_time(app.sending(environs))

    def all_of_them() -> None:
        for environ in environs:
            chunks = app(environ, _start_response)
            b"".join(chunks)
            if hasattr(chunks, "close"):
                chunks.close()

    return cpu_time(all_of_them)


def _start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
    pass
