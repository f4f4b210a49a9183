"""The recipe in the style of Bottle: as a script, and the same pages by both template engines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "bottle_style"
PATIENCE = 30
VISIT = """
import json, re
from todo import app, first_tasks
from kit.testing import client, emptied

browser = client(emptied(app))
app.call(first_tasks)
odd = {"task": "<b>'\\"&", "status": "open"}
pages = [browser.get(p) for p in ("/todo?show=all", "/new", "/edit/1", "/details/1", "/nope")]
pages += [browser.post(p, data=odd) for p in ("/new", "/edit/2")]
pages += [browser.post(p, data={"task": ""}) for p in ("/new", "/edit/2")]
pages += [browser.get("/edit/2"), browser.get("/todo")]
texts = [re.sub(r'value="[\\w-]{80,}=*"', "", page.text) for page in pages]
print(json.dumps([re.sub(r"\\s*(<|/?>)\\s*", r"\\1", text) for text in texts]))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The recipe in a folder of its own, without what runs leave behind."""
    left_out = shutil.ignore_patterns("*.db*", "secret.key", "__pycache__", ".*_cache")
    return shutil.copytree(RECIPE, tmp_path / "demo", ignore=left_out)


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("KIT_")} | more


def test_the_file_serves_as_a_script(copy: Path):
    file = copy / "todo.py"
    text = file.read_text("utf-8")
    assert "port=8080" in text
    file.write_text(text.replace("port=8080", "port=0"), "utf-8")
    running = subprocess.Popen(
        [sys.executable, "todo.py"],
        cwd=copy,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout
    try:
        said = ""
        while "Ctrl-C" not in said:
            said += (line := running.stdout.readline())
            assert line, said
        found = re.search(r"http://\S+", said)
        assert found
        with urllib.request.urlopen(f"{found[0]}/as_json/2", timeout=PATIENCE) as answer:
            assert json.load(answer)["task"] == "Visit the Python website"
        running.terminate()
        assert running.wait(PATIENCE) == 0
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert (copy / "todo.db").is_file()
    assert (copy / "secret.key").stat().st_mode & 0o777 == 0o600


def pages(copy: Path, engine: str) -> list[str]:
    own = {
        "KIT_TEMPLATING__USE": engine,
        "KIT_PERSISTENCE__URL": f"sqlite:///{copy}/{engine}_test.db",
        "KIT_APP__SECRET_KEY": "x" * 43,
    }
    done = subprocess.run(
        [sys.executable, "-c", VISIT],
        cwd=copy,
        env=environment(**own),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_both_template_engines_give_the_same_pages(copy: Path):
    jinja2, mako = pages(copy, "jinja2"), pages(copy, "mako")
    assert "&lt;b&gt;" in jinja2[-1]
    assert jinja2 == mako
