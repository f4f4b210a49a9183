"""``kit serve``: the application on the production server that the config file picks."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from kit.app import App
from kit.assembly import Filling
from kit.cli.catalogue import catalogue
from kit.cli.listening import listeners
from kit.cli.options import project_options
from kit.cli.output import print_problems
from kit.cli.project import Project
from kit.cli.workers import FAILED, LISTENERS, Workers, tell_ready
from kit.errors import ConfigError, Problem, listing
from kit.options import Size
from kit.providers import is_async
from kit.routes import SOCKET, Route
from kit.slots.serving import CAPABILITIES, Gateway, Service, ServingOptions
from kit.slots.serving.access import log_asgi, log_wsgi

_OTHER_FILES = 512  # that a worker opens beside its connections


@click.command("serve")
@project_options
def command(project: Project) -> None:
    """Serve the application with the server that [serving] picks.

    What is served where is printed first. SIGHUP reloads: new workers start with the code and the
    configuration as they are by then, and the old ones finish what they have in hand and end. If
    the new ones do not start, the old ones go on. SIGTERM and SIGINT finish what is in hand, and
    end. Addresses, the number of workers and `grace` are those of the start.

    \b
    Example:
        KIT_PROFILE=production kit serve
    """
    if LISTENERS in os.environ:
        _work(project, [int(number) for number in os.environ.pop(LISTENERS).split(",")])
        return
    folder = Path.cwd()
    app = project.app
    app.check()
    filling, gateway = _chosen(app)
    _allow_files(filling)
    app.stop()
    with listeners(filling.options, _where(app, "bind")) as found:
        click.echo(f"{project.config.folder.name} on {_addresses(found)}")
        click.echo(_summary(app, filling, gateway))
        code = Workers(found, filling.options, folder).run()
    if code:
        sys.exit(code)


def _chosen(app: App) -> tuple[Filling, Gateway]:
    """Return the server and the gateway; raise ConfigError for what the server cannot do."""
    filling = app.stack.fillings.get("serving")
    if filling is None:
        raise ConfigError([_nothing_chosen(app)])
    problems = list(_beyond(app, filling))
    gateway = _gateway(app, filling, problems)
    if problems:
        raise ConfigError(problems)
    return filling, gateway


def _nothing_chosen(app: App) -> Problem:
    known = catalogue(app.config).components["serving"]
    lines = [f'use = "granian"    (one of: {listing(known)})']
    missing = [name for name, one in known.items() if one.version() is None]
    if missing:
        lines.append(f'Not installed: {listing(missing)}; run pip install "framekit[granian]".')
    what = "[serving] picks no server."
    return Problem(app.config.place, what, f"Add: [serving] {' '.join(lines)}")


def _where(app: App, option: str) -> str:
    """Return where an option of the slot was set, or an empty text if it was not."""
    for value in app.stack.values:
        if value.keys[0] == "serving" and value.keys[-1] == option and value.where != "default":
            return value.where
    return ""


def _beyond(app: App, filling: Filling) -> Iterator[Problem]:
    """Yield what was asked for and the server cannot do."""
    name, lacks, options = filling.component.name, _lacks(filling), filling.options
    for option in set(lacks) & set(vars(options)):
        if where := _where(app, option):
            what = f"[serving] {option} has no effect: {lacks[option]}."
            yield Problem(where, what, "Take it out, or choose another server.")
    if "addresses" in lacks and len(options.bind) > 1:
        what = f"[serving] bind names {len(options.bind)} addresses: {lacks['addresses']}."
        yield Problem(_where(app, "bind"), what, "Name one, or choose another server.")
    unknown = set(lacks) - set(CAPABILITIES)
    if unknown:
        what = f"{name} lacks {listing(unknown)}, which is nothing that a server may lack."
        yield Problem(filling.where, what, f"There are: {listing(CAPABILITIES)}.")


def _gateway(app: App, filling: Filling, problems: list[Problem]) -> Gateway:
    """Return the gateway that is to be taken; what stands against it goes into `problems`."""
    options, lacks = filling.options, _lacks(filling)
    sockets = [route for route in app.routes if SOCKET in route.methods]
    against: dict[Gateway, list[Problem]] = {"wsgi": [], "asgi": []}
    for gateway, found in against.items():
        if gateway in lacks:
            what = f"[serving] gateway = {gateway!r}: {lacks[gateway]}."
            found.append(Problem(_where(app, "gateway") or filling.where, what, _OTHER))
    for route in sockets:
        what = f"{route.text} is a WebSocket, which WSGI has not"
        what += f": {lacks['asgi']}." if "asgi" in lacks else "."
        mend = _OTHER if "asgi" in lacks else 'Set [serving] gateway = "asgi".'
        against["wsgi"].append(Problem(route.where, what, mend))
    likes_asgi = any(is_async(route.handler) for route in app.routes)
    order: list[Gateway] = ["asgi", "wsgi"] if likes_asgi else ["wsgi", "asgi"]
    if options.gateway != "auto":
        order = [options.gateway]
    for gateway in order:
        if not against[gateway]:
            return gateway
    problems.extend(against["wsgi"] if sockets and "asgi" in lacks else against[order[0]])
    return order[0]


_OTHER = "Choose another server."


def _lacks(filling: Filling) -> dict[str, str]:
    found: dict[str, str] = getattr(filling.factory, "lacks", {})
    return found


def _allow_files(filling: Filling) -> None:
    """Raise the limit of open files for all connections of one worker."""
    wanted = filling.options.connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else wanted
    if most < wanted:
        what = f"[serving] connections = {filling.options.connections} needs {wanted} open files,"
        what += f" and the system allows {most}."
        raise ConfigError([Problem(filling.where, what, "Set fewer, or raise the limit there.")])
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _addresses(found: list[socket.socket]) -> str:
    shown = []
    for one in found:
        name = one.getsockname()
        if one.family == socket.AF_UNIX:
            shown.append(f"unix:{name}")
        else:
            host = f"[{name[0]}]" if ":" in name[0] else name[0]
            shown.append(f"http://{host}:{name[1]}")
    return ", ".join(shown)


def _summary(app: App, filling: Filling, gateway: Gateway) -> str:
    component, workers = filling.component, filling.options.workers
    server = f"{component.name} {component.version() or ''}".rstrip()
    several = f"{workers} workers" if workers > 1 else "1 worker"
    return f"  {server} by {gateway}, {several}, {app.stack.app.threads} threads in each"


def _work(project: Project, numbers: list[int]) -> None:
    """Serve in this process, which is one of the workers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    *found, pair = [socket.socket(fileno=number) for number in numbers]
    for one in (*found, pair):
        one.set_inheritable(False)
    threading.Thread(target=_end_with, args=(pair,), daemon=True).start()
    try:
        app = project.app
        app.check()
        filling, gateway = _chosen(app)
        if gateway == "wsgi":
            project.started()
    except ConfigError as error:
        print_problems(error, traceback=bool(os.environ.get("KIT_TRACEBACK")))
        sys.exit(FAILED)
    service = Service(
        application=_application(app, gateway, filling.options, partial(tell_ready, pair)),
        gateway=gateway,
        listeners=tuple(found),
        threads=app.stack.app.threads,
        body=_largest_body(app),
        message=app.stack.limits.message,
    )
    server = app.provided("serving")
    if gateway == "asgi":
        app.stop()  # what it has made so far belongs to no loop; the lifespan starts it anew
    try:
        if gateway == "wsgi":
            tell_ready(pair)
        server.serve(service)
    finally:
        app.stop()


def _end_with(pair: socket.socket) -> None:
    """End this worker when the process above has ended, whatever ended that."""
    while pair.recv(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _application(
    app: App, gateway: Gateway, options: ServingOptions, ready: Callable[[], None]
) -> Callable[..., Any]:
    """Return the callable to serve: with the access log where that is asked for."""
    style = options.access_log
    if gateway == "wsgi":
        return app if style == "none" else log_wsgi(app, style)
    security = app.stack.tables["security"]
    asgi = app.asgi if style == "none" else log_asgi(app.asgi, style, security)

    def application(scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] == "lifespan":
            return asgi(scope, receive, _noticing(send, ready))
        return asgi(scope, receive, send)

    return application


def _noticing(send: Callable[..., Any], ready: Callable[[], None]) -> Callable[..., Any]:
    async def noticing(message: dict[str, Any]) -> None:
        await send(message)
        if message["type"] == "lifespan.startup.complete":
            ready()

    return noticing


def _largest_body(app: App) -> int:
    """Return the size of the largest body that any route takes."""

    def own(route: Route) -> int:
        body = (route.limits or {}).get("body", 0)
        return Size.parse(body) if isinstance(body, str) else body

    return max([app.stack.limits.body, *map(own, app.routes)])
