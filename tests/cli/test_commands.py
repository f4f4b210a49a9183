from __future__ import annotations

import re
from pathlib import Path

import pytest

import kit as package
from kit import App
from kit.cli import COMMANDS

HERE = Path(__file__).parent

COUNTER = '''
import click
from kit import hookimpl


@click.command("count")
@click.pass_obj
def count(project):
    """Count the routes."""
    click.echo(f"{len(project.app.routes)} routes")


@hookimpl
def kit_commands():
    return [count]
'''
OWN = '''
import click
from kit import RecordNotFound


@app.command
def count_routes(app):
    """Count the routes."""
    return f"{len(app.routes)} routes"


@app.command
def fail_all():
    """Fail."""
    raise RecordNotFound("there is none")


@app.command
@click.command
@click.argument("name")
@click.pass_obj
def greet(project, name):
    """Greet by name."""
    click.echo(f"Hello {name} from {len(project.app.routes)} routes.")
'''


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(kit, name):
    shown = kit(name, "--help")
    assert shown.exit_code == 0
    assert re.search(rf"Example:\n +(\w+=\w+ )?kit {name}", shown.output)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_test(name):
    tests = "".join(file.read_text() for file in HERE.glob("test_*.py") if file != Path(__file__))
    assert re.search(rf'\b(kit|command|serve|matrix)\(\s*"{name}"', tests)


def test_the_help_of_a_command_begins_with_the_line_in_the_list(kit):
    listed = kit("--help").output
    for name, line in COMMANDS.items():
        assert f"{name.ljust(12)} {line}" in listed
        assert line.rstrip(".") in kit(name, "--help").output


def test_the_version_is_shown(kit):
    assert kit("--version").output == f"framekit, version {package.__version__}\n"


def test_an_unknown_command_is_answered_with_the_nearest(kit):
    shown = kit("rnu")
    assert shown.exit_code == 2
    assert "No such command 'rnu'. Did you mean 'run'?" in shown.output


def test_plug_ins_of_the_config_add_commands(kit, project):
    (project / "counter.py").write_text(COUNTER)
    text = (project / "kit.toml").read_text()
    (project / "kit.toml").write_text(text.replace("[app]", '[app]\nplugins = ["counter"]', 1))
    assert "count        Count the routes." in kit("--help").output
    assert kit("count").output == "2 routes\n"


def test_an_application_adds_commands_of_its_own(kit, project):
    with (project / "shop.py").open("a") as file:
        file.write(OWN)
    listed = kit("--help").output
    assert "count-routes  Count the routes." in listed
    assert "greet         Greet by name." in listed
    assert kit("count-routes").output == "2 routes\n"
    assert kit("greet", "Ada").output == "Hello Ada from 2 routes.\n"
    assert "Count the routes." in kit("count-routes", "--help").output


def test_a_mistake_in_a_command_of_an_application_is_shown_without_a_traceback(kit, project):
    with (project / "shop.py").open("a") as file:
        file.write(OWN)
    shown = kit("fail-all")
    assert shown.exit_code == 2
    assert re.match(r"shop.py:\d+: RecordNotFound: there is none\n.*fail_all", shown.output)
    assert "Traceback" not in shown.output


def test_a_command_with_a_name_is_told_how():
    with pytest.raises(TypeError, match=r"write @app\.command without"):
        App().command("clear-all")


def test_commands_of_plug_ins_follow_the_config_that_stands_before_them(kit, project):
    (project / "other").mkdir()
    (project / "other" / "counter.py").write_text(COUNTER)
    (project / "other" / "shop.py").write_text((project / "shop.py").read_text())
    (project / "other" / "kit.toml").write_text(
        '[app]\nimport = "shop:app"\nplugins = ["counter"]\n'
    )
    assert kit("-c", "other/kit.toml", "count").output == "2 routes\n"


def test_help_works_with_a_broken_config(kit, project):
    (project / "kit.toml").write_text("[app")
    shown = kit("--help")
    assert shown.exit_code == 0
    assert "components" in shown.output


def test_a_terminal_gets_colour_and_a_pipe_plain_text(project, kit, monkeypatch):
    from click.testing import CliRunner

    from kit.cli import main

    coloured = CliRunner().invoke(main, ["routes"], color=True)
    assert "\x1b[" in coloured.output
    assert "\x1b[" not in kit("routes").output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in CliRunner().invoke(main, ["routes"], color=True).output


DOUBLE = """

@app.command
def run(app):
    return "never"


@app.command
def count(app):
    return "one"


@app.command
def greet():
    return "Hello"


@app.command
@click.command("greet")
def other():
    pass
"""


@pytest.fixture
def doubled(project):
    """The project with commands whose names others have: those of the kernel, and a plug-in."""
    (project / "counter.py").write_text(COUNTER)
    text = (project / "kit.toml").read_text()
    (project / "kit.toml").write_text(text.replace("[app]", '[app]\nplugins = ["counter"]', 1))
    shop = project / "shop.py"
    shop.write_text(f"import click\n{shop.read_text()}{DOUBLE}")
    return project


@pytest.mark.parametrize("words", [["check"], ["count"], ["--help"]])
def test_commands_of_one_name_are_mistakes_with_both_places(kit, doubled, words):
    shown = kit(*words)
    lines = {
        name: (doubled / "shop.py").read_text().splitlines().index(text)
        for name, text in {"run": "def run(app):", "count": "def count(app):"}.items()
    }
    shop = doubled / "shop.py"
    assert f"{shop}:{lines['run']}: gives the command 'run', and so does the kernel.\n" in (
        shown.stderr
    )
    plugin = rf"{shop}:{lines['count']}: gives the command 'count', and so does \S+counter.py:6\."
    assert re.search(plugin, shown.stderr)
    assert re.search(rf"{shop}:\d+: gives the command 'greet', and so does {shop}:", shown.stderr)
    assert shown.stderr.endswith("3 problems.\n")
    assert shown.exit_code == (0 if words == ["--help"] else 2)
    assert "check " in shown.stdout or words != ["--help"]


def test_the_kernels_commands_are_there_beside_wrong_ones(kit, doubled):
    assert kit("routes").exit_code == 0


def test_what_a_command_names_and_nothing_provides_is_a_mistake_at_start(kit, project):
    with (project / "shop.py").open("a") as file:
        file.write("\n\n@app.command\ndef mend(sesion): ...\n\n\n@app.get('/x')\ndef x(y): ...\n")
    found = rf"{project}/shop.py:16: nothing provides 'sesion'."
    shown = kit("check")
    assert shown.exit_code == 2
    assert found in shown.stderr
    assert f"{project}/shop.py:20: nothing provides 'y'." in shown.stderr, "with all others"
    assert found in kit("run", "--port", 0).stderr
