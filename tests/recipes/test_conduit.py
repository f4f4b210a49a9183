"""The recipe `conduit` under the public test suite of the RealWorld project, on live servers.

The suite is the Postman collection of https://github.com/realworld-apps/realworld (MIT licence),
and no part of this repository. To run it, put a checkout of that project, at the commit COMMIT,
into build/suites/realworld, and newman into build/npm (`npm install --prefix build/npm newman`).
Without them these runs are skipped; the recipe's own tests check the same in other words.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "conduit"
NEWMAN = ROOT / "build" / "npm" / "node_modules" / ".bin" / "newman"
COLLECTION = ROOT / "build" / "suites" / "realworld" / "api" / "Conduit.postman_collection.json"
COMMIT = "747190ecf0bb27d461cf1100f6cb3468c6c914ed"
ASSERTIONS = 311
"""So many the collection has, with an empty store, at COMMIT."""
STACKS = [
    ("sqlalchemy", "sqlite", "granian"),
    ("sqlalchemy", "postgres", "waitress"),
    ("peewee", "sqlite", "waitress"),
    ("peewee", "postgres", "granian"),
]
PATIENCE = 60


def environment(**settings: str) -> dict[str, str]:
    """The environment without any setting of the tests around it but these."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_", "COV_"))}
    return {**own, "KIT_APP__SECRET_KEY": secrets.token_urlsafe(32), **settings}


def newman(url: str, report: Path) -> dict[str, Any]:
    """Run the collection, and return what newman says of the run."""
    name = f"u{secrets.token_hex(4)}"
    values = {
        "APIURL": f"{url}/api",
        "USERNAME": name,
        "EMAIL": f"{name}@mail.com",
        "PASSWORD": "password",
    }
    command = [NEWMAN, "run", COLLECTION, "-r", "json", "--reporter-json-export", report]
    command += [word for pair in values.items() for word in ("--global-var", "=".join(pair))]
    subprocess.run(command, timeout=PATIENCE, env=environment(), capture_output=True, check=False)
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))["run"]
    return found


def requests(items: list[dict[str, Any]]) -> int:
    """Return how many requests there are in the folders of a collection."""
    return sum(requests(one["item"]) if "item" in one else 1 for one in items)


@pytest.mark.parametrize(("component", "server", "serving"), STACKS)
def test_it_satisfies_the_public_suite(
    component: str,
    server: str,
    serving: str,
    tmp_path: Path,
    own_database: Callable[..., str],
    serve: Callable[..., Any],
    request: pytest.FixtureRequest,
):
    for needed in (COLLECTION, NEWMAN):
        if not needed.exists():
            pytest.skip(f"{needed.relative_to(ROOT)} is not there (commit {COMMIT})")
    url = f"sqlite:///{tmp_path}/test.db"
    if server == "postgres":
        purpose = f"_conduit_{component}"
        url = own_database(request.getfixturevalue("postgres_url"), purpose)
    settings = {"KIT_PERSISTENCE__USE": component, "KIT_PERSISTENCE__URL": url}
    with serve(RECIPE, KIT_SERVING__USE=serving, **settings) as host:
        run = newman(host, tmp_path / "report.json")
    assert [one["error"]["message"] for one in run["failures"]] == []
    collection = json.loads(COLLECTION.read_text("utf-8"))
    assert run["stats"]["requests"] == {
        "total": requests(collection["item"]),
        "pending": 0,
        "failed": 0,
    }
    assert run["stats"]["assertions"] == {"total": ASSERTIONS, "pending": 0, "failed": 0}


def test_its_document_is_valid_openapi(tmp_path: Path):
    code = (
        "import json; from conduit import app; from kit import openapi;"
        "print(json.dumps(openapi.document(app, title='Conduit', version='1', below='/api/')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=RECIPE,
        env=environment(KIT_PERSISTENCE__URL=f"sqlite:///{tmp_path}/test.db"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    OpenAPIV31SpecValidator(document).validate()
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    assert len(operations) == 19
