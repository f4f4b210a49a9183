from __future__ import annotations

import pytest

from kit.cli.deploy import FINDINGS

FAULTY = """\
[app]
import = "shop:app"
debug = true
secret_key = "0123456789012345678901234567890123456789"
[templating]
use = "jinja2"
reload = true
[persistence]
use = "sqlalchemy"
url = "sqlite:///x.db"
[sessions]
use = "itsdangerous"
"""


@pytest.fixture
def faulty(kit, project):
    (project / "templates").mkdir()
    (project / "kit.toml").write_text(FAULTY)
    return project / "kit.toml"


def ids(shown) -> list[str]:
    return [line.split()[0] for line in shown.stdout.splitlines() if line.startswith("KIT-D")]


def test_a_sound_project_is_ok(kit):
    shown = kit("check")
    assert shown.exit_code == 0
    assert shown.output == "kit.toml: 2 routes: ok.\n"


def test_a_config_without_an_application_can_be_checked(kit, project):
    (project / "kit.toml").write_text("")
    assert kit("check").output == "kit.toml: no application: ok.\n"


def test_findings_say_where_and_what_to_do(kit, faulty):
    shown = kit("check", "--deploy")
    assert shown.exit_code == 1
    assert ids(shown) == [f"KIT-D00{n}" for n in (1, 2, 4, 5, 6, 7, 8)]
    assert (
        "KIT-D001 kit.toml:3: [app] debug = true\n"
        "    Set debug = false: errors of the application are for its log only.\n"
    ) in shown.stdout
    assert "KIT-D002 kit.toml:4: [app] secret_key is written in the file itself\n" in shown.stdout
    assert "KIT-D008 kit.toml:12: sessions of 'itsdangerous' cannot be ended" in shown.stdout
    assert shown.stdout.endswith("7 findings.\n")
    assert "0123456789" not in shown.stdout


def test_findings_are_not_looked_for_unasked(kit, faulty):
    assert kit("check").exit_code == 0


def test_findings_can_be_left_out_one_by_one(kit, faulty):
    words = [word for name in FINDINGS for word in ("--ignore", name)]
    assert ids(kit("check", "--deploy", "--ignore", "KIT-D001"))[0] == "KIT-D002"
    shown = kit("check", "--deploy", *words)
    assert shown.exit_code == 0
    assert shown.stdout.endswith("0 findings.\n")


def test_an_unknown_id_is_a_mistake(kit):
    shown = kit("check", "--deploy", "--ignore", "KIT-D01")
    assert shown.exit_code == 2
    assert "there is no finding 'KIT-D01'. Did you mean 'KIT-D001'?" in shown.stderr


def test_a_secret_file_that_others_may_read_is_found(kit, project):
    (project / "secret.key").chmod(0o644)
    shown = kit("check", "--deploy")
    assert ids(shown) == ["KIT-D003"]
    assert "others may read this secret (mode 0644)" in shown.stdout


def test_a_password_in_a_url_is_a_secret_too(kit, project):
    url = "postgresql://app:hunter2@db/test"
    (project / "kit.toml").write_text(f'[persistence]\nuse = "peewee"\nurl = "{url}"\n')
    shown = kit("check", "--deploy")
    assert ids(shown) == ["KIT-D002", "KIT-D006"]
    assert "hunter2" not in shown.stdout


def test_sessions_in_memory_are_found(kit, project):
    (project / "kit.toml").write_text('[sessions]\nuse = "beaker"\n')
    assert ids(kit("check", "--deploy")) == ["KIT-D004", "KIT-D009"]
