from __future__ import annotations

import re
import subprocess
import sys

import pytest

from kit.cli.recipes import recipes


def test_a_recipe_is_copied_ready_to_run(kit, project):
    shown = kit("new", "sub/demo", "--recipe", "contacts")
    demo = project / "sub" / "demo"
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Copied the recipe contacts to sub/demo.\n")
    assert "Next:\n    cd sub/demo\n    kit run\n    python -m pytest" in shown.stdout
    assert (demo / "README.md").is_file()
    assert kit("check", "-c", demo / "kit.toml").exit_code == 0


def test_the_next_steps_name_the_server_that_the_recipe_picks(kit, project):
    steps = kit("new", "demo", "--recipe", "sanic_style").stdout.partition("Next:\n")[2]
    assert steps == (
        "    cd demo\n"
        "    kit run      # for development; it has no WebSockets\n"
        "    kit serve    # on granian\n"
        "    python -m pytest\n"
    )


def test_each_copy_gets_a_secret_of_its_own(kit, project):
    for name in ("one", "two"):
        assert f"Made {name}/secret.key" in kit("new", name).stdout
    first, second = (project / name / "secret.key" for name in ("one", "two"))
    assert first.stat().st_mode & 0o777 == 0o600
    assert len(first.read_text().strip()) == 64
    assert first.read_text() != second.read_text()


def test_what_running_a_recipe_leaves_is_not_copied(kit, project, monkeypatch):
    recipe = project / "recipe"
    (recipe / "__pycache__").mkdir(parents=True)
    (recipe / ".pytest_cache").mkdir()
    for name in ("kit.toml", "contacts.db", "contacts.db-wal", "secret.key", "__pycache__/x.pyc"):
        (recipe / name).write_text("")
    monkeypatch.setattr("kit.cli.new.recipes", lambda: {"contacts": recipe})
    assert kit("new", "demo").exit_code == 0
    assert [path.name for path in (project / "demo").iterdir()] == ["kit.toml"]


def test_nothing_is_overwritten(kit, project):
    shown = kit("new", project)
    assert shown.exit_code == 2
    assert shown.stderr == (
        f"{project}: is there already.\n"
        "    Take another name, or move it away: nothing is overwritten.\n"
    )
    assert kit("new", "shop.py").exit_code == 2


def test_an_empty_folder_may_be_filled(kit, project):
    (project / "demo").mkdir()
    assert kit("new", "demo").exit_code == 0


def test_an_unknown_recipe_is_answered_with_the_nearest(kit):
    shown = kit("new", "demo", "--recipe", "contact")
    assert shown.exit_code == 2
    assert "there is no recipe 'contact'. Did you mean 'contacts'?" in shown.stderr
    assert f"Recipes are: {', '.join(sorted(recipes()))}." in shown.stderr


def test_the_next_steps_name_what_is_missing(kit, project, monkeypatch):
    from kit.components import Component

    monkeypatch.setattr(Component, "version", lambda self: None)
    monkeypatch.setattr("kit.cli.new.find_spec", lambda name: None)
    shown = kit("new", "demo").stdout
    assert re.search(r'\n    pip install "framekit\[[\w,]+\]" "pytest"\n', shown)


def test_the_next_steps_name_the_libraries_of_the_recipe_itself(kit, project, monkeypatch):
    recipe = project / "recipe"
    recipe.mkdir()
    (recipe / "kit.toml").write_text("")
    (recipe / "pyproject.toml").write_text(
        '[project]\ndependencies = ["framekit[mako]", "click>=8", "no-such-thing>=2,<3"]\n'
    )
    monkeypatch.setattr("kit.cli.new.recipes", lambda: {"contacts": recipe})
    shown = kit("new", "demo").stdout
    assert '\n    pip install "no-such-thing>=2,<3"\n    kit run' in shown


@pytest.mark.parametrize("slot", ["routing", "sessions", "templating"])
def test_an_adapter_is_green_as_generated(kit, project, slot):
    shown = kit("new-adapter", f"my_{slot}", "--slot", slot)
    assert shown.exit_code == 0
    assert f'[{slot}] use = "my_{slot}:My{slot.capitalize()}"' in shown.stdout
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", f"test_my_{slot}.py"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "@@" not in (project / f"my_{slot}.py").read_text()


def test_a_generated_adapter_can_be_used(kit, project):
    kit("new-adapter", "my_routing", "--slot", "routing")
    text = (project / "kit.toml").read_text()
    (project / "kit.toml").write_text(text.replace('"werkzeug"', '"my_routing:MyRouting"'))
    assert kit("check").output == "kit.toml: 2 routes: ok.\n"


def test_persistence_has_no_scaffold_but_a_model(kit, project):
    shown = kit("new-adapter", "mine", "--slot", "persistence")
    assert shown.exit_code == 2
    assert "there is no scaffold for the slot 'persistence'" in shown.stderr
    assert "kit.slots.persistence.Persistence says what to write." in shown.stderr
    assert "kit_peewee/persistence.py\n" in shown.stderr
    assert not (project / "mine.py").exists()


@pytest.mark.parametrize(
    ("name", "slot", "message"),
    [
        ("my-engine", "templating", "'my-engine' is no name for a module."),
        ("class", "templating", "'class' is no name for a module."),
        ("shop", "templating", "shop.py: is there already."),
        ("mako", "templating", "a module 'mako' is installed, and a file mako.py would hide it."),
        ("mine", "templatin", "there is no slot 'templatin'. Did you mean 'templating'?"),
    ],
)
def test_names_that_cannot_be_used(kit, name, slot, message):
    shown = kit("new-adapter", name, "--slot", slot)
    assert shown.exit_code == 2
    assert message in shown.stderr
