"""What the framework does, where the to-do list does not show it."""

from __future__ import annotations

import functools
import inspect
import io
import os
from dataclasses import dataclass

import framework
import pytest
from framework import (
    Bottle,
    HTTPError,
    HTTPResponse,
    abort,
    error,
    get,
    hook,
    install,
    post,
    redirect,
    request,
    response,
    route,
    static_file,
    template,
    url,
    view,
)

import kit
from kit import ConfigError
from kit.testing import client, emptied, in_process

pytestmark = in_process("it makes applications of its own")


@dataclass
class Note:
    text: str
    id: int | None = None


@pytest.fixture
def browser(bottle):
    """A browser for the application of the test, started when it is first used."""
    opened = []

    def asked(path, method="GET", **options):
        if not opened:
            opened.append(client(bottle))
        return opened[0].open(path, method=method, **options)

    return asked


def echo(**values):
    return values


# Rules

RULES = {
    "/a/<a>": ({"/a/x-y": "x-y"}, ["/a/x/y", "/a/"]),
    "/b/<a:int>": (
        {"/b/7": 7, "/b/-7": -7, "/b/" + "9" * 30: int("9" * 30)},
        ["/b/x", "/b/" + "9" * 4400],
    ),
    "/c/<a:float>": ({"/c/1.5": 1.5, "/c/-.5": -0.5}, ["/c/1.2.3", "/c/x"]),
    "/d/<a:path>": ({"/d/x/y": "x/y"}, ["/d/"]),
    "/e/<a:path>/end": ({"/e/x/y/end": "x/y"}, ["/e/end"]),
    "/f/<a:re:[a-z]+>": ({"/f/abc": "abc"}, ["/f/Abc", "/f/a1", "/f/a/b"]),
    "/g/<a:re:[a-z]+(-[a-z]+)?>": ({"/g/a-b": "a-b"}, ["/g/a-", "/g/a-b-c"]),
    r"/h/<a:re:\d{4}>.<b:re:html|txt>": ({"/h/2026.html": "2026"}, ["/h/2026.pdf"]),
    "/i/<a:re:x.+>": ({"/i/xy/z": "xy/z"}, ["/i/y"]),
    r"/j/<a:re:[^/\>]+>": ({"/j/b": "b"}, ["/j/%3E"]),
    "/k/<a:re:[b:c]+>": ({"/k/b:": "b:"}, ["/k/d"]),
    "/l/<a:re:[bc]+>": ({"/l/bc": "bc"}, ["/l/b:"]),
}


@pytest.fixture(scope="module")
def ruled():
    """A browser for an application with all of these rules."""
    app = Bottle()
    for rule in RULES:
        app.route(rule)(echo)
    yield client(app)
    app.stop()


@pytest.mark.parametrize("rule", RULES)
def test_the_grammar_of_rules(ruled, rule):
    good, bad = RULES[rule]
    for path, value in good.items():
        assert ruled.get(path).json["a"] == value
    assert [ruled.get(path).status_code for path in bad] == [404] * len(bad)


def test_a_filter_of_ones_own(bottle, browser):
    def listed(config):
        separator = config or ","
        return rf"\d+(?:{separator}\d+)*", lambda text: text.split(separator), separator.join

    bottle.router.add_filter("list", listed)
    get("/a/<ids:list>")(echo)
    get("/b/<ids:list:->", name="b")(echo)
    assert browser("/a/1,2").json == {"ids": ["1", "2"]}
    assert browser("/b/1-2").json == {"ids": ["1", "2"]}
    assert browser("/b/1,2").status_code == 404
    assert url("b", ids=["3", "4"]) == "/b/3-4"
    assert url("/a/<ids:list>", ids=["3"]) == "/a/3"


def test_a_callback_for_several_paths_and_methods(browser):
    @route(["/hello", "/hello/<name>"], method=["GET", "POST"])
    def hello(name="Stranger"):
        return f"{request.method} {name}"

    assert [browser("/hello").text, browser("/hello/Ada").text] == ["GET Stranger", "GET Ada"]
    assert browser("/hello/Ada", "POST").text == "POST Ada"
    assert browser("/hello/Ada", "PUT").status_code == 405


@pytest.mark.parametrize("name", ["apply", "skip", "callback", "require", "colour"])
def test_an_option_that_there_is_not_is_an_error(bottle, name):
    told = rf"takes no {name}=: instead write a decorator below @route"
    with pytest.raises(TypeError, match=told):
        get("/", **{name: print})(lambda: "")


