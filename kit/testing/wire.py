"""A server as a WSGI callable, for the test client: each request goes over a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import quote, urlsplit

from kit.answers import Environ
from kit.gateways import WSGI, StartResponse
from kit.testing.scopes import headers, raw_path

_PIECE = 64 * 1024
_AT_ONCE = 1024 * 1024
_IN_QUERY = "".join(map(chr, range(0x21, 0x7F)))


def over_http(url: str, timeout: float = 30) -> WSGI:
    """Return a WSGI callable that hands each request on to the server at `url` (plain http).

    Path and headers go as they are. Raises OSError where no server answers within `timeout`
    seconds.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{url!r} is no address of a server, such as http://127.0.0.1:8000")
    host, port = parts.hostname, parts.port

    def wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        connection = HTTPConnection(host, port, timeout=timeout)
        try:
            answer = _exchange(connection, environ)
        except BaseException:
            connection.close()
            raise
        start_response(f"{answer.status} {answer.reason}", answer.getheaders())
        body = _Body(connection, answer)
        return list(body) if (answer.length or 0) <= _AT_ONCE and not answer.chunked else body

    return wsgi


def _exchange(connection: HTTPConnection, environ: Environ) -> HTTPResponse:
    query = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe=_IN_QUERY)
    target = raw_path(environ).decode() + (f"?{query}" if query else "")
    connection.putrequest(
        environ["REQUEST_METHOD"], target, skip_host=True, skip_accept_encoding=True
    )
    for name, value in headers(environ):
        connection.putheader(name, value.encode("latin-1"))
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    try:
        connection.endheaders()
        for piece in _body(environ, chunked):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was read: the answer is there
    return connection.getresponse()


def _body(environ: Environ, chunked: bool) -> Iterator[bytes]:
    left = None if chunked else int(environ.get("CONTENT_LENGTH") or 0)
    while piece := environ["wsgi.input"].read(_PIECE if left is None else min(_PIECE, left)):
        yield piece
        if left is not None:
            left -= len(piece)


class _Body:
    """The chunks of an answer as they come."""

    def __init__(self, connection: HTTPConnection, answer: HTTPResponse) -> None:
        self._connection = connection
        self._answer: Any = answer

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._answer.read1(_PIECE):
            yield chunk
        self.close()

    def close(self) -> None:
        """End the connection: the client is gone, if there was more to come."""
        self._answer.close()
        self._connection.close()

    __del__ = close  # of an answer that nobody read
