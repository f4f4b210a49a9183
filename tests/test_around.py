"""Around: what stands around every request, by both gateways."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kit import App, Response, abort, wait
from kit.testing import client


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request):
    apps = []

    def ask(app: App, path: str = "/", method: str = "GET", **options):
        apps.append(app)
        return client(app, gateway=request.param).open(path, method=method, **options)

    yield ask
    for app in apps:
        app.stop()


def plain(app: App, change: Callable[[Response], object]) -> None:
    @app.around
    def around(request, proceed):
        return change(proceed())


def awaiting(app: App, change: Callable[[Response], object]) -> None:
    @app.around
    async def around(request, proceed):
        response = await proceed()
        await asyncio.sleep(0)
        return change(response)


@pytest.fixture(params=[plain, awaiting])
def put(request):
    """Put around an application what changes a response, written plain or as a coroutine."""
    return request.param


def marked(response: Response) -> Response:
    response.headers["X-Served-By"] = "us"
    return response


def routes(app: App) -> App:
    app.get("/")(lambda: "x")
    app.get("/inline", inline=True)(lambda: "x")
    app.get("/fails")(lambda: {}["hunter2"])
    app.post("/size", csrf=False)(lambda request: str(len(request.body)))

    @app.get("/later")
    async def later():
        await asyncio.sleep(0)
        return "x"

    return app


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/", "HEAD", 200),
        ("/inline", "GET", 200),
        ("/later", "GET", 200),
        ("/nothing", "GET", 404),
        ("/", "PUT", 405),
        ("/", "OPTIONS", 204),
        ("/fails", "GET", 500),
    ],
)
def test_it_sees_every_answer(ask, put, path, method, status):
    put(app := routes(App()), marked)
    answer = ask(app, path, method)
    assert (answer.status_code, answer.headers["X-Served-By"]) == (status, "us")
    assert "X-Content-Type-Options" in answer.headers
    assert (answer.text == "x") is (status == 200 and method == "GET")


def test_a_response_keeps_its_length(ask, put):
    app = App()
    app.get("/")(lambda: Response(["a", "bc"]))
    put(app, marked)
    answer = ask(app)
    assert (answer.text, answer.headers["Content-Length"]) == ("abc", "3")


def test_a_body_is_there_for_the_handler(ask, put):
    put(app := routes(App()), marked)
    assert ask(app, "/size", "POST", data=b"x" * 100_000).text == "100000"


@pytest.mark.parametrize("change", [lambda r: r.set_data("new") or r, lambda r: iter(["new"])])
def test_head_has_no_body_whoever_answers(ask, put, change):
    put(app := routes(App()), change)
    assert (ask(app).text, ask(app, method="HEAD").text) == ("new", "")


@pytest.mark.parametrize("first", ["form", "body", "files"])
def test_it_may_read_what_the_handler_reads(ask, first):
    app = App()
    app.post("/", csrf=False)(lambda request: request.form["name"] + request.form["x"])

    @app.around
    def around(request, proceed):
        assert getattr(request, first) is not None
        return proceed()

    form = {"name": "Ada", "x": "x" * 100_000}
    if first == "body":
        app.put("/", csrf=False)(lambda request: request.body)
        assert ask(app, "/", "PUT", data=b"x" * 100_000).data == b"x" * 100_000
    else:
        assert ask(app, "/", "POST", data=form).text == "Ada" + "x" * 100_000


def test_an_awaiting_one_may_read_it_too(ask):
    app = App()
    app.post("/", csrf=False)(lambda request: request.form["name"])

    @app.around
    async def around(request, proceed):
        await request.load()
        assert request.form["name"] == "Ada"
        return await proceed()

    assert ask(app, "/", "POST", data={"name": "Ada"}).text == "Ada"


def test_the_limits_of_a_route_hold_beneath(ask, put):
    app = App({"limits": {"body": "1 kB"}})
    app.post("/", csrf=False, limits={"body": "1 MB"})(lambda request: str(len(request.body)))
    put(app, marked)
    assert ask(app, "/", "POST", data=b"x" * 100_000).text == "100000"
    assert ask(app, "/", "POST", data=b"x" * 1_100_000).status_code == 413


def test_it_may_change_body_status_and_headers(ask, put):
    def change(response: Response) -> Response:
        response.data = response.data * 2
        response.status_code = 203
        del response.headers["X-Frame-Options"]
        return response

    put(app := routes(App()), change)
    answer = ask(app)
    assert (answer.text, answer.status_code, answer.headers["Content-Length"]) == ("xx", 203, "2")
    assert "X-Frame-Options" not in answer.headers


@pytest.mark.parametrize("other", ["other", ("other", 200), Response("other")])
def test_it_may_give_another_answer(ask, put, other):
    put(app := routes(App()), lambda response: other)
    assert ask(app).text == "other"


def test_it_may_answer_without_the_handler(ask):
    app, called = App(), []
    app.get("/")(lambda: called.append(1))

    @app.around
    def closed(request, proceed):
        return ("closed", 503) if request.path == "/" else proceed()

    assert (ask(app).status_code, ask(app, "/nothing").status_code, called) == (503, 404, [])


@pytest.mark.parametrize("raises", [lambda: abort(418), lambda: abort(Response("tea", 418))])
def test_what_it_raises_is_answered_within_the_next_layer(ask, put, raises):
    app = routes(App())
    put(app, marked)
    put(app, lambda response: raises())
    answer = ask(app)
    assert (answer.status_code, answer.headers["X-Served-By"]) == (418, "us")


def test_the_first_one_is_the_outermost(ask, put):
    app = routes(App())
    for letter in "abc":
        put(app, lambda response, letter=letter: f"{letter}({response.get_data(True)})")
    assert ask(app).text == "a(b(c(x)))"


def test_request_and_handler_share_an_environ(ask):
    app = App()

    @app.around
    def note(request, proceed):
        request.environ["mine"] = "note"
        return proceed()

    app.get("/")(lambda request: request.environ["mine"])
    assert ask(app).text == "note"


def test_what_is_stored_is_committed_by_then(ask, put, tmp_path):
    @dataclass
    class Note:
        text: str
        id: int | None = None

    app = App({"persistence": {"use": "sqlalchemy", "url": f"sqlite:///{tmp_path}/test.db"}})
    app.records(Note)
    app.post("/", csrf=False)(lambda store: str(store.add(Note("x")).id))
    app.get("/")(lambda store: str(store.count(Note)))

    def count(response: Response) -> str:
        other = []
        thread = threading.Thread(
            target=lambda: other.append(app.call(lambda store: store.count(Note)))
        )
        thread.start()
        thread.join()
        return f"{response.get_data(True)} {other[0]}"

    put(app, count)
    assert ask(app, method="POST").text == "1 1"


def test_streams_pass_by_and_those_that_are_replaced_are_ended(ask, put):
    app, ended = App(), []

    def pieces():
        try:
            yield "a"
            yield "b"
        finally:
            ended.append("plain")

    @app.get("/later")
    async def later():
        try:
            yield "a"
            yield "b"
        finally:
            ended.append("later")

    app.get("/")(pieces)
    replaced = []
    put(app, lambda response: "other" if replaced else marked(response))
    for path in "/", "/later":
        answer = ask(app, path)
        assert (answer.text, answer.headers["X-Served-By"]) == ("ab", "us")
    assert ended == ["plain", "later"]
    replaced.append(True)
    assert (ask(app).text, ask(app, "/later").text) == ("other", "other")
    assert ended == ["plain", "later"] * 2


def letters(ended: list[str]) -> App:
    app = App()

    @app.get("/")
    def pieces():
        try:
            yield from "abc"
        finally:
            ended.append("pieces")

    return app


@pytest.mark.parametrize(
    ("change", "text", "status"),
    [
        (lambda r: (r, 201), "abc", 201),
        (lambda r: (r, {"X-A": "b"}), "abc", 200),
        (lambda r: Response(r.response), "abc", 200),
        (lambda r: Response(piece.upper() for piece in r.response), "ABC", 200),
        (lambda r: setattr(r, "status_code", 204) or r, "", 204),
    ],
)
def test_a_stream_goes_whole_into_another_answer(ask, put, change, text, status):
    put(app := letters(ended := []), change)
    answer = ask(app)
    assert (answer.text, answer.status_code, ended) == (text, status, ["pieces"])


def test_the_pieces_of_a_stream_may_be_mapped_or_read_in_plain_code(ask):
    app = letters(ended := [])

    @app.around
    def read(request, proceed):
        response = proceed()
        response.data = response.data * 2
        return response

    assert (ask(app).text, ended) == ("abcabc", ["pieces"])


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_takes_it_away(ask, put, status):
    put(app := routes(App()), lambda response: setattr(response, "status_code", status) or response)
    answer = ask(app)
    assert (answer.data, answer.status_code) == (b"", status)
    assert "Content-Length" not in answer.headers


def wrong(app: App) -> None:
    app.around(lambda request, proceed: None)


def forgot_to_await(app: App) -> None:
    @app.around
    async def around(request, proceed):
        return proceed()


def twice(app: App) -> None:
    @app.around
    def around(request, proceed):
        proceed()
        return proceed()


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (wrong, r"test_around.py:\d+ returned nothing: return what proceed\(\) gave"),
        (forgot_to_await, r"test_around.py:\d+ returned what is to be awaited: write `await"),
        (twice, r"test_around.py:\d+ called proceed\(\) twice"),
    ],
)
def test_a_mistake_in_one_names_its_line(ask, caplog, mistake, said):
    mistake(app := routes(App()))
    assert ask(app).status_code == 500
    assert re.search(said, caplog.text)


@pytest.mark.parametrize("line", ["200 OK\r\nX-Evil: 1"])
def test_a_status_line_cannot_carry_headers(ask, put, line):
    put(app := routes(App()), lambda response: setattr(response, "status", line) or response)
    answer = ask(app)
    assert (answer.status_code, "X-Evil" in answer.headers) == (500, False)


def asked(app: App, events: list[str], path: str = "/") -> None:
    """Ask by ASGI, and leave when the application has noted its first event."""

    async def ask() -> None:
        came = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            while not came and not events:
                await asyncio.sleep(0.01)
            return came.pop() if came else {"type": "http.disconnect"}

        async def send(message):
            await asyncio.sleep(0)

        scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path}
        scope |= {"query_string": b"", "headers": [(b"host", b"localhost")], "scheme": "http"}
        await asyncio.wait_for(app.asgi(scope, receive, send), 20)

    asyncio.run(ask())


def test_a_client_that_leaves_a_waiting_one_leaves_nothing_open():
    app = letters(ended := [])
    left: list[str] = []

    @app.around
    async def around(request, proceed):
        response = await proceed()
        left.append("waits")
        await asyncio.sleep(60)
        return response

    asked(app, left)
    assert ended == ["pieces"]
    app.stop()


def test_a_client_that_leaves_cancels_the_coroutine_beneath_a_plain_one():
    app, events = App(), []

    @app.get("/")
    async def wait_long():
        events.append("began")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    plain(app, marked)
    asked(app, events)
    assert events == ["began", "cancelled"]
    app.stop()


@pytest.mark.parametrize("first", ["body", "form"])
def test_a_smaller_limit_of_a_route_holds_for_what_was_read_before(ask, first):
    app = App()
    app.post("/", csrf=False, limits={"body": "10 B"})(lambda request: str(len(request.body)))

    @app.around
    def around(request, proceed):
        assert getattr(request, first) is not None
        return proceed()

    assert ask(app, "/", "POST", data={"x": "y" * 100}).status_code == 413


def test_a_stream_that_fails_at_its_start_is_an_error_page_by_then(ask, put):
    app, seen = App(), []

    @app.get("/")
    def pieces():
        raise LookupError
        yield "a"

    put(app, lambda response: seen.append(response.status_code) or response)
    assert (ask(app).status_code, seen) == (500, [500])


def test_plain_ones_keep_no_worker_thread_from_handlers(put):
    app = routes(App({"app": {"threads": 2}}))
    plain(app, marked)
    plain(app, marked)
    browser = client(app, gateway="asgi")
    threads = [threading.Thread(target=browser.get, args=("/",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    app.stop()


def test_a_header_that_cannot_be_sent_is_a_failure_here(ask, put):
    def change(response: Response) -> Response:
        response.headers["X-Name"] = "\u0416"
        return response

    put(app := routes(App()), change)
    assert ask(app).status_code == 500


def test_a_foreign_host_is_refused_before(ask, put):
    app, seen = routes(App({"security": {"hosts": ["example.org"]}})), []
    put(app, lambda response: seen.append(1))
    assert (ask(app, headers={"Host": "example.com"}).status_code, seen) == (400, [])


def test_waiting_within_a_plain_one(ask):
    app = routes(App())

    @app.around
    def around(request, proceed):
        wait(asyncio.sleep(0))
        return marked(proceed())

    assert ask(app).headers["X-Served-By"] == "us"


@pytest.mark.parametrize("wrong", [lambda: None, lambda request: None, 1])
def test_what_takes_no_request_and_proceed_is_refused(wrong):
    with pytest.raises(TypeError, match=r"function of \(request, proceed\)"):
        App().around(wrong)


def test_it_is_too_late_after_the_start(ask):
    app = routes(App())
    ask(app)
    with pytest.raises(RuntimeError, match=r"app\.around was called after"):
        app.around(lambda request, proceed: proceed())


@pytest.mark.parametrize("result", [("fine", 200), Response("fine"), ("fine", 202)])
def test_an_error_handler_may_give_a_status_of_its_own(ask, result):
    app = routes(App())
    app.error(LookupError)(lambda: result)
    status = result.status_code if isinstance(result, Response) else result[1]
    answer = ask(app, "/fails")
    assert (answer.text, answer.status_code) == ("fine", status)


def test_a_response_may_carry_an_asynchronous_generator(ask):
    app = App()

    @app.get("/")
    async def index():
        async def pieces():
            yield "a"
            await asyncio.sleep(0)
            yield b"b"

        return Response(pieces(), 201, {"X-Kind": "stream"}, content_type="text/plain")

    answer = ask(app)
    assert (answer.text, answer.status_code) == ("ab", 201)
    assert (answer.headers["X-Kind"], answer.headers["Content-Type"]) == ("stream", "text/plain")


def test_abort_with_a_response_answers_and_rolls_back(ask, tmp_path):
    @dataclass
    class Note:
        text: str
        id: int | None = None

    app = App({"persistence": {"use": "sqlalchemy", "url": f"sqlite:///{tmp_path}/test.db"}})
    app.records(Note)

    @app.post("/", csrf=False)
    def add(store):
        store.add(Note("x"))
        abort(Response("enough", 202))

    app.get("/")(lambda store: str(store.count(Note)))
    answer = ask(app, method="POST")
    assert (answer.text, answer.status_code, ask(app).text) == ("enough", 202, "0")
