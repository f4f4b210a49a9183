"""Run `kit matrix` for every recipe, on SQLite and on database servers: ``make matrix``.

Every configuration of a recipe (a file with ``[app] import``) is tried on every two components
together, and where records are kept each of them on SQLite, PostgreSQL and MariaDB. What came of it
is printed, and written to the page of the reference that says so.

``matrix.py contacts conduit`` runs some recipes only, and writes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kit.cli.catalogue import Catalogue, catalogue
from kit.cli.left_out import tried
from kit.config import load

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted(path for path in (ROOT / "recipes").iterdir() if path.is_dir())
PAGE = ROOT / "docs" / "reference" / "generated" / "recipes_matrix.md"
NOTE = "<!-- written by tests/matrix.py -->\n\n"
KIT = Path(sys.executable).with_name("kit")
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def configs(recipe: Path) -> list[str]:
    """Return the names of the files of a recipe that configure an application."""
    found = (path.name for path in sorted(recipe.glob("*.toml")))
    return [name for name in found if _imports(recipe / name)]


def _imports(config: Path) -> bool:
    app = tomllib.loads(config.read_text("utf-8")).get("app", {})
    return isinstance(app, dict) and "import" in app


def environment(**more: str) -> dict[str, str]:
    """The environment without any setting of the tests around it but `more`."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_", "COV_"))}
    own["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of the tests around it take long
    return {**own, **more}


def catalogued(recipe: Path, config: str) -> Catalogue:
    """Return the catalogue of a configuration, with the plug-ins that the recipe itself has."""
    before = set(sys.modules)
    sys.path.insert(0, str(recipe))
    try:
        return catalogue(load(recipe / config))
    finally:
        sys.path.remove(str(recipe))
        for name in set(sys.modules) - before:  # another recipe may have modules of that name
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(recipe)):
                del sys.modules[name]


def on_redis(found: Catalogue, url: str) -> list[str]:
    """Return the arguments that let every component that wants Redis use this one."""
    slots = [slot for slot in tried(found) if "redis" in found.components[slot]]
    return [f"--vary={slot}.redis.url={url}" for slot in slots]


@dataclass(frozen=True)
class Outcome:
    """What `kit matrix` said of one configuration: its JSON document."""

    recipe: str
    config: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The recipe, and the configuration where it is not the usual one."""
        return self.recipe if self.config == "kit.toml" else f"{self.recipe}, {self.config}"

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """The combinations that were run."""
        found: list[dict[str, Any]] = self.document["combinations"]
        return found

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The combinations that did not pass."""
        return [one for one in self.combinations if not one["ok"]]

    @property
    def ok(self) -> bool:
        """Whether everything was run, and passed."""
        found: bool = self.document["ok"]
        return found

    def summary(self) -> str:
        """The counts in one line."""
        count, failed = len(self.combinations), len(self.failed)
        return f"{count} combinations, {count - failed} passed, {failed} failed"


