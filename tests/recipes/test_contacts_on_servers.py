"""The contacts recipe on production servers: its own tests pass over the wire on each of them."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kit.cli.catalogue import catalogue
from kit.config import load
from kit.plugins import load_object

KIT = Path(sys.executable).with_name("kit")
SERVERS = {
    "granian": ("asgi",),
    "gunicorn": ("wsgi", "asgi"),
    "hypercorn": ("asgi",),
    "uvicorn": ("asgi",),
    "waitress": ("wsgi",),
}
OTHER_STACK = {
    "KIT_SERVING__WORKERS": "2",
    "KIT_PERSISTENCE__USE": "peewee",
    "KIT_SESSIONS__USE": "itsdangerous",
    "KIT_TEMPLATING__USE": "mako",
}
PATIENCE = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recipe, copied out of the repository as its users do it."""
    command = [KIT, "new", "demo", "--recipe", "contacts"]
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    return tmp_path / "demo"


def environment(**more: str) -> dict[str, str]:
    """The environment without any setting of the tests around it but `more`."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_"))}
    own["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of the tests around it take long
    return {**own, **more}


def run_tests(folder: Path, url: str, settings: dict[str, str]) -> tuple[list[str], int]:
    """Run the tests of the recipe against a server; return why some were skipped, and how many ran.

    None of them may fail.
    """
    report = folder.parent / "report.xml"
    arguments = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=environment(**settings, KIT_TEST_URL=url),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = ElementTree.parse(report).getroot().findall(".//testcase")
    skipped = [case.find("skipped") for case in cases]
    reasons = [one.get("message", "") for one in skipped if one is not None]
    return reasons, len(cases) - len(reasons)


def settings_for(folder: Path, server: str, gateway: str) -> dict[str, str]:
    return {
        "KIT_APP__SECRET_KEY": secrets.token_urlsafe(32),
        "KIT_PERSISTENCE__URL": f"sqlite:///{folder.parent}/test.db",
        "KIT_SERVING__USE": server,
        "KIT_SERVING__GATEWAY": gateway,
    }


def check(serve: Callable[..., Any], folder: Path, settings: dict[str, str]) -> None:
    with serve(folder, **settings) as url:
        reasons, passed = run_tests(folder, url, settings)
    assert sorted(reasons) == [
        "not over the wire: it breaks the store of the application",
        "not over the wire: it gives the application another telephone",
    ]
    assert passed > 130


@pytest.mark.parametrize(
    ("server", "gateway"), [(name, one) for name, found in SERVERS.items() for one in found]
)
def test_its_tests_pass_on_every_server(
    serve: Callable[..., Any], folder: Path, server: str, gateway: str
):
    check(serve, folder, settings_for(folder, server, gateway))


@pytest.mark.parametrize(("server", "gateway"), [("gunicorn", "wsgi"), ("uvicorn", "asgi")])
def test_its_tests_pass_on_another_stack_with_two_workers(
    serve: Callable[..., Any], folder: Path, server: str, gateway: str
):
    check(serve, folder, settings_for(folder, server, gateway) | OTHER_STACK)


def test_these_are_all_servers_and_gateways():
    can: dict[str, tuple[str, ...]] = {}
    for name, component in catalogue(load({})).components["serving"].items():
        lacks = load_object(str(component.factory)).lacks
        can[name] = tuple(one for one in ("wsgi", "asgi") if one not in lacks)
    assert can == SERVERS
