from __future__ import annotations

import itertools
import json
import re

import pytest

from kit.cli.catalogue import catalogue
from kit.cli.combinations import (
    Combination,
    axes,
    combinations,
    every,
    pairs,
    variable,
    variations,
)
from kit.cli.left_out import LeftOut, left_out
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


AXES = {"1": "ab", "2": "cd", "3": "efg", "4": "hijk"}
TWO_EACH = ("routing", "persistence=peewee,sqlalchemy", "sessions=beaker,itsdangerous")


def tried(slots=TWO_EACH, vary=(), gateways=("wsgi",), everything=False, without=()):
    config = load(CONFIG | {"matrix": {"without": dict.fromkeys(without, "why")}})
    found = catalogue(config)
    out = left_out(found, config)
    varied = variations(found, vary)
    return combinations(found, axes(found, slots, out), varied, gateways, out, all=everything)


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


def test_servers_are_tried_only_if_they_are_asked_for():
    config = load({"routing": {"use": "werkzeug"}, "serving": {"use": "granian"}})
    assert list(axes(catalogue(config), ())) == ["routing"]
    assert len(axes(catalogue(config), ["serving"])["serving"]) == 5


def test_every_two_components_meet():
    rows = list(pairs(AXES))
    assert len(rows) <= 16
    assert met(rows) == met(every(AXES))
    assert len(met(rows)) == 44
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
    rows = {(one.components["sessions"], *one.values.values()) for one in found}
    assert len(found) == len(rows) == 6
    assert rows == {
        ("beaker", "memory", "1"),
        ("beaker", "memory", "2"),
        ("beaker", "file", "1"),
        ("beaker", "file", "2"),
        ("itsdangerous", "1"),
        ("itsdangerous", "2"),
    }
    assert len(tried(["routing=werkzeug"], ["sessions.itsdangerous.x=1,2"])) == 1


def test_every_component_meets_every_value_of_a_slots_own_option():
    urls = ["sqlite://", "postgresql://there/x", "mariadb://there/x"]
    found = tried((), [f"persistence.url={','.join(urls)}"], gateways=GATEWAYS)
    for slot in ("persistence", "sessions", "routing"):
        rows = {(one.components[slot], one.values["persistence.url"]) for one in found}
        assert len(rows) == 3 * len({row[0] for row in rows})
    assert {(one.gateway, *one.values.values()) for one in found} == {
        *itertools.product(GATEWAYS, urls)
    }
    assert len(found) <= 14


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


def met(rows):
    """All pairs of values that meet in a row."""
    return {frozenset(pair) for row in rows for pair in itertools.combinations(row.items(), 2)}


def without(*several):
    return [LeftOut("key", names, "why", "kit.toml:1") for names in several]


@pytest.mark.parametrize(
    "out",
    [
        without({"1": "a"}),
        without({"1": "a"}, {"4": "h"}, {"4": "i"}, {"4": "j"}),
        without({"1": "a", "2": "c"}),
        without({"1": "a", "2": "c"}, {"2": "c", "3": "e"}, {"3": "e", "4": "h"}),
        without({"1": "a", "2": "c"}, {"1": "a", "2": "d", "3": "e"}),  # so no "a" with "e"
        without(*({"1": "a", "4": one} for one in "hij"), {"2": "c", "3": "g", "4": "k"}),
        without({"1": "b", "2": "d", "3": "g", "4": "k"}),
    ],
)
def test_what_is_left_out_is_in_no_row_and_all_other_pairs_meet(out):
    rows = list(pairs(AXES, out))
    assert not [row for row in rows for one in out if one.names.items() <= row.items()]
    kept = [row for row in every(AXES) if not any(one.names.items() <= row.items() for one in out)]
    assert list(every(AXES, out)) == kept
    assert met(rows) == met(kept)
    assert len(rows) <= 16


def test_slots_that_stay_as_they_are_count_too():
    asgi_alone = ["persistence.peewee + gateway.wsgi"]  # peewee is in use
    assert {one.gateway for one in tried(["sessions"], (), GATEWAYS, without=asgi_alone)} == {
        "asgi"
    }
    other = ["persistence.sqlalchemy + gateway.wsgi"]
    assert {one.gateway for one in tried(["sessions"], (), GATEWAYS, without=other)} == {*GATEWAYS}
    both = tried(TWO_EACH[1:2], (), GATEWAYS, without=asgi_alone)
    assert [(one.components["persistence"], one.gateway) for one in both] == [
        ("peewee", "asgi"),
        ("sqlalchemy", "wsgi"),
        ("sqlalchemy", "asgi"),
    ]


