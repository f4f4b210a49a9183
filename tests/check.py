"""Run every check of the project and say in one line at the end what ran: ``make test``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
ADAPTERS = sorted(path.name for path in (ROOT / "adapters").iterdir() if path.is_dir())
REPORT = ROOT / ".pytest_cache" / "report.xml"

STEPS: dict[str, list[str]] = {
    "ruff lint": ["ruff", "check", "-q", "."],
    "ruff format": ["ruff", "format", "-q", "--check", "."],
    "mypy": ["mypy", "-p", "kit", *(word for name in ADAPTERS for word in ("-p", name))],
    "layers": ["lint-imports", "--no-cache"],
    "docs": ["sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", "docs/_build"],
    "tests": [
        *("pytest", "-q", "-n", str(os.cpu_count() or 2), "--dist", "worksteal"),
        *("--cov=kit", "--cov=adapters", "--cov-report=", f"--junit-xml={REPORT}"),
    ],
    "coverage": ["coverage", "report", "--skip-covered", "--precision=1"],
}


def run(name: str, command: list[str]) -> bool:
    """Run one step; show its output only if it failed, or if it is the tests."""
    print(f"{name:<12}", end="", flush=True)
    shown = name == "tests"
    if shown:
        print(flush=True)
    begin = time.monotonic()
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        # Bytecode is kept: hundreds of processes would compile the kernel anew.
        env={**os.environ, "MYPYPATH": "adapters", "PYTHONDONTWRITEBYTECODE": ""},
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        text=True,
    )
    took = f"{time.monotonic() - begin:6.1f} s"
    print(f"{name + ' ' if shown else '':<12}" * shown, end="")
    print(f"{'ok' if done.returncode == 0 else 'FAILED'} {took}", flush=True)
    if done.returncode and not shown:
        print(done.stdout)
    return done.returncode == 0


def counted() -> tuple[Counter[str], Counter[str]]:
    """Return how many tests ended how, and the reasons of those that were skipped."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(REPORT).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skipped is not None:
            counts["skipped"] += 1
            reasons[re.sub(r"^.*?: Skipped: ", "", skipped.get("message", ""))] += 1
        else:
            counts["passed"] += 1
    return counts, reasons


def main() -> int:
    """Run all steps, also after one has failed; 0 if every one was good."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    begin = time.monotonic()
    results = {name: run(name, command) for name, command in STEPS.items()}
    counts, reasons = counted() if REPORT.exists() else (Counter({"failed": 1}), Counter())
    why = "; ".join(f"{number} because {reason}" for reason, number in reasons.most_common())
    bad = [name for name, good in results.items() if not good]
    print(
        f"\n{'FAILED: ' + ', '.join(bad) if bad else 'All good'}"
        f" in {time.monotonic() - begin:.0f} s. Ran {', '.join(results)};"
        f" {counts['skipped']} tests skipped{': ' + why if why else ''}."
    )
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
