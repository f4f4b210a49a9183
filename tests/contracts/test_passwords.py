"""The components of the slot ``passwords`` under its contract, and the options of the slot."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit_argon2.passwords import Argon2Options, Argon2Passwords
from kit_stdlib.passwords import ScryptOptions, ScryptPasswords

from kit.contracts.passwords import PasswordsContract
from kit.options import Size
from kit.slots.passwords import PasswordsOptions
from kit.slots.passwords.policy import COMMON


class TestArgon2(PasswordsContract):
    @pytest.fixture
    def component(self) -> Argon2Passwords:
        return Argon2Passwords(Argon2Options(time=2, memory=Size(19 * 1024**2), parallelism=1))

    @pytest.fixture
    def other(self) -> Argon2Passwords:
        return Argon2Passwords(Argon2Options())


class Cheap(ScryptOptions):
    """Takes a cost that is too low: with the least, the contract takes half a minute."""

    def __post_init__(self) -> None: ...


class TestScrypt(PasswordsContract):
    @pytest.fixture
    def component(self) -> ScryptPasswords:
        return ScryptPasswords(Cheap(cost=14))

    @pytest.fixture
    def other(self) -> ScryptPasswords:
        return ScryptPasswords(ScryptOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum": 7}, "at least 8"),
        ({"minimum": 65}, "those of 64 have to be long enough"),
        ({"at_once": 0}, "at_once = 0"),
        ({"blocklist": Path("nowhere.txt")}, r"no file nowhere\.txt"),
    ],
)
def test_options_that_weaken_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PasswordsOptions(**options)


def test_the_list_of_common_passwords_has_what_a_new_one_might_be():
    words = COMMON.read_text("utf-8").splitlines()
    assert len(words) > 8000
    assert len(set(words)) == len(words)
    assert min(map(len, words)) == 8
    assert all(word == word.casefold().strip() for word in words)
    assert "Django Software Foundation" in COMMON.with_name("common.license.txt").read_text("utf-8")
