"""Providers: their mistakes are errors at start; their lives begin and end where they should."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from kit_werkzeug.routing import WerkzeugRouter
from werkzeug.test import Client

from kit import App, Component, ConfigError, provider
from kit.plugins import plugin_of
from kit.providers import naming
from kit.slots.routing import RoutingOptions


def line(function: object) -> str:
    """Where a function was written, as messages show it."""
    function = getattr(function, "__wrapped__", function)
    return f"{__file__}:{inspect.getsourcelines(function)[1]}"


def problems(app: App) -> list[str]:
    with pytest.raises(ConfigError) as error:
        app.check()
    return [str(problem) for problem in error.value.problems]


def test_an_unknown_name_is_an_error_at_start_with_the_nearest():
    app = App()

    @app.get("/")
    def show(reqest):
        return ""

    [problem] = problems(app)
    assert problem.startswith(f"{line(show)}: nothing provides 'reqest'. Did you mean 'request'?")


def test_an_unknown_name_in_a_provider_is_shown_at_the_provider():
    app = App()

    @app.provider
    def clock(tiem):
        return 0

    app.get("/")(lambda clock: "")
    assert problems(app)[0].startswith(f"{line(clock)}: nothing provides 'tiem'.")


def test_all_mistakes_of_all_handlers_are_reported_at_once():
    app = App()
    app.get("/a")(lambda one: "")
    app.post("/b")(lambda two: "")
    app.error(404)(lambda three: "")
    assert [p.split("provides ")[1].split(".")[0] for p in problems(app)] == [
        "'one'",
        "'two'",
        "'three'",
    ]


def test_one_mistake_that_many_handlers_meet_in_a_provider_is_reported_once():
    app = App()
    app.provider(provider(name="clock")(lambda tiem: 0))
    app.get("/a")(lambda clock: "")
    app.get("/b")(lambda clock: "")
    assert len(problems(app)) == 1


def test_a_circle_of_providers_is_shown_with_every_place():
    app = App()

    @app.provider
    def egg(hen):
        return hen

    @app.provider
    def hen(egg):
        return egg

    @app.get("/")
    def show(egg):
        return ""

    assert problems(app) == [
        f"{line(hen)}: providers go in a circle: egg ({line(egg)}) -> hen ({line(hen)})"
        f" -> egg ({line(egg)}).\n    Break it at one of them."
    ]


def test_a_provider_that_needs_itself_is_a_circle():
    app = App()
    app.provider(provider(name="snake")(lambda snake: 0))
    app.get("/")(lambda snake: "")
    assert "providers go in a circle: snake (" in problems(app)[0]


def test_an_application_scoped_provider_cannot_name_one_of_a_request():
    app = App()

    @app.provider
    def user():
        return "Ada"

    @app.provider
    @provider(scope="app")
    def cache(user):
        return {}

    app.get("/")(lambda cache: "")
    assert problems(app) == [
        f"{line(cache)}: 'cache' lives as long as the application, and cannot name 'user'"
        f" ({line(user)}), which lives for one request.\n"
        "    Mark 'cache' with scope=\"request\", or 'user' with \"app\"."
    ]


def test_two_providers_of_one_name_are_shown_with_both_places():
    app = App()

    @app.provider
    def clock():
        return 0

    @app.provider
    @provider(name="clock")
    def other_clock():
        return 1

    assert problems(app) == [
        f"{line(other_clock)}: provides 'clock', and so does {line(clock)}.\n"
        "    Rename one of them."
    ]


def test_a_provider_that_takes_a_name_of_the_kernel_is_an_error():
    app = App()

    @app.provider
    def request():
        return 0

    [problem] = problems(app)
    assert problem.startswith(f"{line(request)}: provides 'request', and so does ")


@pytest.mark.parametrize(
    ("name", "slot", "first", "others"),
    [
        ("store", "persistence", "peewee", "peewee_async, sqlalchemy, sqlalchemy_async"),
        ("db", "persistence", "peewee", "peewee_async, sqlalchemy, sqlalchemy_async"),
        ("render", "templating", "jinja2", "mako"),
        ("session", "sessions", "beaker", "itsdangerous, redis"),
        ("templating", "templating", "jinja2", "mako"),
    ],
)
def test_a_name_of_an_empty_slot_says_how_to_fill_it(name, slot, first, others):
    app = App()
    scope: dict[str, object] = {}
    exec(f"def show({name}): return ''", scope)  # a handler with that parameter
    app.get("/")(scope["show"])
    assert (
        f"nothing provides {name!r}. It comes with the slot {slot!r}, which is empty: fill it with"
        f' [{slot}] use = "{first}" (or another of: {others}),'
        f' and pip install "framekit[{first}]".'
    ) in problems(app)[0]


def test_request_scope_lives_for_one_request_and_is_shared_in_it():
    app = App()
    made: list[int] = []

    @app.provider
    def number():
        made.append(len(made))
        return made[-1]

    app.provider(provider(name="twice")(lambda number: number * 2))
    app.get("/")(lambda number, twice: [number, twice])
    client = Client(app)
    assert [client.get("/").json, client.get("/").json] == [[0, 0], [1, 2]]


def test_application_scope_is_made_once_and_cleaned_up_at_stop():
    app = App()
    told: list[str] = []

    @app.provider
    @provider(scope="app")
    def pool() -> Iterator[str]:
        told.append("open")
        yield "pool"
        told.append("closed")

    app.get("/")(lambda pool: pool)
    client = Client(app)
    assert [client.get("/").text, client.get("/").text, told] == ["pool", "pool", ["open"]]
    app.stop()
    assert told == ["open", "closed"]


def test_application_scope_is_cleaned_up_in_reverse_order():
    app = App()
    told: list[str] = []

    @app.provider
    @provider(scope="app")
    def first() -> Iterator[str]:
        yield "first"
        told.append("first")

    @app.provider
    @provider(scope="app")
    def second(first) -> Iterator[str]:
        yield "second"
        told.append("second")

    app.get("/")(lambda second: second)
    Client(app).get("/")
    app.stop()
    assert told == ["second", "first"]


def test_a_provider_that_fails_to_clean_up_does_not_keep_the_others_from_it():
    app = App()
    told: list[str] = []

    @app.provider
    @provider(scope="app")
    def first() -> Iterator[str]:
        yield "first"
        told.append("first")

    @app.provider
    @provider(scope="app")
    def second(first) -> Iterator[str]:
        yield "second"
        raise RuntimeError("stuck")

    app.get("/")(lambda second: second)
    app.start()
    with pytest.raises(RuntimeError, match="stuck"):
        app.stop()
    assert told == ["first"]


def test_a_stopped_application_can_be_started_again():
    app = App()
    made: list[int] = []

    @app.provider
    @provider(scope="app")
    def pool():
        made.append(1)
        return str(len(made))

    app.get("/")(lambda pool: pool)
    assert Client(app).get("/").text == "1"
    app.stop()
    assert Client(app).get("/").text == "2"


def test_a_provider_of_application_scope_that_raises_is_an_error_at_start():
    app = App()

    @app.provider
    @provider(scope="app")
    def pool():
        raise OSError("no such host")

    app.get("/")(lambda pool: "")
    assert problems(app) == [f"{line(pool)}: 'pool' could not be made: OSError: no such host"]


def test_a_provider_that_yields_nothing_is_named():
    app = App()

    @app.provider
    @provider(scope="app")
    def pool():
        if app.debug:
            yield

    app.get("/")(lambda pool: "")
    assert problems(app) == [
        f"{line(pool)}: 'pool' could not be made: RuntimeError: it ended without a yield"
    ]


def test_a_provider_of_a_request_that_yields_nothing_is_named_in_the_log(caplog):
    app = App()

    @app.provider
    def user():
        if app.debug:
            yield

    app.get("/")(lambda user: "")
    assert Client(app).get("/").status_code == 500
    assert "the provider 'user' ended without a yield" in caplog.text


def test_providers_are_added_before_the_start():
    app = App()
    app.get("/")(lambda: "")
    app.start()
    with pytest.raises(RuntimeError, match=r"app\.provider was called after"):
        app.provider(lambda: 0)


def test_routes_are_added_before_the_start():
    app = App()
    app.start()
    with pytest.raises(RuntimeError, match=r"app\.route was called after"):
        app.get("/late")(lambda: "")


class Shop:
    """An application with a chain of providers, to be overridden."""

    def __init__(self) -> None:
        self.app = App()
        self.told: list[str] = []

        @self.app.provider
        @provider(scope="app")
        def pool() -> Iterator[str]:
            self.told.append("open")
            yield "real"
            self.told.append("closed")

        @self.app.provider
        @provider(scope="app")
        def table(pool):
            return f"table of {pool}"

        @self.app.provider
        def row(table):
            return f"row of {table}"

        self.app.get("/")(lambda row: row)
        self.app.get("/table")(lambda table: table)
        self.client = Client(self.app)


def test_override_reaches_handlers_and_ends_with_the_block():
    shop = Shop()
    with shop.app.override(row="mine"):
        assert shop.client.get("/").text == "mine"
    assert shop.client.get("/").text == "row of table of real"


def test_override_reaches_what_depends_on_it_in_both_scopes():
    shop = Shop()
    assert shop.client.get("/").text == "row of table of real"
    with shop.app.override(pool="mine"):
        assert shop.client.get("/").text == "row of table of mine"
        assert shop.client.get("/table").text == "table of mine"
    assert shop.client.get("/table").text == "table of real"


def test_override_does_not_make_again_what_it_does_not_change():
    shop = Shop()
    with shop.app.override(row="mine"):
        assert shop.client.get("/table").text == "table of real"
    assert shop.told == ["open"]


def test_overrides_may_be_nested_and_an_exception_ends_them():
    shop = Shop()
    with shop.app.override(pool="a"):
        with suppress(ZeroDivisionError), shop.app.override(row="b"):
            assert shop.client.get("/").text == "b"
            raise ZeroDivisionError
        assert shop.client.get("/").text == "row of table of a"


def test_override_closes_what_was_made_for_it():
    app = App()
    told: list[str] = []

    @app.provider
    @provider(scope="app")
    def pool():
        return "real"

    @app.provider
    @provider(scope="app")
    def table(pool) -> Iterator[str]:
        yield f"table of {pool}"
        told.append(f"closed table of {pool}")

    app.get("/")(lambda table: table)
    client = Client(app)
    client.get("/")
    with app.override(pool="mine"):
        assert client.get("/").text == "table of mine"
    assert told == ["closed table of mine"]
    assert client.get("/").text == "table of real"


def test_override_of_an_unknown_name_is_an_error():
    with pytest.raises(ConfigError) as error, App().override(reqest=1):
        pass
    assert str(error.value) == "override: nothing provides 'reqest'. Did you mean 'request'?"


def test_override_works_on_every_router():
    for router in ("werkzeug", "ffroute"):
        app = App({"routing": {"use": router}}, plugins={"p": plugin_of()})
        app.provider(provider(name="word")(lambda: "real"))
        app.get("/<int:n>")(lambda n, word: f"{n} {word}")
        client = Client(app)
        with app.override(word="mine"):
            assert client.get("/1").text == "1 mine"
        assert client.get("/1").text == "1 real"


def test_call_gives_providers_and_values_by_name():
    shop = Shop()
    assert shop.app.call(lambda row, more: [row, more], more=3) == ["row of table of real", 3]


def test_call_rolls_back_when_the_function_raises():
    app = App()
    told: list[str] = []

    @app.provider
    def unit() -> Iterator[str]:
        try:
            yield "unit"
            told.append("kept")
        except ValueError:
            told.append("undone")
            raise

    def fail(unit):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        app.call(fail)
    app.call(lambda unit: None)
    assert told == ["undone", "kept"]


def test_call_says_what_is_wrong_and_leaves_the_application_usable():
    app = App()
    app.get("/")(lambda: "x")
    with pytest.raises(ConfigError, match="nothing provides 'missing'"):
        app.call(lambda missing: None)
    assert app.call(lambda: 5) == 5
    assert Client(app).get("/").text == "x"


def test_threads_that_come_first_share_one_set_of_components():
    made = []

    class Slow(WerkzeugRouter):
        def __init__(self, options: RoutingOptions) -> None:
            made.append(self)
            time.sleep(0.05)
            super().__init__(options)

    component = Component(slot="routing", name="slow", factory=Slow)
    plugin = plugin_of(kit_components=lambda: [component])
    app = App({"routing": {"use": "slow"}}, plugins={"slow": plugin})
    app.get("/", name="index")(lambda: "")
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda _: app.url_for("index"), range(5))) == ["/"] * 5
    assert len(made) == 1


def test_a_start_that_fails_closes_the_components_and_begins_anew():
    closed = []
    attempts = []

    class Router(WerkzeugRouter):
        def close(self) -> None:
            closed.append(self)

    def kit_start() -> None:
        attempts.append(True)
        if len(attempts) == 1:
            raise OSError("not yet")

    component = Component(slot="routing", name="own", factory=Router)
    plugin = plugin_of(kit_components=lambda: [component], kit_start=kit_start)
    app = App({"routing": {"use": "own"}}, plugins={"own": plugin})
    with pytest.raises(OSError, match="not yet"):
        app.start()
    assert len(closed) == 1
    app.start().stop()
    assert len(closed) == 2


def test_what_a_framework_puts_in_place_of_a_handler_names_the_same():
    app = App()

    @app.provider
    def clock():
        return "ten"

    def handler(own, id, clock, *rest, word="hello", **more):
        return f"{own} {id} {clock} {word} {sorted(more)}"

    @app.get("/<int:id>/<tail>")
    @naming("environ", of=handler, skip=1)
    def answer(environ, **values):
        return handler(environ["REQUEST_METHOD"], **values)

    assert answer.__name__ == "handler"
    assert Client(app).get("/7/end").text == "GET 7 ten hello ['tail']"


def test_a_mistake_in_a_handler_behind_another_function_is_shown_at_the_handler():
    app = App()

    def handler(clokc):
        return ""

    def answer(**values):
        return handler(**values)

    app.get("/")(naming("request", of=handler)(answer))
    assert problems(app)[0].startswith(f"{line(handler)}: nothing provides 'clokc'.")


@pytest.mark.parametrize(
    ("handler", "skip", "lacks"),
    [
        (lambda: "", 1, "its first parameter"),
        (lambda *, name: "", 1, "its first parameter"),
        (lambda **values: "", 1, "its first parameter"),
        (lambda one, *, name: "", 2, "one of its first 2 parameters"),
    ],
)
def test_a_handler_that_does_not_take_what_a_framework_gives_is_refused(handler, skip, lacks):
    with pytest.raises(TypeError) as error:
        naming("request", of=handler, skip=skip)
    assert str(error.value) == (
        f"{line(handler)}: '<lambda>' lacks {lacks}, which its framework gives it by position"
    )


@pytest.mark.parametrize("handler", [lambda *given, name: "", lambda own, *given, name: ""])
def test_a_handler_may_take_what_a_framework_gives_as_a_tuple(handler):
    made = naming("request", of=handler, skip=2)(lambda **values: "")
    assert [*inspect.signature(made).parameters] == ["request", "name"]


def test_a_provider_may_name_what_is_known_at_start_only():
    app = App()

    @app.provider
    @naming("request", "limits")
    def both(**values):
        return sorted(values)

    app.get("/")(lambda both: both)
    assert Client(app).get("/").json == ["limits", "request"]
