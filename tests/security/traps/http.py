"""T14 to T18: requests, paths, redirects and headers."""

from __future__ import annotations

import io
from typing import Any

import pytest
import werkzeug
from werkzeug.datastructures import MultiDict

from kit import App, Converter, Response, patterns, redirect, responses
from kit.dispatch import Dispatch
from kit.responses import safe_next
from traps import trap, weakening
from traps.stand import Stand, ask

ROUTERS = ("werkzeug", "ffroute")
FORM = "application/x-www-form-urlencoded"
PART = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'


class Counting(io.BytesIO):
    """A body that knows how much of it was read."""

    read_so_far = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.read_so_far += len(data)
        return data


def reader(stand: Stand) -> tuple[App, list[Any]]:
    """An application that reads forms, JSON and queries, and the list of what it has read."""
    app, taken = stand.app(), []
    app.post("/form")(lambda request: taken.append((request.form, request.files)) or "taken")
    app.post("/json")(lambda request: taken.append(request.json) or "taken")
    app.get("/query")(lambda request: taken.append(request.args) or "taken")
    return app, taken


def send(app: App, body: bytes, kind: str = FORM, path: str = "/form", **more: Any) -> int:
    """Post a body and return the status; `chunked` sends it without a length."""
    stream = Counting(body)
    environ = {"wsgi.input": stream, "CONTENT_TYPE": kind, **more}
    if environ.pop("chunked", False):
        environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    else:
        environ.setdefault("CONTENT_LENGTH", str(len(body)))
    status = ask(app, path, "POST", **environ)[0]
    assert stream.read_so_far <= 2_600_000  # never more than the limit, and one buffer
    return status


def multipart(*parts: tuple[str, str, str]) -> bytes:
    return "".join(PART.format(*part) for part in parts).encode() + b"--x--\r\n"


# T14: limits


@trap("T14", ROUTERS)
def a_request_brings_no_more_than_the_limits(stand: Stand) -> None:
    app, taken = reader(stand)
    kind = "multipart/form-data; boundary=x"
    fields = multipart(*(("a", "", "1"),) * 1001)
    files = multipart(*(("a", '; filename="a"', "1"),) * 101)
    headers = multipart(("a", f'"\r\nX-Long: "{"a" * 9000}', "1"))
    for chunked in (False, True):
        sent = {"chunked": chunked}
        assert send(app, b"&".join([b"a=1"] * 100_000), **sent) == 413
        assert send(app, b"a=" + b"x" * 600_000, **sent) == 413
        assert send(app, b"a=" + b"x" * 3_000_000, **sent) == 413
        assert send(app, multipart(("a", "", "x" * 600_000)), kind, **sent) == 413
        assert send(app, multipart(("a", '; filename="a"', "x" * 3_000_000)), kind, **sent) == 413
        assert send(app, b'"' + b"x" * 3_000_000 + b'"', "application/json", "/json", **sent) == 413
        assert send(app, fields, kind, **sent) == 413
        assert send(app, files, kind, **sent) == 413
        assert send(app, headers, kind, **sent) in (400, 413)
    assert ask(app, "/query", QUERY_STRING="&".join(["a=1"] * 1001))[0] == 413
    assert taken == []
    assert send(app, b"&".join([b"a=1"] * 1000)) == 200
    assert len(taken) == 1


# T15: JSON


@trap("T15", ROUTERS)
def json_that_is_deep_or_means_two_things_is_400(stand: Stand) -> None:
    app, taken = reader(stand)
    for body in (
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"[" * 65 + b"]" * 65,
        b"NaN",
        b'{"a": NaN}',
        b"[Infinity]",
        b"-Infinity",
        b'{"admin": false, "admin": true}',
        b'{"a": [{"b": 1, "\\u0062": 2}]}',
        b'"\xff"',
        b'"\\ud800"',
        b"",
        b"{",
        b"1 2",
    ):
        assert send(app, body, "application/json", "/json") == 400, body[:40]
    assert taken == []
    assert send(app, b"[" * 64 + b"]" * 64, "application/json", "/json") == 200


# T16: bodies that are cut off


@trap("T16", ROUTERS)
def half_a_form_is_400(stand: Stand) -> None:
    app, taken = reader(stand)
    whole = multipart(("name", "", "ann"), ("photo", '; filename="a.jpg"', "x" * 2000))
    kind = "multipart/form-data; boundary=x"
    for end in (10, 60, 200, 1000, len(whole) - 4, len(whole) - 8):
        assert send(app, whole[:end], kind) == 400, end
        assert send(app, whole[:end], kind, chunked=True) == 400, end
        assert send(app, whole[:end], kind, CONTENT_LENGTH=str(len(whole))) == 400, end
    for wrong in ("multipart/form-data", "multipart/form-data; boundary=", f"{kind}y"):
        assert send(app, whole, wrong) == 400, wrong
    assert send(app, b"a=1&b", FORM, CONTENT_LENGTH="50") == 400
    assert send(app, b'{"a": 1', "application/json", "/json", CONTENT_LENGTH="8") == 400
    assert taken == []
    assert send(app, whole, kind) == 200
    assert taken[0][0] == MultiDict([("name", "ann")])


