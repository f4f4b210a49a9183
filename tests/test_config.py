"""Config files: where values come from, and what is said about files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit import ConfigError, config
from kit.config import Config


def message(error: pytest.ExceptionInfo[ConfigError]) -> str:
    return str(error.value)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write ``kit.toml`` in the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "kit.toml") -> Path:
        Path(name).write_text(text, encoding="utf-8")
        return Path(name)

    return write


def values(config: Config) -> dict[str, object]:
    return {".".join(keys): setting.value for keys, setting in config.settings.items()}


def test_a_missing_file_is_named_with_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        config.load("kit.toml")
    assert message(error) == (
        f"kit.toml: there is no such file in {tmp_path}.\n"
        "    Write one, name another file, or start from a recipe: kit new NAME"
    )


def test_a_folder_is_not_taken_for_a_file(tmp_path):
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path)
    assert message(error) == (
        f"{tmp_path}: is a folder, not a file.\n    Name the file: {tmp_path}/kit.toml"
    )


def test_a_file_that_may_not_be_read_is_named(file, monkeypatch):
    def refuse(*arguments: object, **options: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = file("")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert message(error) == (
        "kit.toml: cannot be read: Permission denied.\n    Check who owns it and its mode."
    )
    assert isinstance(error.value.__cause__, PermissionError)


def test_a_file_that_is_not_utf8_is_shown_with_the_byte(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("kit.toml").write_bytes(b'[app]\n# caf\xe9\nimport = "a:b"\n')
    with pytest.raises(ConfigError) as error:
        config.load("kit.toml")
    assert message(error) == (
        "kit.toml: is not UTF-8 (byte 0xe9 at 11).\n    Save it as UTF-8: TOML allows nothing else."
    )


def test_a_byte_order_mark_is_skipped(tmp_path):
    path = tmp_path / "kit.toml"
    path.write_bytes(b"\xef\xbb\xbf[app]\ndebug = true\n")
    assert values(config.load(path)) == {"app.debug": True}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[app]\nx = = 1\n", "kit.toml:2: is not valid TOML: Invalid value (column 5)."),
        (
            "[app\n",
            "kit.toml:1: is not valid TOML:"
            " Expected ']' at the end of a table declaration (column 5).",
        ),
        ('[app]\nx = """abc', "kit.toml: is not valid TOML: Unterminated string (at the end)."),
        (
            "[a.b]\nx = 1\n[a.b]\n",
            "kit.toml:3: is not valid TOML: Cannot declare [a.b] twice (column 5).",
        ),
        (
            "[app]\ndebug = true\ndebug = false\n",
            "kit.toml:3: is not valid TOML: Cannot overwrite a value (column 14).",
        ),
    ],
)
def test_broken_toml_is_shown_with_line_and_column(file, text, what):
    with pytest.raises(ConfigError) as error:
        config.load(file(text))
    mend = "Text stands in quotes, names of tables in [brackets]; see https://toml.io."
    assert message(error) == f"{what}\n    {mend}"


def test_the_text_of_a_broken_line_is_not_repeated(file):
    with pytest.raises(ConfigError) as error:
        config.load(file("[app]\nsecret_key = hunter2-hunter2\n"))
    assert "hunter2" not in message(error)


def test_every_setting_knows_its_line(file):
    loaded = config.load(
        file(
            "# a comment\n"
            "[app]\n"
            'plugins = [\n  "a",\n  "b",\n]\n'
            "debug = true\n"
            "\n"
            "[templating]   # the engine\n"
            'use = "mako"\n'
            "[templating.mako]\n"
            'folder = "x"\n'
            'sessions = { use = "beaker" }\n'
        )
    )
    assert {".".join(keys): s.where for keys, s in loaded.settings.items()} == {
        "app.plugins": "kit.toml:3",
        "app.debug": "kit.toml:7",
        "templating.use": "kit.toml:10",
        "templating.mako.folder": "kit.toml:12",
        "templating.mako.sessions.use": "kit.toml:13",
    }


