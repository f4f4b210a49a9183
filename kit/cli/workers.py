"""The workers of `kit serve`: processes that share listening sockets, kept, reloaded and ended.

Each worker is a new process of the same command, so that a reload takes new code and a new
configuration. It tells over a socket pair that it is ready, and takes the end of that for the end
of the process above.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import click

from kit.slots.serving import ServingOptions

LISTENERS = "KIT_SERVE_LISTENERS"
"""The variable with the numbers of the sockets of a worker: all to listen on, and its own."""

FAILED = 3
"""The exit code of a worker that cannot start, and of `kit serve` where the first ones cannot."""

_READY = b"+"
_SPARE = 5  # seconds at most, after `grace`, in which a worker closes what it has open
_PAUSES = (0, 1, 2, 4, 8, 15, 30)  # seconds until a worker is started again that did not come up


class Worker:
    """One process that serves; all that are started together are of one `generation`."""

    def __init__(self, generation: int, listeners: Iterable[socket.socket], folder: Path) -> None:
        self.generation = generation
        self.is_ready = False
        self.is_leaving = False
        self._latest = float("inf")
        self.pair, theirs = socket.socketpair()
        self.pair.setblocking(False)
        numbers = [*(one.fileno() for one in listeners), theirs.fileno()]
        self.process = subprocess.Popen(  # noqa: S603 - itself
            [sys.executable, *sys.orig_argv[1:]],
            cwd=folder,
            env=os.environ | {LISTENERS: ",".join(map(str, numbers))},
            pass_fds=numbers,
            process_group=0,  # a Ctrl-C is for the process above alone
        )
        theirs.close()

    def has_ended(self) -> bool:
        """Take notice of what has become of it."""
        with suppress(BlockingIOError, ConnectionError):
            self.is_ready = self.pair.recv(1) == _READY or self.is_ready
        if time.monotonic() > self._latest:
            self.process.kill()
        return self.process.poll() is not None

    def leave(self, seconds: float) -> None:
        """Tell it to finish what it has in hand, in so many seconds."""
        if not self.is_leaving:
            self.is_leaving = True
            self._latest = time.monotonic() + seconds
            self.process.terminate()

    @property
    def label(self) -> str:
        """Its number, and how it ended."""
        code = self.process.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"worker {self.process.pid} ({name})"


class Workers:
    """Keeps `options.workers` on the listeners; SIGHUP reloads them, SIGTERM and SIGINT end all.

    At a reload new workers are started; when all of them are ready the old ones leave, and if one
    of them cannot start the new ones do.
    """

    def __init__(
        self, listeners: list[socket.socket], options: ServingOptions, folder: Path
    ) -> None:
        self._listeners = listeners
        self._options = options
        self._folder = folder
        self._workers: list[Worker] = []
        self._latest = self._wanted = 1  # generations
        self._served = 0
        self._failures = 0
        self._not_before = 0.0
        self._signals: list[int] = []

    def run(self) -> int:
        """Return the exit code."""
        wakened, waken = os.pipe()
        for end in (wakened, waken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waken, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda got, frame: self._signals.append(got))
        code = None
        while code is None or self._workers:
            if code is None:
                self._fill()
            wait([wakened, *(one.pair for one in self._workers if not one.is_leaving)], 0.5)
            with suppress(BlockingIOError):
                os.read(wakened, 512)
            if self._obey() and code is None:
                code = self._end(0)
            if self._look() and code is None:
                code = self._end(FAILED)
        return code

    def _fill(self) -> None:
        """Start what is missing, and let old workers leave for new ones."""
        mine = [w for w in self._workers if w.generation == self._wanted and not w.is_leaving]
        if time.monotonic() >= self._not_before:
            for _ in range(self._options.workers - len(mine)):
                worker = Worker(self._wanted, self._listeners, self._folder)
                self._workers.append(worker)
                mine.append(worker)
        ready = [one for one in mine if one.is_ready]
        if len(ready) == self._options.workers:
            self._failures = 0
            if self._served != self._wanted:
                click.echo("Reloaded." if self._served else "Serving.")
                self._served = self._wanted
                self._dismiss(one for one in self._workers if one.generation != self._wanted)

    def _look(self) -> bool:
        """Take notice of workers that ended; say whether there is no use in going on."""
        for one in [one for one in self._workers if one.has_ended()]:
            self._workers.remove(one)
            one.pair.close()
            if one.is_leaving:
                continue
            if not self._served:
                return True
            if one.generation != self._served:
                what = f"Not reloaded: {one.label} did not start, and the old ones go on."
                click.echo(what, err=True)
                self._wanted = self._served
                self._dismiss(w for w in self._workers if w.generation != self._served)
                continue
            click.echo(f"{one.label} ended: another one is started.", err=True)
            if not one.is_ready:
                self._failures = min(self._failures + 1, len(_PAUSES) - 1)
                self._not_before = time.monotonic() + _PAUSES[self._failures]
        return False

    def _obey(self) -> bool:
        """Do what signals say; return whether that is to end."""
        is_ending = False
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                self._dismiss(one for one in self._workers if one.generation != self._served)
                self._latest += 1
                self._wanted = self._latest
            is_ending = is_ending or number in (signal.SIGTERM, signal.SIGINT)
        return is_ending

    def _end(self, code: int) -> int:
        for one in self._listeners:
            one.close()
        self._dismiss(self._workers)
        return code

    def _dismiss(self, workers: Iterable[Worker]) -> None:
        grace = self._options.grace
        for one in workers:
            one.leave(grace + min(grace, _SPARE))


def tell_ready(pair: socket.socket) -> None:
    """Tell the process above that this worker is ready."""
    with suppress(OSError):  # it has ended
        pair.send(_READY)
