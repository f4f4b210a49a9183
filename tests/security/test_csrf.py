"""What changes something has to come from the site's own pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO

import pytest
from werkzeug.test import Client, TestResponse

from kit import App, Form, Routes
from kit.security.csrf import is_valid, masked

OWN, OTHER = "http://localhost", "https://evil.example"
FORM = "application/x-www-form-urlencoded"


def site(sessions: str = "beaker", **tables: object) -> App:
    """An application that counts what was changed."""
    used = {"sessions": {"use": sessions}} if sessions else {}
    key = {"app": {"secret_key": "0123456789" * 4}}
    app = App({**key, **used, **tables})
    app.changes = []

    def change(environ):
        app.changes.append(environ["REQUEST_METHOD"])
        return "changed"

    app.route("/", ["POST", "PUT", "PATCH", "DELETE"])(change)
    app.post("/hook", csrf=False)(change)
    app.post("/upload")(lambda request: request.files["photo"].filename)
    app.get("/form")(lambda csrf_field: csrf_field)
    app.get("/token")(lambda csrf_token: csrf_token)
    if sessions:

        @app.post("/login")
        def login(session):
            session.rotate()
            session["user"] = "ann"
            return "in"

        @app.get("/who")
        def who(session):
            return session.get("user", "nobody")

    return app


@pytest.fixture(params=["beaker", "itsdangerous"])
def app(request):
    return site(request.param)


class Visitor:
    """A client with a session: its cookies go with every request."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.client = Client(app)
        self.token = self.client.get("/token").text

    def send(self, method: str = "POST", path: str = "/", **request: object) -> TestResponse:
        return self.client.open(path, method=method, **request)

    def is_refused(self, *arguments: str, **request: object) -> bool:
        """Send a request; what the application did says whether it was refused, not the answer."""
        before = len(self.app.changes)
        answer = self.send(*arguments, **request)
        done = len(self.app.changes) - before
        assert (answer.status_code, done) in ((200, 1), (403, 0)), answer.text
        return not done


@pytest.fixture
def visitor(app):
    return Visitor(app)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("found", ["cross-site", "same-site", "Cross-Site"])
def test_a_page_of_another_site_changes_nothing_even_with_the_token(visitor, method, found):
    headers = {"Sec-Fetch-Site": found, "X-CSRF-Token": visitor.token}
    assert visitor.is_refused(method, headers=headers)
    assert visitor.is_refused(method, headers={**headers, "Origin": OTHER})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "",
        "http://localhost.evil.example",
        "https://localhost",
        "http://localhost:81",
    ],
)
def test_another_origin_changes_nothing_even_with_the_token(visitor, method, origin):
    headers = {"Origin": origin, "X-CSRF-Token": visitor.token}
    assert visitor.is_refused(method, headers=headers)
    assert visitor.is_refused(method, headers={**headers, "Sec-Fetch-Site": "same-origin"})
    assert visitor.is_refused(method, headers={**headers, "Authorization": "Bearer x"})


