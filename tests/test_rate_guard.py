"""The guard of the slot rates in an application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kit import App, ConfigError, Routes, Unavailable
from kit.slots.rates import rate
from kit.testing import client


@pytest.fixture
def app() -> Iterator[App]:
    app = App({"rates": {"use": "memory"}})
    yield app
    app.stop()


def test_a_route_answers_so_often_and_then_429(app: App) -> None:
    calls = []
    app.get("/", requires=rate("2 / hour"))(lambda: calls.append(1) or "x")
    visitor = client(app)
    answers = [visitor.get("/") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert 3500 < int(answers[2].headers["Retry-After"]) <= 3600
    assert len(calls) == 2, "the handler was not called"
    assert visitor.get("/", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200


def test_the_routes_of_a_group_count_together(app: App) -> None:
    group = Routes(requires=rate("2 / hour", name="group"))
    group.get("/a")(lambda: "a")
    group.get("/b")(lambda: "b")
    app.include(group)
    app.get("/c", requires=rate("2 / hour", name="another"))(lambda: "c")
    visitor = client(app)
    assert [visitor.get(path).status_code for path in ["/a", "/b", "/a", "/b", "/c"]] == [
        *(200, 200, 429, 429, 200)
    ]


def test_it_counts_by_a_provider_or_by_a_value_of_the_path(app: App) -> None:
    @app.provider
    def account(request):
        return request.args["account"]

    app.get("/", requires=rate("1 / hour", by="account"))(lambda: "x")
    app.get("/<name>", requires=rate("1 / hour", by=lambda name: name.lower(), name="path"))(
        lambda name: name
    )
    visitor = client(app)
    urls = ["/?account=ada", "/?account=bob", "/?account=ada", "/ada", "/bob", "/ADA"]
    assert [visitor.get(url).status_code for url in urls] == [200, 200, 429, 200, 200, 429]


def test_while_nothing_can_count_nobody_gets_through(app: App) -> None:
    class Away:
        def hit(self, key, rate):
            raise Unavailable("what counts is away")

    app.get("/", requires=rate("2 / hour"))(lambda: "x")
    visitor = client(app)
    with app.override(rates=Away()):
        assert visitor.get("/").status_code == 503
    assert visitor.get("/").status_code == 200


def test_a_name_that_nothing_provides_is_an_error_at_start(app: App) -> None:
    app.get("/", requires=rate("2 / hour", by="acount"))(lambda: "x")
    with pytest.raises(ConfigError, match="nothing provides 'acount'"):
        app.check()


def test_without_something_that_counts_it_is_an_error_at_start() -> None:
    app = App({})
    app.get("/", requires=rate("2 / hour"))(lambda: "x")
    with pytest.raises(ConfigError, match=r"slot 'rates', which is empty: fill it with \[rates\]"):
        app.check()