@pytest.mark.parametrize("method", ["ANY", "any", ["GET", "ANY"]])
def test_there_is_no_method_any(bottle, method):
    with pytest.raises(ValueError, match="no method ANY: name them"):
        route("/", method=method)(lambda: "")


@pytest.mark.parametrize("rule", ["/:name", "/a/:name#[a-z]+#", "/<a>:b", "/<:re:x>", "/:#x#"])
def test_the_old_syntax_of_rules_is_an_error(bottle, rule):
    with pytest.raises(ValueError, match="write <name> or <name:filter>"):
        get(rule)(lambda **values: "")


# The request


def test_the_query(browser):
    @get("/")
    def index():
        query = request.query
        return {
            "attribute": [query.a, query.b, query.none],
            "all": [query.getall("a"), query.getall("none")],
            "get": [query.get("b"), query.get("none"), query.get("b", type=int)],
            "in": ["a" in query, "none" in query],
        }

    assert browser("/?a=1&a=2&b=%C3%A9").json == {
        "attribute": ["1", "é", ""],
        "all": [["1", "2"], []],
        "get": ["é", None, None],
        "in": [True, False],
    }


def test_forms_files_and_cookies(browser):
    @post("/")
    def index():
        upload = request.files.upload
        found = [request.forms.a, request.params.getall("a"), request.POST.a, sorted(request.POST)]
        return {
            "found": found,
            "file": [upload.filename, upload.read().decode()] if upload else None,
            "cookies": [request.get_cookie("c"), request.cookies.c, request.get_cookie("d", "-")],
            "headers": [request.get_header("X-A"), request.get_header("X-B", "-")],
        }

    get("/set")(lambda: response.set_cookie("c", "Keks"))
    browser("/set")
    headers = {"X-A": "1"}
    data = {"a": "2", "upload": (io.BytesIO(b"text"), "a.txt")}
    assert browser("/?a=1", "POST", data=data, headers=headers).json == {
        "found": ["2", ["1", "2"], "2", ["a", "upload"]],
        "file": ["a.txt", "text"],
        "cookies": ["Keks", "Keks", "-"],
        "headers": ["1", "-"],
    }
    assert browser("/", "POST", data={}).json["found"] == ["", [], "", []]


def test_json(browser):
    post("/")(lambda: {"got": request.json})
    assert browser("/", "POST", json=[1]).json == {"got": [1]}
    assert browser("/", "POST", data="[1]", content_type="text/plain").json == {"got": None}
    assert browser("/", "POST", data="[", content_type="application/json").status_code == 400


def test_outside_of_a_request_there_is_none():
    told = r"^Working outside of request context: this is for callbacks"
    with pytest.raises(RuntimeError, match=told):
        _ = request.path
    with pytest.raises(RuntimeError, match=told):
        response.status = 200


def test_each_request_has_its_own(browser):
    @get("/<n>")
    def index(n):
        assert not hasattr(request, "mark")
        request.mark = response.headers["X-N"] = n
        return request.mark

    assert [browser(f"/{n}").headers["X-N"] for n in "12"] == ["1", "2"]


# Results


def test_what_a_callback_returns(browser):
    html, json = "text/html; charset=utf-8", "application/json"
    results = [
        ("é", html, "é".encode()),
        (None, html, b""),
        (False, html, b""),
        ([], html, b""),
        (["a", "b"], html, b"ab"),
        ([b"a", b"b"], "application/octet-stream", b"ab"),
        ({"a": "é"}, json, '{"a":"é"}'.encode()),
        ({}, json, b"{}"),
    ]
    get("/<number:int>")(lambda number: results[number][0])
    for number, (_, kind, body) in enumerate(results):
        answer = browser(f"/{number}")
        assert (answer.status_code, answer.data) == (200, body)
        assert answer.headers["Content-Type"] == kind


def test_the_response(browser):
    @get("/")
    def index():
        response.status = 418
        response.content_type = "text/plain"
        response.set_header("X-A", 1)
        response.add_header("X-B", "1")
        response.headers["X-C"] = "1"
        response.set_cookie("a", "1", max_age=10)
        response.set_cookie("b", "2", path="/b")
        response.delete_cookie("c")
        return "tea"

    answer = browser("/")
    assert (answer.status, answer.text) == ("418 I'm a Teapot", "tea")
    assert answer.headers["Content-Length"] == "3"
    assert answer.headers["Content-Type"] == "text/plain"
    assert [answer.headers[f"X-{name}"] for name in "ABC"] == ["1"] * 3
    cookies = answer.headers.getlist("Set-Cookie")
    assert [one.partition("=")[0] for one in cookies] == ["a", "b", "c"]
    assert all("HttpOnly" in one for one in cookies[:2])