@pytest.mark.parametrize("path", ["/form", "/token", "/who"])
def test_links_from_other_sites_work(visitor, path):
    headers = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
    assert visitor.send("GET", path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [{"Origin": OWN}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
def test_a_form_needs_the_token_even_from_the_own_site(visitor, origin):
    assert visitor.is_refused(data={"a": "1"}, headers=origin)
    assert visitor.is_refused(data={"csrf_token": "x"}, headers=origin)
    assert not visitor.is_refused(data={"csrf_token": visitor.token}, headers=origin)
    assert not visitor.is_refused(headers={**origin, "X-CSRF-Token": visitor.token})


@pytest.mark.parametrize(
    "kind",
    [
        FORM,
        f"{FORM}; charset=utf-8",
        "Application/X-WWW-Form-URLEncoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "TEXT/PLAIN;application/json",
        " text/plain ",
        "",
        ";",
    ],
)
def test_whatever_a_page_can_post_without_asking_needs_the_token(visitor, kind):
    body = "--x--\r\n" if "multipart" in kind else '{"a": "="}'
    request = {"content_type": kind, "headers": {"Origin": OWN}}
    assert visitor.is_refused(data=body, **request)
    request["headers"]["X-CSRF-Token"] = visitor.token
    assert not visitor.is_refused(data=body, **request)


def test_a_form_without_any_content_type_needs_the_token(visitor):
    assert visitor.is_refused(headers={"Origin": OWN})


@pytest.mark.parametrize("origin", [{"Origin": OWN}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_script_of_the_own_site_needs_no_token(visitor, origin):
    assert not visitor.is_refused(json={"a": 1}, headers=origin)
    for method in ("PUT", "PATCH", "DELETE"):
        assert not visitor.is_refused(method, headers=origin)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_cookies_without_a_source_need_the_token(visitor, method):
    request = {"content_type": "application/json", "data": "{}"}
    assert visitor.is_refused(method, **request)
    assert not visitor.is_refused(method, headers={"X-CSRF-Token": visitor.token}, **request)


@pytest.mark.parametrize(
    "scheme", ["Basic eDp5", "Digest x", "Negotiate x", "basic eDp5", "NTLM x"]
)
@pytest.mark.parametrize("sessions", ["beaker", ""])
def test_credentials_that_a_browser_adds_itself_count_like_cookies(scheme, sessions):
    client = Client(site(sessions), use_cookies=False)
    headers = {"Authorization": scheme}
    assert client.put("/", headers=headers).status_code == 403
    assert client.put("/", headers={**headers, "Origin": OWN}).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer x", "bearer x", "ApiKey x"])
@pytest.mark.parametrize("sessions", ["beaker", "itsdangerous", ""])
def test_a_program_with_its_own_credentials_needs_nothing(scheme, sessions):
    client = Client(site(sessions), use_cookies=False)
    headers = {"Authorization": scheme}
    assert client.post("/", headers=headers, data={"a": 1}).status_code == 200
    assert client.put("/", headers=headers).status_code == 200


def test_a_cookie_beside_such_credentials_needs_the_token_again(visitor):
    assert visitor.is_refused(data={"a": 1}, headers={"Authorization": "Bearer x"})


@pytest.mark.parametrize("header", ["", " ", "Bearer"])
def test_an_empty_authorization_is_none(visitor, header):
    client = Client(visitor.app, use_cookies=False)
    answer = client.post("/", data={"a": 1}, headers={"Authorization": header})
    assert answer.status_code == (200 if header.strip() else 403)


def test_a_first_visitor_needs_the_token_too_so_that_nobody_is_logged_in_by_a_stranger(app):
    assert Client(app).post("/login", data={"name": "eve"}).status_code == 403


def test_the_token_goes_through_multipart_with_files(visitor):
    def upload(token: str) -> TestResponse:
        data = {"photo": (BytesIO(b"x" * 200_000), "a.jpg"), "csrf_token": token}
        return visitor.send("POST", "/upload", data=data)

    assert upload("x").status_code == 403
    assert upload(visitor.token).text == "a.jpg"


@pytest.mark.parametrize("where", ["query", "json", "cookie"])
def test_the_token_counts_nowhere_else(visitor, where):
    request = {"headers": {}}
    if where == "query":
        request["query_string"] = {"csrf_token": visitor.token}
    elif where == "json":
        request["json"] = {"csrf_token": visitor.token}
    else:
        visitor.client.set_cookie("csrf_token", visitor.token)
    assert visitor.is_refused(**request)


def test_the_token_of_another_session_is_refused(app):
    mine, theirs = Visitor(app), Visitor(app)
    assert mine.is_refused(data={"csrf_token": theirs.token})
    assert not mine.is_refused(data={"csrf_token": mine.token})
    assert Visitor(site()).is_refused(data={"csrf_token": mine.token})


def test_the_field_is_a_hidden_input_and_each_page_has_another_token(visitor):
    pages = {visitor.send("GET", "/form").text for _ in range(5)}
    assert len(pages) == 5
    for page in pages:
        found = re.fullmatch(r'<input type="hidden" name="csrf_token" value="([\w=-]+)">', page)
        assert not visitor.is_refused(data={"csrf_token": found[1]})


@pytest.mark.parametrize("engine", ["jinja2", "mako"])
def test_field_and_nonce_go_through_every_template_engine(engine, tmp_path):
    mark = "{{{{ {} }}}}" if engine == "jinja2" else "${{{}}}"
    page = "<form>{}</form><script nonce={}></script>"
    (tmp_path / "form.html").write_text(page.format(mark.format("field"), mark.format("nonce")))
    app = site(templating={"use": engine, "folder": str(tmp_path)})

    @app.get("/page")
    def page(render, csrf_field, csp_nonce):
        return render("form.html", field=csrf_field, nonce=csp_nonce)

    visitor = Visitor(app)
    answer = visitor.send("GET", "/page")
    token, nonce = re.search('value="([^"]+)"></form><script nonce=([^>]+)>', answer.text).groups()
    assert not visitor.is_refused(data={"csrf_token": token})
    assert f"'nonce-{nonce}'" in answer.headers["Content-Security-Policy"]


def test_tokens_have_nothing_in_common_that_a_page_could_give_away():
    tokens = [masked(b"\0" * 32) for _ in range(50)]
    assert all(len({token[place] for token in tokens}) > 5 for place in range(85))


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 86, "A" * 88, "=" * 88, "\0"])
@pytest.mark.parametrize("secret", [None, "", "A", "A" * 44, 7])
def test_what_is_no_token_or_no_secret_never_fits(token, secret):
    if secret != "A" * 44 or token not in ("A" * 86, "A" * 88):
        assert not is_valid(token, secret)


def test_a_login_ends_the_tokens_from_before(app):
    visitor = Visitor(app)
    answer = visitor.send("POST", "/login", data={"csrf_token": visitor.token})
    assert answer.status_code == 200
    assert visitor.send("GET", "/who").text == "ann"
    assert visitor.is_refused(data={"csrf_token": visitor.token})
    fresh = visitor.send("GET", "/token").text
    assert not visitor.is_refused(data={"csrf_token": fresh})


def test_a_token_does_not_survive_a_logout():
    app = App({"sessions": {"use": "beaker"}})
    app.post("/logout")(lambda session: session.destroy())
    app.post("/")(lambda: "changed")
    app.get("/token")(lambda csrf_token: csrf_token)
    client = Client(app)
    token = client.get("/token").text
    assert client.post("/logout", data={"csrf_token": token}).status_code == 204
    assert client.post("/", data={"csrf_token": token}).status_code == 403


def test_a_route_is_exempt_alone(visitor):
    foreign = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
    assert not visitor.is_refused("POST", "/hook", headers=foreign)
    assert visitor.is_refused("POST", "/", headers=foreign)


def test_an_exemption_does_not_leak_to_the_other_methods_of_a_url_or_to_a_group():
    app, group = App({"sessions": {"use": "beaker"}}), Routes(prefix="/group")
    app.post("/hook", csrf=False)(lambda: "x")
    app.put("/hook")(lambda: "x")
    group.post("/a", csrf=False)(lambda: "x")
    group.post("/b")(lambda: "x")
    app.include(group)
    client = Client(app)
    answers = {
        (method, path): client.open(path, method=method, headers={"Origin": OTHER}).status_code
        for method, path in [
            *(("POST", "/hook"), ("PUT", "/hook"), ("POST", "/group/a"), ("POST", "/group/b"))
        ]
    }
    assert list(answers.values()) == [200, 403, 200, 403]


@pytest.mark.parametrize(
    "name", ["HTTP_KIT_CSRF_CHECKED", "HTTP_KIT.CSRF_CHECKED", "KIT_CSRF_CHECKED"]
)
def test_no_client_can_say_that_it_was_checked(visitor, name):
    assert visitor.is_refused(environ_overrides={name: "1"})
    assert visitor.is_refused(headers={"Kit.Csrf_Checked": "1", "kit.csrf-checked": "1"})


def test_a_trusted_origin_may_send_forms_with_the_token():
    shop = "https://shop.example"
    visitor = Visitor(site(security={"trusted_origins": [shop]}))
    headers = {"Origin": shop, "Sec-Fetch-Site": "cross-site"}
    assert visitor.is_refused(data={"a": 1}, headers=headers)
    assert not visitor.is_refused(data={"csrf_token": visitor.token}, headers=headers)
    assert not visitor.is_refused("PUT", headers=headers)
    assert visitor.is_refused("PUT", headers={**headers, "Origin": "https://shop.example.evil"})


def test_behind_a_proxy_the_own_origin_is_what_the_browser_sees():
    app = site(security={"proxies": 1, "hosts": ["example.org"]})
    headers = {"Host": "example.org", "Origin": "https://example.org"}
    client = Client(app, use_cookies=False)
    assert client.put("/", headers=headers).status_code == 403
    assert client.put("/", headers={**headers, "X-Forwarded-Proto": "https"}).status_code == 200


def test_without_sessions_there_is_no_token_and_the_other_rules_hold():
    app = site("")
    client = Client(app)
    assert client.get("/form").text == ""
    client.set_cookie("a", "1")
    assert client.post("/", data={"a": 1}).status_code == 403
    assert client.put("/").status_code == 403
    assert client.post("/", headers={"Origin": OTHER}).status_code == 403
    assert client.post("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert app.changes == []
    assert client.post("/", data={"a": 1}, headers={"Origin": OWN}).status_code == 200


def test_what_is_refused_touches_no_session_where_the_source_says_it_all(visitor):
    answer = visitor.send(headers={"Origin": OTHER})
    assert "Vary" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_a_refusal_is_in_the_log_with_its_rule_and_without_the_token(visitor, caplog):
    visitor.send(headers={"Origin": OTHER, "Sec-Fetch-Site": "cross-site"})
    visitor.send(headers={"Origin": OTHER})
    visitor.send(data={"csrf_token": "forged-token"})
    shown = [one.getMessage() for one in caplog.records if one.name == "kit.security"]
    assert [re.search(r"event=(\w+) .* rule=(\S+)", line).groups() for line in shown] == [
        ("csrf_refused", "Sec-Fetch-Site"),
        ("csrf_refused", "Origin"),
        ("csrf_refused", "token"),
    ]
    assert "forged" not in "".join(shown)


def test_json_clients_are_told_in_json(visitor):
    answer = visitor.send(headers={"Origin": OTHER, "Accept": "application/json"})
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert "another site" in answer.json["detail"]


@dataclass
class Login:
    name: str = ""


def test_a_page_shown_again_after_a_rotation_has_a_token_that_is_good():
    app = App({"sessions": {"use": "beaker"}})

    @app.get("/")
    def page(form: Form[Login]):
        return str(form.csrf)

    @app.post("/", again=page)
    def login(form: Form[Login], session):
        if form.value.name == "Eve":
            session.rotate()
            form.refuse("not you")
        return "in"

    browser = Client(app)

    def token(text):
        return re.search(r'value="([^"]+)"', text)[1]

    sent = {"name": "Eve", "csrf_token": token(browser.get("/").text)}
    refused = browser.post("/", data=sent)
    assert refused.status_code == 422
    again = {"name": "Ada", "csrf_token": token(refused.text)}
    assert browser.post("/", data=again).text == "in"
