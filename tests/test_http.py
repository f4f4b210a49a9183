"""HTTP on every route: methods, paths, results, headers, limits, and errors."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from io import BytesIO

import msgspec
import pytest
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, ImATeapot
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from kit import (
    App,
    ConfigError,
    Conflict,
    Converter,
    InvalidValue,
    KitError,
    Native,
    RecordNotFound,
    Request,
    Response,
    Routes,
    TemplateError,
    Unavailable,
    abort,
    provider,
    redirect,
)
from kit.answers import Answers
from kit.testing import client


def answered(result):
    return Answers().answer({}, result)


SECURE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
}


@pytest.fixture(params=["werkzeug", "ffroute"])
def app(request):
    return App({"routing": {"use": request.param}})


def raw(
    app, path: str, method: str = "GET", **environ: object
) -> tuple[int, dict[str, str], bytes]:
    """Send a path as a server hands it on: bytes read as Latin-1."""
    given = EnvironBuilder(method=method).get_environ()
    given.update({"PATH_INFO": path, **environ})
    body, status, headers = run_wsgi_app(app, given, buffered=True)
    return int(status[:3]), dict(headers), b"".join(body)


# Methods


def test_head_is_get_without_the_body(app):
    app.get("/")(lambda: "hello")
    client = Client(app)
    get, head = client.get("/"), client.head("/")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == "5"


def test_head_may_have_a_handler_of_its_own(app):
    app.get("/")(lambda: "hello")
    app.route("/", ["HEAD"])(lambda: ("", {"X-Own": "yes"}))
    assert Client(app).head("/").headers["X-Own"] == "yes"


def test_options_lists_the_methods(app):
    app.get("/")(lambda: "x")
    app.post("/")(lambda: "x")
    answer = Client(app).options("/")
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("method", ["POST", "DELETE", "TRACE", "INVENTED"])
def test_another_method_is_405_with_those_that_are_allowed(app, method):
    app.get("/<int:n>")(lambda n: "x")
    answer = Client(app).open("/1", method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_head_without_get_is_405(app):
    app.post("/")(lambda: "x")
    answer = Client(app).head("/")
    assert (answer.status_code, answer.data) == (405, b"")
    assert answer.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "GET POST", ""])
def test_a_method_that_no_route_can_have_is_an_error_at_start(method):
    app = App()
    app.route("/", [method])(lambda: "x")
    with pytest.raises(ConfigError, match="is no method for a route"):
        app.check()


@pytest.mark.parametrize("path", ["/nowhere", "/1/2", "//", "/x//y", "/C/1"])
def test_an_unknown_path_is_404(app, path):
    app.get("/c/<int:n>")(lambda n: "x")
    assert raw(app, path)[0] == 404


# Paths


@pytest.mark.parametrize(
    ("pattern", "asked", "found"),
    [
        ("/a", "/a/", "/a"),
        ("/b/", "/b", "/b/"),
        ("/c/<int:n>", "/c/1/", "/c/1"),
        ("/d/<int:n>/", "/d/1", "/d/1/"),
        ("/e/<n>/", "/e/a b%25é", "/e/a%20b%25%C3%A9/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_other_form_of_a_trailing_slash_is_redirected_with_method_and_query(
    app, pattern, asked, found, method
):
    app.route(pattern, ["GET", "POST"])(lambda **values: "x")
    answer = Client(app).open(asked, method=method, query_string="q=1&q=%C3%A9")
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"{found}?q=1&q=%C3%A9"


def test_a_redirect_stays_below_the_mount_point(app):
    app.get("/a")(lambda: "x")
    status, headers, _ = raw(app, "/a/", SCRIPT_NAME="/caf\xc3\xa9")
    assert (status, headers["Location"]) == (308, "/caf%C3%A9/a")


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example", "//evil.example/a/", "///a/"]
)
def test_a_redirect_never_leads_to_another_host(app, path):
    app.get("/<path:p>")(lambda p: "x")
    app.get("/<a>/<b>/", name="two")(lambda a, b: "x")
    status, headers, _ = raw(app, path)
    assert status == 404
    assert "Location" not in headers


def test_a_backslash_in_a_redirect_is_quoted(app):
    app.get("/<p>")(lambda p: "x")
    assert raw(app, "/\\evil.example/")[1]["Location"] == "/%5Cevil.example"


@pytest.mark.parametrize("path", ["/\xff", "/c/\xc3\x28", "/\xed\xa0\x80", "/\xc0\xaf"])
def test_a_path_that_is_not_utf8_is_400(app, path):
    app.get("/<path:p>")(lambda p: "x")
    assert raw(app, path)[0] == 400


def test_a_path_in_utf8_is_decoded_once(app):
    app.get("/größe/<p>")(lambda p: p)
    status, _, body = raw(app, "/größe/日 %41".encode().decode("latin-1"))
    assert (status, body.decode()) == (200, "日 %41")


@pytest.mark.parametrize("path", ["/a\0", "/\0", "/a/\0/b"])
def test_nul_in_a_path_is_400(app, path):
    app.get("/<path:p>")(lambda p: "x")
    assert raw(app, path)[0] == 400


@pytest.mark.parametrize(
    "path", ["/../etc", "/a/..", "/a/./b", "/.", "/é/..".encode().decode("latin-1")]
)
def test_dot_segments_are_400(app, path):
    app.get("/<path:p>")(lambda p: "x")
    assert raw(app, path)[0] == 400


@pytest.mark.parametrize("path", ["/.well-known/x", "/..a", "/a.", "/...", "/a/.b"])
def test_dots_in_names_are_no_dot_segments(app, path):
    app.get("/<path:p>")(lambda p: p)
    assert raw(app, path)[2].decode() == path[1:]


@pytest.mark.parametrize("path", ["", "*"])
def test_a_path_without_a_slash_does_not_fail(app, path):
    app.get("/")(lambda: "home")
    assert raw(app, path, "OPTIONS")[0] == (204 if path == "" else 404)


@pytest.mark.parametrize(
    "text", ["x", "-1", "+1", "1.0", "１", "٣", "1_0", str(2**63), "9" * 400, "1%0A"]
)
def test_an_integer_in_a_path_is_of_ascii_digits_and_of_64_bits(app, text):
    app.get("/<int:n>")(lambda n: str(n))
    assert Client(app).get(f"/{text}").status_code == 404


def test_values_in_a_path_are_parsed_for_the_handler(app):
    app.get("/<int:i>/<float:f>/<uuid:u>/<s>/<path:p>")(
        lambda i, f, u, s, p: [type(v).__name__ for v in (i, f, u, s, p)]
    )
    path = "/007/1.5/2f1e1c5e-7d3c-4b6e-9f65-0123456789ab/x/y/z"
    assert Client(app).get(path).json == ["int", "float", "UUID", "str", "str"]


def test_a_converter_that_refuses_a_value_is_404(app):
    def even(text: str) -> int:
        if int(text) % 2:
            raise ValueError("odd")
        return int(text)

    app.converters["even"] = Converter("[0-9]{1,9}", even)
    app.get("/<even:n>")(lambda n: str(n))
    app.converters["long"] = Converter("[0-9]+", int)
    app.get("/long/<long:n>")(lambda n: str(n))
    client = Client(app)
    assert client.get("/4").text == "4"
    assert client.get("/5").status_code == 404
    assert client.get("/long/" + "9" * 40).text == "9" * 40
    assert client.get("/long/" + "9" * 5000).status_code == 404, "Python's int takes 4300 digits"


# Results


@dataclass
class Point:
    x: int
    y: int = 2


class Pair(msgspec.Struct):
    a: int
    b: str = "é"


class Text(str):
    pass


HTML, DATA, BYTES = "text/html; charset=utf-8", "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("result", "kind", "body"),
    [
        ("é", HTML, "é".encode()),
        (Text("x"), HTML, b"x"),
        (Markup("<b>"), HTML, b"<b>"),
        (b"\xff", BYTES, b"\xff"),
        ({"a": [1, None, True]}, DATA, b'{"a":[1,null,true]}'),
        (["é"], DATA, '["é"]'.encode()),
        (Point(1), DATA, b'{"x":1,"y":2}'),
        ([Point(1, 3)], DATA, b'[{"x":1,"y":3}]'),
        (Pair(1), DATA, '{"a":1,"b":"é"}'.encode()),
        (Response("x", mimetype="text/plain"), "text/plain; charset=utf-8", b"x"),
    ],
)
def test_a_result_becomes_a_body_of_its_kind(app, result, kind, body):
    app.get("/")(lambda: result)
    answer = Client(app).get("/")
    assert (answer.status_code, answer.content_type, answer.data) == (200, kind, body)
    assert answer.headers["Content-Length"] == str(len(body))


def test_none_is_204_without_a_body(app):
    app.get("/")(lambda: None)
    answer = Client(app).get("/")
    assert (answer.status_code, answer.data) == (204, b"")
    assert not {"Content-Type", "Content-Length"} & set(answer.headers.keys())


def test_a_generator_streams_text_and_bytes(app):
    app.get("/")(lambda: (chunk for chunk in ["é", b"\xff"]))
    answer = Client(app).get("/")
    assert (answer.data, answer.content_type) == ("é".encode() + b"\xff", HTML)
    assert "Content-Length" not in answer.headers


def test_an_empty_generator_is_an_empty_page(app):
    app.get("/")(lambda: iter(()))
    assert (Client(app).get("/").status_code, Client(app).get("/").data) == (200, b"")


@pytest.mark.parametrize(
    ("result", "status", "own"),
    [
        (("x", 201), 201, None),
        (("x", {"X-Own": "a"}), 200, "a"),
        (("x", [("X-Own", "a")]), 200, "a"),
        (("x", 404, {"X-Own": "a"}), 404, "a"),
        (("x", 299), 299, None),
        ((Response("x", 202), {"X-Own": "a"}), 202, "a"),
    ],
)
def test_a_tuple_adds_status_and_headers(app, result, status, own):
    app.get("/")(lambda: result)
    answer = Client(app).get("/")
    assert (answer.status_code, answer.text, answer.headers.get("X-Own")) == (status, "x", own)


def test_a_tuple_may_replace_a_header_and_repeat_cookies(app):
    headers = [("content-type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    app.get("/")(lambda: ("x", headers))
    answer = Client(app).get("/")
    assert answer.headers.getlist("Content-Type") == ["text/plain"]
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("result", [("x", 204), (None, 304), ({"a": 1}, 304), (iter("ab"), 204)])
def test_a_status_without_a_body_has_none(app, result):
    app.get("/")(lambda: result)
    status, headers, body = raw(app, "/")
    assert (status, body) == (result[1], b"")
    assert "Content-Length" not in headers


@pytest.mark.parametrize("result", [("x",), ("x", 200, {}, 1), (), object(), 5, {1, 2}, ({3}, 200)])
def test_other_results_are_a_clean_500(app, result, caplog):
    app.get("/")(lambda: result)
    assert Client(app).get("/").status_code == 500
    assert "TypeError" in caplog.text or "ValueError" in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "a\r\nSet-Cookie: b=1"),
        ("X-A", "a\nb"),
        ("X-A\r\nX-B", "a"),
        ("X-A", "日"),
        ("X", "\0"),
    ],
)
def test_a_header_with_a_line_break_is_refused(app, header):
    app.get("/")(lambda: ("x", [header]))
    status, headers, _ = raw(app, "/")
    assert status == 500
    assert not {"Set-Cookie", "X-A", "X-B", "X"} & set(headers)


def test_the_headers_of_a_response_win_over_the_defaults(app):
    app.get("/")(lambda: Response("x", headers={"x-frame-options": "SAMEORIGIN", "X-Own": "a"}))
    answer = Client(app).get("/")
    assert answer.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Own"] == "a"


@pytest.mark.parametrize("gateway", ["wsgi", "asgi"])
def test_an_open_file_is_sent_in_large_pieces_and_closed(app, tmp_path, gateway):
    (tmp_path / "big").write_bytes(b"\n" * 150_000)
    opened = []

    @app.get("/")
    def send():
        opened.append((tmp_path / "big").open("rb"))
        return opened[-1], {"Content-Type": "image/png"}

    @app.get("/response")
    def respond():
        return Response(send()[0])

    assert len(list(client(app, gateway=gateway).get("/response").iter_encoded())) <= 4
    assert opened.pop().closed
    answer = client(app, gateway=gateway).get("/", buffered=False)
    pieces = [piece for piece in answer.iter_encoded() if piece]
    answer.close()
    assert (b"".join(pieces), len(pieces)) == (b"\n" * 150_000, 3)
    assert opened[0].closed
    client(app, gateway=gateway).head("/")
    assert opened[1].closed
    app.stop()


def test_a_streaming_response_is_closed(app):
    told: list[str] = []
    response = Response(iter([b"a", b"b"]))
    response.call_on_close(lambda: told.append("closed"))
    app.get("/")(lambda: response)
    assert raw(app, "/")[2] == b"ab"
    assert told == ["closed"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/text", "GET", 200),
        ("/data", "GET", 200),
        ("/none", "GET", 204),
        ("/stream", "GET", 200),
        ("/response", "GET", 200),
        ("/text", "HEAD", 200),
        ("/text", "OPTIONS", 204),
        ("/text", "POST", 405),
        ("/nowhere", "GET", 404),
        ("/fails", "GET", 500),
        ("/own", "GET", 418),
        ("/text/", "GET", 308),
        ("/a/../b", "GET", 400),
    ],
)
def test_every_answer_has_the_security_headers(app, path, method, status):
    app.get("/text")(lambda: "x")
    app.get("/data")(dict)
    app.get("/none")(lambda: None)
    app.get("/stream")(lambda: iter("x"))
    app.get("/response")(lambda: Response("x"))
    app.get("/fails")(lambda: 1 / 0)
    app.get("/own")(lambda: abort(418))
    app.error(418)(lambda: "tea")
    found, headers, _ = raw(app, path, method)
    assert found == status
    assert {name: headers.get(name) for name in SECURE} == SECURE


# Errors


def test_an_error_is_a_page_for_people(app):
    answer = Client(app).get("/<b>")
    assert (answer.status_code, answer.content_type) == (404, HTML)
    assert "<h1>404 Not Found</h1>" in answer.text


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_an_error_is_problem_json_where_that_is_accepted(app, accept):
    answer = Client(app).get("/nowhere", headers={"Accept": accept})
    assert answer.content_type == "application/problem+json"
    assert json.loads(answer.data) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address.",
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/json;q=0.5", HTML),
        ("application/json,text/html;q=0.5", "application/problem+json"),
        ("*/*", HTML),
        ("image/png", HTML),
        ("nonsense;;q=x", HTML),
    ],
)
def test_an_error_is_of_the_kind_that_is_preferred(app, accept, kind):
    assert Client(app).get("/nowhere", headers={"Accept": accept}).content_type == kind


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain, */*; q=0.01", "text/html,*/*;q=0.5"])
@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"formats": {"use": ["json"]}}, "application/problem+json"),
        ({"formats": {"use": ["json"]}, "templating": {"use": "jinja2"}}, HTML),
        ({"formats": {"use": ["json", "html"]}, "templating": {"use": "jinja2"}}, HTML),
    ],
)
def test_without_pages_an_error_is_problem_json_for_everybody(accept, config, kind, tmp_path):
    if "templating" in config:
        config["templating"]["jinja2"] = {"folder": str(tmp_path)}
    answer = Client(App(config)).get("/nowhere", headers={"Accept": accept})
    assert answer.content_type == kind


def test_a_description_is_shown_escaped(app):
    app.get("/")(lambda: abort(400, "<script>"))
    assert "<p>&lt;script&gt;</p>" in Client(app).get("/").text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RecordNotFound("no contact 7"), 404),
        (Conflict("name is taken"), 409),
        (InvalidValue("name is too long"), 422),
    ],
)
def test_errors_of_the_kit_have_their_status_and_message(app, error, status):
    @app.get("/")
    def fail():
        raise error

    answer = Client(app).get("/")
    assert answer.status_code == status
    assert str(error) in answer.text


def test_what_is_away_is_503_with_retry_after(app, caplog):
    @app.get("/")
    def fail():
        raise Unavailable("password hunter2 at db1")

    answer = Client(app).get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text


def test_an_error_page_that_needs_what_is_away_is_503_as_well(app, caplog):
    @app.error(404)
    def lost():
        raise Unavailable("password hunter2 at db1")

    answer = Client(app).get("/nowhere")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/json"])
def test_data_of_an_error_handler_goes_out_whatever_is_accepted(accept):
    app = App({"formats": {"use": ["json"], "suffix": True}})
    app.error(Exception)(lambda error, status: {"errors": status})
    app.get("/")(dict)
    for path in "/nowhere", "/nowhere.json":
        answer = Client(app).get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.json) == (404, {"errors": 404})


def test_an_error_handler_that_returns_nothing_hides_no_error(app, caplog):
    app.error(Exception)(lambda error: None)
    app.get("/")(lambda: 1 / 0)
    answer = Client(app).get("/")
    assert (answer.status_code, answer.text, answer.headers["Content-Length"]) == (500, "", "0")


def test_an_error_handler_may_end_with_a_response(app):
    app.error(404)(lambda: abort(Response("own", 410)))
    answer = Client(app).get("/nowhere")
    assert (answer.status_code, answer.text) == (410, "own")


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"headers": [("Retry-After", 5)], "status": 429}, 429),
        ({"status": 204}, 500),
        ({"status": "404"}, 500),
        ({"headers": "nonsense"}, 500),
        ({"status": 410, "headers": [("Content-Type", "x/y")]}, 410),
    ],
)
def test_an_error_whose_members_are_wrong_is_still_a_page(app, caplog, members, status):
    error = type("OddError", (KitError,), members)

    @app.get("/")
    def fail():
        raise error

    answer = Client(app).get("/")
    assert (answer.status_code, answer.content_type) == (status, HTML)


@pytest.mark.parametrize("status", [204, 304])
def test_an_open_file_is_not_sent_with_a_status_that_has_no_body(app, tmp_path, status):
    (tmp_path / "file").write_text("text")
    files = []

    @app.get("/")
    def send():
        files.append((tmp_path / "file").open("rb"))
        return Response(files[-1], status)

    answer = Client(app).get("/")
    assert (answer.status_code, answer.data, files[0].closed) == (status, b"", True)


def test_an_open_file_is_no_page_unless_that_is_said(app, tmp_path):
    (tmp_path / "file").write_text("<script>")
    app.get("/")(lambda: (tmp_path / "file").open("rb"))
    answer = Client(app).get("/")
    assert (answer.text, answer.content_type) == ("<script>", "application/octet-stream")
    answer.close()


def test_a_header_that_is_given_twice_goes_out_twice(app):
    links = [("Link", "</a>"), ("Link", "</b>"), ("X-Frame-Options", "SAMEORIGIN")]
    app.get("/")(lambda: ("x", links))
    app.get("/type")(lambda: ("x", [("Content-Type", "a/b"), ("Content-Type", "c/d")]))
    headers = Client(app).get("/").headers
    assert headers.getlist("Link") == ["</a>", "</b>"]
    assert headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert Client(app).get("/type").headers.getlist("Content-Type") == ["c/d"]


def test_a_response_takes_no_data():
    with pytest.raises(TypeError, match="return data itself"):
        Response({"a": 1})


def test_a_page_for_a_status_may_answer_programs_too(app):
    app.error(404, always=True)(lambda: "lost")
    app.error(405)(lambda: "wrong")
    app.get("/")(lambda: "x")
    accept = {"Accept": "application/json"}
    assert Client(app).get("/nowhere", headers=accept).text == "lost"
    assert Client(app).post("/", headers=accept).content_type == "application/problem+json"


@pytest.mark.parametrize("own", [False, True])
def test_an_error_of_ones_own_has_a_status_and_headers(app, own):
    class GoneError(KitError):
        status = 410
        headers = (("X-Since", "Monday"),)

    @app.get("/")
    def fail():
        raise GoneError("It is gone.")

    if own:
        app.error(410)(lambda: "gone")
    answer = Client(app).get("/")
    assert (answer.status_code, answer.headers["X-Since"]) == (410, "Monday")
    assert ("gone" if own else "It is gone.") in answer.text


def test_an_error_with_a_header_that_cannot_be_sent_is_500(app, caplog):
    class GoneError(KitError):
        status = 410
        headers = (("X-Since", "Monday\r\nSet-Cookie: a=b"),)

    @app.get("/")
    def fail():
        raise GoneError("It is gone.")

    answer = Client(app).get("/")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (500, False)
    assert "holds a line break" in caplog.text


def fails_in_handler(app: App) -> None:
    app.get("/")(lambda: {}["hunter2"])


def fails_in_provider(app: App) -> None:
    app.provider(provider(name="bad")(lambda: {}["hunter2"]))
    app.get("/")(lambda bad: "x")


def fails_in_template(app: App) -> None:
    @app.get("/")
    def show():
        raise TemplateError("no hunter2", "x.html", 3) from KeyError("hunter2")


def fails_in_result(app: App) -> None:
    app.get("/")(lambda: {"hunter2": object()})


def fails_in_error_page(app: App) -> None:
    app.get("/")(lambda: abort(418))
    app.error(ImATeapot)(lambda error: {}["hunter2"])


def fails_in_provider_of_error_page(app: App) -> None:
    app.get("/")(lambda: {}["first"])
    app.provider(provider(name="bad")(lambda: {}["hunter2"]))
    app.error(500)(lambda bad: "x")


def fails_in_stream(app: App) -> None:
    app.get("/")(lambda: ({}["hunter2"] for _ in "x"))


@pytest.mark.parametrize(
    "fails",
    [
        fails_in_handler,
        fails_in_provider,
        fails_in_template,
        fails_in_result,
        fails_in_error_page,
        fails_in_provider_of_error_page,
        fails_in_stream,
    ],
)
@pytest.mark.parametrize("accept", ["text/html,*/*", "application/json"])
def test_every_failure_is_one_clean_500_whose_request_id_is_in_the_log(app, fails, accept, caplog):
    fails(app)
    answer = Client(app).get("/", headers={"Accept": accept})
    request_id = answer.headers["X-Request-Id"]
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert request_id in answer.text
    records = [record for record in caplog.records if request_id in record.getMessage()]
    assert records
    assert any(record.exc_info for record in records)
    assert "Traceback" in caplog.text


def test_a_failing_path_cannot_forge_a_line_of_the_log(app, caplog):
    app.get("/<p>")(lambda p: 1 / 0)
    raw(app, "/x\n2026 root logged in")
    assert "\n2026 root" not in caplog.records[0].getMessage()


def test_a_404_is_not_logged_as_an_error(app, caplog):
    Client(app).get("/nowhere")
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_an_own_page_for_a_status_is_for_browsers(app):
    app.error(404)(lambda: "own page")
    client = Client(app)
    assert client.get("/x").text == "own page"
    answer = client.get("/x", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_an_own_page_for_a_status_keeps_status_and_headers(app):
    app.get("/")(lambda: "x")
    app.error(405)(lambda error: f"own {error.code}")
    answer = Client(app).post("/")
    assert (answer.status_code, answer.text) == (405, "own 405")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_an_own_page_for_a_class_answers_for_its_subclasses(app):
    app.get("/")(lambda: {}["x"])
    app.error(LookupError)(lambda error: (f"own {type(error).__name__}", 404))
    answer = Client(app).get("/")
    assert (answer.status_code, answer.text) == (404, "own KeyError")


def test_the_nearest_class_wins_over_others_and_over_the_status(app):
    app.get("/")(lambda: {}["x"])
    app.error(500)(lambda: "status")
    app.error(Exception)(lambda: "Exception")
    app.error(LookupError)(lambda: "LookupError")
    assert Client(app).get("/").text == "LookupError"


def test_an_own_page_may_name_providers(app):
    app.provider(provider(name="site")(lambda: "Shop"))
    app.error(404)(lambda error, status, site, request: f"{site} {status} {request.path}")
    assert Client(app).get("/x").text == "Shop 404 /x"


@pytest.mark.parametrize("kind", [HTTPException, Exception, 308])
def test_an_own_page_does_not_stand_in_the_way_of_redirects(app, kind):
    app.get("/a")(lambda: "x")
    app.get("/b")(lambda: abort(redirect("/c")))
    app.error(kind)(lambda: "own")
    assert Client(app).get("/a/").headers["Location"] == "/a"
    assert Client(app).get("/b").headers["Location"] == "/c"


def test_debug_raises_unexpected_errors_again():
    app = App({"app": {"debug": True}})
    app.get("/")(lambda: {}["x"])
    client = Client(app)
    with pytest.raises(KeyError):
        client.get("/")
    assert client.get("/nowhere").status_code == 404


# What a request may bring


@pytest.fixture
def echo(app):
    """A client of an application that reads bodies."""
    small = App(
        {
            "routing": {"use": app.stack.fillings["routing"].component.name},
            "limits": {"body": 1000, "field": 100, "fields": 5, "query": 5},
        }
    )
    small.post("/form")(lambda request: request.form.to_dict(flat=False))
    small.post("/json", name="json")(lambda request: [request.json])
    small.post("/get_json", name="get_json")(lambda request: [request.get_json()])
    small.post("/body", name="body")(lambda request: request.body)
    small.post("/data", name="data")(lambda request: request.get_data())
    small.get("/args", name="args")(lambda request: request.args.to_dict(flat=False))
    return Client(small)


FORM = "application/x-www-form-urlencoded"


def test_a_form_is_read_in_order_and_decoded(echo):
    answer = echo.post("/form", data="b=%C3%A9+x&a=1&a=%2B&c", content_type=FORM)
    assert answer.json == {"b": ["é x"], "a": ["1", "+"], "c": [""]}


@pytest.fixture
def upload():
    """A client of an application that reads forms with files, within the default limits."""
    app = App()
    app.post("/form")(lambda request: request.form.to_dict(flat=False))
    app.post("/files")(lambda request: {n: f.read().decode() for n, f in request.files.items()})
    return Client(app)


def test_a_multipart_form_is_read(upload):
    data = {"a": "é", "f": (BytesIO(b"text"), "f.txt")}
    assert upload.post("/form", data=data).json == {"a": ["é"]}
    data = {"a": "é", "f": (BytesIO(b"text"), "f.txt")}
    assert upload.post("/files", data=data).json == {"f": "text"}


@pytest.mark.parametrize(
    ("fields", "length", "status"),
    [(1000, 1, 200), (1001, 1, 413), (1, 500_000, 200), (1, 500_001, 413)],
)
def test_a_multipart_form_is_limited(upload, fields, length, status):
    part = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    body = f"{part}{'x' * length}\r\n" * fields + "--x--\r\n"
    answer = upload.post("/form", data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == status


def test_a_multipart_form_in_chunks_is_limited(upload):
    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
    body += b"x" * 2_500_000 + b"\r\n--x--\r\n"
    answer = upload.post(
        "/form",
        data=body,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert answer.status_code == 413


def test_a_body_may_be_read_in_several_ways():
    app = App()
    app.post("/")(
        lambda request: [request.json, request.get_json(), request.get_data(as_text=True)]
    )
    app.post("/2")(lambda request: [request.get_data(as_text=True), request.json])
    client = Client(app)
    assert client.post("/", json=1).json == [1, 1, "1"]
    assert client.post("/2", json=1).json == ["1", 1]


@pytest.mark.parametrize("path", ["/form", "/json", "/get_json", "/body", "/data"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_413(echo, path, chunked):
    kind = FORM if path == "/form" else "application/json"
    data = b"a=" + b"&" * 999 if path == "/form" else b" " * 1001
    extra = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""} if chunked else {}
    answer = echo.post(path, data=data, content_type=kind, environ_overrides=extra)
    assert answer.status_code == 413


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_limit_is_read(echo, chunked):
    extra = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""} if chunked else {}
    answer = echo.post("/body", data=b"x" * 1000, environ_overrides=extra)
    assert (answer.status_code, len(answer.data)) == (200, 1000)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ("&".join("a=1" for _ in range(5)), 200),
        ("&".join("a=1" for _ in range(6)), 413),
        ("a=" + "x" * 90, 200),
        ("a=" + "x" * 101, 413),
        ("a=%FF", 400),
        (b"a=\xff", 400),
    ],
)
def test_the_fields_of_a_form_are_limited(echo, data, status):
    assert echo.post("/form", data=data, content_type=FORM).status_code == status


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\ntrunca",
            "multipart/form-data; boundary=x",
        ),
        (b"--x\r\nContent-Disp", "multipart/form-data; boundary=x"),
        (b"a=1", "multipart/form-data"),
        (b"nothing of the kind", "multipart/form-data; boundary=x"),
    ],
)
def test_a_malformed_multipart_form_is_400(upload, data, kind):
    assert upload.post("/form", data=data, content_type=kind).status_code == 400


@pytest.mark.parametrize("path", ["/form", "/json", "/get_json", "/body", "/data"])
def test_a_body_that_breaks_off_is_400(echo, path):
    kind = FORM if path == "/form" else "application/json"
    answer = echo.post(
        path, data=b"{}", content_type=kind, environ_overrides={"CONTENT_LENGTH": "9"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nope",
        b"NaN",
        b'{"a": Infinity}',
        b"[1,]",
        b'"\xff"',
        b"1 2",
        b"[" * 900,
        b"'a'",
    ],
)
@pytest.mark.parametrize("path", ["/json", "/get_json"])
def test_bad_json_is_400(echo, path, data):
    assert echo.post(path, data=data, content_type="application/json").status_code == 400


@pytest.mark.parametrize("path", ["/json", "/get_json"])
def test_deep_json_is_400(path):
    app = App()
    app.post("/json")(lambda request: str(type(request.json)))
    app.post("/get_json", name="b")(lambda request: str(type(request.get_json())))
    for data in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000):
        answer = Client(app).post(path, data=data, content_type="application/json")
        assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/json", "/get_json"])
def test_json_under_another_type_is_415(echo, path):
    assert echo.post(path, data=b"{}", content_type="text/plain").status_code == 415


def test_json_is_decoded(echo):
    answer = echo.post("/json", data='{"é": [1.5, null]}'.encode(), content_type="application/json")
    assert answer.json == [{"é": [1.5, None]}]


def test_the_pairs_of_a_query_are_limited(echo):
    assert echo.get("/args?a=1&a=2&b=3").json == {"a": ["1", "2"], "b": ["3"]}
    assert echo.get("/args?" + "&".join(["a=1"] * 6)).status_code == 413


def test_a_request_is_the_class_of_the_kit(app):
    app.get("/")(lambda request: str(type(request) is Request))
    assert Client(app).get("/").text == "True"


# Redirects


@pytest.mark.parametrize(
    "location",
    [
        *("//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "evil"),
        *("javascript:alert(1)", "/a\r\nSet-Cookie: a=1", "/a\nb", "/a\tb", "/\t/evil", " /a", ""),
        *("/a\\b", "///evil.example", "/\0"),
    ],
)
def test_a_redirect_to_anywhere_but_a_local_path_is_refused(location):
    with pytest.raises(ValueError, match="no safe location"):
        redirect(location)


@pytest.mark.parametrize("location", ["javascript:alert(1)", "ftp://x", "//x", "https://x\r\ny"])
def test_an_external_redirect_is_to_http_only(location):
    with pytest.raises(ValueError, match="no safe location"):
        redirect(location, external=True)


def test_a_redirect_is_followed_with_get_unless_told_otherwise():
    assert (redirect("/a?b=1").status_code, redirect("/a").headers["Location"]) == (303, "/a")
    assert redirect("/a", 307).status_code == 307
    assert redirect("https://x.example/", external=True).headers["Location"] == "https://x.example/"


def test_a_redirect_to_unicode_is_sent_quoted(app):
    app.get("/")(lambda: redirect("/größe?q=日"))
    status, headers, _ = raw(app, "/")
    assert (status, headers["Location"]) == (303, "/gr%C3%B6%C3%9Fe?q=%E6%97%A5")


# Names and URLs


def test_url_for_builds_paths_and_adds_a_query(app):
    app.get("/c/<int:id>", name="contact")(lambda **values: "x")
    app.start()
    assert app.url_for("contact", id=7) == "/c/7"
    assert app.url_for("contact", id=7, q="a b", t=[1, 2]) == "/c/7?q=a+b&t=1&t=2"


def test_url_for_chooses_the_pattern_that_the_values_fill(app):
    @app.get("/c")
    @app.get("/c/<int:page>")
    def contacts(page=1):
        return app.url_for("contacts", page=page + 1)

    assert Client(app).get("/c").text == "/c/2"
    assert app.url_for("contacts") == "/c"


def test_url_for_says_what_is_wrong(app):
    app.get("/c/<int:id>", name="contact")(lambda **values: "x")
    app.start()
    with pytest.raises(
        LookupError, match=r"no route is named 'contcat'\. Did you mean 'contact'\?"
    ):
        app.url_for("contcat")
    with pytest.raises(LookupError, match="the URL of 'contact' needs a value for 'id'"):
        app.url_for("contact")
    with pytest.raises(ValueError, match="does not fit"):
        app.url_for("contact", id="x")


def test_groups_of_routes_have_prefix_and_name(app):
    inner = Routes(prefix="/inner", name="inner")
    inner.get("/x/<int:n>")(show_number)
    outer = Routes(prefix="/outer", name="outer")
    outer.include(inner)
    app.include(outer)
    assert Client(app).get("/outer/inner/x/5").text == "5"
    assert app.url_for("outer.inner.show_number", n=5) == "/outer/inner/x/5"


def show_number(n):
    return str(n)


def start_problems(app: App) -> list[str]:
    with pytest.raises(ConfigError) as error:
        app.check()
    return [str(problem) for problem in error.value.problems]


def test_a_route_that_is_declared_twice_shows_both_places(app):
    app.get("/c/<int:a>")(first := lambda a: "x")
    app.get("/c/<int:a>")(second := lambda a: "y")
    one, two = (f"{__file__}:{f.__code__.co_firstlineno}" for f in (first, second))
    assert start_problems(app) == [
        f"{two}: GET /c/<int:a> is declared here and in {one}.\n    Take one of them out."
    ]


def test_one_pattern_with_other_names_shows_both_places(app):
    app.get("/c/<int:a>")(first := lambda a: "x")
    app.post("/c/<int:b>")(second := lambda b: "y")
    one, two = (f"{__file__}:{f.__code__.co_firstlineno}" for f in (first, second))
    assert start_problems(app) == [
        f"{two}: '/c/<int:b>' is '/c/<int:a>' ({one}) with other names.\n"
        "    Use the same names in both."
    ]


def test_two_handlers_of_one_name_are_shown_with_both_places(app):
    def handlers() -> list[object]:
        made = []
        for answer in ("x", "y"):

            def show(answer=answer):
                return answer

            made.append(show)
        return made

    first, second = handlers()
    app.get("/a")(first)
    app.get("/b")(second)
    place = f"{__file__}:{first.__code__.co_firstlineno}"
    assert start_problems(app) == [
        f"{place}: a route is named 'show', and so is another one ({place}).\n"
        '    Give one of them a name of its own: name="...".'
    ]


def test_handlers_without_a_name_do_not_stand_in_each_others_way(app):
    app.get("/a")(lambda: "a")
    app.get("/b")(lambda: "b")
    assert Client(app).get("/b").text == "b"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("c", "a pattern starts with one '/'"),
        ("//c", "a pattern starts with one '/'"),
        ("/a//b", "empty and dot segments never match a path"),
        ("/a/../b", "empty and dot segments never match a path"),
        ("/<a><b>", "two parameters need something between them"),
        ("/<a>/<a>", "two parameters have the same name"),
        ("/<itn:a>", "no converter 'itn'. Did you mean 'int'?"),
        ("/<int:>", "'' is no name for a parameter: write for example <int:id>"),
        ("/<a b>", "'a b' is no name for a parameter: write for example <int:id>"),
        ("/<a", "'<' and '>' must enclose a parameter such as <int:id>"),
        ("/a>", "'<' and '>' must enclose a parameter such as <int:id>"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_an_error_at_start(app, pattern, why):
    app.get(pattern)(handler := lambda **values: "x")
    [problem] = start_problems(app)
    place = f"{__file__}:{handler.__code__.co_firstlineno}"
    assert problem.startswith(f"{place}: the URL pattern {pattern!r} cannot be used: {why}")


def test_a_native_pattern_that_the_router_refuses_is_an_error_at_start():
    app = App({"routing": {"use": "ffroute"}})
    app.get(Native("/x/{y}"))(lambda y: "x")
    assert (
        "the router refuses the URL pattern '/x/{y}': ffroute has no patterns of its own"
        in (start_problems(app)[0])
    )


def test_a_native_pattern_is_handed_through_to_the_handler():
    app = App({"routing": {"use": "werkzeug"}})
    app.get(Native("/x/<any(a,b):letter>"), name="letter")(lambda letter, request: letter)
    client = Client(app)
    assert client.get("/x/a").text == "a"
    assert client.get("/x/c").status_code == 404
    assert app.url_for("letter", letter="b") == "/x/b"


@pytest.mark.parametrize("regex", ["(a)", "a*", "[", "(?i)a"])
def test_a_converter_whose_expression_cannot_be_used_is_refused(regex):
    with pytest.raises(ValueError, match=r"\w"):
        Converter(regex)


@pytest.mark.parametrize("status", [99, 1000, -1, 0, "200"])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(TypeError, match="is no status"):
        answered(("x", status))


def test_a_missing_field_of_a_form_is_named():
    app = App()

    @app.post("/")
    def index(request):
        return request.form["name"]

    shown = Client(app).post("/", data={})
    assert shown.status_code == 400
    assert "The request lacks the field &#x27;name&#x27;." in shown.text


@pytest.mark.parametrize("length", ["abc", "-1", "+3", "4_0", "0x27"])
def test_a_content_length_that_is_no_number_is_400(length):
    app = App()

    @app.post("/")
    def index(request):
        return dict(request.form)

    environ = EnvironBuilder(method="POST", data={"a": "1"}).get_environ()
    _, status, _ = run_wsgi_app(app, {**environ, "CONTENT_LENGTH": length})
    assert status == "400 Bad Request"


def test_a_coroutine_function_is_awaited():
    app = App()

    @app.get("/")
    async def index():
        await asyncio.sleep(0)
        return "later"

    assert Client(app).get("/").text == "later"


def test_decorators_without_their_arguments_are_refused():
    app = App()
    with pytest.raises(TypeError, match="a route needs its pattern"):
        app.get(lambda: "")
    with pytest.raises(TypeError, match="takes statuses"):
        app.error("404")
    with pytest.raises(TypeError, match="not nothing"):
        app.error()


def test_a_provider_of_the_application_may_have_any_scope_and_name():
    app = App()
    app.provider(scope="app", name="motto")(lambda: "onwards")
    app.get("/", name="index")(lambda motto: motto)
    assert Client(app).get("/").text == "onwards"
    assert app.provided("motto") == "onwards"


def test_a_control_character_in_the_query_of_a_redirect_is_quoted():
    app = App()
    app.get("/a/", name="a")(lambda: "")
    environ = EnvironBuilder(path="/a").get_environ()
    _, status, headers = run_wsgi_app(app, {**environ, "QUERY_STRING": "x=\x01\n%20&y"})
    assert (status[:3], headers["Location"]) == ("308", "/a/?x=%01%0A%20&y")


def test_a_stream_of_numbers_is_refused():
    app = App()
    app.get("/", name="index")(lambda: iter([5]))
    assert Client(app).get("/").status_code == 500


def test_the_limits_of_forms_hold_however_the_type_is_written():
    app = App({"limits": {"fields": 2}})
    app.post("/", name="index")(lambda request: dict(request.form))
    kind = " APPLICATION/x-www-form-urlencoded ; charset=utf-8"
    assert Client(app).post("/", data="a=1&b=2&c=3", content_type=kind).status_code == 413


@pytest.mark.parametrize("name", ["a b", "a:b", "", "é", "a\n"])
def test_the_name_of_a_header_is_a_token(name):
    with pytest.raises(ValueError, match="is no name for a header"):
        answered(("x", {name: "y"}))
