"""Who may import whom: the kernel no adapter, an adapter its library, a recipe what is public."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ADAPTERS = sorted(path.name for path in (ROOT / "adapters").glob("kit_*"))
SHARED = {"kit", "werkzeug", "markupsafe", "msgspec", "pluggy"}
OWN = {
    "kit_werkzeug": {"werkzeug"},
    "kit_ffroute": {"ffroute"},
    "kit_jinja2": {"jinja2"},
    "kit_mako": {"mako"},
    "kit_sqlalchemy": {"sqlalchemy"},
    "kit_peewee": {"peewee", "playhouse"},
    "kit_beaker": {"beaker", "sqlalchemy", "redis", "pymemcache"},
    "kit_itsdangerous": {"itsdangerous"},
    "kit_argon2": {"argon2"},
    "kit_defusedxml": {"defusedxml"},
    "kit_granian": {"granian"},
    "kit_gunicorn": {"gunicorn"},
    "kit_hypercorn": {"hypercorn"},
    "kit_limits": {"limits", "redis"},
    "kit_msgspec": {"msgspec"},
    "kit_pydantic": {"pydantic", "pydantic_core"},
    "kit_pyjwt": {"jwt"},
    "kit_redis": {"redis"},
    "kit_stdlib": set(),
    "kit_uvicorn": {"uvicorn"},
    "kit_waitress": {"waitress"},
    "kit_wtforms": {"wtforms"},
    "kit_yaml": {"yaml"},
}
DRIVERS = {"psycopg", "pymysql"}
LIBRARIES = set().union(*OWN.values()) - SHARED
TESTS_ONLY = {"pytest"}


def imported(folder: Path) -> dict[str, set[str]]:
    """The top-level packages that the files below a folder import, by file."""
    found: dict[str, set[str]] = {}
    for file in folder.rglob("*.py"):
        names = found.setdefault(str(file.relative_to(ROOT)), set())
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module or "")
    return {
        file: {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
        for file, names in found.items()
    }


def test_the_kernel_imports_no_adapter_and_no_wrapped_library():
    for file, names in imported(ROOT / "kit").items():
        if not file.startswith("kit/scaffold"):
            assert not {n for n in names if n.startswith("kit_")} | (names & LIBRARIES), file


def test_every_adapter_is_known_here():
    assert set(ADAPTERS) == set(OWN)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_imports_the_kit_and_its_own_library(adapter):
    for file, names in imported(ROOT / "adapters" / adapter).items():
        assert names <= {adapter} | SHARED | OWN[adapter] | DRIVERS, file


@pytest.mark.parametrize("module", ["kit", "kit.app", "kit.testing"])
def test_importing_the_kit_imports_no_adapter_and_no_wrapped_library(module):
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert "kit" in names
    assert not {name for name in names if name.startswith("kit_")}
    assert not names & (LIBRARIES | DRIVERS | TESTS_ONLY | {"click"})


def test_starting_an_application_imports_only_what_it_picked():
    code = (
        "import sys, kit\n"
        "kit.App({'routing': {'use': 'ffroute'}}).start()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert {name for name in names if name.startswith("kit_")} == {"kit_ffroute", "kit_msgspec"}
    assert names & LIBRARIES == {"ffroute"}


def test_import_linter_knows_every_adapter():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert set(contracts["root_packages"]) == {"kit", *ADAPTERS}


def test_the_public_face_of_the_kit_is_small():
    import kit

    assert len(kit.__all__) <= 48
    assert sorted(kit.__all__) == kit.__all__
    assert all(hasattr(kit, name) for name in kit.__all__)