def test_a_response_that_is_returned_or_raised(browser):
    @get("/<how>")
    def index(how):
        answer = HTTPResponse(body="made", status=202, headers={"X-A": "1"})
        answer.set_header("X-B", 2)
        if how == "raised":
            raise answer
        return answer

    for how in ("raised", "returned"):
        answer = browser(f"/{how}")
        assert (answer.status_code, answer.text) == (202, "made")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert [answer.headers["X-A"], answer.headers["X-B"]] == ["1", "2"]


def test_a_generator_has_its_request_until_the_end(browser):
    @get("/<n>")
    def index(n):
        for letter in request.query.letters:
            yield f"{letter}{request.query.n}"

    answers = [browser(f"/1?letters=abc&n={n}").text for n in "12"]
    assert answers == ["a1b1c1", "a2b2c2"]


def test_a_redirect_keeps_cookies_and_what_is_stored(bottle, browser):
    bottle.records(Note)
    emptied(bottle)
    bottle.stop()

    @post("/")
    def add(store):
        store.add(Note("kept"))
        response.set_cookie("a", "1")
        redirect("/é?a=1")

    get("/")(lambda store: {"texts": [one.text for one in store.find(Note)]})
    answer = browser("/", "POST")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/%C3%A9?a=1")
    assert answer.headers["Set-Cookie"].startswith("a=1")
    assert browser("/").json == {"texts": ["kept"]}


def test_a_redirect_leads_to_another_site_only_if_asked(browser):
    get("/in")(lambda: redirect("//example.org"))
    get("/out")(lambda: redirect("https://example.org/", 302, external=True))
    assert browser("/in").status_code == 500
    answer = browser("/out")
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://example.org/")


def test_files(browser, tmp_path):
    (tmp_path / "a.txt").write_text("text")

    @get("/<name:path>")
    def send(name):
        answer = static_file(name, root=tmp_path, download=request.query.download)
        answer.set_header("X-A", "1")
        return answer

    answer = browser("/a.txt")
    assert (answer.text, answer.headers["X-A"]) == ("text", "1")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Length"] == "4"
    assert browser("/a.txt", headers={"Range": "bytes=1-2"}).text == "ex"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert browser("/a.txt", headers=known).status_code == 304
    assert browser("/a.txt", "HEAD").headers["Content-Length"] == "4"
    saved = browser("/a.txt?download=b.txt").headers["Content-Disposition"]
    assert saved.startswith("attachment")
    assert "b.txt" in saved
    assert browser("/b.txt").status_code == 404


# Errors


@pytest.mark.parametrize("raises", [True, False])
def test_an_error_has_its_page_and_headers_and_undoes_what_was_stored(bottle, browser, raises):
    bottle.records(Note)
    emptied(bottle)
    bottle.stop()

    @post("/")
    def add(store):
        store.add(Note("undone"))
        failure = HTTPError(401, "Who <are> you?", headers={"WWW-Authenticate": "Basic"})
        if raises:
            raise failure
        return failure

    get("/")(lambda store: str(store.count(Note)))
    answer = browser("/", "POST")
    assert answer.status_code == 401
    assert "Who &lt;are&gt; you?" in answer.text
    assert answer.headers["WWW-Authenticate"] == "Basic"
    assert browser("/").text == "0"


def test_an_error_handler_sees_error_and_request(browser):
    @error(404)
    def missing(error):
        response.content_type = "text/plain"
        response.set_header("X-A", "1")
        return f"{error.status_code} {error.body} {request.path}"

    @get("/gone")
    def gone():
        response.set_header("X-B", "1")
        abort(404, "Gone for good.")

    answer = browser("/gone")
    assert (answer.status_code, answer.text) == (404, "404 Gone for good. /gone")
    assert (answer.headers["Content-Type"], answer.headers["X-A"]) == ("text/plain", "1")
    assert "X-B" not in answer.headers
    assert browser("/é").text.endswith(" /é")
    assert browser("/nope", headers={"Accept": "application/json"}).text.startswith("404 ")


def test_an_error_handler_may_choose_status_and_kind(browser):
    @error(404)
    def missing(error):
        response.status = 200
        return {"error": error.status_code}

    answer = browser("/nope")
    assert (answer.status_code, answer.json) == (200, {"error": 404})


def test_an_error_handler_may_redirect(browser):
    error(404)(lambda error: redirect("/"))
    assert browser("/nope").headers["Location"] == "/"


