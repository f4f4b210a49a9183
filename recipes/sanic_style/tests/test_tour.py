"""What the tour promises, but for streams and web sockets."""

from __future__ import annotations

import base64
import json
from urllib.parse import unquote

import pytest

METHODS = ["get", "post", "put", "patch", "delete"]
TEXT = "text/plain; charset=utf-8"
PAGES = ["/", "/teapot", "/static/robots.txt", "/csv"]
OTHERS = ["/nope", "/teapot/", "/exception", "/secret"]


def allowed(response) -> set[str]:
    return {one.strip() for one in response.headers["Allow"].split(",")}


# Pages and files


def test_the_root_leads_to_the_page(client):
    response = client.get("/")
    assert response.status_code in (301, 302, 303, 307, 308)
    assert response.headers["Location"] == "/index.html"


@pytest.mark.parametrize(
    ("path", "title", "script"),
    [
        ("/index.html", "WebSocket demo", "/static/feed.js"),
        ("/chat.html", "Chat", "/static/chat.js"),
    ],
)
def test_the_pages_have_a_title_and_a_script(client, path, title, script):
    page = client.get(path)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"<title>{title}</title>" in page.text
    assert f'<script src="{script}"' in page.text
    assert "new WebSocket(" in client.get(script).text


def test_the_page_opens_the_socket_feed(client):
    assert '"/feed"' in client.get("/static/feed.js").text


def test_files_of_the_folder_are_served(client):
    response = client.get("/static/robots.txt")
    assert response.text.startswith("User-agent: *")
    again = client.get("/static/robots.txt", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["../kit.toml", "%2e%2e/kit.toml", "..%2fkit.toml", "..%5ckit.toml", "nope.txt", "%00", ""],
)
def test_other_files_are_out_of_reach(client, path):
    assert client.get(f"/static/{path}").status_code in (400, 403, 404)


def test_the_first_post_is_post_5(client):
    assert client.get("/first_post").headers["Location"] == "/posts/5"


@pytest.mark.parametrize("post_id", ["5", "a b", "Zoë", "<b>"])
def test_a_post_says_its_id(client, post_id):
    response = client.get(f"/posts/{post_id}")
    assert (response.text, response.headers["Content-Type"]) == (f"Post - {post_id}", TEXT)


def test_the_teapot_is_a_teapot(client):
    response = client.get("/teapot")
    assert (response.status_code, response.text) == (418, "I'm a teapot")
    assert response.headers["Content-Type"] == TEXT


def test_an_unknown_url_is_404(client):
    assert client.get("/nope").status_code == 404


# Views


@pytest.mark.parametrize("method", METHODS)
def test_a_view_answers_each_method(client, method):
    assert client.open("/simple", method=method.upper()).text == f"I am {method} method"


@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_a_view_may_have_async_methods(client, method):
    assert client.open("/async", method=method.upper()).text == f"I am async {method} method"


@pytest.mark.parametrize(
    ("path", "methods", "has"),
    [
        ("/async", ["PATCH", "DELETE"], {"GET", "POST", "PUT"}),
        ("/sync", ["PUT", "PATCH", "DELETE"], {"GET", "POST"}),
        ("/stream", ["GET", "PUT"], {"POST"}),
        ("/login", ["GET"], {"POST"}),
        ("/teapot", ["POST"], {"GET"}),
    ],
)
def test_a_method_that_an_url_lacks_is_405(client, path, methods, has):
    for method in methods:
        response = client.open(path, method=method)
        assert response.status_code == 405
        assert has <= allowed(response) <= {*has, "HEAD", "OPTIONS"}


def test_a_plain_function_answers_too(client):
    assert client.get("/sync").json == client.post("/sync").json == {"test": True}


@pytest.mark.parametrize("shown", ["a 7", "ü 0", "<b> -12"])
def test_parts_of_the_path_are_typed(client, shown):
    assert client.get(f"/dynamic/{shown.replace(' ', '/')}").text == f"yeehaww {shown}"


@pytest.mark.parametrize("path", ["/dynamic/a/b", "/dynamic/a/1.5", "/dynamic/a/--1", "/dynamic/a"])
def test_what_does_not_fit_its_type_is_404(client, path):
    assert client.get(path).status_code == 404


# Request data


@pytest.mark.parametrize("data", [{"a": [1, None, "ü"]}, [], "text", 1.5])
def test_json_comes_back(client, data):
    assert client.post("/json", json=data).json == {"received": True, "message": data}