def test_a_component_of_the_applications_own_can_be_left_out(monkeypatch):
    monkeypatch.setitem(CONFIG, "sessions", {"use": "my_adapters:Sessions"})
    own = "sessions.my_adapters:Sessions"
    some = (*TWO_EACH[:2], f"sessions=beaker,{own.partition('.')[2]}")
    left = tried(some, without=[f"{own} + persistence.peewee"], everything=True)
    assert len(left) == 6
    with pytest.raises(ConfigError, match="the component 'my_adapters:Others' is not in use"):
        tried(without=["sessions.my_adapters:Others + gateway.wsgi"])


@pytest.mark.parametrize("key", ["templating.mako", "templating.mako + gateway.wsgi"])
def test_what_names_an_empty_slot_is_a_mistake(kit, declared, key):
    declared(f'[matrix.without]\n"{key}" = "why"\n')
    shown = kit("check")
    assert (shown.exit_code, shown.stderr) == (
        2,
        f"kit.toml:8: [matrix.without] {key!r}: the slot 'templating' is empty, so that this leaves"
        " nothing out.\n    Take the line out, or fill the slot: [templating] use = ...\n",
    )


WITHOUT = """
[matrix.without]
"routing.werkzeug + gateway.asgi" = "its reasons"
"routing.ffroute + gateway.wsgi" = "other reasons"
"""


@pytest.fixture
def declared(project):
    """A function that adds what is left out to the config file, from line 8 on."""
    text = (project / "kit.toml").read_text()

    def declare(lines):
        (project / "kit.toml").write_text(f"{text}{lines}")

    return declare


def test_what_is_left_out_is_not_run_and_is_shown_with_its_reason(kit, tests, declared):
    declared(WITHOUT)
    shown = kit("matrix", "--", "-k", "index")
    assert shown.exit_code == 0, shown.stdout
    lines = shown.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["ffroute", "asgi"], ["werkzeug", "wsgi"]]
    assert lines[3:5] == [
        "left out: routing.werkzeug + gateway.asgi: its reasons",
        "left out: routing.ffroute + gateway.wsgi: other reasons",
    ]
    assert re.fullmatch(r"2 combinations in .* 0 components missing.", lines[5])
    shown = kit("matrix", "--json", "--gateway", "wsgi", "--", "-k", "index")
    document = json.loads(shown.stdout)
    assert [one["components"] for one in document["combinations"]] == [{"routing": "werkzeug"}]
    assert document["left_out"] == [
        {"what": "routing.ffroute + gateway.wsgi", "reason": "other reasons"}
    ]


def test_a_missing_library_that_is_left_out_is_not_asked_for(kit, tests, declared, monkeypatch):
    declared('[matrix.without]\n"routing.ffroute" = "why"\n')
    version = Component.version
    monkeypatch.setattr(
        Component, "version", lambda self: None if self.name == "ffroute" else version(self)
    )
    shown = kit("matrix", "--gateway", "wsgi", "--", "-k", "index")
    assert shown.exit_code == 0, shown.stdout
    assert "left out: routing.ffroute: why\n" in shown.stdout
    assert "missing:" not in shown.stdout


@pytest.mark.parametrize(
    ("out", "words", "message"),
    [
        (
            '"routing.ffroute" = "no Python"',
            ["--slot", "routing=werkzeug,ffroute"],
            "--slot routing=werkzeug,ffroute: 'ffroute' is left out: no Python\n"
            "    Take 'routing.ffroute' out of [matrix.without] (kit.toml:8) to try it.\n",
        ),
        (
            '"gateway.asgi" = "no loop"',
            ["--gateway", "wsgi", "--gateway", "asgi"],
            "--gateway asgi: 'asgi' is left out: no loop\n"
            "    Take 'gateway.asgi' out of [matrix.without] (kit.toml:8) to try it.\n",
        ),
        (
            '"routing.ffroute + gateway.asgi" = "no loop"',
            ["--slot", "routing=ffroute", "--gateway", "asgi"],
            "kit.toml:8: [matrix.without] leaves out every combination there is.\n"
            "    Left out: routing.ffroute + gateway.asgi (no loop).\n",
        ),
    ],
)
def test_what_is_asked_for_and_left_out_is_a_mistake(kit, tests, declared, out, words, message):
    declared(f"[matrix.without]\n{out}\n")
    shown = kit("matrix", *words)
    assert shown.exit_code == 2
    assert shown.stderr == message


