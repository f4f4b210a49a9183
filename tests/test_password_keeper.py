"""Passwords in an application whose way of hashing changes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kit import App, ConfigError
from kit.slots.passwords.policy import Passwords


def keeper(*names: str, **options: Any) -> Passwords:
    app = App({"passwords": {"use": list(names), **options}})
    return app.provided("password_keeper")


def test_old_hashes_are_read_where_their_component_is_still_in_use() -> None:
    old = keeper("scrypt").hash("correct horse")
    both = keeper("argon2", "scrypt")
    assert both.verify(old, "correct horse")
    assert both.outdated(old)
    new = both.hash("correct horse")
    assert new.startswith("$argon2id$")
    assert not both.outdated(new)


def test_a_component_that_was_taken_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    old = keeper("scrypt").hash("correct horse")
    with caplog.at_level(logging.ERROR, "kit.security"):
        assert not keeper("argon2").verify(old, "correct horse")
    assert "the scheme 'scrypt', which nothing reads: add its component" in caplog.text
    assert old not in caplog.text


def test_options_of_each_component_stand_in_its_table() -> None:
    both = keeper("argon2", "scrypt", argon2={"time": 2, "memory": "19 MiB", "parallelism": 1})
    assert "$m=19456,t=2,p=1$" in both.hash("correct horse")


def test_options_of_the_slot_are_those_of_the_keeper(tmp_path: Any) -> None:
    (tmp_path / "more.txt").write_text("correct horse battery\n")
    strict = keeper("argon2", minimum=15, blocklist=str(tmp_path / "more.txt"), words=["gadgets"])
    assert strict.check_new("correct horse") == ["Use at least 15 characters."]
    assert strict.check_new("correct horse battery") != []
    assert strict.check_new("correct horse gadgets") != []
    assert strict.check_new("correct horse staple") == []


def test_weak_options_stop_the_start() -> None:
    with pytest.raises(ConfigError, match=r"minimum = 4: passwords have at least 8"):
        keeper("argon2", minimum=4)
    with pytest.raises(ConfigError, match=r"\[passwords\.scrypt\].*cost = 10"):
        keeper("scrypt", scrypt={"cost": 10})
