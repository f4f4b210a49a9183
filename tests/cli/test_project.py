"""What is wrong with the project is said without a traceback, and the exit code is 2."""

from __future__ import annotations

import pytest


def mistake(shown) -> str:
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert "Traceback" not in shown.stderr
    return shown.stderr


def test_no_config_file(kit, project):
    (project / "kit.toml").unlink()
    assert mistake(kit("routes")) == (
        f"kit.toml: there is no such file in {project}.\n"
        "    Write one, name another file, or start from a recipe: kit new NAME\n"
    )


def test_all_problems_at_once(kit, project):
    (project / "kit.toml").write_text('[app]\nimprot = "x"\n[routing]\nuse = "werkzoig"\n')
    shown = mistake(kit("check"))
    assert "kit.toml:2: [app] improt: unknown key. Did you mean 'import'?" in shown
    assert "kit.toml:4: [routing] use = 'werkzoig': no component of that name." in shown
    assert shown.endswith("\n2 problems.\n")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "kit.toml: [app] lacks 'import', so there is no application to work with.\n"),
        ("shop", "[app] import = 'shop' is not of the form 'module:name'.\n"),
        ("shpo:app", "there is no module 'shpo'. Did you mean 'shop'?\n    It is looked for from"),
        ("shop:ap", "shop has no 'ap'. Did you mean 'app'?\n    Applications in it: app.\n"),
        ("shop:index", "is of type function, and not a kit.App.\n    Applications in shop: app.\n"),
    ],
)
def test_what_import_names(kit, project, value, message):
    line = "" if value is None else f'import = "{value}"\n'
    (project / "kit.toml").write_text(f"[app]\n{line}")
    assert message in mistake(kit("routes"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import os\n\ndef f():\n    1 / 0\n\nf()",
            "shop.py:4: ZeroDivisionError: division",
        ),
        ("\nimport nothing_like_this", "shop.py:2: ModuleNotFoundError: No module named 'nothing"),
        ("x = (", "shop.py:1: SyntaxError: '(' was never closed"),
        ("import json\njson.loads('x')", "shop.py:2: JSONDecodeError: Expecting value"),
    ],
)
def test_an_error_in_the_application_shows_its_place(kit, project, source, message):
    (project / "shop.py").write_text(source)
    shown = mistake(kit("routes"))
    assert shown.startswith(message)
    assert "It was raised by the import of 'shop' (kit.toml:2)." in shown
    assert ("KIT_TRACEBACK=1" in shown) is ("ModuleNotFound" not in message)


def test_a_traceback_is_shown_when_it_is_asked_for(kit, project, monkeypatch):
    (project / "shop.py").write_text("1 / 0")
    for words in (("routes", "--traceback"), ("--traceback", "routes")):
        shown = kit(*words)
        assert shown.exit_code == 2
        assert "Traceback (most recent call last)" in shown.stderr
        assert "KIT_TRACEBACK" not in shown.stderr
    monkeypatch.setenv("KIT_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in kit("routes").stderr


def test_problems_of_the_application_are_shown(kit, project):
    with (project / "shop.py").open("a") as source:
        source.write("\n\n@app.get('/x')\ndef x(nothing): ...\n")
    assert "shop.py:16: nothing provides 'nothing'." in mistake(kit("check"))


def test_the_config_may_be_elsewhere(kit, project, monkeypatch):
    inner = project / "inner"
    inner.mkdir()
    for name in ("kit.toml", "shop.py", "secret.key"):
        (project / name).rename(inner / name)
    assert "GET" in kit("routes", "-c", "inner/kit.toml").stdout
    monkeypatch.chdir(project)
    monkeypatch.setenv("KIT_CONFIG", str(inner / "kit.toml"))
    assert "GET" in kit("routes").stdout


def test_an_application_that_reads_another_file_is_refused(kit, project):
    (project / "other.toml").write_text('[app]\nimport = "shop:app"\n')
    shown = mistake(kit("routes", "-c", "other.toml"))
    assert f"an application that reads {project / 'kit.toml'}, not this file.\n" in shown
    assert 'App(os.environ.get("KIT_CONFIG", "kit.toml"))' in shown


def test_an_application_may_follow_the_config_that_was_chosen(kit, project):
    source = (project / "shop.py").read_text()
    chosen = 'import os\napp = App(os.environ["KIT_CONFIG"])'
    (project / "shop.py").write_text(source.replace('app = App("kit.toml")', chosen))
    (project / "other.toml").write_text('[app]\nimport = "shop:app"\n[routing]\nuse = "ffroute"\n')
    assert "ffroute" in kit("explain", "--config", "other.toml").stdout
