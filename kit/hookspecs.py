"""The hooks that a plug-in may implement, and nothing else.

Implement those you need as functions of a module (or methods of an object), each marked with
`kit.hookimpl`. Arguments are optional: name those that you use. All are called at start; the
request hooks are called for each request, and cost nothing where nobody implements them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from kit.app import App
    from kit.components import Component, Slot

hookspec = pluggy.HookspecMarker("kit")


@hookspec
def kit_slots() -> Iterable[Slot]:  # type: ignore[empty-body]
    """Declare slots: jobs in the stack that the config file may fill.

    Two slots of one name are an error at start that names both plug-ins.
    """


@hookspec
def kit_components() -> Iterable[Component]:  # type: ignore[empty-body]
    """Declare components, without importing the libraries behind them.

    Name the factory as ``"module:name"``: it is imported when the config picks the component. Two
    components of one name for one slot are an error at start that names both plug-ins.
    """


@hookspec
def kit_providers() -> Iterable[Callable[..., Any]]:  # type: ignore[empty-body]
    """Contribute provider functions that handlers may name.

    Mark them with `kit.provider` for another name or scope. Two providers of one name are an
    error at start that shows both places.
    """


@hookspec
def kit_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Contribute commands to ``kit``, which has them where the config file names the plug-in.

    A command gets the project with `click.pass_obj`; ``project.app`` is the application.
    """


@hookspec
def kit_template_globals(app: App) -> Mapping[str, object]:  # type: ignore[empty-body]
    """Contribute values that every template sees under these names.

    Called while the application is put together: keep `app` for later, but ask nothing of it yet.
    """


@hookspec
def kit_template_filters(app: App) -> Mapping[str, Callable[[Any], object]]:  # type: ignore[empty-body]
    """Contribute one-argument functions that every template can filter a value with."""


@hookspec
def kit_start(app: App) -> None:
    """Act once before the first request; an exception stops the start.

    Everything is checked by then, and `app.provided` gives components and other providers of
    application scope.
    """


@hookspec
def kit_stop(app: App) -> None:
    """Act once after the last request; components are closed only after that."""


@hookspec
def kit_request_started(environ: dict[str, Any]) -> None:
    """Act before a request is routed; `environ` is the WSGI environment (PEP 3333).

    An exception ends the request, and is answered like one of a handler.
    """


@hookspec
def kit_request_finished(environ: dict[str, Any], status: int) -> None:
    """Act when the answer's `status` is known, before its body is sent.

    An exception is logged, and changes nothing about the answer.
    """