def test_json_needs_no_type_to_be_read(client):
    response = client.post("/json", data='{"a": 1}', content_type="text/plain")
    assert response.json["message"] == {"a": 1}


@pytest.mark.parametrize("body", ["", "{", "<a>", b"\xff", "NaN"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_what_is_no_json_is_400(client, body, kind):
    assert client.post("/json", data=body, content_type=kind).status_code == 400


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_comes_back(client, kind):
    sent = {"test": ["ok ü", "again"], "other": ["<&>"]}
    response = client.post("/form", data=sent, content_type=kind)
    assert response.json == {"received": True, "form_data": sent, "test": "ok ü"}


def test_a_form_may_lack_the_field(client):
    response = client.post("/form", data={"other": "x"})
    assert response.json == {"received": True, "form_data": {"other": ["x"]}, "test": None}


@pytest.mark.parametrize("query", ["test1=value1&test2=v%20w&test1=%C3%BC%2Bx+y", "a=%26%3D"])
def test_the_query_is_shown_parsed_and_as_it_was_sent(client, query):
    response = client.get(f"/query_string?{query}", headers={"Host": "example.org:8080"})
    args: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        args.setdefault(name, []).append(unquote(value.replace("+", " ")))
    assert response.json == {
        "parsed": True,
        "args": args,
        "url": f"http://example.org:8080/query_string?{query}",
        "query_string": query,
    }


def test_there_may_be_no_query(client):
    response = client.get("/query_string")
    assert response.json["url"] == "http://localhost/query_string"
    assert (response.json["args"], response.json["query_string"]) == ({}, "")


# Errors, middleware, access


def test_an_exception_is_answered_by_its_handler(client, caplog):
    response = client.get("/exception")
    assert response.status_code == 500
    assert response.json == {"exception": "It's dead jim", "status": 500}


def test_a_middleware_stores_on_the_request(client):
    assert client.get("/key_exist").text == "num exist in request"


@pytest.mark.parametrize("path", PAGES + OTHERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_every_answer_has_the_header_of_the_middleware(client, caplog, path, method):
    response = client.open(path, method=method)
    assert response.headers.getlist("X-Served-By") == ["sanic"]
    if method == "HEAD":
        assert response.data == b""


def test_a_token_opens_the_secret(client):
    token = client.post("/login").text
    header, claims, _ = (part + "=" * (-len(part) % 4) for part in token.split("."))
    assert json.loads(base64.urlsafe_b64decode(header))["alg"] == "HS256"
    assert json.loads(base64.urlsafe_b64decode(claims))["value"] == {"name": "guest"}
    response = client.get("/secret", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.text) == (200, "To go fast, you must be fast.")


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def changed(token: str) -> str:
    header, claims, signature = token.split(".")
    other = base64.urlsafe_b64decode(claims + "==").replace(b"guest", b"admin")
    return f"{header}.{base64.urlsafe_b64encode(other).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        lambda token: "",
        lambda token: "Bearer",
        lambda token: "Bearer x.y.z",
        lambda token: f"Basic {token}",
        lambda token: token,
        lambda token: f"Bearer {unsigned(token)}",
        lambda token: f"Bearer {changed(token)}",
        lambda token: f"Bearer {token[:-4]}",
    ],
)
def test_nothing_else_opens_the_secret(client, make):
    header = make(client.post("/login").text)
    response = client.get("/secret", headers={"Authorization": header} if header else {})
    assert (response.status_code, response.text) == (401, "You are unauthorized.")


# Blueprints


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/my_blueprint/foo", {"msg": "hi from blueprint"}),
        ("/my_blueprint2/foo", {"msg": "hi from blueprint2"}),
        ("/v1/sentient/robot/ultron/name", {"name": "Ultron"}),
        ("/v1/sentient/robot/vision/name", {"name": "vision"}),
        ("/v2/sentient/robot/vision/name", {"name": "new vision"}),
    ],
)
def test_a_blueprint_has_its_prefix_and_version(client, path, data):
    assert client.get(path).json == data


@pytest.mark.parametrize(
    "path", ["/v2/sentient/robot/ultron/name", "/sentient/robot/ultron/name", "/foo"]
)
def test_there_are_no_others(client, path):
    assert client.get(path).status_code == 404


def test_urls_are_built_by_name(app):
    assert app.url_for("post", post_id="a b") == "/posts/a%20b"
    assert app.url_for("tour.vision2.vision2_name") == "/v2/sentient/robot/vision/name"
    assert app.url_for("static", path="robots.txt") == "/static/robots.txt"