def run(recipe: Path, config: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run `kit matrix` on a configuration, which tells of each combination; return its document."""
    command = [KIT, "-c", config, "matrix", "--json", *arguments]
    done = subprocess.run(
        command, cwd=recipe, env=environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode == 2 or not done.stdout:
        return {"ok": False, "combinations": [], "left_out": []}
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def outcomes(recipes: Sequence[Path], urls: dict[str, str]) -> Iterator[Outcome]:
    """Run everything, each recipe in a copy, and yield what became of each configuration."""
    for recipe in recipes:
        with tempfile.TemporaryDirectory(prefix="kit-recipe-") as folder:
            new = [KIT, "new", "copy", "--recipe", recipe.name]
            subprocess.run(new, cwd=folder, env=environment(), check=True, capture_output=True)
            for config in configs(recipe):
                print(f"\n{recipe.name} {config}", flush=True)
                yield Outcome(recipe.name, config, outcome(Path(folder, "copy"), config, urls))


def outcome(recipe: Path, config: str, urls: dict[str, str]) -> dict[str, Any]:
    """Run one configuration on all databases, and return what `kit matrix` said."""
    found = catalogued(recipe, config)
    redis = on_redis(found, urls["redis"])
    if "persistence" not in tried(found):
        return run(recipe, config, redis)
    with databases(urls) as own:
        found_on = ",".join(["sqlite:///matrix_test.db", *own.values()])
        return run(recipe, config, [*redis, f"--vary=persistence.url={found_on}"])


@contextmanager
def databases(urls: dict[str, str]) -> Iterator[dict[str, str]]:
    """Make databases for one configuration alone, and drop them in the end."""
    from conftest import run_sql

    database = f"kit_matrix_test_{os.getpid()}"
    own = {}
    for server in ("postgres", "mariadb"):
        run_sql(urls[server], f"CREATE DATABASE {database}")
        own[server] = urlsplit(urls[server])._replace(path=f"/{database}").geturl()
    try:
        yield own
    finally:
        run_sql(urls["postgres"], f"DROP DATABASE {database} WITH (FORCE)")
        run_sql(urls["mariadb"], f"DROP DATABASE {database}")


def page(found: Sequence[Outcome]) -> str:
    """Return the page of the reference: what was run, and what is left out and why."""
    from generate import table

    head = ("recipe", "combinations", "passed", "tests in each", "databases")
    parts = [table(head, [row(outcome) for outcome in found])]
    for outcome in found:
        names = [one["components"] | {"gateway": one["gateway"]} for one in outcome.combinations]
        slots = dict.fromkeys(slot for row in names for slot in row)
        known = {slot: sorted({row[slot] for row in names if slot in row}) for slot in slots}
        rows = [(slot, ", ".join(tried)) for slot, tried in known.items()]
        parts.append(f"### {outcome.name}\n\n{table(('slot', 'tried'), rows)}")
        if out := [(f"`{one['what']}`", one["reason"]) for one in outcome.document["left_out"]]:
            parts.append(table(("left out", "because"), out))
    return NOTE + "\n".join(parts)


def row(outcome: Outcome) -> tuple[str, ...]:
    """Return the line of a configuration in the table of all."""
    done = outcome.combinations
    counts = sorted({one["passed"] + one["failed"] for one in done})
    urls = {str(one["values"].get("persistence.url", "")).partition(":")[0] for one in done}
    databases = ", ".join(name for scheme, name in DATABASES.items() if scheme in urls)
    skipped = sum(one["skipped"] for one in done)
    return (
        outcome.name,
        str(len(done)),
        str(len(done) - len(outcome.failed)),
        " to ".join(map(str, dict.fromkeys([*counts[:1], *counts[-1:]])))
        + (f"; {skipped} skipped in all" if skipped else ""),
        databases or "none",
    )


def main(names: Sequence[str]) -> int:
    """Run the matrix of the recipes named, or of all; 0 if everything passed."""
    sys.path[:0] = [str(ROOT / "docs")]
    from conftest import service

    os.environ["KIT_TEST_REQUIRE_SERVICES"] = "1"
    recipes = [path for path in RECIPES if not names or path.name in names]
    urls = {name: service(name) for name in ("postgres", "mariadb", "redis")}
    begun = time.monotonic()
    found = list(outcomes(recipes, urls))
    if not names:
        PAGE.write_text(page(found), "utf-8")
    bad = [one for one in found if not one.ok]
    for one in bad:
        for each in one.failed:
            shown = [*each["components"].values(), each["gateway"], *each["values"].values()]
            print(f"\n{one.name}: {' '.join(shown)}\n{each['output'].rstrip()}")
    print()
    for one in found:
        print(f"{'ok    ' if one.ok else 'FAILED'} {one.name}: {one.summary()}")
        for out in one.document["left_out"]:
            print(f"       left out: {out['what']}: {out['reason']}")
    count = sum(len(one.combinations) for one in found)
    failed = sum(len(one.failed) for one in found)
    verdict = "FAILED" if bad else "All good"
    print(
        f"\n{verdict} in {time.monotonic() - begun:.0f} s: {len(recipes)} recipes,"
        f" {count} combinations: {count - failed} passed, {failed} failed."
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
