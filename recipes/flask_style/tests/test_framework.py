"""What the framework promises, where the blog does not show it."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from framework import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    request,
    session,
    store,
    stream_with_context,
    url_for,
)
from werkzeug.exceptions import HTTPException, NotFound

from kit import ConfigError, Conflict
from kit.testing import client as browser
from kit.testing import emptied


@dataclass
class Name:
    text: str
    id: int | None = None


@pytest.fixture(params=["wsgi", "asgi"])
def client(request):
    """Return a function that starts an application, and makes a browser for it."""
    started = []

    def start(app):
        started.append(app)
        return browser(app, gateway=request.param)

    yield start
    for app in started:
        app.stop()


@pytest.fixture
def app():
    return Flask(__name__)


# Proxies


@pytest.mark.parametrize(
    "use",
    [
        lambda: request.path,
        lambda: session["x"],
        lambda: g.x,
        lambda: current_app.debug,
        lambda: store.find(Name),
        lambda: url_for("index"),
        lambda: flash("x"),
        get_flashed_messages,
    ],
)
def test_outside_of_a_request_the_proxies_say_so(use):
    with pytest.raises(RuntimeError, match=r"^Working outside of request context: this"):
        use()


def test_after_a_request_they_are_unbound_again(app, client):
    app.get("/")(lambda: request.path)
    assert client(app).get("/").text == "/"
    with pytest.raises(RuntimeError):
        _ = request.path


def test_requests_in_parallel_threads_do_not_see_each_other(app, client):
    both = threading.Barrier(3)

    @app.get("/<name>")
    def show(name):
        g.name = session["name"] = name
        both.wait(5)
        return [name, g.name, session["name"], request.path, request.view_name]

    @app.before_request
    def first():
        request.view_name = request.path[1:]

    one = client(app)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda name: browser_like(one, app, name), "abc"))
    assert answers == [[name, name, name, f"/{name}", name] for name in "abc"]


def browser_like(one, app, name):
    return type(one)(app, one.application).get(f"/{name}").json


def test_g_lasts_as_long_as_a_request(app, client):
    @app.get("/")
    def show():
        seen = ["x" in g, g.get("x"), g.pop("x", 7)]
        g.x = 1
        return [*seen, "x" in g, g.x, g.pop("x"), "x" in g]

    one = client(app)
    assert one.get("/").json == one.get("/").json == [False, None, 7, True, 1, 1, False]


def test_the_application_is_at_hand(app, client):
    app.get("/")(lambda: [current_app == app, request.endpoint, request.blueprint])
    assert client(app).get("/").json == [True, "<lambda>", None]


def test_an_untouched_session_costs_nothing(app, client):
    app.get("/")(lambda: "x")
    app.get("/touched")(lambda: session.get("x") or "y")
    one = client(app)
    with app.override(sessions=None):
        headers = one.get("/").headers
    assert "Set-Cookie" not in headers
    assert "Vary" not in headers
    assert one.get("/touched").headers["Vary"] == "Cookie"


def test_a_view_without_the_store_opens_no_transaction(app, client):
    begun = []

    class Watched:
        def __init__(self, real):
            self.real = real

        def __getattr__(self, name):
            begun.append(name)
            return getattr(self.real, name)

    app.records(Name)
    app.get("/")(lambda: "x")
    app.get("/names")(lambda: [one.id for one in store.find(Name)])
    one = client(emptied(app))
    with app.override(persistence=Watched(app.provided("persistence"))):
        begun.clear()
        assert one.get("/").text == "x"
        assert begun == []
        assert one.get("/names").json == []
        assert "begin" in begun


def test_all_of_a_request_is_one_unit_of_work(app, client):
    app.records(Name)

    @app.before_request
    def add():
        store.add(Name("ada"))

    @app.get("/<int:fails>")
    def show(fails):
        return abort(409) if fails else [one.text for one in store.find(Name)]

    one = client(emptied(app))
    assert one.get("/1").status_code == 409
    assert one.get("/0").json == ["ada"]


def test_a_slot_that_is_empty_is_named_where_it_is_missed(client, caplog, monkeypatch):
    for name in [name for name in os.environ if name.startswith("KIT_")]:
        monkeypatch.delenv(name)
    app = Flask(__name__, config={})
    app.get("/")(lambda: "x")
    app.get("/session")(lambda: session["x"])
    one = client(app)
    assert one.get("/").text == "x"
    assert one.get("/session").status_code == 500
    assert "There is no 'session': nothing is in use in [sessions] of kit.toml." in caplog.text


# Views


def test_results_are_what_flask_makes_of_them(app, client):
    @app.before_request
    def early():
        return ("early", 202) if "early" in request.args else None

    app.get("/dict")(lambda: {"a": 1})
    app.get("/list")(lambda: [1])
    app.get("/tuple")(lambda: ("<b>", 201, {"X-A": "b"}))
    app.get("/made")(lambda: make_response("<b>", 201))
    app.get("/text")(lambda: Response("<b>", mimetype="text/plain"))
    app.get("/redirect")(lambda: redirect(url_for("there", number=7, q="x")))
    app.add_url_rule("/there/<int:number>", "there", lambda number: f"{number + 1}")
    one = client(app)
    assert one.get("/dict").json == {"a": 1}
    assert one.get("/list").json == [1]
    assert (one.get("/tuple").status_code, one.get("/tuple").headers["X-A"]) == (201, "b")
    assert (one.get("/made").status_code, one.get("/made").mimetype) == (201, "text/html")
    assert one.get("/text").mimetype == "text/plain"
    assert one.get("/redirect").status_code == 302
    assert one.get("/redirect").headers["Location"] == "/there/7?q=x"
    assert one.get("/there/7").text == "8"
    assert (one.get("/dict?early").status_code, one.get("/dict?early").text) == (202, "early")


def test_a_view_may_name_a_provider_too(app, client):
    @app.get("/<int:id>")
    def show(id, store, debug="default"):
        return f"{id} {type(store).__name__} {debug}"

    assert client(app).get("/7").text == "7 Store default"


def test_a_view_that_lacks_a_part_of_its_rule_is_an_error_at_start(app):
    app.get("/<int:id>")(lambda: "x")
    with pytest.raises(ConfigError, match="does not take 'id' from its URL pattern"):
        app.start()


def test_a_view_may_be_a_coroutine_function(app, client):
    @app.get("/")
    async def show():
        g.before = request.path
        await asyncio.sleep(0)
        return [g.before, request.endpoint]

    assert client(app).get("/").json == ["/", "show"]


def test_a_response_is_made_of_what_a_view_returns(app, client):
    made = make_response("<b>", 201)
    app.get("/made")(lambda: make_response(made))
    app.get("/tuple")(lambda: make_response(("<b>", 201, {"X-A": "b"})))
    one = client(app)
    assert one.get("/made").status_code == 201
    answer = one.get("/tuple")
    assert (answer.text, answer.status_code, answer.headers["X-A"]) == ("<b>", 201, "b")
    for data in ({"a": 1}, ["a"], ({"a": 1}, 201)):
        with pytest.raises(TypeError, match="takes a text"):
            make_response(data)


@pytest.mark.parametrize("name", ["_external", "_anchor", "_scheme", "_method"])
def test_a_url_is_a_path_and_says_so(app, client, name):
    app.get("/")(lambda: url_for("there", **{name: True}))
    app.get("/there", endpoint="there")(lambda: "x")
    app.start()
    with pytest.raises(TypeError, match=rf"url_for\(\) takes no {name}: it returns a path"):
        app.url_for("there", **{name: True})
    assert client(app).get("/").status_code == 500


def test_the_secret_key_is_not_set_here(app):
    with pytest.raises(AttributeError, match=r"in kit\.toml: \[app\] secret_key"):
        app.secret_key = "secret"


@pytest.mark.parametrize("kind", ["itself", "tuple", "response"])
def test_a_stream_keeps_its_context(app, client, kind):
    ended = []

    @app.get("/<name>")
    def show(name):
        g.name = name

        def pieces():
            try:
                for number in range(3):
                    yield f"{g.name} {request.path} {number}\n"
            finally:
                ended.append(g.name)

        return {
            "itself": lambda: stream_with_context(pieces()),
            "tuple": lambda: (stream_with_context(pieces()), 200),
            "response": lambda: Response(stream_with_context(pieces())),
        }[kind]()

    one = client(app)
    streams = [one.get(f"/{name}") for name in "ab"]
    mixed = list(zip(*[stream.iter_encoded() for stream in streams], strict=True))
    assert mixed == [tuple(f"{x} /{x} {n}\n".encode() for x in "ab") for n in range(3)]
    broken = one.get("/c")
    next(broken.iter_encoded())
    broken.close()
    assert sorted(ended) == ["a", "b", "c"]


# Blueprints


def test_a_blueprint_has_a_name_a_prefix_and_functions_of_its_own(app, client):
    bp = Blueprint("shop", __name__, url_prefix="/shop")
    bp.before_request(lambda: g.seen.append("shop"))
    bp.before_app_request(lambda: setattr(g, "seen", ["all"]))
    bp.get("/", endpoint="home")(lambda: [request.endpoint, request.blueprint, *g.seen])
    app.get("/")(lambda: [url_for("shop.home"), *g.seen])
    app.register_blueprint(bp)
    one = client(app)
    assert one.get("/shop/").json == ["shop.home", "shop", "all", "shop"]
    assert one.get("/").json == ["/shop/", "all"]


@pytest.mark.parametrize(
    "declare",
    [
        lambda bp: bp.get("/late")(lambda: "x"),
        lambda bp: bp.add_url_rule("/late", "late", lambda: "x"),
        lambda bp: bp.before_request(lambda: None),
        lambda bp: bp.before_app_request(lambda: None),
        lambda bp: bp.after_app_request(lambda response: response),
        lambda bp: bp.app_errorhandler(404)(lambda error: "x"),
    ],
)
def test_a_blueprint_takes_nothing_more_once_it_is_registered(app, declare):
    bp = Blueprint("shop", __name__)
    app.register_blueprint(bp)
    with pytest.raises(AssertionError, match="'shop' is registered: declare this before"):
        declare(bp)


def test_a_blueprint_may_handle_errors_of_the_application(app, client):
    bp = Blueprint("shop", __name__)
    bp.app_errorhandler(404)(lambda error: f"nothing: {error.code}")
    app.register_blueprint(bp)
    assert client(app).get("/nope").text == "nothing: 404"


# Errors, and what comes after


def test_error_handlers_have_the_context_of_the_view(app, client):
    @app.before_request
    def first():
        g.count = g.get("count", 0) + 1

    @app.errorhandler(HTTPException)
    def page(error):
        return f"{error.code} {error.name}: {error.description} {g.count} {g.get('x')}", error.code

    @app.errorhandler(404)
    def missing(error):
        return f"nothing, {session.get('x')}, {request.form.get('y')}"

    @app.errorhandler(LookupError)
    def lookup(error):
        return {"error": repr(error)}, 200

    @app.route("/<what>", methods=["GET", "POST"])
    def show(what):
        g.x = session["x"] = what
        raise {"none": NotFound(), "key": KeyError(what), "twice": Conflict("two")}[what]

    one = client(app)
    answers = [
        (one.get("/a/b"), 404, "nothing, None, None"),
        (one.post("/none", data={"y": "z"}), 404, "nothing, None, z"),
        (one.get("/key"), 200, '{"error":"KeyError(\'key\')"}'),
        (one.get("/twice"), 409, "409 Conflict: two 1 twice"),
    ]
    for answer, status, text in answers:
        assert (answer.status_code, answer.text) == (status, text)


def test_what_comes_after_sees_every_response(app, client, caplog):
    ended = []

    @app.after_request
    def count(response):
        response.headers["X-Seen"] = f"{request.path} {g.get('x')}"
        return response

    @app.after_request
    def first(response):
        response.headers["X-Seen"] = "overwritten"
        return response

    @app.teardown_request
    def end(error):
        ended.append(repr(error))

    @app.get("/<what>")
    def show(what):
        g.x = what
        return 1 / 0 if what == "wrong" else "x"

    one = client(app)
    assert [one.get(path).headers["X-Seen"] for path in ("/a", "/b/c", "/wrong")] == [
        "/a a",
        "/b/c None",
        "/wrong wrong",
    ]
    assert ended == ["None", "None", "ZeroDivisionError('division by zero')"]


def test_what_comes_after_has_no_session_any_more(app, client, caplog):
    @app.after_request
    def late(response):
        session["x"] = 1
        return response

    app.get("/")(lambda: session.get("x") or "x")
    assert client(app).get("/").status_code == 500
    assert "There is no 'session' here" in caplog.text


def test_messages_are_shown_once_and_by_category(app, client):
    @app.get("/flash")
    def say():
        flash("one")
        flash("two", "error")
        return "x"

    @app.get("/")
    def show():
        return [
            get_flashed_messages(),
            get_flashed_messages(with_categories=True),
            get_flashed_messages(category_filter=["error"]),
        ]

    @app.get("/lost")
    def lost():
        get_flashed_messages()
        abort(404)

    one = client(app)
    one.get("/flash")
    assert one.get("/lost").status_code == 404
    both = [["message", "one"], ["error", "two"]]
    shown, pairs, errors = one.get("/").json
    assert (sorted(shown), sorted(pairs), errors) == (["one", "two"], sorted(both), ["two"])
    assert one.get("/").json == [[], [], []]


# Commands


def test_a_command_has_the_store_and_no_request(app, client):
    app.records(Name)

    @app.cli.command("add-name")
    def add_name():
        """Add a name."""
        g.name = current_app.__class__.__name__
        store.add(Name(g.name))
        return request.path

    client(emptied(app))
    [command] = app.commands
    assert (command.__name__, command.__doc__) == ("add_name", "Add a name.")
    with pytest.raises(RuntimeError, match="There is no 'request' here"):
        app.call(command)
    assert app.call(lambda store: store.count(Name)) == 0
