"""``kit check``: is everything right, and is it fit for production?"""

from __future__ import annotations

import click

from kit.cli.deploy import FINDINGS, findings
from kit.cli.options import project_options
from kit.cli.project import Project
from kit.errors import listing, nearest


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

    \b
    Example:
        KIT_PROFILE=production kit check --deploy --ignore KIT-D007
    """
    stack = project.stack()
    if project.config.get("app", "import"):
        project.app.check()
        count = len(project.app.routes)
        click.echo(f"{project.path.name}: {count} routes: ok.")
    else:
        click.echo(f"{project.path.name}: no application: ok.")
    if deploy:
        found = [one for one in findings(project.config, stack) if one.id not in ignore]
        for one in found:
            click.echo(f"{click.style(one.id, bold=True)} {one.where}: {one.what}\n    {one.mend}")
        click.echo(f"{len(found)} findings.")
        if found:
            raise SystemExit(1)
