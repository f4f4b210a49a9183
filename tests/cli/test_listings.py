"""The commands that only show something: components, explain, recipes, routes, purge, schema."""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kit.cli import catalogue
from kit.cli.recipes import recipes
from kit.components import Component

OWN = """\
from dataclasses import dataclass
from kit.slots.routing import RoutingOptions
from kit_werkzeug.routing import WerkzeugRouter


@dataclass(frozen=True, kw_only=True)
class Options(RoutingOptions):
    depth: int = 3


class Mine(WerkzeugRouter):
    def __init__(self, options: Options) -> None:
        super().__init__(options)
"""


@pytest.fixture
def own(project):
    """A router from the project's own code."""
    (project / "mine.py").write_text(OWN)
    (project / "kit.toml").write_text(
        '[app]\nimport = "shop:app"\n[routing]\nuse = "mine:Mine"\n[routing.Mine]\ndepth = 4\n'
    )


def test_components_are_listed_with_library_and_state(kit):
    lines = [re.split(r"  +", line) for line in kit("components").stdout.splitlines()]
    assert lines[0] == ["slot", "component", "library", "status"]
    state = {(line[0], line[1]): line[3] for line in lines[1:]}
    assert state["routing", "werkzeug"] == "in use"
    assert state["routing", "ffroute"] == state["sessions", "beaker"] == "installed"
    assert re.fullmatch(r"werkzeug \d+\.\d+.*", next(e[2] for e in lines if e[1] == "werkzeug"))


def test_a_component_without_its_library_shows_the_pip_line(kit, monkeypatch):
    missing = "jinja2"
    version = Component.version
    monkeypatch.setattr(
        Component, "version", lambda self: None if self.name == missing else version(self)
    )
    assert re.search(r'jinja2 +pip install "framekit\[jinja2\]"\n', kit("components").stdout)


def test_components_are_listed_without_a_config(kit, project):
    (project / "kit.toml").unlink()
    shown = kit("components")
    assert shown.exit_code == 0
    assert "in use" not in shown.stdout


def test_a_component_of_the_application_is_listed(kit, own):
    assert re.search(r"routing +mine:Mine +- +in use", kit("components").stdout)


def test_a_broken_plug_in_is_told_of_and_the_rest_is_listed(kit, monkeypatch):
    def load(entry: Any, where: str) -> Any:
        if entry.name == "routing.ffroute":
            raise catalogue.ConfigError([catalogue.Problem(where, "cannot be imported")])
        return entry.load()

    monkeypatch.setattr(catalogue, "load_entry", load)
    shown = kit("components")
    assert shown.exit_code == 0
    assert "werkzeug" in shown.stdout
    assert shown.stderr == "routing.ffroute: cannot be imported\n"


def test_explain_shows_values_and_where_they_came_from(kit, project, monkeypatch):
    monkeypatch.setenv("KIT_LIMITS__BODY", "3 MiB")
    shown = kit("explain").stdout
    assert shown.startswith(f"{project / 'kit.toml'}\n")
    assert re.search(r"routing +werkzeug +kit.toml:6", shown)
    assert re.search(r"templating +-\n", shown)
    assert re.search(r'import +"shop:app" +kit.toml:2', shown)
    assert re.search(r'body +"3 MiB" +environment variable KIT_LIMITS__BODY', shown)
    assert re.search(r"fields +1000 +default", shown)


def test_explain_hides_secrets(kit, project):
    (project / "kit.toml").write_text(
        '[app]\nsecret_key = "file:secret.key"\n'
        '[persistence]\nuse = "peewee"\nurl = "postgresql://app:hunter2@db/test"\n'
    )
    shown = kit("explain").stdout
    assert re.search(r"secret_key +<secret> +kit.toml:2", shown)
    assert '"postgresql://app:<secret>@db/test"' in shown
    assert "hunter2" not in shown
    assert "0123456789" not in shown


def test_explain_names_the_profile(kit, project, monkeypatch):
    (project / "kit.production.toml").write_text('[routing]\nuse = "ffroute"\n')
    monkeypatch.setenv("KIT_PROFILE", "production")
    shown = kit("explain").stdout
    assert "with profile production" in shown
    assert re.search(r"routing +ffroute +kit.production.toml:2", shown)


def test_routes_are_listed_with_their_handlers(kit):
    assert kit("routes").stdout == (
        "method  pattern    name   handler\n"
        "GET     /          index  shop.py:6\n"
        "POST    /<int:id>  buy    shop.py:11\n"
    )


def test_recipes_are_listed_with_the_first_line_of_their_readme(kit):
    shown = kit("recipes").stdout
    title = (recipes()["contacts"] / "README.md").read_text().splitlines()[0].lstrip("# ")
    assert re.search(rf"^contacts +{re.escape(title)}$", shown, re.MULTILINE)


