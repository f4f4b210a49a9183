from __future__ import annotations

import itertools
import json
import re

import pytest

from kit.cli.catalogue import catalogue
from kit.cli.combinations import Combination, axes, combinations, pairs, variable, variations
from kit.components import Component
from kit.config import load
from kit.errors import ConfigError
from kit.testing.browsers import GATEWAYS

TESTS = """\
import os
from pathlib import Path

from kit.testing import client
from shop import app


def test_index():
    assert client(app).get("/").text == "hello"


def test_buy():
    assert client(app).post("/3").text == "3"
"""
CONFIG = {
    "routing": {"use": "werkzeug"},
    "persistence": {"use": "peewee", "url": "sqlite:///x.db"},
    "sessions": {"use": "beaker"},
}


@pytest.fixture
def tests(project):
    """The tests of the project, in one file."""
    (project / "tests").mkdir()
    (project / "tests" / "test_shop.py").write_text(TESTS)
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return project / "tests" / "test_shop.py"


TWO_EACH = ("routing", "persistence=peewee,sqlalchemy", "sessions=beaker,itsdangerous")


def tried(slots=TWO_EACH, vary=(), gateways=("wsgi",), everything=False):
    config = load(CONFIG)
    found = catalogue(config)
    varied = variations(found, vary)
    return combinations(found, axes(found, slots), varied, gateways, all=everything)


def test_the_tests_run_on_every_combination_through_its_gateway(kit, project, tests):
    with (project / "shop.py").open("a") as file:
        file.write("\n\n@app.get('/gateway')\ndef gateway(request):\n")
        file.write("    return 'asgi' if 'asgi.scope' in request.environ else 'wsgi'\n")
    with tests.open("a") as file:
        file.write("\n\ndef test_gateway():\n    text = client(app).get('/gateway').text\n")
        file.write("    assert text == os.environ['KIT_GATEWAY']\n")
    shown = kit("matrix")
    assert shown.exit_code == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == ["routing", "gateway", "passed", "failed", "skipped", "seconds"]
    assert [(*line[:5], line[-1]) for line in lines[1:5]] == [
        ("ffroute", "wsgi", "3", "0", "0", "ok"),
        ("ffroute", "asgi", "3", "0", "0", "ok"),
        ("werkzeug", "wsgi", "3", "0", "0", "ok"),
        ("werkzeug", "asgi", "3", "0", "0", "ok"),
    ]
    assert re.fullmatch(
        r"4 combinations in \d+\.\d s: 4 passed, 0 failed, 0 components missing.",
        shown.stdout.splitlines()[-1],
    )
    assert "4 of 4  " in shown.stderr


def test_failures_are_shown_and_counted(kit, tests):
    tests.write_text(
        f"{TESTS}\n\ndef test_router():\n    assert 'ffroute' in os.environ['KIT_ROUTING__USE']\n"
        "\n\ndef test_skipped():\n    __import__('pytest').skip('why')\n"
    )
    shown = kit("matrix", "--json", "--jobs", 2, "--gateway", "wsgi")
    assert shown.exit_code == 1
    document = json.loads(shown.stdout)
    good, bad = document["combinations"]
    assert document["ok"] is False
    assert document["missing"] == []
    assert (good["components"], good["values"]) == ({"routing": "ffroute"}, {})
    assert [good[key] for key in ("ok", "passed", "failed", "skipped", "output")] == [
        *(True, 3, 0, 1, "")
    ]
    assert [bad[key] for key in ("ok", "passed", "failed", "skipped")] == [False, 2, 1, 1]
    assert "FAILED tests/test_shop.py::test_router" in bad["output"]


def test_arguments_for_pytest_follow_two_dashes_and_no_tests_are_a_failure(kit, tests):
    shown = kit("matrix", "--slot", "routing=werkzeug", "--gateway", "asgi", "--", "-k", "nothing")
    assert shown.exit_code == 1
    assert "routing werkzeug, gateway asgi: no tests ran (pytest ended with 5)\n" in shown.stdout
    assert "2 deselected" in shown.stdout
    assert re.search(r"werkzeug +asgi +0 +0 +0 +\d+\.\d  FAILED", shown.stdout)


def test_a_missing_library_is_listed(kit, tests, monkeypatch):
    version = Component.version
    monkeypatch.setattr(
        Component, "version", lambda self: None if self.name == "ffroute" else version(self)
    )
    shown = kit("matrix", "--gateway", "wsgi", "--", "-k", "index")
    assert shown.exit_code == 0, shown.stdout
    assert 'missing: routing ffroute: pip install "framekit[ffroute]"\n' in shown.stdout
    assert shown.stdout.endswith("1 passed, 0 failed, 1 components missing.\n")
    assert kit("matrix", "--slot", "routing=ffroute").exit_code == 1


