"""From settings to typed options: conversions, defaults, and the text of every refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from kit import config
from kit.options import DatabaseURL, Duration, Secret, Size
from kit.reader import Reader

FIVE_SECONDS = Duration(5)
A_HUNDRED = Size(100)


@dataclass(frozen=True, kw_only=True)
class Options:
    name: str = "kit"
    count: int = 1
    ratio: float = 0.5
    on: bool = False
    wait: Duration = FIVE_SECONDS
    limit: Size = A_HUNDRED
    folder: Path = Path("files")
    mode: Literal["fast", "safe"] = "safe"
    tags: list[str] = field(default_factory=list)
    sizes: tuple[Size, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)
    key: Secret | None = None
    keys: list[Secret] = field(default_factory=list)
    url: DatabaseURL | None = None
    class_: str = ""


@dataclass(frozen=True, kw_only=True)
class Needy:
    url: DatabaseURL
    key: Secret


@dataclass(frozen=True, kw_only=True)
class Choosy:
    low: int = 0
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is more than high")


def reader_of(tmp_path: Path, text: str) -> Reader:
    file = tmp_path / "kit.toml"
    file.write_text(text, encoding="utf-8")
    return Reader(config.load(file))


def read(tmp_path: Path, text: str, cls: Any = Options) -> tuple[Any, list[str]]:
    """Read the table [part] of a file; return the options and the texts of the problems."""
    reader = reader_of(tmp_path, f"[part]\n{text}\n")
    names = cls.__dataclass_fields__
    made = reader.options(cls, [("part",)], dict.fromkeys(names, ("part",)))
    return made, [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('name = "x"', "x"),
        ("count = 7", 7),
        ("ratio = 2", 2.0),
        ("ratio = 0.25", 0.25),
        ("on = true", True),
        ('wait = "14 days"', 14 * 86400),
        ('wait = "1.5 hours"', 5400),
        ('wait = "1 second"', 1),
        ("wait = 2.5", 2.5),
        ('limit = "16 MiB"', 16 * 1024**2),
        ('limit = "2.5 MB"', 2_500_000),
        ('limit = "500 kB"', 500_000),
        ("limit = 12", 12),
        ('mode = "fast"', "fast"),
        ('tags = ["a", "b"]', ["a", "b"]),
        ('sizes = ["1 kB", 5]', (1000, 5)),
        ("weights = { a = 1, b = 2 }", {"a": 1, "b": 2}),
        ('key = "hush"', "hush"),
        ('class = "x"', "x"),
    ],
)
def test_a_value_from_toml_becomes_its_type(tmp_path, line, value):
    made, problems = read(tmp_path, line)
    assert problems == []
    name = line.split(" ")[0]
    found = getattr(made, "class_" if name == "class" else name)
    assert found == value
    assert type(found) in (type(value), Duration, Size, Secret)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("NAME", "5", "5"),
        ("COUNT", "7", 7),
        ("RATIO", "0.25", 0.25),
        ("ON", "true", True),
        ("ON", "0", False),
        ("WAIT", "30 minutes", 1800),
        ("WAIT", "30", 30),
        ("LIMIT", "16 MiB", 16 * 1024**2),
        ("LIMIT", "12", 12),
        ("MODE", "fast", "fast"),
        ("TAGS", "a, b,c", ["a", "b", "c"]),
        ("TAGS", "", []),
        ("SIZES", "1 kB, 5", (1000, 5)),
        ("WEIGHTS__A", "3", {"a": 3}),
    ],
)
def test_a_value_from_the_environment_becomes_its_type(tmp_path, monkeypatch, name, text, value):
    monkeypatch.setenv(f"KIT_PART__{name}", text)
    made, problems = read(tmp_path, "")
    assert problems == []
    assert getattr(made, name.split("__")[0].lower()) == value


def test_what_is_not_given_has_its_default(tmp_path):
    made, problems = read(tmp_path, "")
    assert problems == []
    assert (made.name, made.wait, made.mode, made.tags, made.key) == ("kit", 5, "safe", [], None)


def test_paths_start_from_the_folder_of_the_file(tmp_path):
    assert read(tmp_path, 'folder = "a/b"')[0].folder == tmp_path / "a/b"
    assert read(tmp_path, "")[0].folder == tmp_path / "files"
    assert read(tmp_path, 'folder = "/srv"')[0].folder == Path("/srv")


def test_the_file_of_a_database_starts_from_the_folder_of_the_config(tmp_path):
    assert read(tmp_path, 'url = "sqlite:///a.db"')[0].url == f"sqlite:///{tmp_path}/a.db"


def test_env_takes_a_value_from_a_variable_and_reads_it_as_text(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNT_OF_ALL", "12")
    monkeypatch.setenv("THE_KEY", "hush")
    made, problems = read(tmp_path, 'count = "env:COUNT_OF_ALL"\nkey = "env:THE_KEY"')
    assert problems == []
    assert (made.count, made.key) == (12, "hush")


def test_file_takes_a_value_from_a_file_beside_the_config(tmp_path):
    (tmp_path / "secret.key").write_text("hush\n")
    assert read(tmp_path, 'key = "file:secret.key"')[0].key == "hush"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("name = 5", "name = 5: a whole number found, not text\n    Allowed: text."),
        (
            'count = "7"',
            "count = '7': text found, not a whole number\n    Allowed: a whole number.",
        ),
        (
            "count = 7.5",
            "count = 7.5: a number found, not a whole number\n    Allowed: a whole number.",
        ),
        ('ratio = "x"', "ratio = 'x': text found, not a number\n    Allowed: a number."),
        (
            'on = "yes"',
            "on = 'yes': text found, not true or false\n    Allowed: true or false.",
        ),
        (
            'wait = "3 fortnights"',
            "wait = '3 fortnights': '3 fortnights' is no duration:"
            " write for example '30 minutes' or '14 days'\n"
            "    Allowed: a duration such as '30 minutes'.",
        ),
        (
            "wait = -1",
            "wait = -1: must not be negative or endless\n"
            "    Allowed: a duration such as '30 minutes'.",
        ),
        (
            "wait = true",
            "wait = True: true or false found, not a duration such as '30 minutes'\n"
            "    Allowed: a duration such as '30 minutes'.",
        ),
        (
            'limit = "16 miles"',
            "limit = '16 miles': '16 miles' is no size: write for example '500 kB' or '16 MiB'\n"
            "    Allowed: a size such as '16 MiB'.",
        ),
        ("folder = 1", "folder = 1: a whole number found, not text\n    Allowed: a path."),
        (
            'mode = "fats"',
            "mode = 'fats': not one of the choices. Did you mean 'fast'?\n"
            "    Allowed: 'fast', 'safe'.",
        ),
        (
            "mode = 1",
            "mode = 1: a whole number found, not 'fast', 'safe'\n    Allowed: 'fast', 'safe'.",
        ),
        ('tags = "a"', "tags = 'a': text found, not a list of text\n    Allowed: a list of text."),
        (
            'tags = ["a", 1]',
            "tags = ['a', 1]: a whole number found, not text\n    Allowed: a list of text.",
        ),
        (
            "weights = 1",
            "weights = 1: a whole number found, not a table of a whole number\n"
            "    Allowed: a table of a whole number.",
        ),
        (
            "wait = inf",
            "wait = inf: must not be negative or endless\n"
            "    Allowed: a duration such as '30 minutes'.",
        ),
        (
            'url = "postgres://ada@host/x"',
            "url: 'postgres://ada@host/x' is no database URL: write for example"
            " 'sqlite:///app.db', 'postgresql://user@host/name' or 'mariadb://user@host/name'\n"
            "    Allowed: a database URL such as 'sqlite:///app.db'.",
        ),
        (
            'url = "sqlite://"',
            "url: 'sqlite://' names no file: write 'sqlite:///app.db'"
            " (a database in memory would be a new one for each connection)\n"
            "    Allowed: a database URL such as 'sqlite:///app.db'.",
        ),
    ],
)
def test_a_wrong_value_is_shown_with_line_and_what_is_allowed(tmp_path, line, problem):
    made, problems = read(tmp_path, line)
    assert made is None
    assert problems == [f"kit.toml:2: [part] {problem}"]


def test_a_wrong_value_from_the_environment_names_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_PART__COUNT", "many")
    assert read(tmp_path, "count = 1")[1] == [
        "environment variable KIT_PART__COUNT: [part] count = 'many': text found,"
        " not a whole number\n    Allowed: a whole number."
    ]


def test_an_unset_variable_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    assert read(tmp_path, 'key = "env:NOT_SET_AT_ALL"')[1] == [
        "kit.toml:2: [part] key: the environment variable NOT_SET_AT_ALL is not set\n"
        "    Set NOT_SET_AT_ALL."
    ]


def test_a_missing_secret_file_is_named_in_full(tmp_path):
    assert read(tmp_path, 'key = "file:secret.key"')[1] == [
        f"kit.toml:2: [part] key: the file {tmp_path}/secret.key cannot be read:"
        " No such file or directory\n    Write that file, or name another one"
        " (kit run makes one for secret_key)."
    ]


def test_missing_values_are_shown_at_their_table(tmp_path):
    made, problems = read(tmp_path, "other = 1", Needy)
    assert made is None
    assert problems == [
        "kit.toml:2: [part] lacks 'url'.\n"
        "    Add: url = ... with a database URL such as 'sqlite:///app.db'.",
        "kit.toml:2: [part] lacks 'key'.\n    Add: key = ... with text.",
    ]


def test_a_refusal_by_the_options_class_is_shown_at_the_key_that_it_names(tmp_path):
    made, problems = read(tmp_path, "high = 1\nlow = 2", Choosy)
    assert made is None
    assert problems == ["kit.toml:2: [part] is refused by Choosy: low is more than high"]


@pytest.mark.parametrize(
    "line",
    [
        "key = 123456789",
        'keys = ["hush-123456789", 5]',
        'url = "postgres://ada:123456789@host/x"',
        'url = "postgres//ada:123456789@host/x"',
        'url = "postgres://ada:12345/6789:123456789@host/x"',
        'url = "mysql://host/x?password=123456789"',
    ],
)
def test_a_secret_is_not_repeated_in_a_refusal(tmp_path, line):
    made, problems = read(tmp_path, line)
    assert made is None
    assert "123456789" not in problems[0]


def test_secrets_are_hidden_in_what_is_shown(tmp_path):
    text = '[part]\nkey = "hunter2"\nurl = "postgresql://ada:hunter2@host/x"\nkeys = ["hunter2"]\n'
    reader = reader_of(tmp_path, text)
    made = reader.options(
        Options, [("part",)], dict.fromkeys(Options.__dataclass_fields__, ("part",))
    )
    assert made is not None
    assert "hunter2" not in repr(made)
    assert "hunter2" not in repr(reader.values)
    shown = {value.keys[-1]: value.shown() for value in reader.values}
    assert shown["key"] == "<secret>"
    assert shown["url"] == '"postgresql://ada:<secret>@host/x"'
    assert shown["keys"] == "[<secret>]"


def test_every_value_knows_where_it_came_from(tmp_path, monkeypatch):
    monkeypatch.setenv("KIT_PART__COUNT", "3")
    reader = reader_of(tmp_path, '[part]\nname = "x"\n')
    reader.options(Options, [("part",)], dict.fromkeys(Options.__dataclass_fields__, ("part",)))
    where = {value.keys[-1]: value.where for value in reader.values}
    assert where["name"] == "kit.toml:2"
    assert where["count"] == "environment variable KIT_PART__COUNT"
    assert where["ratio"] == "default"