def test_what_breaks_is_500_and_tells_the_handler_alone(browser):
    seen = []

    @error()
    def broken(error):
        seen.append(error.exception)
        return error.body

    get("/")(lambda: 1 / 0)
    answer = browser("/")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert [type(one) for one in seen] == [ZeroDivisionError]


# Hooks


def test_hooks_around_every_request(browser):
    calls = []

    @hook("before_request")
    def before():
        calls.append("before")
        request.started = "now"
        request.environ["PATH_INFO"] = request.environ["PATH_INFO"].rstrip("/") or "/"

    @hook("after_request")
    def last():
        calls.append("last")

    @hook("after_request")
    def after():
        calls.append("after")
        response.set_header("X-Path", f"{request.path} {response.status_code}")
        response.headers["X-Started"] = request.started

    get("/a")(lambda: request.started)
    answer = browser("/a/")
    assert (answer.text, answer.headers["X-Path"]) == ("now", "/a 200")
    assert calls == ["before", "after", "last"]
    missing = browser("/nope")
    assert missing.status_code == 404
    assert missing.headers["X-Path"] == "/nope 404"
    assert missing.headers["X-Started"] == "now"


def test_a_hook_may_read_a_form_that_the_callback_reads_too(browser):
    seen = []
    hook("before_request")(lambda: seen.append(request.forms.a))
    post("/")(lambda: request.forms.a)
    assert browser("/", "POST", data={"a": "1"}).text == "1"
    assert seen == ["1"]


@pytest.mark.parametrize("when", ["before_request", "after_request"])
def test_a_hook_may_answer_or_refuse(browser, when):
    @hook(when)
    def answer():
        if request.query.away:
            redirect("/away")
        if request.query.stop:
            abort(403, "Stop.")

    get("/")(lambda: "here")
    assert browser("/").text == "here"
    assert browser("/?away=1").headers["Location"] == "/away"
    stopped = browser("/?stop=1")
    assert stopped.status_code == 403
    assert "Stop." in stopped.text


def test_what_a_hook_sets_before_goes_out_with_the_answer(browser):
    hook("before_request")(lambda: response.set_header("X-A", "1"))
    get("/")(lambda: {"a": 1})
    answer = browser("/")
    assert (answer.json, answer.headers["X-A"]) == ({"a": 1}, "1")


def test_there_is_no_other_hook(bottle):
    with pytest.raises(ValueError, match="no hook 'app_reset', but there are start, before_req"):
        hook("app_reset")(print)


# Plug-ins


class Database:
    """A plug-in in the manner of bottle-sqlite, which knows nothing of the kernel."""

    name = "database"
    api = 2

    def __init__(self, keyword="notes"):
        self.keyword = keyword
        self.log = []

    def setup(self, app):
        for other in app.plugins:
            if isinstance(other, Database) and other.keyword == self.keyword:
                raise RuntimeError(f"there is a plug-in for {self.keyword!r} already")

    def apply(self, callback, route):
        if self.keyword not in inspect.signature(route.callback).parameters:
            return callback

        def wrapper(*args, **values):
            values[self.keyword] = ["default"]
            try:
                result = callback(*args, **values)
            except HTTPError:
                self.log.append("rollback")
                raise
            self.log.append("commit")
            return result

        return wrapper


def test_a_plugin_gives_what_callbacks_name(browser):
    plugin = install(Database())
    get("/a/<n:int>")(lambda n, notes: f"{n} {notes}")
    get("/b")(lambda notes: str(notes))
    get("/c")(lambda notes: abort(403))
    get("/d")(lambda: "none")
    assert browser("/a/7").text == "7 ['default']"
    assert browser("/b").text == "['default']"
    assert browser("/c").status_code == 403
    assert browser("/d").text == "none"
    assert plugin.log == ["commit", "commit", "rollback"]


def test_a_plugin_may_refuse_to_be_installed_twice(bottle):
    install(Database())
    with pytest.raises(RuntimeError, match="already"):
        install(Database())
    install(Database("others"))


def test_a_plugin_comes_too_late_after_the_start(bottle, browser):
    get("/")(lambda: "")
    browser("/")
    with pytest.raises(RuntimeError, match="too late"):
        install(Database())


def test_a_provider_is_given_without_any_plugin(bottle, browser):
    bottle.provider(notes_of_today)
    get("/<n>")(lambda n, notes_of_today: f"{n} {notes_of_today}")
    assert browser("/1").text == "1 ['/1']"


def notes_of_today(request):
    return [request.path]


