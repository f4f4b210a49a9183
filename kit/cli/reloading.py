"""Reload for `kit run`: the server runs in a process below, anew after each change of a file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

SOCKET = "KIT_RUN_SOCKET"
"""The variable that gives the process below the number of the listening socket."""

_WATCHED = (".py", ".toml")
_PAUSE = 0.3


def supervise(listener: socket.socket, folder: Path) -> int:
    """Run this command again in a process below, and anew whenever a file in `folder` changes.

    The socket stays open all the time. After a mistake a change is waited for. Returns an exit
    code when the process below ends well by itself.
    """
    listener.set_inheritable(True)
    environment = os.environ | {SOCKET: str(listener.fileno())}
    while True:
        seen = _times(folder)
        command = [sys.executable, *sys.orig_argv[1:]]
        process = subprocess.Popen(command, env=environment, close_fds=False)  # noqa: S603 - itself
        try:
            while process.poll() is None and _times(folder) == seen:
                time.sleep(_PAUSE)
            if process.returncode == 0:
                return 0
            if process.returncode is not None:
                _wait_for_change(folder, seen)
        finally:
            process.terminate()
            process.wait()
        click.echo("Reloading after a change.")


def _wait_for_change(folder: Path, seen: dict[str, int]) -> None:
    click.echo("Waiting for a change.", err=True)
    while _times(folder) == seen:
        time.sleep(_PAUSE)


def _times(folder: Path) -> dict[str, int]:
    try:
        return {entry.path: entry.stat().st_mtime_ns for entry in _files(folder)}
    except FileNotFoundError:
        return {}  # one went away meanwhile, which is a change


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield the watched files of a project; hidden folders and environments are left out."""
    for entry in os.scandir(folder):
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not os.path.exists(os.path.join(entry.path, "pyvenv.cfg")):
                yield from _files(entry.path)
        elif entry.name.endswith(_WATCHED) and entry.is_file():
            yield entry
