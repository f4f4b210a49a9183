"""``kit check``: is everything right, and is it fit for production?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click

from kit.assembly import Stack, in_order
from kit.cli import commands_of
from kit.cli.catalogue import catalogue
from kit.cli.deploy import FINDINGS, accepted, findings
from kit.cli.left_out import left_out
from kit.cli.options import project_options
from kit.cli.project import Project
from kit.errors import ConfigError, Problem, listing, nearest


def _ids(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name not in FINDINGS:
            raise click.BadParameter(
                f"there is no finding {name!r}.{nearest(name, FINDINGS)} Ids: {listing(FINDINGS)}."
            )
    return value


@click.command("check")
@click.option("--deploy", is_flag=True, help="Look for what is unfit for production, too.")
@click.option(
    "--ignore", multiple=True, metavar="ID", callback=_ids, help="Leave a finding out; repeatable."
)
@project_options
def command(project: Project, deploy: bool, ignore: tuple[str, ...]) -> None:
    """Check the configuration and the application without serving anything.

    All problems are reported at once, and the exit code is 2. With --deploy findings follow on
    what is unfit for production, each with an id that stays the same; the exit code is then 1.
    What [security] accepted names is shown with its reason, and does not count.

    \b
    Example:
        KIT_PROFILE=production kit check --deploy --ignore KIT-D007
    """
    stack = _checked(project)
    reasons = accepted(project.config, stack)
    routes = []
    if project.config.get("app", "import"):
        routes = project.app.routes
        click.echo(f"{project.path.name}: {len(routes)} routes: ok.")
    else:
        click.echo(f"{project.path.name}: no application: ok.")
    if deploy:
        found = [one for one in findings(project.config, stack, routes) if one.id not in ignore]
        for one in found:
            reason = reasons.get(one.id)
            text = f"Accepted: {reason}" if reason else one.mend
            click.echo(f"{click.style(one.id, bold=True)} {one.where}: {one.what}\n    {text}")
        left = [one for one in found if one.id not in reasons]
        others = f", {len(found) - len(left)} accepted" if len(left) < len(found) else ""
        click.echo(f"{len(left)} findings{others}.")
        if left:
            raise SystemExit(1)


def _checked(project: Project) -> Stack:
    """Check all there is, and return the stack; all that is wrong is reported at once."""
    problems: list[Problem] = []
    try:
        left_out(catalogue(project.config), project.config)
    except ConfigError as error:
        problems += error.problems
    try:
        stack = project.stack()
    except ConfigError as error:
        raise ConfigError(in_order([*error.problems, *problems])) from error
    checks: list[Callable[[], object]] = [partial(commands_of, project)]
    if project.config.get("app", "import"):
        checks.insert(0, project.app.check)
    for check in checks:
        try:
            check()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return stack