def test_purge_removes_expired_sessions(kit, project):
    (project / "stores.py").write_text(
        "from kit_beaker.sessions import BeakerSessions, BeakerOptions\n\n"
        "class Store(BeakerSessions):\n"
        "    def __init__(self, options: BeakerOptions) -> None:\n"
        "        super().__init__(options)\n"
        "        self.save('a' * 43, b'{}', None, -1)\n"
    )
    with (project / "kit.toml").open("a") as config:
        config.write('[sessions]\nuse = "stores:Store"\n')
    assert kit("purge").output == "Removed 1 expired session.\n"


def test_purge_without_sessions_is_a_mistake(kit):
    shown = kit("purge")
    assert shown.exit_code == 2
    assert "kit.toml: there are no sessions to purge" in shown.stderr


def test_purge_says_when_the_store_is_away(kit, project):
    (project / "stores.py").write_text(
        "from kit import Unavailable\nfrom kit_beaker.sessions import BeakerSessions\n\n"
        "class Store(BeakerSessions):\n"
        "    def purge(self):\n"
        "        raise Unavailable('the store is away')\n"
    )
    with (project / "kit.toml").open("a") as config:
        config.write('[sessions]\nuse = "stores:Store"\n')
    shown = kit("purge")
    assert (shown.exit_code, shown.stderr) == (1, "Error: the store is away\n")


def test_create_makes_the_tables_that_are_missing(kit, project):
    config = project / "kit.toml"
    config.write_text(
        '[app]\nimport = "library:app"\n'
        '[persistence]\nuse = "sqlalchemy"\nurl = "sqlite:///test.db"\ncreate = "never"\n'
    )
    (project / "library.py").write_text(
        "from dataclasses import dataclass\nfrom kit import App\n\n"
        "app = App('kit.toml')\n\n"
        "@dataclass\nclass Book:\n    title: str\n    id: int | None = None\n\n"
        "app.records(Book)\n"
    )
    assert kit("create").output == "Tables are there: book.\n"
    with closing(sqlite3.connect(project / "test.db")) as database:
        assert database.execute("SELECT count(*) FROM book").fetchone() == (0,)
    assert kit("create").exit_code == 0


def test_create_without_persistence_is_a_mistake(kit, project):
    (project / "kit.toml").write_text('[app]\nimport = "shop:app"\n')
    shown = kit("create")
    assert shown.exit_code == 2
    assert "there are no tables to create" in shown.stderr


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Validate with the part of JSON Schema that is in use here."""
    kinds = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
    kinds |= {"object": dict, "array": list}
    names = schema.get("type", list(kinds))
    allowed = [kinds[name] for name in ([names] if isinstance(names, str) else names)]
    if not any(isinstance(value, kind) for kind in allowed):
        return False
    if isinstance(value, bool) and names in ("integer", ["string", "number"]):
        return False
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return False
    if value not in schema.get("enum", [value]):
        return False
    if "anyOf" in schema and not any(fits(value, one) for one in schema["anyOf"]):
        return False
    if isinstance(value, dict):
        known = schema["properties"]
        return value.keys() <= known.keys() and all(fits(v, known[k]) for k, v in value.items())
    return not isinstance(value, list) or all(fits(one, schema["items"]) for one in value)


@pytest.fixture
def schema(kit) -> dict[str, Any]:
    return json.loads(kit("schema").stdout)


def test_the_schema_takes_the_recipe_s_config(schema):
    text = (recipes()["contacts"] / "kit.toml").read_text()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert fits(tomllib.loads(text), schema)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('[sessions]\nlifetime = "14 days"', True),
        ("[sessions]\nlifetime = 90", True),
        ('[sessions]\nlifetime = "env:LIFETIME"', True),
        ('[sessions]\nlifetime = "14 moons"', False),
        ('[limits]\nbody = "16 MiB"', True),
        ('[limits]\nbody = "16 XB"', False),
        ('[persistence]\nurl = "sqlite:///x.db"\ncreate = "never"', True),
        ('[persistence]\nurl = "oracle://x"', False),
        ('[persistence]\ncreate = "always"', False),
        ('[persistence]\npool_size = "ten"', False),
        ('[templating]\nuse = "jinja2"\n[templating.jinja2]\ntrim_blocks = true', True),
        ('[templating]\nuse = "mine:Engine"', True),
        ('[templating]\nuse = "jinja"', False),
        ("[templating.jinja2]\ntrim = true", False),
        ("[wiki]\nx = 1", False),
        ("[app]\ndebug = 1", False),
    ],
)
def test_the_schema_takes_what_the_kernel_takes(schema, text, taken):
    assert fits(tomllib.loads(text), schema) is taken


def test_the_schema_documents_tables_and_defaults(schema):
    sessions = schema["properties"]["sessions"]
    assert "A session ends `lifetime` after it began" in sessions["description"]
    assert sessions["properties"]["cookie"]["default"] == "session"
    assert "memory" in sessions["properties"]["beaker"]["properties"]["backend"]["anyOf"][0]["enum"]


def test_the_schema_has_the_options_of_the_application_s_own_component(own, schema):
    assert fits(tomllib.loads(Path("kit.toml").read_text()), schema)
    assert schema["properties"]["routing"]["properties"]["Mine"]["properties"]["depth"]
