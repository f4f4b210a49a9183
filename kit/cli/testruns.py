"""One run of an application's tests, in a process of its own, counted from pytest's report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from kit.cli.combinations import Combination


@dataclass(frozen=True)
class Result:
    """What became of one combination; `output` is all that pytest printed."""

    combination: Combination
    passed: int
    failed: int
    skipped: int
    seconds: float
    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether pytest was content, and at least one test passed."""
        return self.code == 0 and self.failed == 0 and self.passed > 0

    @property
    def summary(self) -> str:
        """The counts, or that no tests ran."""
        if not self.passed + self.failed + self.skipped:
            return f"no tests ran (pytest ended with {self.code})"
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run_tests(
    combination: Combination,
    environment: Mapping[str, str],
    folder: Path,
    scratch: Path,
    arguments: Sequence[str],
) -> Result:
    """Run pytest in `folder` with these variables; `scratch` takes its files."""
    report = scratch / "report.xml"
    own = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", f"--basetemp={scratch / 'tmp'}"]
    begun = time.monotonic()
    done = subprocess.run(  # noqa: S603 - pytest, for the user who gave the arguments
        [sys.executable, "-m", "pytest", *own, *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    seconds = time.monotonic() - begun
    passed, failed, skipped = counts(report)
    return Result(combination, passed, failed, skipped, seconds, done.returncode, done.stdout)


def counts(report: Path) -> tuple[int, int, int]:
    """Return how many tests passed, failed and were skipped, by a JUnit report; none if missing."""
    try:
        suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - our own file
    except (OSError, ElementTree.ParseError):
        return 0, 0, 0
    total = failed = skipped = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return total - failed - skipped, failed, skipped