def test_plugins_wrap_callbacks_the_first_one_outermost_and_leave_providers(bottle, browser):
    bottle.provider(notes_of_today)
    seen = []

    def bold(callback):
        def wrapper(*args, **values):
            return f"<b>{callback(*args, **values)}</b>"

        return wrapper

    class Italic:
        def apply(self, callback, route):
            seen.append((route.rule, route.method, route.callback.__name__, route.config))

            @functools.wraps(callback)
            def wrapper(**values):
                return f"<i>{callback(**values)}</i>"

            return wrapper

    get("/<n:int>", csrf=False)(index)  # before the plug-ins
    install(bold)
    install(Italic())
    assert browser("/1").text == "<b><i>1 /1</i></b>"
    assert seen == [("/<n:int>", "GET", "index", {"csrf": False})]


def index(n, notes_of_today):
    return f"{n} {notes_of_today[0]}"


def test_a_plugin_may_ask_for_a_provider_of_its_own(bottle, browser):
    bottle.provider(notes_of_today)

    def logged(callback):
        def wrapper(notes_of_today, **values):
            return f"{callback(**values)} {notes_of_today}"

        given = list(inspect.signature(callback).parameters.values())
        asked = inspect.Parameter("notes_of_today", inspect.Parameter.KEYWORD_ONLY)
        wrapper.__signature__ = inspect.Signature([*given, asked])
        return wrapper

    install(logged)
    install(lambda callback: lambda **values: callback(**values).upper())
    get("/<n>")(lambda n: n)
    assert browser("/a").text == "A ['/a']"


def test_a_name_that_nobody_gives_is_a_mistake_at_the_start(bottle):
    get("/")(lambda nothing: "")
    with pytest.raises(ConfigError, match="nothing provides 'nothing'"):
        bottle.check()


# Templates


def test_a_template_by_name_and_its_values(bottle, browser):
    get("/a")(lambda: template("message", message="<b>"))
    get("/b")(lambda: template("message.html", {"message": "dict"}, message="keyword"))
    assert "<h1>&lt;b&gt;</h1>" in browser("/a").text
    assert "<h1>dict</h1>" in browser("/b").text
    assert "<h1>outside</h1>" in template("message", message="outside")


def test_a_template_that_is_written_out(bottle):
    mako = "mako" in repr(bottle.config.get("templating", "use").value)
    source = "Hello ${name}!" if mako else "Hello {{ name }}!"
    assert template(source, name="<b>") == "Hello &lt;b&gt;!"


def test_a_template_without_an_engine_says_which_slot_to_fill(monkeypatch):
    for name in [name for name in os.environ if name.startswith("KIT_")]:
        monkeypatch.delenv(name)
    app = Bottle({})
    monkeypatch.setattr(framework, "default_app", lambda: app)
    with pytest.raises(RuntimeError, match=r"nothing is in use in \[templating\] of kit.toml"):
        template("message", message="x")


def test_view(bottle, browser):
    bottle.provider(notes_of_today)

    @get("/<n>")
    @view("message", message="default")
    def shown(n, notes_of_today):
        return {"message": notes_of_today[0]} if n == "1" else {} if n == "2" else "plain"

    assert "<h1>/1</h1>" in browser("/1").text
    assert "<h1>default</h1>" in browser("/2").text
    assert browser("/3").text == "plain"


# Applications


def test_applications_do_not_disturb_each_other(bottle):
    other = Bottle()
    other.hook("after_request")(lambda: response.set_header("X-Other", "1"))
    other.install(lambda callback: lambda: "other")
    for app in (bottle, other):
        app.route("/")(lambda: "mine")
    assert client(bottle).get("/").text == "mine"
    answer = client(other).get("/")
    assert (answer.text, answer.headers["X-Other"]) == ("other", "1")
    assert "X-Other" not in client(bottle).get("/").headers
    other.stop()


def test_an_application_within_a_request_of_another(bottle, browser):
    other = Bottle()
    other.route("/<n>")(lambda n: f"{request.path} {request.app is other}")

    @get("/")
    def both():
        inner = client(other, gateway="wsgi").get("/in").text
        return f"{inner} {request.path} {request.app is bottle}"

    assert browser("/").text == "/in True / True"
    other.stop()


def test_what_is_to_be_done_at_the_start_may_name_providers(bottle):
    bottle.records(Note)
    emptied(bottle)
    bottle.stop()
    hook("start")(lambda store: store.add(Note("first")))
    bottle.start()
    assert bottle.call(lambda store: store.count(Note)) == 1


def test_the_default_application_is_made_once():
    assert framework.default_app() is framework.default_app()
    assert isinstance(framework.default_app(), kit.App)
