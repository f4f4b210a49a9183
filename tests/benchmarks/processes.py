"""Servers in processes of their own: started, pinned to a core, weighed, and stopped."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

COMMANDS = {
    "granian": "granian --interface asgi --host 127.0.0.1 --port {port} --no-log",
    "gunicorn": "gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 4"
    " --keep-alive 60 --log-level warning",
    "uvicorn": "uvicorn --host 127.0.0.1 --port {port} --interface asgi3 --no-access-log"
    " --log-level warning",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --log-level warning",
    "waitress": "waitress --listen 127.0.0.1:{port}",
}
"""What starts each server, with one worker and no access log."""

HERE = Path(__file__).resolve().parent
PATIENCE = 30
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SID, _RSS = 3, 21  # of /proc/PID/stat, from the state on


@dataclass(frozen=True)
class Server:
    """A running server: its port, and the session that all of its processes are in."""

    port: int
    session: int

    @property
    def url(self) -> str:
        """Return the URL of its root, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """Return the seconds of CPU time that its processes have used."""
        found = 0.0
        for folder, _ in self._processes():
            with contextlib.suppress(OSError):
                found += time.clock_gettime(_clock(int(folder.name)))
        return found

    def memory(self) -> int:
        """Return the bytes of memory that its processes hold now."""
        return sum(int(fields[_RSS]) * _PAGE for _, fields in self._processes())

    def forget_peak(self) -> None:
        """Let `peak` begin anew."""
        for folder, _ in self._processes():
            (folder / "clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the most bytes of memory that its processes have held, each at its worst."""
        found = 0
        for folder, _ in self._processes():
            lines = (folder / "status").read_text().splitlines()
            found += sum(int(line.split()[1]) * 1024 for line in lines if line[:6] == "VmHWM:")
        return found

    def _processes(self) -> Iterator[tuple[Path, list[str]]]:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[_SID]) == self.session:
                    yield folder, fields


def _clock(process: int) -> int:
    """Return the clock of a process's CPU time, as clock_getcpuclockid(3) does on Linux."""
    return (~process << 3) | 2


@contextlib.contextmanager
def serving(
    server: str,
    app: str,
    *,
    more: str = "",
    core: int | None = None,
    environ: Mapping[str, str] = {},
) -> Iterator[Server]:
    """Serve ``module:attribute`` until the block ends; raise RuntimeError if it never answers.

    `more` are further options of that server, `core` is the only one that it may use, and
    `environ` what it finds in its environment beside what is there.
    """
    port = _free_port()
    options = shlex.split(f"{COMMANDS[server].format(port=port)} {more}")
    command = [sys.executable, "-m", *options, app]
    known = {**os.environ, "PYTHONPATH": str(HERE), **environ}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env=known,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=before(core),
        )
        try:
            _wait(process, port)
            yield Server(port, process.pid)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-4000:])
            raise
        finally:
            _stop(process)


def before(core: int | None) -> Callable[[], None]:
    """Return what a child calls before it becomes another program: many files, and one core."""

    def prepare() -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if core is not None and (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(0, {core})

    return prepare


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).read()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not answer")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
