"""From a WSGI environ to what an ASGI server makes of the same request."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes

from kit.answers import Environ, Header
from kit.clients import PRIVATE, Scope

_IN_PATH = "/!$&'()*+,;=:@~"
_AS_SENT = "".join(map(chr, range(0x21, 0x7F)))


def raw_path(environ: Environ) -> bytes:
    """Return the path as the client sends it: as it was written, unless the environ says more."""
    path = (environ.get("PATH_INFO") or "/").encode("latin-1")
    written = environ.get("REQUEST_URI", "").partition("?")[0].encode("latin-1")
    as_written = written.startswith(b"/") and unquote_to_bytes(written) == path
    sent = quote(written, safe=_AS_SENT) if as_written else quote(path, safe=_IN_PATH)
    return (quote(environ.get("SCRIPT_NAME", "").encode("latin-1")) + sent).encode()


def headers(environ: Environ) -> list[Header]:
    """Return the headers of a request, in lower case, and of them Host first."""
    names = {key: key[5:] for key in environ if key.startswith("HTTP_")}
    names |= {key: key for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
    found = [(name.lower().replace("_", "-"), environ[key]) for key, name in names.items()]
    return sorted(found, key=lambda header: header[0] != "host")


def texts(headers: Iterable[tuple[bytes, bytes]]) -> list[Header]:
    """Return the headers of an ASGI message as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def scope(environ: Environ, kind: str = "http") -> Scope:
    """Return the scope of a request, or of the handshake of a WebSocket."""
    raw = raw_path(environ)
    secure = environ["wsgi.url_scheme"] == "https"
    made: Scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": unquote_to_bytes(raw).decode(errors="replace"),
        "raw_path": raw,
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "root_path": environ.get("SCRIPT_NAME", "").encode("latin-1").decode(errors="replace"),
        "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers(environ)],
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 0),
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "extensions": {},
        PRIVATE: {key: environ[key] for key in environ if key.startswith("kit.")},
    }
    if kind == "websocket":
        del made["method"]
        made["scheme"] = "wss" if secure else "ws"
        made["extensions"] = {"websocket.http.response": {}}
    return made
