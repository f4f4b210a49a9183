"""``kit run``: a development server, with reload and debugger only when asked for."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import click

from kit.app import App
from kit.cli.options import project_options
from kit.cli.project import Project
from kit.cli.reloading import SOCKET, supervise
from kit.cli.secret_files import make_secret_file
from kit.config import Config, load
from kit.errors import ConfigError, Problem
from kit.gateways import WSGI
from kit.routes import SOCKET as WEBSOCKET

_OPTION, _ARGUMENT = "kit run --port ", "port="


@click.command("run")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    envvar="PORT",
    show_envvar=True,
    help="The port to listen on; 0 takes any free one.",
)
@click.option("--reload", is_flag=True, help="Start anew when a file of the project changes.")
@click.option("--debug", is_flag=True, help="Show a debugger on errors; on loopback hosts only.")
@project_options
def command(project: Project, host: str, port: int, reload: bool, debug: bool) -> None:
    """Serve the application for development.

    The address and the stack are printed first. For production use a production server, such as
    gunicorn with kit.wsgi:application.

    \b
    Example:
        kit run --port 9000 --reload
    """
    _check_debugger(host, debug)
    _end_on_signal()
    if reload:
        _supervised(host, port, project.path.parent)
        _reload_templates(project.config)
    _make_secret_file(project.config)
    project.app.debug = debug or project.app.debug
    _serve(project.started(), host, port, debug)


def prepare(path: str | os.PathLike[str]) -> None:
    """Make the secret key for development that a config file names, if there is none yet.

    For scripts that end in `serve`, before the application is made.
    """
    _make_secret_file(load(path))


def _make_secret_file(config: Config) -> None:
    if made := make_secret_file(config):
        click.echo(f"Made {made.name}, a secret key for development (mode 0600).")


def serve(
    app: App,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    reload: bool = False,
    debug: bool = False,
) -> None:
    """Serve an application for development, until it is told to stop, as ``kit run`` does.

    For scripts that end in this, so that ``python shop.py`` serves. Raises ConfigError for an
    address that cannot be had, and for a debugger that others than this machine could reach, and
    RuntimeError outside of the main thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        name = threading.current_thread().name
        raise RuntimeError(
            f"serve was called in the thread {name!r}: call it in the main thread, which alone is"
            " told to stop"
        )
    _check_debugger(host, debug)
    _end_on_signal()
    if reload:
        _reload_templates(app.config)
        _supervised(host, port, app.config.folder, _ARGUMENT)
    app.debug = debug or app.debug
    _serve(app.start(), host, port, debug, _ARGUMENT)


def _check_debugger(host: str, debug: bool) -> None:
    if debug and not _is_loopback(host):
        what = f"the debugger runs any code for anybody who reaches {host}."
        raise ConfigError([Problem("--debug", what, "Use it on 127.0.0.1, ::1 or localhost.")])


def _supervised(host: str, port: int, folder: Path, setting: str = _OPTION) -> None:
    """Go on in a process below, and do not return in this one."""
    if SOCKET not in os.environ:
        with _listen(host, port, setting) as listener:
            sys.exit(supervise(listener, folder))


def _reload_templates(config: Config) -> None:
    if config.get("templating", "use"):
        os.environ.setdefault("KIT_TEMPLATING__RELOAD", "true")


def _end_on_signal() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _serve(app: App, host: str, port: int, debug: bool, setting: str = _OPTION) -> None:
    """Serve an application that is started, and stop it at the end."""
    try:
        with _listen(host, port, setting) as listener:
            _serve_on(listener, app, host, debug)
    finally:
        app.stop()


def _serve_on(listener: socket.socket, app: App, host: str, debug: bool) -> None:
    from werkzeug.serving import make_server

    wsgi, pin = _debugged(app) if debug else (app, "")
    number = listener.fileno()
    handler = _handler()
    server = make_server(host, 0, wsgi, threaded=True, request_handler=handler, fd=number)
    name = f"[{host}]" if ":" in host else host
    click.echo(f"{app.config.folder.name} on http://{name}:{server.port} (Ctrl-C stops it)")
    click.echo(_stack(app))
    if sockets := sum(WEBSOCKET in route.methods for route in app.routes):
        click.echo(f"  WebSockets are not served here: {sockets} of them need kit serve")
    if pin:
        click.echo(f"  debugger PIN {pin}")
    sys.stdout.flush()
    server.serve_forever()


def _stack(app: App) -> str:
    filled = {name: fillings for name in app.stack.slots if (fillings := app.stack.filling(name))}
    width = max(map(len, filled))
    lines = []
    for name, fillings in filled.items():
        components = [filling.component for filling in fillings]
        shown = [f"{one.name} {one.version() or ''}".rstrip() for one in components]
        lines.append(f"  {name.ljust(width)}  {', '.join(shown)}")
    return "\n".join(lines)


def _debugged(app: App) -> tuple[WSGI, str]:
    from werkzeug.debug import DebuggedApplication

    debugged: Any = DebuggedApplication(app, evalex=True, pin_logging=False)
    return debugged, debugged.pin or ""


def _handler() -> Any:
    """Return a request handler that logs one plain line for each request."""
    from werkzeug.serving import WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        def make_environ(self) -> dict[str, Any]:
            environ = super().make_environ()
            path = self.path.partition("?")[0]
            if path.startswith("/"):  # byte for byte, as production servers hand it over
                environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
            return environ

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            line = self.requestline.translate(self._control_char_table)
            click.echo(f"{self.log_date_time_string()}  {int(code)}  {line}", err=True)

    return Handler


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int, setting: str) -> socket.socket:
    if SOCKET in os.environ:
        return socket.socket(fileno=int(os.environ[SOCKET]))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError([_deaf(host, port, setting, error)]) from error


def _deaf(host: str, port: int, setting: str, error: OSError) -> Problem:
    """Say why there is no listening on an address; `setting` is how the port is given."""
    if error.errno == errno.EADDRINUSE:
        mend = f"Stop the program that has it, or take another port: {setting}{port + 1}"
        return Problem("", f"port {port} of {host} is in use.", mend)
    if error.errno == errno.EACCES:
        return Problem("", f"port {port} needs privileges.", "Take one from 1024 on.")
    # Python adds the address to the text of the system; failed look-ups have a text of their own.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror
    what = f"cannot listen on {host}, port {port}: {reason}."
    return Problem("", what, "Use an address of this machine, such as 127.0.0.1.")
