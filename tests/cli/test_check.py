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
FAULTS = [f"KIT-D0{n:02}" for n in (1, 2, 4, 5, 6, 7, 8, 10, 12)]
SERVED = '\n[security]\nhosts = ["example.org"]\nhsts = "365 days"\n'


@pytest.fixture
def faulty(kit, project):
    (project / "templates").mkdir()
    (project / "kit.toml").write_text(FAULTY)
    return project / "kit.toml"


@pytest.fixture
def found(kit, project):
    """A function from a config to the lines of the findings on it."""

    def look(text: str, *words: str) -> list[str]:
        (project / "kit.toml").write_text(text)
        shown = kit("check", "--deploy", *words)
        assert shown.exit_code in (0, 1), shown.output
        return [line for line in shown.stdout.splitlines() if line.startswith("KIT-D")]

    return look


def ids(lines) -> list[str]:
    lines = lines if isinstance(lines, list) else lines.stdout.splitlines()
    return [line.split()[0] for line in lines if line.startswith("KIT-D")]


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
    assert ids(shown) == FAULTS
    assert (
        "KIT-D001 kit.toml:3: [app] debug = true\n"
        "    Set debug = false: errors of the application are for its log only.\n"
    ) in shown.stdout
    assert "KIT-D002 kit.toml:4: [app] secret_key is written in the file itself\n" in shown.stdout
    assert "KIT-D008 kit.toml:12: sessions of 'itsdangerous' cannot be ended" in shown.stdout
    assert shown.stdout.endswith("9 findings.\n")
    assert "0123456789" not in shown.stdout


def test_a_sound_deployment_has_none(found, kit):
    key = '[app]\nimport = "shop:app"\nsecret_key = "file:secret.key"\n'
    assert found(key + SERVED) == []
    assert kit("check", "--deploy").stdout.endswith("0 findings.\n")


def test_findings_are_not_looked_for_unasked(kit, faulty):
    assert kit("check").exit_code == 0


def test_findings_can_be_left_out_one_by_one(kit, faulty):
    words = [word for name in FINDINGS for word in ("--ignore", name)]
    assert ids(kit("check", "--deploy", "--ignore", "KIT-D001"))[0] == "KIT-D002"
    shown = kit("check", "--deploy", *words)
    assert shown.exit_code == 0
    assert shown.stdout.endswith("0 findings.\n")


def test_an_unknown_id_is_a_mistake(kit):
    shown = kit("check", "--deploy", "--ignore", "KIT-D0007")
    assert shown.exit_code == 2
    assert "there is no finding 'KIT-D0007'. Did you mean 'KIT-D007'?" in shown.stderr


@pytest.mark.parametrize(("left", "end"), [(1, "1 findings, 8"), (0, "0 findings, 9")])
def test_an_accepted_finding_is_shown_with_its_reason_and_does_not_count(kit, faulty, left, end):
    reasons = "".join(f'"{name}" = "reason {name[-1]}"\n' for name in FAULTS[left:])
    faulty.write_text(f"{FAULTY}[security.accepted]\n{reasons}")
    shown = kit("check", "--deploy")
    assert shown.exit_code == left
    assert ids(shown) == FAULTS
    assert 'KIT-D006 default: [persistence] create = "missing"\n    Accepted: reason 6\n' in (
        shown.stdout
    )
    assert "Run `kit create`" not in shown.stdout
    assert shown.stdout.endswith(f"{end} accepted.\n")


def test_what_is_accepted_has_to_be_there_and_to_have_a_reason(kit, project):
    for accepted, message in [
        ('{"KIT-D99" = "why"}', "kit.toml:2: [security] accepted: there is no finding 'KIT-D99'."),
        ('{"KIT-D007" = " "}', "accepted: 'KIT-D007' lacks the reason why it is accepted"),
    ]:
        (project / "kit.toml").write_text(f"[security]\naccepted = {accepted}\n")
        for words in (["check"], ["check", "--deploy"]):
            shown = kit(*words)
            assert shown.exit_code == 2
            assert message in shown.output


def test_a_secret_file_that_others_may_read_is_found(kit, project):
    (project / "secret.key").chmod(0o644)
    shown = kit("check", "--deploy", "--ignore", "KIT-D010", "--ignore", "KIT-D012")
    assert ids(shown) == ["KIT-D003"]
    assert "others may read this secret (mode 0644)" in shown.stdout


def test_a_password_in_a_url_is_a_secret_too(found):
    url = "postgresql://app:hunter2@db/test"
    lines = found(f'[persistence]\nuse = "peewee"\nurl = "{url}"\n{SERVED}')
    assert ids(lines) == ["KIT-D002", "KIT-D006"]
    assert "hunter2" not in "".join(lines)


def test_sessions_in_memory_are_found(found):
    assert ids(found(f'[sessions]\nuse = "beaker"\n{SERVED}')) == ["KIT-D004", "KIT-D009"]