def test_a_list_of_lists_is_not_taken_for_a_table(file):
    loaded = config.load(file("[app]\nx = [\n[1, 2],\n]\ny = 1\n"))
    assert loaded.settings["app", "y"].where == "kit.toml:5"


def test_an_empty_table_is_kept_with_its_line(file):
    loaded = config.load(file("\n[templatng]\n"))
    assert loaded.tables() == ["templatng"]
    assert loaded.settings["templatng",].where == "kit.toml:2"


def test_nothing_and_a_mapping_are_configurations_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert values(config.load(None)) == {}
    loaded = config.load({"templating": {"use": "mako", "mako": {"strict": True}}})
    assert values(loaded) == {"templating.use": "mako", "templating.mako.strict": True}
    assert loaded.folder == tmp_path


def test_relative_paths_start_from_the_folder_of_the_file(tmp_path):
    (tmp_path / "kit.toml").touch()
    assert config.load(tmp_path / "kit.toml").folder == tmp_path


def test_the_profile_is_read_over_the_file(file, monkeypatch):
    path = file('[sessions]\nuse = "beaker"\nlifetime = "1 day"\n')
    file('[sessions]\nlifetime = "2 days"\n', "kit.production.toml")
    monkeypatch.setenv("KIT_PROFILE", "production")
    loaded = config.load(path)
    assert values(loaded) == {"sessions.use": "beaker", "sessions.lifetime": "2 days"}
    assert loaded.settings["sessions", "lifetime"].where == "kit.production.toml:2"
    assert loaded.settings["sessions", "use"].where == "kit.toml:2"


def test_a_missing_profile_says_who_asked_for_it(file, tmp_path, monkeypatch):
    path = file("")
    monkeypatch.setenv("KIT_PROFILE", "staging")
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert message(error) == (
        f"kit.staging.toml: there is no such file in {tmp_path}.\n"
        "    KIT_PROFILE=staging asks for it: write it, or unset that variable."
    )


def test_the_environment_wins_over_profile_and_file(file, monkeypatch):
    path = file('[sessions]\nlifetime = "1 day"\n')
    file('[sessions]\nlifetime = "2 days"\n', "kit.production.toml")
    monkeypatch.setenv("KIT_PROFILE", "production")
    monkeypatch.setenv("KIT_SESSIONS__LIFETIME", "3 days")
    setting = config.load(path).settings["sessions", "lifetime"]
    assert (setting.value, setting.where) == (
        "3 days",
        "environment variable KIT_SESSIONS__LIFETIME",
    )


def test_the_environment_reaches_tables_of_components_and_of_mappings(monkeypatch):
    monkeypatch.setenv("KIT_TEMPLATING__JINJA2__TRIM_BLOCKS", "true")
    loaded = config.load({"templating": {"use": "jinja2"}})
    assert values(loaded)["templating.jinja2.trim_blocks"] == "true"


def test_a_dash_in_a_name_is_an_underscore_in_a_variable(file, monkeypatch):
    path = file('[my-slot]\nuse = "a"\n[my-slot.some-thing]\nkey-one = 1\n')
    monkeypatch.setenv("KIT_MY_SLOT__SOME_THING__KEY_ONE", "2")
    monkeypatch.setenv("KIT_MY_SLOT__USE", "b")
    assert values(config.load(path)) == {"my-slot.use": "b", "my-slot.some-thing.key-one": "2"}


def test_other_variables_are_left_alone(monkeypatch):
    monkeypatch.setenv("KIT_TEST_POSTGRES", "postgresql://x")
    monkeypatch.setenv("OTHER__KEY", "x")
    assert values(config.load(None)) == {}


def test_a_configuration_does_not_show_its_values(monkeypatch):
    monkeypatch.setenv("KIT_APP__SECRET_KEY", "hunter2" * 6)
    assert "hunter2" not in repr(config.load({"sessions": {"secret": "hunter2"}}))
