"""The benchmarks run and give all figures; how large these are is not tested."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
COMPETITORS = {"WSGI", "Framekit", "with werkzeug", "Falcon", "Bottle", "Flask", "Django"}
PEERS = {"Flask-WTF", "FastAPI", "Django"}
ROWS = [
    "plain text",
    "JSON",
    "<int:id>",
    "404",
    "template of 12 rows",
    "form of 3 fields",
    "session counter",
]

ASYNC = {"Starlette", "FastAPI", "Litestar", "Sanic", "Falcon", "BlackSheep"}
OURS_ASYNC = {"Framekit", "inline", "in a thread"}
SERVED = {
    "servers": ["plain text, uvicorn", "JSON, uvicorn"],
    "connections": ["idle WebSockets, uvicorn", "slow clients, uvicorn"],
    "transfer": [
        "upload, async def, uvicorn",
        "upload, def, uvicorn",
        "download, async def, uvicorn",
        "download, def, uvicorn",
        "download of a file, uvicorn",
    ],
}
INPUT = ["form of 10 fields", "form with 3 mistakes", "JSON in, 10 fields", "JSON out, 10 fields"]
RECIPES = ["flask_style", "bottle_style", "falcon_style", "sanic_style", "conduit", "todobackend"]
SHORTER = """
import sys
sys.path.insert(0, sys.argv[1])
from contextlib import ExitStack

import recipes
from peers import recipe_flask_sqlalchemy as peer

peer.TODOS = peer.TODOS[:-1]
[case] = [case for case in recipes.CASES if case.recipe == "todobackend"]
with ExitStack() as to_stop:
    recipes.verify(case, recipes.made(case, to_stop))
"""
SPOILED = """
import logging, sys
sys.path.insert(0, sys.argv[1])
from types import SimpleNamespace
from peers import framekit_input
from peers.input_task import BOOK, verify

logging.disable()
right = framekit_input.make()

def app(environ, start_response):
    if sys.argv[2] == "forgery":
        environ["kit.csrf_checked"] = True
    body = b"".join(right(environ, start_response))
    if sys.argv[2] == "types" and BOOK:
        BOOK.append(SimpleNamespace(**{name: str(one) for name, one in vars(BOOK[-1]).items()}))
    if sys.argv[2] == "errors":
        body = body.replace(b"<li>", b"<b>")
    if sys.argv[2] == "values":
        body = body.replace(b"ada.example.org", b"")
    if sys.argv[2] == "card":
        body = body.replace(b"12345678-1234", b"12345678-4321")
    return [body]

try:
    verify("it", app)
except ValueError as error:
    print(str(error).splitlines()[0])
"""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    known = {**os.environ, **environ}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=known
    )


def test_a_quick_run_times_every_kind_of_request(tmp_path):
    file = tmp_path / "figures.json"
    done = run(str(BENCHMARKS), "--quick", "--only", "requests", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "\033" not in done.stdout
    [table] = json.loads(file.read_text())["tables"]
    assert [row["name"] for row in table["rows"]] == ROWS
    for row in table["rows"]:
        assert set(row["medians"]) == COMPETITORS
        assert row["name"] in done.stdout
    report = run(str(BENCHMARKS / "report.py"), str(file))
    assert report.returncode == 0, report.stderr
    assert all(f"| {name.replace('<', '&lt;')} |" in report.stdout for name in ROWS)


def test_a_quick_run_times_forms_and_json(tmp_path):
    file = tmp_path / "figures.json"
    done = run(str(BENCHMARKS), "--quick", "--only", "input", "--json", str(file))
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    [table] = figures["tables"]
    assert [row["name"] for row in table["rows"]] == INPUT
    for row in table["rows"]:
        assert set(row["medians"]) == {"Framekit", "with pydantic", "with wtforms", *PEERS}
        targets = {target["text"] for target in row["targets"]}
        assert targets == {f"Framekit < 1.00 x {peer}" for peer in PEERS}
    assert all(f"{name} " in figures["machine"] for name in ("fastapi", "flask-wtf", "pydantic"))


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("nothing", ""),
        ("forgery", "it takes a forged form"),
        ("types", "it answers 'form of 10 fields' with"),
        ("errors", "it answers 'form with 3 mistakes' with"),
        ("values", "it answers 'form with 3 mistakes' with"),
        ("card", "it answers 'JSON out, 10 fields' with"),
    ],
)
def test_who_answers_a_form_wrongly_is_not_timed(spoiled, said):
    done = run("-c", SPOILED, str(BENCHMARKS), spoiled)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said)
    assert bool(done.stdout) is bool(said)


def test_a_quick_run_times_routes_and_plugins():
    done = run(str(BENCHMARKS), "--quick", "--only", "routes,plugins")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("target ") == 3


def test_a_quick_run_awaits_every_peer_of_asgi(tmp_path):
    file = tmp_path / "figures.json"
    done = run(str(BENCHMARKS), "--quick", "--only", "asgi", "--json", str(file))
    assert done.returncode == 0, done.stderr
    [table] = json.loads(file.read_text())["tables"]
    assert [row["name"] for row in table["rows"]] == ROWS[:3]
    for row in table["rows"]:
        assert set(row["medians"]) == {"ASGI", *OURS_ASYNC, *ASYNC}
        assert all(peer in target["text"] for target in row["targets"] for peer in ASYNC)
        assert len(row["targets"]) == 2


def test_a_quick_run_times_the_front_page_of_each_recipe(tmp_path):
    file = tmp_path / "figures.json"
    done = run(str(BENCHMARKS), "--quick", "--only", "recipes", "--json", str(file))
    assert done.returncode == 0, done.stderr
    [table] = json.loads(file.read_text())["tables"]
    assert [row["name"].partition(":")[0] for row in table["rows"]] == RECIPES
    for row in table["rows"]:
        assert set(row["medians"]) == {"recipe", "original"}
        assert [target["text"] for target in row["targets"]] == ["recipe <= 1.00 x original"]


def test_a_recipe_is_not_timed_beside_another_page():
    done = run("-c", SHORTER, str(BENCHMARKS))
    assert done.returncode == 1
    assert "ValueError: todobackend: list of 10 todos, Flask: the recipe answers" in done.stderr


@pytest.mark.parametrize("theme", SERVED)
def test_a_quick_run_measures_servers(theme, tmp_path):
    if theme == "servers" and not shutil.which("wrk"):
        if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail("wrk is not installed")
        pytest.skip("wrk is not installed")
    file = tmp_path / "figures.json"
    done = run(str(BENCHMARKS), "--quick", "--only", theme, "--json", str(file))
    assert done.returncode == 0, done.stderr
    [table] = json.loads(file.read_text())["tables"]
    assert [row["name"] for row in table["rows"]] == SERVED[theme]
    assert all(row["targets"] for row in table["rows"])


def test_without_wrk_servers_are_an_error_and_no_empty_table(tmp_path):
    done = run(str(BENCHMARKS), "--quick", "--only", "servers", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "wrk is not there, so servers cannot be measured: apt install wrk" in done.stderr


def test_an_unknown_theme_is_named_and_ends_in_2():
    done = run(str(BENCHMARKS), "--only", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no theme nonsense; there are: requests, input, routes" in done.stderr
