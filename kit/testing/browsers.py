"""The client of tests: a browser that talks to an application through one of its gateways."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.test import Client, EnvironBuilder

from kit.answers import Environ
from kit.app import App
from kit.errors import ConfigError, Problem
from kit.gateways import WSGI, StartResponse
from kit.security.csrf import CHECKED, FIELD
from kit.testing.exchanges import over_asgi
from kit.testing.sockets import WebSocket
from kit.testing.wire import over_http

if TYPE_CHECKING:
    import pytest

GATEWAY = "KIT_GATEWAY"
URL = "KIT_TEST_URL"
GATEWAYS = ("wsgi", "asgi")

_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
_TOKEN = re.compile(rf'name="{FIELD}" value="([^"]+)"').search


class Browser(Client):
    """Werkzeug's test client, with WebSockets, and tokens for forms that a server asks for."""

    def __init__(self, app: App, application: WSGI, form: str | None = None) -> None:
        super().__init__(application)
        self._app = app
        self._form = form
        self._tokens: dict[str, str] = {}

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        timeout: float = 10,
    ) -> WebSocket:
        """Return a WebSocket, to be opened with ``with``, by a page of this site and its cookies.

        It goes through `app.asgi`, whatever the gateway: WSGI has none. Whatever takes more than
        `timeout` seconds raises TimeoutError.
        """
        environ = EnvironBuilder(path, headers=(headers or {}).items()).get_environ()
        environ.setdefault("HTTP_ORIGIN", f"http://{environ['HTTP_HOST']}")
        self._add_cookies_to_wsgi(environ)
        return WebSocket(self._app.asgi, environ, subprotocols, timeout)

    def run_wsgi_app(
        self, environ: Environ, buffered: bool = False
    ) -> tuple[Iterable[bytes], str, Headers]:
        """Send a request; to a server one that changes something goes with a token."""
        if self._form is not None and environ["REQUEST_METHOD"] not in _SAFE:
            host = environ["HTTP_HOST"]
            if host not in self._tokens:
                self._tokens[host] = self._token(self._form, host)
            given = {"HTTP_X_CSRF_TOKEN": self._tokens[host], "HTTP_ORIGIN": f"http://{host}"}
            environ = {**given, **environ}
        return super().run_wsgi_app(environ, buffered)

    def _token(self, path: str, host: str) -> str:
        page = self.get(path, headers={"Host": host, "Accept": "text/html"})
        found = _TOKEN(page.text)
        if not found:
            raise RuntimeError(
                f"the page {path} ({page.status}) has no form with a {FIELD}, and the server asks"
                " for it: name a page that has, as in client(app, form='/login'), or send the"
                " token yourself, with client(app, csrf=True)"
            )
        return found[1]


def client(
    app: App,
    *,
    csrf: bool = False,
    gateway: str | None = None,
    url: str | None = None,
    form: str = "/",
) -> Browser:
    """Start the application and return a browser for it that keeps cookies and opens no socket.

    ``client.get("/").text`` is a page and ``client.get("/data").json`` is data; more than that is
    in the manual of `werkzeug.test.Client`. Forms need no token, unless `csrf` asks for it.

    Requests go through the WSGI callable, or through ``app.asgi`` where `gateway` is ``"asgi"``;
    without it the environment variable `KIT_GATEWAY` says which. With `url`, or the variable
    `KIT_TEST_URL`, they go to a server that runs the application there: on the same database, and
    with the same secret key. Such a browser takes the token for its forms from the page `form`.
    """
    if gateway is None:
        url = url or os.environ.get(URL)
        gateway = os.environ.get(GATEWAY) or "wsgi"
    if gateway not in GATEWAYS:
        what = f"{gateway!r} is no gateway of an application."
        raise ConfigError([Problem(GATEWAY, what, "There are: asgi, wsgi.")])
    if url:
        asks = not csrf and "sessions" in app.stack.fillings
        return Browser(app, over_http(url), form if asks else None)
    started = app.start()
    answer = over_asgi(app.asgi) if gateway == "asgi" else started

    def trusted(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return answer({**environ, CHECKED: True}, start_response)

    return Browser(app, answer if csrf else trusted)


def in_process(reason: str) -> pytest.MarkDecorator:
    """Return a mark for a test that cannot be run against a server (`KIT_TEST_URL`), and why.

    It is a test that changes the application in its own process, by `app.override` say.
    """
    import pytest

    return pytest.mark.skipif(bool(os.environ.get(URL)), reason=f"not over the wire: {reason}")