def test_pytest_is_asked_for(kit, monkeypatch):
    monkeypatch.setattr("kit.cli.matrix.find_spec", lambda name: None)
    shown = kit("matrix")
    assert shown.exit_code == 2
    assert shown.stderr == "pytest is not installed.\n    pip install pytest\n"


def test_all_slots_in_use_are_tried():
    assert {tuple(one.components) for one in tried(())} == {("routing", "persistence", "sessions")}
    assert {"beaker", "itsdangerous"} <= {one.components["sessions"] for one in tried(())}
    assert len(tried(everything=True)) == 8


def test_every_two_components_meet():
    rows = list(pairs(["ab", "cd", "efg", "hijk"]))
    assert len(rows) <= 16
    for one, other in itertools.combinations(range(4), 2):
        met = {(row[one], row[other]) for row in rows}
        assert len(met) == [2, 2, 3, 4][one] * [2, 2, 3, 4][other]
    assert len(tried()) == 4


def test_every_component_meets_every_gateway():
    rows = [(one.components["persistence"], one.gateway) for one in tried(gateways=GATEWAYS)]
    assert set(rows) == set(itertools.product(["peewee", "sqlalchemy"], GATEWAYS))
    assert len(rows) <= 5


def test_only_the_slots_and_components_that_are_named_are_tried():
    assert [one.components for one in tried(["templating"])] == [
        {"templating": "jinja2"},
        {"templating": "mako"},
    ]
    found = tried(["routing=werkzeug", "sessions=itsdangerous,beaker"])
    assert [one.components["sessions"] for one in found] == ["itsdangerous", "beaker"]


def test_options_of_a_component_are_varied_where_it_is_in_use():
    found = tried([TWO_EACH[2]], ["sessions.beaker.backend=memory,file", "limits.fields=1,2"])
    assert [(one.components["sessions"], *one.values.values()) for one in found] == [
        ("beaker", "memory", "1"),
        ("beaker", "memory", "2"),
        ("beaker", "file", "1"),
        ("beaker", "file", "2"),
        ("itsdangerous", "1"),
        ("itsdangerous", "2"),
    ]
    assert len(tried(["routing=werkzeug"], ["sessions.itsdangerous.x=1,2"])) == 1


@pytest.mark.parametrize(
    ("slots", "vary", "message"),
    [
        (["routin"], [], "--slot routin: there is no slot 'routin'. Did you mean 'routing'?"),
        (["routing=x"], [], "--slot routing=x: there is no component 'x'."),
        (
            [],
            ["limits.x"],
            "--vary limits.x: is not of the form slot.option=value,value.",
        ),
        ([], ["limit.x=1"], "--vary limit.x=1: there is no table 'limit'. Did you mean 'limits'?"),
        ([], ["sessions.baker.x=1"], "there is no component 'baker'. Did you mean 'beaker'?"),
    ],
)
def test_mistakes_in_the_axes(slots, vary, message):
    with pytest.raises(ConfigError) as raised:
        tried(slots, vary)
    assert message in str(raised.value)


def test_a_combination_is_chosen_by_variables(tmp_path):
    one = Combination({"routing": "ffroute"}, {"sessions.beaker.backend": "file"}, "asgi")
    config = load(CONFIG | {"app": {"secret_key": "its own"}})
    assert one.environment(config, tmp_path) == {
        "KIT_ROUTING__USE": "ffroute",
        "KIT_SESSIONS__BEAKER__BACKEND": "file",
        "KIT_PERSISTENCE__URL": f"sqlite:///{tmp_path}/x.db",
        "KIT_GATEWAY": "asgi",
        "KIT_TEST_URL": "",
    }
    assert variable("slot.my-part.key") == "KIT_SLOT__MY_PART__KEY"


def test_an_application_without_a_secret_key_gets_one_in_every_combination(tmp_path):
    environment = Combination({}, {}).environment(load(CONFIG), tmp_path)
    assert len(environment["KIT_APP__SECRET_KEY"]) >= 32


def test_combinations_share_a_server_and_not_a_file(monkeypatch, tmp_path):
    url = "postgresql://app:hunter2@db/test"
    server = Combination({}, {"persistence.url": url})
    assert server.database(load(CONFIG)) == url
    environment = server.environment(load(CONFIG), tmp_path)
    assert environment["KIT_PERSISTENCE__URL"] == url
    assert server.labels() == {
        "gateway": "wsgi",
        "persistence.url": "postgresql://app:<secret>@db/test",
    }
    assert Combination({}, {}).database(load(CONFIG)) == ""
    monkeypatch.setenv("DATABASE", url)
    indirect = load({"persistence": {"url": "env:DATABASE"}})
    assert Combination({}, {}).database(indirect) == url