WRONG = """\
[matrix.without]
"templatin.mako" = "x"
"templating.maco" = "x"
"gateway.wsgy" = "x"
"mako" = "x"
"formats.csv" = "x"
"routing.ffroute" = " "
gateway.wsgi = "x"
"sessions.beaker + sessions.redis" = "x"
"persistence.peewee + sesions.redis" = "x"
"""
COMPLAINTS = """\
kit.toml:8: [matrix.without] 'templatin.mako': there is no slot 'templatin'. Did you mean \
'templating'?
    Allowed: slot.component, a gateway, or several of them joined by ' + '. Slots: channels, \
gateway, mail, persistence, rates, routing, serving, sessions, templating, tokens, validation.
kit.toml:9: [matrix.without] 'templating.maco': there is no component 'maco'. Did you mean 'mako'?
    Allowed: templating.jinja2, templating.mako.
kit.toml:10: [matrix.without] 'gateway.wsgy': there is no gateway 'wsgy'. Did you mean 'wsgi'?
    Allowed: gateway.asgi, gateway.wsgi.
kit.toml:11: [matrix.without] 'mako': 'mako' is no slot.component.
    Allowed: slot.component, a gateway, or several of them joined by ' + '. Slots: channels, \
gateway, mail, persistence, rates, routing, serving, sessions, templating, tokens, validation.
kit.toml:12: [matrix.without] 'formats.csv': the slot 'formats' takes many components at once.
    They are tried together.
kit.toml:13: [matrix.without] 'routing.ffroute': it lacks the reason.
    Say why it is left out; `kit matrix` shows that.
kit.toml:14: [matrix.without] 'gateway.wsgi': a key with dots stands in quotes.
    Write: "gateway.wsgi" = "..."
kit.toml:15: [matrix.without] 'sessions.beaker + sessions.redis': no combination has two \
components of 'sessions'.
    Give each of them a line of its own.
kit.toml:16: [matrix.without] 'persistence.peewee + sesions.redis': there is no slot 'sesions'. \
Did you mean 'sessions'?
    Allowed: slot.component, a gateway, or several of them joined by ' + '. Slots: channels, \
gateway, mail, persistence, rates, routing, serving, sessions, templating, tokens, validation.
"""


def test_mistakes_in_what_is_left_out_are_reported_at_once(kit, tests, declared):
    declared(WRONG)
    shown = kit("matrix")
    assert shown.exit_code == 2
    assert shown.stderr == f"{COMPLAINTS}9 problems.\n"


def test_kit_check_reports_them_with_all_others(kit, declared):
    declared(f'{WRONG}[limits]\nbodi = 1\n[matrix]\nwith = "x"\n')
    shown = kit("check")
    assert shown.exit_code == 2
    others = (
        "kit.toml:18: [limits] bodi: unknown key. Did you mean 'body'?\n    Allowed: body, field,"
    )
    assert shown.stderr.startswith(f"{COMPLAINTS}{others}")
    assert "kit.toml:20: [matrix] with: unknown key. Did you mean 'without'?" in shown.stderr
    assert shown.stderr.endswith("\n11 problems.\n")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            '"routing.ffroute" = "slow"\n"routing.werkzeug" = "fast"',
            "kit.toml:8: [matrix.without] leaves out every combination there is.\n"
            "    Left out: routing.ffroute (slow); routing.werkzeug (fast).\n",
        ),
        (
            '"gateway.wsgi" = "old"\n"routing.ffroute + gateway.asgi" = "x"\n'
            '"routing.werkzeug + gateway.asgi" = "y"',
            "kit.toml:8: [matrix.without] leaves out every combination there is.\n"
            "    Left out: gateway.wsgi (old); routing.ffroute + gateway.asgi (x);"
            " routing.werkzeug + gateway.asgi (y).\n",
        ),
        (
            '"gateway.wsgi" = 3',
            "kit.toml:8: [matrix] without = {'gateway.wsgi': 3}: a table found, not a table of"
            " text\n    Allowed: a table of text.\n",
        ),
    ],
)
def test_leaving_everything_out_is_a_mistake(kit, tests, declared, lines, message):
    declared(f"[matrix.without]\n{lines}\n")
    for command in ("check", "matrix"):
        shown = kit(command)
        assert (shown.exit_code, shown.stderr) == (2, message)


def test_what_is_left_out_disturbs_no_application(kit, declared):
    declared(WITHOUT)
    assert kit("check").output == "kit.toml: 2 routes: ok.\n"
    assert "without" in kit("explain").stdout
    schema = json.loads(kit("schema").stdout)["properties"]["matrix"]["properties"]
    assert schema["without"] == {"type": "object", "additionalProperties": {"type": "string"}}
