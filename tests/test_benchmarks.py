"""The benchmarks run and give all figures; how large these are is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent / "benchmarks"
COMPETITORS = {"WSGI", "Framekit", "with werkzeug", "Falcon", "Bottle", "Flask", "Django"}
ROWS = [
    "plain text",
    "JSON",
    "<int:id>",
    "404",
    "template of 12 rows",
    "form of 3 fields",
    "session counter",
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_quick_run_times_every_kind_of_request(tmp_path):
    file = tmp_path / "figures.json"
    done = run(str(BENCHMARKS), "--quick", "--only", "requests", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "\033" not in done.stdout
    [table] = json.loads(file.read_text())["tables"]
    assert [row["name"] for row in table["rows"]] == ROWS
    for row in table["rows"]:
        assert set(row["medians"]) == COMPETITORS
        assert row["name"] in done.stdout
    report = run(str(BENCHMARKS / "report.py"), str(file))
    assert report.returncode == 0, report.stderr
    assert all(f"| {name.replace('<', '&lt;')} |" in report.stdout for name in ROWS)


def test_a_quick_run_times_routes_and_plugins():
    done = run(str(BENCHMARKS), "--quick", "--only", "routes,plugins")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("target ") == 3


def test_an_unknown_theme_is_named_and_ends_in_2():
    done = run(str(BENCHMARKS), "--only", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no theme nonsense; there are: requests, routes" in done.stderr
