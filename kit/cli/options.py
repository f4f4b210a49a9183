"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from kit.cli.project import Project

F = TypeVar("F", bound=Callable[..., Any])


def project_options(command: F) -> F:
    """Add ``--config`` and ``--traceback``; the command gets its `Project` as ``project``.

    Both may stand before the name of a command as well as after it.
    """
    config = click.option(
        "--config",
        "-c",
        "project",
        metavar="FILE",
        default="kit.toml",
        show_default=True,
        envvar="KIT_CONFIG",
        show_envvar=True,
        callback=_project,
        is_eager=True,
        help="The config file of the project.",
    )
    traceback = click.option(
        "--traceback",
        is_flag=True,
        envvar="KIT_TRACEBACK",
        show_envvar=True,
        expose_value=False,
        callback=_traceback,
        is_eager=True,
        help="Show where an error was raised.",
    )
    return config(traceback(command))


def _project(ctx: click.Context, param: click.Parameter, value: str) -> Project:
    given = ctx.get_parameter_source("project") is ParameterSource.COMMANDLINE
    if isinstance(ctx.obj, Project) and not given:
        return ctx.obj
    project = Project(Path(value))
    ctx.obj = project
    return project


def _traceback(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta["kit.traceback"] = value or ctx.meta.get("kit.traceback", False)
