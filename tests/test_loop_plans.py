"""Plans beside an event loop: what runs where, what is refused, and what ends when."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kit import App, ConfigError, provider
from kit.answers import Stream
from kit.testing import client


def problems(app: App) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        app.check()
    return [str(problem) for problem in caught.value.problems]


def where() -> str:
    return "loop" if asyncio._get_running_loop() else threading.current_thread().name[:3]


@pytest.fixture(params=["wsgi", "asgi"])
def get(request):
    apps = []

    def get(app: App, path: str = "/", **options):
        apps.append(app)
        return client(app, gateway=request.param).open(path, **options)

    yield get
    for app in apps:
        app.stop()


def test_a_coroutine_runs_on_the_loop_and_plain_code_in_a_thread():
    app = App()
    app.provider(name="plain")(where)
    app.provider(name="cheap", inline=True)(where)

    @app.provider(name="later")
    async def later():
        return where()

    def guard():
        seen.append(where())

    @app.get("/", requires=guard)
    async def show(plain, cheap, later):
        return f"{plain} {cheap} {later} {where()}"

    seen: list[str] = []
    app.get("/plain")(where)
    app.get("/inline", inline=True)(where)
    browser = client(app, gateway="asgi")
    assert browser.get("/").text == "kit loop loop loop"
    assert browser.get("/plain").text == "kit"
    assert browser.get("/inline").text == "loop"
    assert seen == ["kit"]


def test_generators_of_both_kinds_are_finished_in_reverse(get):
    app, told = App(), []

    @app.provider
    def one():
        told.append("one opened")
        yield 1
        told.append("one ended")

    @app.provider
    async def two(one):
        told.append("two opened")
        yield one + 1
        told.append("two ended")

    @app.provider(inline=True)
    def three(two):
        yield two + 1
        told.append("three ended")

    @app.get("/")
    async def show(three):
        return str(three)

    assert get(app).text == "3"
    assert told == ["one opened", "two opened", "three ended", "two ended", "one ended"]


def test_an_error_is_thrown_into_all_of_them(get):
    app, told = App(), []

    @app.provider
    def one():
        try:
            yield 1
        except ValueError as error:
            told.append(f"one {error}")
            raise

    @app.provider
    async def two():
        try:
            yield 2
        except ValueError as error:
            told.append(f"two {error}")
            raise

    @app.get("/")
    async def show(one, two):
        raise ValueError("no")

    assert get(app).status_code == 500
    assert told == ["two no", "one no"]


def test_a_provider_that_fails_ends_those_before_it(get):
    app, told = App(), []

    @app.provider
    async def one():
        try:
            yield 1
        finally:
            told.append("ended")

    @app.provider
    async def two(one):
        raise ValueError("no")
        yield

    @app.get("/")
    async def show(two):
        return ""

    assert get(app).status_code == 500
    assert told == ["ended"]


def test_an_async_generator_without_a_yield_is_an_error(get):
    app = App()

    @app.provider
    async def empty():
        return
        yield

    @app.get("/")
    async def show(empty):
        return ""

    assert get(app).status_code == 500


@pytest.mark.parametrize("kind", ["async handler", "async result", "plain generator"])
def test_streams_keep_their_providers_open(get, kind):
    app, told = App(), []

    @app.provider
    def one():
        yield "one"
        told.append("ended")

    async def pieces():
        yield "a"
        told.append("between")
        yield "b"

    def plain():
        yield "a"
        told.append("between")
        yield "b"

    if kind == "async handler":

        @app.get("/")
        async def show(one):
            async for piece in pieces():
                yield piece

    else:

        @app.get("/")
        async def show(one):
            return pieces() if kind == "async result" else plain()

    assert get(app).text == "ab"
    assert told == ["between", "ended"]


def test_a_plain_handler_may_return_an_async_stream(get):
    app, told = App(), []

    @app.provider
    def one():
        yield "one"
        told.append(where())

    async def pieces():
        yield "a"
        yield "b"

    app.get("/")(lambda one: pieces())
    app.get("/direct")(lambda: pieces())
    assert get(app).text == "ab"
    assert get(app, "/direct").text == "ab"
    assert told != ["loop"]


def test_what_fails_before_the_first_chunk_is_an_error_page(get):
    app = App()

    @app.get("/")
    async def show():
        raise ValueError("no")
        yield "x"

    assert get(app).status_code == 500


def test_head_leaves_the_stream_out(get):
    app, told = App(), []

    @app.get("/")
    async def show():
        try:
            yield "x"
            yield "y"
        finally:
            told.append("ended")

    assert get(app, method="HEAD").data == b""
    assert told == ["ended"]


def test_async_error_handlers_and_guards(get):
    app = App()

    @app.error(404)
    async def missing(status):
        return f"async {status}"

    assert get(app, "/nothing").text == "async 404"
    assert get(app, "/nothing").status_code == 404


def test_a_guard_that_answers_is_an_error_when_awaited(get):
    app = App()

    async def guard():
        return "no"

    app.get("/", requires=guard)(lambda: "open")
    assert get(app).status_code == 500


def test_async_providers_of_the_application():
    app, told = App(), []

    @app.provider(scope="app")
    async def pool():
        told.append("opened")
        yield "pool"
        told.append("closed")

    @app.provider(scope="app")
    async def name(pool):
        return f"the {pool}"

    app.get("/")(lambda name: name)
    assert client(app).get("/").text == "the pool"
    app.stop()
    assert told == ["opened", "closed"]


class Bound:
    one_thread = "its connection belongs to the thread that opened it"


def test_what_keeps_to_one_thread_is_refused_beside_a_loop():
    app = App()
    app.provider(scope="app", name="bound")(Bound)

    @app.get("/")
    async def show(bound):
        return ""

    app.get("/plain")(lambda bound: "")
    [problem] = problems(app)
    assert "test_loop_plans.py" in problem
    assert Bound.one_thread in problem
    assert "Write plain functions" in problem


def test_what_blocks_is_refused_in_coroutine_functions_and_inline():
    app = App()
    app.provider(name="files", blocks=True)(lambda: "files")

    @app.provider
    async def later(files):
        return ""

    @app.get("/a")
    async def show(files):
        return ""

    app.get("/b")(lambda later: "")
    app.get("/c", inline=True)(lambda files: "")
    app.get("/d")(lambda files: "")
    found = problems(app)
    assert len(found) == 3
    assert "'show' is a coroutine function, and 'files' waits in its methods" in found[0]
    assert "'later' is a coroutine function" in found[1]
    assert "is inline, and 'files' waits" in found[2]


def test_coroutine_functions_get_the_awaited_value_of_a_name(get):
    app = App()
    app.provider(name="files", blocks=True)(lambda: "plain")

    @app.provider(name="files", awaited=True)
    def files(files):
        return f"awaited beside {files}"

    @app.get("/")
    async def show(files, both):
        return f"{files}, {both}"

    app.provider(name="both")(lambda files: files)
    assert get(app).text == "awaited beside plain, plain"
    with app.override(files="mine"):
        assert get(app).text == "mine, mine"


def test_a_socket_is_for_websockets_and_they_are_for_coroutines():
    app = App()
    app.provider(name="files", blocks=True)(lambda: "files")
    app.provider(name="files", awaited=True)(lambda: 1)

    @app.get("/page")
    def page(socket):
        return ""

    @app.websocket("/plain")
    def plain(socket):
        return None

    @app.websocket("/long")
    async def long(socket, files):
        return None

    found = "\n".join(problems(app))
    assert "'socket' is for a WebSocket." in found
    assert "'plain' is no coroutine function." in found
    assert "'files' is for one piece of work, and a WebSocket lasts longer." in found
    assert "app.call_async" in found


def test_calls_beside_requests_may_be_coroutines():
    app, told = App(), []

    @app.provider
    def one():
        yield 1
        told.append("ended")

    async def add(one, two):
        await asyncio.sleep(0)
        return one + two

    async def main():
        return [
            await app.call_async(add, two=2),
            await app.call_async(lambda one: (one, where())),
        ]

    assert app.call(add, two=3) == 4
    assert asyncio.run(main()) == [3, (1, "kit")]
    assert told == ["ended"] * 3
    app.stop()


def test_the_body_is_loaded_before_a_coroutine_reads_it(get):
    app = App()

    @app.post("/", csrf=False)
    async def loaded(request):
        await request.load()
        return {"json": request.json}

    @app.post("/not", csrf=False)
    async def not_loaded(request):
        return request.json

    @app.post("/pieces", csrf=False, limits={"body": 10})
    async def pieces(request):
        return b"|".join([piece async for piece in request.pieces()])

    @app.post("/form", csrf=False)
    async def form(request):
        await request.load()
        return request.form["name"]

    assert get(app, method="POST", json=[1]).json == {"json": [1]}
    assert get(app, "/pieces", method="POST", data=b"0123456789").data == b"0123456789"
    assert get(app, "/pieces", method="POST", data=b"0123456789x").status_code == 413
    assert get(app, "/form", method="POST", data={"name": "Ada"}).text == "Ada"


def test_a_body_that_is_not_loaded_is_an_error_that_says_how(caplog):
    app = App()

    @app.post("/", csrf=False)
    async def not_loaded(request):
        return request.json

    assert client(app, gateway="asgi").post("/", json=[1]).status_code == 500
    assert "await request.load()" in caplog.text


def test_a_method_that_looks_like_a_socket_is_none(get):
    app = App()

    @app.websocket("/feed")
    async def feed(socket):
        return None

    assert get(app, "/feed").status_code == 400
    assert get(app, "/feed", method="PUT").status_code == 405
    assert "SOCKET" not in get(app, "/feed", method="OPTIONS").headers["Allow"]


def test_marks_of_a_provider_are_kept():
    @provider(inline=True, blocks=True, awaited=True, name="x")
    def one():
        return 1

    app = App()
    app.provider(one)
    made = app.own_providers[0]
    assert (made.name, made.inline, made.blocks) == ("await x", True, True)


SESSIONS = {"app": {"secret_key": "x" * 40}, "sessions": {"use": "itsdangerous"}}


def test_a_session_is_not_changed_when_it_is_too_late(get, caplog):
    app = App(SESSIONS)

    @app.get("/")
    async def show(session):
        session["early"] = 1
        yield "x"
        session["late"] = 1

    with pytest.raises(RuntimeError, match="the session is saved by now"):
        _ = get(app).data


def test_an_inline_handler_has_its_session_loaded(get):
    app = App(SESSIONS)

    @app.get("/", inline=True)
    def show(session):
        return str(session.get("name", "nobody"))

    assert get(app).text == "nobody"


def test_a_large_body_of_a_plain_handler_is_there_whole(get):
    app, big = App(), bytes(range(256)) * 1000

    @app.post("/", csrf=False)
    def size(request):
        return {"right": request.body == big}

    @app.post("/stream", csrf=False)
    def stream(request):
        return {"right": b"".join(iter(lambda: request.stream.read(1000), b"")) == big}

    assert get(app, method="POST", data=big).json == {"right": True}
    assert get(app, "/stream", method="POST", data=big).json == {"right": True}


def test_a_stream_is_closed_even_if_its_end_is_cancelled_before_a_thread_is_free():
    closed, calls = [], []

    def pieces():
        try:
            yield "a"
        finally:
            closed.append("pieces")

    async def late(function, *args):
        calls.append(function)
        if len(calls) in (2, 4):
            raise asyncio.CancelledError
        return function(*args)

    async def end():
        stream = Stream(pieces())
        stream.aside = late
        stream.then(lambda error: closed.append("then"))
        await stream.start()
        with pytest.raises(asyncio.CancelledError):
            await stream.end(None)

    asyncio.run(end())
    assert closed == ["pieces", "then"]


def test_at_the_end_of_a_stream_everything_is_finished_whatever_fails():
    finished = []

    def fail(error):
        finished.append("fails")
        raise OSError

    stream = Stream(iter("a"))
    for finish in (lambda error: finished.append("first"), fail):
        stream.then(finish)
    with pytest.raises(OSError):  # noqa: PT011 - the one from above
        stream.close()
    assert finished == ["fails", "first"]