@weakening("T14")
@weakening("T15")
@weakening("T16")
def the_request_is_plain_werkzeug(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = lambda environ, limits: werkzeug.Request(environ)  # noqa: E731
    monkeypatch.setattr("kit.wiring.Request", plain)


# T17: methods and paths


@trap("T17", ROUTERS)
def only_declared_methods_and_clean_paths_reach_a_handler(stand: Stand) -> None:
    app, reached = stand.app(), []
    app.get("/n/<int:n>")(lambda n: reached.append(n) or "n")
    app.get("/p/<path:p>")(lambda p: reached.append(p) or "p")
    app.get("/s/<s>")(lambda s: reached.append(s) or "s")
    for method in ("TRACE", "CONNECT", "POST", "INVENTED", "get", "GET "):
        status, headers, _ = ask(app, "/n/1", method)
        assert (status, headers.get("Allow")) == (405, "GET, HEAD, OPTIONS"), method
    for number in ("１", "٣", "+1", "1_0", " 1", "9" * 400):
        assert ask(app, f"/n/{number}".encode().decode("latin-1"))[0] == 404, number
    for path in ("/p/../x", "/p/a/../../x", "/p/..", "/p/./x", "/s/..", "/s/.", "/p/a/.."):
        assert ask(app, path)[0] in (400, 404), path
    for path in ("/s/\xff", "/p/\xc3\x28/x", "/s/\xed\xa0\x80", "/s/a\0b", "/p/a\0", "/s/\0"):
        assert ask(app, path)[0] == 400, path
    assert reached == []
    assert ask(app, "/s/\xc3\xa9")[0] == 200
    assert reached == ["é"]


@weakening("T17")
def paths_are_taken_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    lenient = lambda path: path.encode("latin-1").decode(errors="replace")  # noqa: E731
    monkeypatch.setattr("kit.gateways._checked", lenient)


@weakening("T17")
def digits_of_all_scripts_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(patterns.CONVERTERS, "int", Converter(r"\d+", int))


@weakening("T17")
def a_route_answers_any_method(monkeypatch: pytest.MonkeyPatch) -> None:
    class AnyMethod(dict):
        def get(self, method: str, default: Any = None) -> Any:
            return super().get(method) or self["GET"]

    compile_all = Dispatch.compile

    def compile_for_any(dispatch: Dispatch, providers: Any) -> None:
        compile_all(dispatch, providers)
        for endpoint in dispatch.endpoints:
            endpoint.plans = AnyMethod(endpoint.plans)

    monkeypatch.setattr(Dispatch, "compile", compile_for_any)


# T18: redirects, cookies, headers


ELSEWHERE = (
    *("//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "https:evil"),
    *("https://evil.example", "data:text/html,x", "/\t/evil.example", "\t//evil.example", " //x"),
)
SECURE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
}


@trap("T18", ROUTERS)
def redirects_stay_cookies_are_private_and_answers_carry_headers(stand: Stand) -> None:
    app = stand.app()
    app.get("/go")(lambda request: redirect(request.args["to"]))
    app.get("/next")(lambda request: redirect(safe_next(request.args.get("next"), "/home")))
    app.get("/a/")(lambda: "page")
    app.get("/broken")(lambda: 1 / 0)
    app.get("/data")(lambda: {"a": 1})

    @app.get("/cookie")
    def cookie():
        response = Response("set")
        response.set_cookie("theme", "dark")
        return response

    client = stand.client(app)
    for url in ELSEWHERE:
        answer = client.get("/go", query_string={"to": url})
        assert (answer.status_code, "Location" in answer.headers) == (500, False), url
        assert client.get("/next", query_string={"next": url}).headers["Location"] == "/home", url
    answer = client.get("/go", query_string={"to": "/a/?b=1"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/a/?b=1")
    assert client.get("/next?next=/a/").headers["Location"] == "/a/"
    flags = set(client.get("/cookie").headers["Set-Cookie"].split("; ")[1:])
    assert flags == {"HttpOnly", "SameSite=Lax", "Path=/"}
    for path in ("/a/", "/a", "/broken", "/nowhere", "/data", "/cookie", "/next", "/a\xff"):
        _, headers, _ = ask(app, path)
        assert {name: headers.get(name) for name in SECURE} == SECURE, path
    _, headers, _ = ask(app, "/a/", "DELETE")
    assert {name: headers.get(name) for name in SECURE} == SECURE


@weakening("T18")
def any_location_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "_is_local", lambda location: True)


@weakening("T18")
def cookies_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Response, "set_cookie", werkzeug.Response.set_cookie)


@weakening("T18")
def answers_have_no_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.wiring.security_headers", lambda options: ())