@pytest.mark.parametrize(
    ("config", "finding", "words"),
    [
        ('[security]\nhsts="365 days"', "KIT-D010", "only this machine itself is served"),
        ('[security]\nhsts="365 days"\nhosts = ["*"]', "KIT-D011", "kit.toml:3: any host"),
        ('[security]\nhosts = ["example.org"]', "KIT-D012", "is not sent"),
        ('[security]\nhosts = ["a.org"]\nhsts = "30 days"', "KIT-D012", "lasts 30 days only"),
        (f'{SERVED}csp = ""', "KIT-D013", "lacks object-src 'none'; base-uri 'none'; frame"),
        (
            f"{SERVED}csp = \"default-src 'none'; base-uri 'none'; frame-ancestors *\"",
            "KIT-D013",
            "the Content-Security-Policy lacks frame-ancestors 'none'",
        ),
        (
            f"{SERVED}csp = \"object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
            "script-src 'self' https: 'unsafe-inline'\"",
            "KIT-D013",
            "the Content-Security-Policy lets scripts come from 'unsafe-inline' https:",
        ),
        (f'{SERVED}[cors]\norigins = ["*"]', "KIT-D014", "kit.toml:6: pages of any origin"),
        (f'{SERVED}trusted_origins = ["http://a.org"]', "KIT-D016", "over http: http://a.org"),
        (f'{SERVED}[cors]\norigins = ["http://a.org"]', "KIT-D016", "[cors] origins trusts"),
        (
            f'{SERVED}[sessions]\nuse = "itsdangerous"\nsame_site = "None"\nsecure = true',
            "KIT-D017",
            'same_site = "None"',
        ),
        (
            f'{SERVED}[sessions]\nuse = "itsdangerous"\ndomain = "example.org"\nsecure = true',
            "KIT-D018",
            "every host below example.org gets the session cookie",
        ),
        (f'{SERVED}[rates]\nuse = "memory"', "KIT-D019", "'memory' counts for one process"),
        (f'{SERVED}[channels]\nuse = "memory"', "KIT-D026", "'memory' reaches nobody in other"),
        (
            f'{SERVED}[mail]\nuse = "console"\nsender = "a@example.org"',
            "KIT-D020",
            "kit.toml:6: [mail] use = 'console' delivers nothing",
        ),
        (
            f'{SERVED}[passwords]\nuse = ["scrypt", "argon2"]',
            "KIT-D021",
            "new passwords are hashed with 'scrypt'",
        ),
    ],
)
def test_each_weakening_is_found_once(found, config, finding, words):
    lines = found(config, "--ignore", "KIT-D008")
    assert ids(lines) == [finding]
    assert words in lines[0]


@pytest.mark.parametrize(
    "config",
    [
        f"{SERVED}csp = \"default-src 'none'; base-uri 'none'; frame-ancestors 'self'\"",
        f"{SERVED}csp = \"object-src 'none'; base-uri 'self'; frame-ancestors 'none'; "
        "script-src 'self' {nonce} 'unsafe-inline'\"",
        f'{SERVED}[passwords]\nuse = ["argon2", "scrypt"]',
        f'{SERVED}[cors]\norigins = ["https://a.org"]',
        f"{SERVED}proxies = 1",
    ],
)
def test_what_is_no_weakening_is_not_found(found, config):
    assert found(config) == []


def test_each_route_that_is_exempt_from_the_check_of_forgery_is_found(found, project):
    (project / "shop.py").write_text(
        "from kit import App\n\napp = App('kit.toml')\n"
        "app.get('/', csrf=False)(lambda: 'x')\n"
        "app.post('/hook', csrf=False)(lambda: 'x')\n"
        "app.route('/any', ['GET', 'PUT', 'DELETE'], csrf=False)(lambda: 'x')\n"
        "app.post('/form')(lambda: 'x')\n"
    )
    lines = found(f'[app]\nimport = "shop:app"\n{SERVED}')
    assert ids(lines) == ["KIT-D015", "KIT-D015"]
    assert f"{project}/shop.py:5: POST /hook takes requests" in lines[0]
    assert "PUT/DELETE /any takes requests that pages of other sites send" in lines[1]


def test_what_unpickles_is_found(found, project):
    (project / "own.py").write_text(
        "from dataclasses import dataclass\n"
        "from kit.slots.sessions import SessionsOptions\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Options(SessionsOptions):\n    serializer: str = 'json'\n\n"
        "class PickleSessions:\n    def __init__(self, options: Options): pass\n"
    )
    (project / "shop.py").unlink()
    config = f'{SERVED}[sessions]\nuse = "own:PickleSessions"\nsecure = true\n'
    assert ids(found(config)) == ["KIT-D022"]
    lines = found(f'{config}[sessions.PickleSessions]\nserializer = "pickle"\n')
    assert ids(lines) == ["KIT-D022", "KIT-D022"]
    assert 'serializer = "pickle"' in lines[1]


def test_findings_are_numbered_without_holes():
    assert list(FINDINGS) == [f"KIT-D{number:03}" for number in range(1, len(FINDINGS) + 1)]


@pytest.mark.parametrize(
    ("table", "finding"),
    [
        ('[security]\nreferrer_policy = "unsafe-url"\n', "KIT-D023"),
        (
            '[mail]\nuse = "smtp"\nsender = "a@example.org"\n'
            '[mail.smtp]\nhost = "mx.example.org"\ntls = "none"\n',
            "KIT-D024",
        ),
        ('[formats]\nuse = ["csv"]\n[formats.csv]\nformulas = true\n', "KIT-D025"),
    ],
)
def test_what_is_asked_for_by_name_is_found_once(found, project, table, finding):
    (project / "shop.py").unlink()
    without = ids(
        found(
            table.replace("unsafe-url", "same-origin")
            .replace("none", "starttls")
            .replace("formulas = true", "formulas = false")
        )
    )
    assert finding not in without
    assert ids(found(table)).count(finding) == 1
