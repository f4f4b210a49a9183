"""What is promised of every recipe: folders of recipes/ are found, and nothing is asked by name.

That each passes its own tests where only the wheel is installed, and leaves nothing behind there,
is in tests/test_wheel.py; that it passes them on every two components, in ``make matrix``.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kit.cli.catalogue import Catalogue
from kit.cli.combinations import every
from kit.cli.left_out import applying, left_out, tried
from kit.config import Config, load
from kit.testing.browsers import GATEWAYS

ROOT = Path(__file__).parents[2]
DOCS = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
KIT = Path(sys.executable).with_name("kit")
A_PAGE = 100  # lines of a README: those of contacts are 60, of sanic_style 82, of address_book 97
EXAMPLES = {  # what the environment of production says, by key of the profile
    r"app\.secret_key": "x" * 43,
    r"security\.hosts": "www.example.org",
    r"persistence\.url": "postgresql://app:password@127.0.0.1/app",
    r".*redis.*": "redis://127.0.0.1:6379/0",
    r"mail\.sender": "app@example.org",
    r"mail\.smtp\.host": "smtp.example.org",
    r"mail\.smtp\.(user|password)": "y" * 20,
    r".*origins": "https://www.example.org",
}


def _matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes_matrix", ROOT / "tests" / "matrix.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


matrix = _matrix()
RECIPES: list[Path] = matrix.RECIPES
CONFIGS = [(recipe, name) for recipe in RECIPES for name in matrix.configs(recipe)]
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
every_config = pytest.mark.parametrize(
    ("recipe", "config"), CONFIGS, ids=[f"{recipe.name}-{name}" for recipe, name in CONFIGS]
)


def run(folder: Path, *command: str | Path, **more: str) -> str:
    """Run a command in `folder`, without any setting of the tests around it but `more`."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=matrix.environment(**more),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    """The names of all files but those that Python compiles."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)) for p in found if "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function that copies a recipe out of the repository, once, as its users do it."""
    made: dict[Path, Path] = {}

    def copy(recipe: Path) -> Path:
        if recipe not in made:
            folder = tmp_path_factory.mktemp(recipe.name)
            run(folder, KIT, "new", "demo", "--recipe", recipe.name)
            made[recipe] = folder / "demo"
        return made[recipe]

    return copy


@pytest.fixture
def copy(recipe: Path, copied: Callable[[Path], Path]) -> Path:
    """The recipe, copied out of the repository."""
    return copied(recipe)


# Running


def profile(config: str) -> str:
    return config.replace(".toml", ".production.toml")


@every_config
def test_it_is_put_together_without_a_mistake(copy: Path, config: str) -> None:
    assert ": ok." in run(copy, KIT, "-c", config, "check")


PROFILED = [(recipe, name) for recipe, name in CONFIGS if (recipe / profile(name)).exists()]


@pytest.mark.parametrize(
    ("recipe", "config"), PROFILED, ids=[f"{recipe.name}-{name}" for recipe, name in PROFILED]
)
def test_it_is_fit_for_production_but_for_values_of_ones_own(copy: Path, config: str) -> None:
    own = dict(_wanted(load(copy / profile(config))))
    words = ["-c", config, "check", "--deploy"]
    assert "0 findings" in run(copy, KIT, *words, KIT_PROFILE="production", **own)


def _wanted(profile: Config) -> Iterator[tuple[str, str]]:
    for keys, setting in profile.settings.items():
        for value in setting.value if isinstance(setting.value, list) else [setting.value]:
            if isinstance(value, str) and value.startswith("env:"):
                fitting = [p for p in EXAMPLES if re.fullmatch(p, ".".join(keys))]
                assert fitting, f"EXAMPLES has nothing for {'.'.join(keys)}"
                yield value.removeprefix("env:"), EXAMPLES[fitting[0]]


@every_config
def test_its_tests_pass_on_the_opposite_stack_and_leave_nothing_behind(
    copy: Path, config: str, redis_url: str
) -> None:
    before = files(copy)
    found = matrix.catalogued(copy, config)
    stack = opposite(found, load(copy / config))
    assert any(stack[slot] not in found.in_use[slot] for slot in tried(found))
    slots = [f"--slot={slot}={name}" for slot, name in stack.items() if slot != "gateway"]
    words = ["matrix", *slots, f"--gateway={stack['gateway']}", *matrix.on_redis(found, redis_url)]
    assert "1 passed, 0 failed" in run(copy, KIT, "-c", config, *words)
    assert files(copy) == before


def opposite(found: Catalogue, config: Config) -> dict[str, str]:
    """Return another component for each slot, as far as that is not left out, and a gateway."""
    there = {slot: sorted(found.components[slot].items()) for slot in tried(found)}
    axes = {
        slot: [n for n, one in some if one.version() is not None] for slot, some in there.items()
    }
    axes["gateway"] = list(GATEWAYS)
    usual = {slot: found.in_use[slot][0] for slot in tried(found)} | {"gateway": "wsgi"}
    rows = every(axes, list(applying(left_out(found, config), axes, found)))
    return max(rows, key=lambda row: len(row.items() - usual.items()))


@every_config
def test_the_reference_says_how_its_matrix_went(recipe: Path, config: str) -> None:
    """``make matrix`` writes it."""
    page = matrix.PAGE.read_text("utf-8")
    name = matrix.Outcome(recipe.name, config, {}).name
    line = re.search(rf"^\| {re.escape(name)} \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    assert line
    assert int(line[1]) == int(line[2]) > 1
    section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
    said = dict(re.findall(r"^\| `(.+)` \| (.+) \|$", section, re.MULTILINE))
    found = matrix.catalogued(recipe, config)
    assert said == {one.key: one.reason for one in left_out(found, load(recipe / config))}


def combination(ok: bool, gateway: str, url: str) -> dict[str, Any]:
    components = {"routing": "werkzeug", "persistence": "peewee"}
    counts = {"passed": 3, "failed": int(not ok), "skipped": 0, "output": "" if ok else "It broke."}
    return {
        "ok": ok,
        "components": components,
        "gateway": gateway,
        "values": {"persistence.url": url},
        **counts,
    }


def test_the_page_of_the_matrix_says_what_failed_and_what_was_left_out(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    document = {
        "ok": False,
        "combinations": [
            combination(True, "wsgi", "sqlite:///x.db"),
            combination(False, "asgi", "postgresql://x/y"),
        ],
        "left_out": [{"what": "tokens.pyjwt", "reason": "there is | none"}],
    }
    page = matrix.page([matrix.Outcome("shop", "other.toml", document)])
    assert "| shop, other.toml | 2 | 1 | 3 to 4 | SQLite, PostgreSQL |\n" in page
    assert "### shop, other.toml\n" in page
    assert "| persistence | peewee |\n| gateway | asgi, wsgi |\n" in page
    assert "| `tokens.pyjwt` | there is \\| none |\n" in page


def test_what_could_not_be_run_is_a_failure_of_the_matrix(tmp_path: Path) -> None:
    (tmp_path / "kit.toml").write_text('[matrix.without]\n"gateway.x" = "y"\n')
    assert not matrix.Outcome("shop", "kit.toml", matrix.run(tmp_path, "kit.toml", [])).ok


# Reading


def sources(recipe: Path) -> list[Path]:
    return [path for path in sorted(recipe.rglob("*.py")) if "__pycache__" not in path.parts]


SOURCES = [(recipe, path) for recipe in RECIPES for path in sources(recipe)]
every_source = pytest.mark.parametrize(
    ("recipe", "source"), SOURCES, ids=[str(path.relative_to(ROOT)) for _, path in SOURCES]
)


@every_source
def test_it_imports_nothing_but_the_kit_and_its_own(recipe: Path, source: Path) -> None:
    tests = source.is_relative_to(recipe / "tests")
    folders = [recipe, recipe / "tests"] if tests else [recipe]
    own = {path.stem for folder in folders for path in folder.glob("*.py")}
    own |= {path.parent.name for path in recipe.glob("*/__init__.py")}
    tops = {module.partition(".")[0] for module, _ in imports(source)}
    allowed = {"kit", *own, *libraries(recipe), *(["pytest"] if tests else [])}
    assert tops - sys.stdlib_module_names <= allowed


def imports(source: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for everything that a file imports; a module itself has no name."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module or "", alias.name) for alias in node.names)


def parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text("utf-8"))


def libraries(recipe: Path) -> set[str]:
    """The modules of the libraries that a recipe names beside the kit."""
    named = {re.split(r"[^\w.-]", one)[0].lower() for one in dependencies(recipe)} - {"framekit"}
    return {
        module
        for module, distributions in packages_distributions().items()
        if named & {one.lower() for one in distributions}
    }


def dependencies(recipe: Path) -> list[str]:
    project = tomllib.loads((recipe / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["description"]
    return list(project["dependencies"])


@every_source
def test_it_uses_only_documented_names_of_the_kit(recipe: Path, source: Path) -> None:
    documented = "\n".join(path.read_text("utf-8") for path in DOCS)
    used = [(module, name) for module, name in imports(source) if module.split(".")[0] == "kit"]
    used += [
        ("kit", node.attr)
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "kit"
    ]
    unknown = [
        f"{module}.{name}"
        for module, name in used
        if name and not re.search(rf"\b{module}\.{name}\b", documented)
        if not re.search(rf"from {module} import [^\n]*\b{name}\b", documented)
        if f"automodule:: {module}\n" not in documented
    ]
    assert not unknown


@every_source
def test_it_uses_no_private_name_but_its_own(recipe: Path, source: Path) -> None:
    defined = {name for path in sources(recipe) for name in definitions(parsed(path))}
    used = {
        node.attr
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Attribute) and private(node.attr)
    }
    used |= {part for pair in imports(source) for name in pair for part in name.split(".")}
    assert {name for name in used if private(name)} <= defined


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def definitions(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file gives to functions, classes, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


@every_recipe
def test_its_framework_is_read_in_one_sitting(recipe: Path) -> None:
    framework = recipe / "framework.py"
    if framework.exists():
        assert len(framework.read_text("utf-8").splitlines()) < 320


@every_recipe
def test_its_readme_names_every_file_in_one_page(recipe: Path, copy: Path) -> None:
    readme = (recipe / "README.md").read_text("utf-8")
    own = files(copy) - {"README.md", "secret.key"}
    assert not [name for name in sorted(own) if f"`{name}`" not in readme]
    assert len(readme.splitlines()) <= A_PAGE
    assert readme.startswith("# ")


@every_recipe
def test_its_dependencies_cover_the_components_that_it_uses(recipe: Path) -> None:
    named = {extra for one in dependencies(recipe) for extra in extras(one)}
    for config in recipe.glob("*.toml"):
        found = matrix.catalogued(recipe, config.name)
        for slot in found.named:
            for name in found.in_use[slot]:
                one = found.components[slot].get(name)
                assert one, f"{config.name}: {slot}.{name}"
                assert extras(one.install) <= named, f"{config.name}: {slot}.{name}"


def extras(requirement: str) -> set[str]:
    inside: Any = re.fullmatch(r"framekit\[(.*)\]", requirement)
    return {part.strip() for part in inside[1].split(",")} if inside else set()
