"""Plans: how a handler is called, and when what it opened is closed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import Client, EnvironBuilder

from kit import App, ConfigError, Form, Meta, Response, Routes, abort, provider


def line(function: object) -> str:
    return f"{__file__}:{inspect.getsourcelines(function)[1]}"


def problems(app: App) -> list[str]:
    with pytest.raises(ConfigError) as error:
        app.check()
    return [str(problem) for problem in error.value.problems]


def test_a_name_in_the_pattern_and_of_a_provider_is_an_error():
    app = App()

    @app.get("/<request>")
    def show(request):
        return ""

    [problem] = problems(app)
    assert problem.startswith(
        f"{line(show)}: 'request' is both in the URL pattern and provided by "
    )
    assert problem.endswith("\n    Rename the one in the pattern.")


def test_a_pattern_with_more_than_the_handler_takes_is_an_error():
    app = App()

    @app.get("/<year>/<month>")
    def show(year):
        return ""

    assert problems(app) == [
        f"{line(show)}: 'show' does not take 'month' from its URL pattern.\n"
        "    Name it as a parameter, or take it out of the pattern."
    ]


def test_a_handler_with_more_than_the_pattern_gives_is_an_error():
    app = App()

    @app.get("/<year>")
    def show(year, month):
        return ""

    assert problems(app)[0].startswith(f"{line(show)}: nothing provides 'month'.")


def with_default(id, style="plain"):
    return f"{id} {style}"


def keyword_only(*, id, word):
    return f"{id} {word}"


def mixed(word, /, id, *, style="plain"):
    return f"{id} {word} {style}"


def mixed_with_default(style="plain", *, id):
    return f"{id} {style}"


def positional_after_default(id=0, style="plain", /):
    return style


def default_before_provider(id, style="plain", word="none"):
    return f"{id} {style} {word}"


def open_ended(**values):
    return f"{values}"


def open_ended_with_more(word, **values):
    return f"{word} {values}"


def any_positional(*values, id):
    return f"{id} {values}"


class Callable_:  # noqa: N801
    def __call__(self, id, word):
        return f"{id} {word}"

    def method(self, id):
        return f"{id}"


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (with_default, "7 plain"),
        (keyword_only, "7 w"),
        (mixed, "7 w plain"),
        (mixed_with_default, "7 plain"),
        (default_before_provider, "7 plain w"),
        (open_ended, "{'id': 7}"),
        (open_ended_with_more, "w {'id': 7}"),
        (positional_after_default, "plain"),
        (Callable_(), "7 w"),
        (Callable_().method, "7"),
        (any_positional, "7 ()"),
    ],
)
def test_handlers_are_called_as_they_are_declared(handler: Callable[..., object], text):
    app = App()
    app.provider(provider(name="word")(lambda: "w"))
    app.get("/<int:id>")(handler)
    answer = Client(app).get("/7")
    assert answer.text.replace("&#39;", "'") == text


def test_providers_have_defaults_and_keyword_only_parameters_too():
    app = App()
    app.provider(provider(name="a")(lambda: "a"))

    @app.provider
    def b(a, extra="none", *, request):
        return f"{a} {extra} {request.method}"

    app.get("/")(lambda b: b)
    assert Client(app).get("/").text == "a none GET"


def test_a_handler_that_names_nothing_opens_nothing():
    app = App()
    opened: list[int] = []
    app.provider(provider(name="costly")(lambda: opened.append(1)))
    app.get("/")(lambda: "x")
    app.get("/costly")(lambda costly: "x")
    client = Client(app)
    client.get("/")
    assert opened == []
    client.get("/costly")
    assert opened == [1]


class Opened:
    """An application with providers that write down what becomes of them."""

    def __init__(self) -> None:
        self.app = App()
        self.told: list[object] = []
        self.app.provider(provider(name="first")(self.generator("first")))
        self.app.provider(self.second)
        self.client = Client(self.app)

    def generator(self, name: str) -> Callable[[], Iterator[str]]:
        def generate() -> Iterator[str]:
            self.told.append(f"open {name}")
            try:
                yield name
                self.told.append(f"keep {name}")
            except BaseException as error:
                self.told.append(f"{type(error).__name__} in {name}")
                raise
            finally:
                self.told.append(f"close {name}")

        return generate

    @property
    def second(self) -> Callable[[str], Iterator[str]]:
        def second(first: str) -> Iterator[str]:
            yield from self.generator("second")()

        return second


def test_generators_are_closed_in_reverse_order_after_the_handler():
    opened = Opened()
    opened.app.get("/")(lambda second: opened.told.append("handler"))
    opened.client.get("/")
    assert opened.told == [
        *("open first", "open second", "handler"),
        *("keep second", "close second", "keep first", "close first"),
    ]


def test_an_exception_of_the_handler_is_thrown_into_every_generator():
    opened = Opened()

    @opened.app.get("/")
    def fail(second):
        raise KeyError("x")

    assert opened.client.get("/").status_code == 500
    assert opened.told[2:] == [
        *("KeyError in second", "close second", "KeyError in first", "close first"),
    ]


def test_an_abort_rolls_back_too():
    opened = Opened()
    opened.app.get("/")(lambda second: abort(409))
    assert opened.client.get("/").status_code == 409
    assert opened.told[2] == "Conflict in second"


def test_an_exception_while_opening_closes_what_is_open():
    opened = Opened()

    @opened.app.provider
    def third(second):
        raise KeyError("x")

    opened.app.get("/")(lambda third: "")
    assert opened.client.get("/").status_code == 500
    assert opened.told[2:] == [
        *("KeyError in second", "close second", "KeyError in first", "close first"),
    ]


@pytest.mark.parametrize("status", [500, 503])
def test_an_answer_of_5xx_rolls_back(status):
    opened = Opened()
    opened.app.get("/")(lambda second: ("sorry", status))
    answer = opened.client.get("/")
    assert (answer.status_code, answer.text) == (status, "sorry")
    assert opened.told[2:] == [
        *("Rollback in second", "close second", "Rollback in first", "close first"),
    ]


@pytest.mark.parametrize("status", [200, 303, 404, 422])
def test_other_answers_are_kept(status):
    opened = Opened()
    opened.app.get("/")(lambda second: ("x", status))
    assert opened.client.get("/").status_code == status
    assert "keep second" in opened.told


def test_a_result_that_cannot_be_an_answer_rolls_back():
    opened = Opened()
    opened.app.get("/")(lambda second: object())
    assert opened.client.get("/").status_code == 500
    assert "TypeError in first" in opened.told


def test_a_commit_that_fails_is_a_500_and_the_others_are_told():
    opened = Opened()

    @opened.app.provider
    def third(second) -> Iterator[str]:
        yield "third"
        raise OSError("disk full")

    opened.app.get("/")(lambda third: "done")
    answer = opened.client.get("/")
    assert answer.status_code == 500
    assert "done" not in answer.text
    assert opened.told[2:] == [
        *("OSError in second", "close second", "OSError in first", "close first"),
    ]


def test_a_generator_may_swallow_an_exception_only_for_itself():
    opened = Opened()

    @opened.app.provider
    def third(second) -> Iterator[str]:
        try:
            yield "third"
        except KeyError:
            opened.told.append("swallowed")

    @opened.app.get("/")
    def fail(third):
        raise KeyError("x")

    assert opened.client.get("/").status_code == 500
    assert opened.told[2:4] == ["swallowed", "KeyError in second"]


def test_a_generator_may_turn_an_exception_into_another():
    app = App()

    @app.provider
    def unit() -> Iterator[str]:
        try:
            yield "unit"
        except KeyError:
            abort(404)

    @app.get("/")
    def fail(unit):
        raise KeyError("x")

    assert Client(app).get("/").status_code == 404


def test_a_generator_that_yields_twice_is_closed_all_the_same():
    app = App()
    told: list[str] = []

    @app.provider
    def odd() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            told.append("closed")

    app.get("/")(lambda odd: str(odd))
    assert Client(app).get("/").text == "1"
    assert told == ["closed"]


def test_providers_add_headers_to_any_answer():
    app = App()

    @app.provider
    def stamp(response_headers: Headers) -> Iterator[str]:
        yield "x"
        response_headers.add("Set-Cookie", "a=1")
        response_headers.add("Set-Cookie", "b=2")
        response_headers["X-Stamp"] = "yes"

    app.get("/text")(lambda stamp: "x")
    app.get("/data", name="data")(lambda stamp: {"a": 1})
    app.get("/response", name="response")(lambda stamp: Response("x", headers={"X-Stamp": "no"}))
    client = Client(app)
    for path in ("/text", "/data", "/response"):
        headers = client.get(path).headers
        assert headers.getlist("Set-Cookie") == ["a=1", "b=2"]
        assert headers.getlist("X-Stamp") == ["yes"]


class Streaming(Opened):
    """An application that streams three chunks, with a provider that adds a header."""

    def __init__(self, fail_at: int = 99) -> None:
        super().__init__()
        self.status = ""
        self.headers = Headers()

        @self.app.provider
        def stamp(response_headers: Headers) -> Iterator[str]:
            yield "stamp"
            response_headers["X-Stamp"] = "yes"
            self.told.append("stamped")

        @self.app.get("/")
        def show(second, stamp):
            def chunks() -> Iterator[str]:
                try:
                    for n in range(3):
                        if n == fail_at:
                            raise KeyError("x")
                        self.told.append(f"chunk {n}")
                        yield f"{n},"
                except GeneratorExit:
                    self.told.append("GeneratorExit in chunks")
                    raise
                finally:
                    self.told.append("close chunks")

            return chunks()

    def open(self, method: str = "GET") -> Iterator[bytes]:
        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.told.append("status")
            self.status, self.headers = status, Headers(headers)

        environ = EnvironBuilder(path="/", method=method).get_environ()
        return self.app(environ, start_response)  # type: ignore[return-value]


def test_a_stream_closes_its_providers_after_the_last_chunk():
    streaming = Streaming()
    assert b"".join(streaming.open()) == b"0,1,2,"
    assert streaming.told[2:] == [
        *("chunk 0", "stamped", "status", "chunk 1", "chunk 2", "close chunks"),
        *("keep second", "close second", "keep first", "close first"),
    ]


def test_a_stream_has_the_headers_of_its_providers():
    streaming = Streaming()
    streaming.open()
    assert streaming.headers["X-Stamp"] == "yes"


def test_a_stream_that_the_client_leaves_is_closed_with_generator_exit():
    streaming = Streaming()
    body = streaming.open()
    assert next(body) == b"0,"
    body.close()  # type: ignore[attr-defined]
    assert streaming.told[5:] == [
        *("GeneratorExit in chunks", "close chunks"),
        *("GeneratorExit in second", "close second", "GeneratorExit in first", "close first"),
    ]


def test_a_stream_that_is_closed_twice_is_closed_once():
    streaming = Streaming()
    body = streaming.open()
    list(body)
    told = list(streaming.told)
    body.close()  # type: ignore[attr-defined]
    assert streaming.told == told


def test_a_stream_that_fails_at_first_is_a_clean_500():
    streaming = Streaming(fail_at=0)
    assert b"500 Internal Server Error" in b"".join(streaming.open())
    assert streaming.status.startswith("500")
    assert "KeyError in first" in streaming.told


def test_a_stream_that_fails_in_the_middle_rolls_back_and_tells_the_server(caplog):
    streaming = Streaming(fail_at=2)
    body = streaming.open()
    assert [next(body), next(body)] == [b"0,", b"1,"]
    with pytest.raises(KeyError):
        next(body)
    body.close()  # type: ignore[attr-defined]
    assert streaming.told[6:] == [
        *("close chunks", "KeyError in second", "close second", "KeyError in first", "close first"),
    ]


def test_head_of_a_stream_sends_nothing_and_closes_all():
    streaming = Streaming()
    assert b"".join(streaming.open("HEAD")) == b""
    assert streaming.status.startswith("200")
    assert {"close chunks", "close first", "close second"} <= set(streaming.told)


def test_a_stream_whose_commit_fails_raises_after_the_last_chunk():
    app = App()

    @app.provider
    def unit() -> Iterator[str]:
        yield "unit"
        raise OSError("disk full")

    app.get("/")(lambda unit: (text for text in ["a", "b"]))
    environ = EnvironBuilder(path="/").get_environ()
    body = iter(app(environ, lambda status, headers: None))
    assert [next(body), next(body)] == [b"a", b"b"]
    with pytest.raises(OSError, match="disk full"):
        next(body)


def test_what_adds_headers_closes_last_also_where_a_provider_names_it_second():
    closed = []
    app = App()

    @app.provider
    def visit(response_headers):
        yield
        closed.append("visit")

    @app.provider
    def work():
        yield
        closed.append("work")

    app.provider(name="page")(lambda work, visit: "")
    app.get("/", name="index")(lambda page: page)
    Client(app).get("/")
    assert closed == ["work", "visit"]


def test_a_streamed_answer_with_a_5xx_status_rolls_back():
    ended = []
    app = App()

    @app.provider
    def work():
        try:
            yield
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    app.get("/", name="index")(lambda work: (iter(["a", "b"]), 503))
    assert Client(app).get("/").text == "ab"
    assert ended == ["Rollback"]


def test_a_provider_that_yields_twice_does_not_keep_others_open():
    ended = []
    app = App()

    @app.provider
    def work():
        yield
        ended.append("committed")

    @app.provider
    def stubborn(work):
        while True:
            try:
                yield
            except GeneratorExit:
                yield

    app.get("/", name="index")(lambda stubborn: "")
    assert Client(app).get("/").status_code == 500
    assert not ended


def test_guards_come_before_the_handler_and_its_providers():
    app = App()
    seen = []

    @app.provider
    def opened():
        seen.append("opened")
        yield 1
        seen.append("closed")

    def first(request):
        seen.append(f"first {request.path}")

    def second(id, environ):
        seen.append(f"second {id} {environ['REQUEST_METHOD']}")
        if id == 0:
            abort(403)

    @app.get("/<int:id>", requires=[first, second])
    def show(id, opened):
        seen.append("handler")
        return "done"

    client = Client(app)
    assert client.get("/0").status_code == 403
    assert seen == ["first /0", "second 0 GET"]
    seen.clear()
    assert client.get("/1").text == "done"
    assert seen == ["first /1", "second 1 GET", "opened", "handler", "closed"]


def test_a_group_has_guards_for_all_its_routes():
    app = App()

    def closed():
        abort(403)

    outer = Routes("/outer", requires=closed)
    inner = Routes("/inner")
    inner.get("/")(lambda: "in")
    outer.include(inner)
    app.include(outer)
    app.get("/")(lambda: "open")
    client = Client(app)
    assert client.get("/").status_code == 200
    assert client.get("/outer/inner/").status_code == 403
    assert client.head("/outer/inner/").status_code == 403
    assert client.options("/outer/inner/").status_code == 204


def test_what_a_guard_names_must_be_provided():
    app = App()

    def guard(nobody):
        pass

    app.get("/", requires=guard)(lambda: "")
    [problem] = problems(app)
    assert problem.startswith(f"{line(guard)}: nothing provides 'nobody'.")


def test_a_guard_shares_its_providers_with_the_handler():
    app = App()
    opened = []

    @app.provider
    def thing():
        opened.append(1)
        return object()

    kept = []
    app.get("/", requires=lambda thing: kept.append(thing))(lambda thing: str(thing is kept[0]))
    assert Client(app).get("/").text == "True"
    assert opened == [1]


def typed_app():
    app = App()

    @app.provider(scope="app")
    def tables():
        return {int: "whole", str: "text"}

    @provider(typed=True)
    def kind(annotation, tables):
        if annotation not in tables:
            raise TypeError(f"{annotation!r} is not in the tables")

        def opened(request):
            return f"{tables[annotation]} {request.path}"

        return opened

    app.provider(kind)
    return app


def test_a_typed_provider_is_bound_to_the_annotation():
    app = typed_app()

    @app.provider
    def twice(kind):
        return kind + kind

    @app.get("/a")
    def number(kind: int):
        return kind

    @app.get("/b")
    def text(kind: str, twice):
        return twice

    client = Client(app)
    assert client.get("/a").text == "whole /a"
    assert client.get("/b").text == "text /btext /b"


def test_a_typed_provider_without_or_with_another_annotation_is_an_error():
    app = typed_app()

    @app.get("/a")
    def nothing(kind):
        return kind

    @app.get("/b")
    def other(kind: float):
        return kind

    @app.get("/c")
    def unknown(kind: Missing):  # noqa: F821
        return kind

    found = "\n".join(problems(app))
    assert f"{line(nothing)}: 'kind' has no annotation that says what it holds." in found
    assert f"{line(other)}: 'kind': <class 'float'> is not in the tables" in found
    assert f"{line(unknown)}: 'kind': its annotation Missing cannot be read" in found


def test_limits_of_a_route_stand_over_those_of_the_config():
    app = App({"limits": {"body": 10}})
    app.post("/small")(lambda request: request.body)
    app.post("/large", limits={"body": "1 kB"})(lambda request: request.body)
    client = Client(app)
    assert client.post("/small", data=b"x" * 11).status_code == 413
    assert client.post("/large", data=b"x" * 11).status_code == 200
    assert client.post("/large", data=b"x" * 1001).status_code == 413


def test_a_limit_that_there_is_not_and_a_wrong_size_are_errors():
    app = App()

    @app.post("/", limits={"bdy": 3, "body": "many"})
    def post(request):
        return ""

    found = problems(app)
    assert found[0] == (
        f"{line(post)}: there is no limit 'bdy'. Did you mean 'body'?\n    Limits are: body,"
        " field, fields, files, message, part_headers, query."
    )
    assert "the limit body = 'many'" in found[1]


@dataclass
class Person:
    name: Annotated[str, Meta(max_length=3)]


SENDS = {
    "accepts": {"data": {"name": "<abc>"}, "headers": {"Accept": "application/json"}},
    "sends": {"json": {"name": "<abc>"}},
}


def again_app():
    app = App()

    @app.get("/")
    def page(form: Form[Person]):
        return f"page {form.shown('name')}"

    @app.post("/", again=page)
    def save(form: Form[Person]):
        return form.value.name

    @app.post("/bare")
    def bare(form: Form[Person]):
        return form.value.name

    return Client(app)


def test_invalid_input_shows_the_page_again():
    answer = again_app().post("/", data={"name": "<abc>"})
    assert (answer.status_code, answer.text) == (422, "page <abc>")
    assert again_app().post("/", data={"name": "Ada"}).text == "Ada"


@pytest.mark.parametrize("path", ["/", "/bare"])
@pytest.mark.parametrize("kind", ["accepts", "sends"])
def test_invalid_input_of_a_client_of_json_is_a_problem_with_errors(path, kind):
    answer = again_app().post(path, **SENDS[kind])
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    [error] = answer.json["errors"]
    assert (error["field"], error["code"]) == ("name", "too_long")


def test_invalid_input_without_a_page_lists_the_messages():
    answer = again_app().post("/bare", data={"name": "<abc>"})
    assert answer.status_code == 422
    assert "<li>name: " in answer.text


def test_the_page_for_invalid_input_names_the_form():
    app = App()

    @app.post("/", again=lambda: "")
    def save():
        return ""

    assert problems(app) == [
        f"{line(save)}: its again=<lambda> takes no 'form'.\n"
        "    Let that handler name form, and show it."
    ]


def test_a_typed_provider_leaves_its_name_to_patterns_and_defaults():
    app = typed_app()
    app.get("/of/<kind>")(lambda kind: f"pattern {kind}")
    app.get("/default")(lambda kind="mine": kind)
    client = Client(app)
    assert client.get("/of/x").text == "pattern x"
    assert client.get("/default").text == "mine"


def test_a_path_value_may_be_taken_by_a_guard_alone():
    app = App()
    seen = []
    app.get("/<int:number>", requires=lambda number: seen.append(number))(lambda: "x")
    assert Client(app).get("/7").text == "x"
    assert seen == [7]


def test_a_guard_that_answers_instead_of_raising_fails_closed(caplog):
    app = App()
    app.get("/no", requires=lambda: False)(lambda: "open")
    app.get("/uncalled", requires=lambda: lambda: abort(403))(lambda: "open")
    for path in ("/no", "/uncalled"):
        assert Client(app).get(path).status_code == 500
    assert "a guard raises to refuse" in caplog.text


@pytest.mark.parametrize("requires", ["admin", [None], None, ["a", len]])
def test_what_is_no_guard_is_an_error_at_start(requires):
    app = App()

    @app.get("/", requires=requires)
    def show():
        return ""

    found = problems(app)
    assert found[0].startswith(f"{line(show)}: requires=")
    assert found[0].endswith("Give the function itself, not its name or its result.")


def test_a_page_for_invalid_input_is_a_function():
    app = App()

    @app.post("/", again="show")
    def save():
        return ""

    assert problems(app)[0].startswith(f"{line(save)}: again='show' is no function.")


@pytest.mark.parametrize("option", ["require", "guards", "crsf"])
def test_an_option_of_a_route_that_there_is_not_is_an_error(option):
    app = App()
    with pytest.raises(ConfigError, match=f"a route has no option '{option}'"):
        app.get("/", **{option: False})(lambda: "open")
    with pytest.raises(ConfigError, match="csrf='no': it is True or False"):
        app.post("/", csrf="no")(lambda: "open")


def test_an_async_guard_or_provider_works_beside_a_plain_handler():
    app = App()

    async def guard():
        abort(403)

    @app.provider
    async def later():
        return "soon"

    app.get("/a", requires=guard)(lambda: "open")
    app.get("/b")(lambda later: later)
    client = Client(app)
    assert client.get("/a").status_code == 403
    assert client.get("/b").text == "soon"


def test_the_page_for_invalid_input_keeps_its_own_guards():
    app = App()

    def refuse():
        abort(403)

    @app.get("/admin", requires=refuse)
    def admin(form: Form[Person]):
        return "secrets"

    app.post("/public", again=admin)(save_person)
    assert Client(app).post("/public", data={"name": "<abc>"}).status_code == 403


def save_person(form: Form[Person]):
    return form.value.name


@dataclass
class Other:
    name: str


def test_the_page_for_invalid_input_has_the_same_form():
    app = App()
    app.post("/", again=show_other)(save_person)
    [problem] = problems(app)
    assert problem.endswith("Let both name the same class.")


def show_other(form: Form[Other]):
    return "page"


@pytest.mark.parametrize("limit", [-5, None, 1.5, True])
def test_a_limit_that_is_no_number_is_an_error(limit):
    app = App()
    app.post("/", limits={"fields": limit})(lambda: "")
    assert problems(app)[0].startswith(f"{__file__}:")
    with pytest.raises(ConfigError):
        App({"limits": {"fields": -1}})
