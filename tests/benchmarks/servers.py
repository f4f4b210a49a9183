"""The theme ``servers``: requests over loopback, with a bare callable and with Framekit behind."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass

from harness import Effort, Row, Table, Target, row, say
from processes import Server, before, serving

OURS, BARE, SHORT = "Framekit", "bare", "2 headers"
APPS = {
    BARE: "peers.served_bare:{kind}_same_headers",
    SHORT: "peers.served_bare:{kind}",
    OURS: "peers.served_framekit:{kind}",
}
SERVERS = {"granian": "asgi", "uvicorn": "asgi", "gunicorn": "wsgi", "waitress": "wsgi"}
PATHS = {"plain text": "/", "JSON": "/json"}
LIMIT = 0.95
SERVER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = 16
NOTES = [
    f"wrk with {CONNECTIONS} connections on one core keeps a server with one worker busy on"
    " another; gunicorn and waitress have 4 threads, all else is as the servers come",
    "a second is one of the server's CPU time: so much it answers in a second, unless other"
    " processes take its core from it",
    f"{BARE!r} is a callable that sends the same status, headers and body, with its list of"
    " headers ready made, and encodes JSON for each request with msgspec, as ours does",
    f"{SHORT!r} is the same without the five headers for security: what these alone cost",
    "gunicorn and waitress run plain handlers, granian and uvicorn those with async def",
]
_COUNT = re.compile(r"^ *([0-9]+) requests in ", re.MULTILINE)
_WRONG = re.compile(r"^ *(?:Non-2xx|Socket errors).*$", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """How much to measure: `starts` of each server, each with `rounds` of so many seconds."""

    servers: dict[str, str]
    starts: int
    rounds: int
    seconds: float


def measure(effort: Effort) -> Table:
    """Serve each, check that all answer alike, and let wrk ask one after another in turns."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is not there, so servers cannot be measured: apt install wrk")
    plan = Plan(SERVERS, 2, 4, 0.5)
    if effort.quick:
        plan = Plan({"uvicorn": "asgi"}, 1, 1, 0.05)
    rows = [one for name in plan.servers for one in _timed(name, plan)]
    count = plan.starts * plan.rounds
    title = f"throughput, median of {count} interleaved rounds of {plan.seconds:g} s"
    return Table("servers", title, "requests per second", [OURS], rows, NOTES)


def _timed(server: str, plan: Plan) -> list[Row]:
    say(f"servers: {server}")
    samples: dict[str, dict[str, list[float]]] = {
        case: {name: [] for name in APPS} for case in PATHS
    }
    for start in range(plan.starts):  # no two processes are equally fast
        with ExitStack() as to_stop:
            served = {
                name: to_stop.enter_context(
                    serving(server, app.format(kind=plan.servers[server]), core=SERVER_CORE)
                )
                for name, app in APPS.items()
            }
            _check(served)
            for one in served.values():
                _rate(one, "/", plan.seconds)
            for number in range(plan.rounds):
                for case, path in PATHS.items():
                    order = list(served)
                    random.Random(f"{start} {number} {case}").shuffle(order)
                    for name in order:
                        samples[case][name].append(_rate(served[name], path, plan.seconds))
    rows = [row(f"{case}, {server}", found, 1, [OURS]) for case, found in samples.items()]
    for timed in rows:
        ratio = timed.ratios[OURS][BARE]
        target = Target(f"{OURS} >= {LIMIT:.2f} x {BARE}", f"{ratio:.2f}", ratio >= LIMIT)
        timed.targets.append(target)
    return rows


def _check(served: dict[str, Server]) -> None:
    """Raise ValueError unless ours and the bare one send the same."""
    for path in PATHS.values():
        found = {name: _answer(one.url + path) for name, one in served.items()}
        if found[OURS] != found[BARE] or found[OURS][1:] != found[SHORT][1:]:
            raise ValueError(f"the answers to {path} are not the same: {found}")


def _answer(url: str) -> tuple[dict[str, str], int, str, bytes]:
    with urllib.request.urlopen(url) as answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        for name in ("date", "server", "connection"):
            headers.pop(name, None)
        return headers, answer.status, headers["content-type"], answer.read()


def _rate(server: Server, path: str, seconds: float) -> float:
    """Let wrk ask for some seconds; return how many answers came in one of CPU time."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{int(seconds) + 2}s", server.url + path]
    used = server.cpu()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=before(CLIENT_CORE)
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)  # it tells what it has counted by then
    told, _ = process.communicate()
    used = server.cpu() - used
    count, wrong = _COUNT.search(told), _WRONG.search(told)
    if count is None or wrong or not int(count[1]):
        raise RuntimeError(f"{' '.join(command)} failed: {told}")
    return int(count[1]) / used
