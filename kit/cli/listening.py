"""Listening sockets for `kit serve`."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kit.errors import ConfigError, Problem
from kit.slots.serving import ServingOptions, address_of

_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


@contextmanager
def listeners(options: ServingOptions, where: str) -> Iterator[list[socket.socket]]:
    """Listen on all addresses of `bind`; at the end close them, and remove UNIX sockets.

    Raises ConfigError, with `where` the addresses stand, for all that cannot be listened on.
    """
    found: list[socket.socket] = []
    paths: list[tuple[str, int]] = []
    problems = []
    try:
        for text in options.bind:
            address = address_of(text)
            try:
                if isinstance(address, str):
                    found.append(_unix(address, options.backlog))
                    paths.append((address, os.stat(address).st_ino))
                else:
                    found.append(_tcp(*address, options.backlog))
            except OSError as error:
                problems.append(_deaf(text, where, error))
        if problems:
            raise ConfigError(problems)
        yield found
    finally:
        for one in found:
            one.close()
        for path, number in paths:
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == number:  # else it is that of a successor
                    os.unlink(path)


def _tcp(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=backlog)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # What is accepted inherits this, so that a client that is gone for good is noticed.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listener


def _unix(path: str, backlog: int) -> socket.socket:
    """Listen on a UNIX socket; one that is left over from a process that died is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            if listener.connect_ex(path) != errno.ECONNREFUSED:
                raise OSError(errno.EADDRINUSE, "")
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - as with a port, who gets there may connect
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def _deaf(address: str, where: str, error: OSError) -> Problem:
    """Say why there is no listening on an address."""
    if error.errno == errno.EADDRINUSE:
        what = f"{address} is in use."
        return Problem(where, what, "Stop the program that has it, or take another address.")
    if error.errno == errno.EACCES:
        what = f"listening on {address} needs privileges."
        return Problem(where, what, "Take a port from 1024 on, or a folder of your own.")
    # Python adds the address to the text of the system; failed look-ups have a text of their own.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror
    mend = "Take an address of this machine, or a path in a folder that is there."
    return Problem(where, f"cannot listen on {address}: {reason}.", mend)
