"""The recipe `todobackend`, used by pages of another origin: our own, and the public specification.

The public one (https://github.com/TodoBackend/todo-backend-js-spec) has no licence, so that it is
no part of this repository. To run it, put a checkout of it, at the commit COMMIT, into
build/suites/todo-backend-js-spec. Without it that run is skipped; our own page has the same checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "todobackend"
OURS = Path(__file__).parent / "todobackend"
PUBLIC = ROOT / "build" / "suites" / "todo-backend-js-spec"
COMMIT = "9fdf6f9390d743116f232f08efc70e118d88c7a6"
CHECKS = 16


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    own_database: Callable[[str], str],
) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('todos')}/test.db"
    return own_database(request.getfixturevalue("postgres_url"), "_todos")


@pytest.fixture(scope="module", params=["sqlalchemy", "peewee"])
def api(request: pytest.FixtureRequest, database: str, serve: Callable[..., Any]) -> Iterator[str]:
    """The URL handed to clients; the recipe is served by `kit serve`."""
    own = {
        "KIT_PERSISTENCE__USE": request.param,
        "KIT_PERSISTENCE__URL": database,
        "KIT_SERVING__WORKERS": "1",
    }
    with serve(RECIPE, **own) as url:
        yield f"{url}/todos"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on a port of their own, which makes them another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def opened(chromium: Any, folder: Path, api: str) -> Iterator[Any]:
    """Open the page of a folder, for an API; nothing of other hosts is loaded."""
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    elsewhere = re.compile(r"^(?!http://127\.0\.0\.1:)")
    context.route(elsewhere, lambda route: route.abort())
    with served(folder) as origin:
        page = context.new_page()
        page.goto(f"{origin}/index.html?{api}")
        yield page
        context.close()


def test_pages_of_another_origin_use_the_api(chromium: Any, api: str) -> None:
    with opened(chromium, OURS, api) as page:
        results = page.evaluate("results")
    assert [(name, wrong) for name, wrong in results if wrong] == []
    assert len({name for name, _ in results}) == CHECKS


def test_the_public_specification_is_satisfied(chromium: Any, api: str) -> None:
    if not (PUBLIC / "index.html").is_file():
        pytest.skip(f"{PUBLIC.relative_to(ROOT)} is not there (commit {COMMIT})")
    with opened(chromium, PUBLIC, api) as page:
        page.wait_for_function("window.runner && runner.stats && runner.stats.end")
        stats = page.evaluate("runner.stats")
        failed = page.locator("#mocha-report .test.fail").all_inner_texts()
        passed = page.locator("#mocha-report .test.pass").count()
    assert failed == []
    assert (stats["tests"], stats["passes"], stats["failures"], passed) == (
        CHECKS,
        CHECKS,
        0,
        CHECKS,
    )
