"""Clients of the three applications, on whatever stack the configuration picks.

The tests keep away from the applications' own folders and cache. `kit matrix -c asgilook.toml` says
in `KIT_CONFIG` which application it is about: then only the tests of that one run.
"""

import os
import secrets
import tempfile
from pathlib import Path

import pytest

TESTS = {"look": "kit.toml", "framework": "kit.toml", "ws": "ws.toml"}
TESTS |= {"asgilook": "asgilook.toml", "cache": "asgilook.toml"}
ABOUT = Path(os.environ.get("KIT_CONFIG", "")).name
collect_ignore = [f"test_{name}.py" for name, config in TESTS.items() if ABOUT not in ("", config)]


@pytest.fixture(scope="session", autouse=True)
def own_folders():
    """Folders for images, and a name space in the cache, for these tests alone."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOK_STORAGE_PATH", f"{folder}/look")
        patch.setenv("ASGI_LOOK_STORAGE_PATH", f"{folder}/asgilook")
        yield Path(folder)


@pytest.fixture(scope="session")
def look(own_folders):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_LIMITS__BODY", "6 MB")
        from look import app
    yield app.start()
    app.stop()


@pytest.fixture(scope="session")
def asgilook(own_folders):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIT_CACHE__REDIS__NAMESPACE", f"test_{secrets.token_hex(8)}")
        from asgilook import app
    yield app.start()
    app.stop()


@pytest.fixture(scope="session")
def ws():
    from ws import app

    yield app.start()
    app.stop()
