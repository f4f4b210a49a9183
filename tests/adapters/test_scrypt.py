"""What is particular to passwords hashed with scrypt."""

from __future__ import annotations

import re

import pytest
from kit_stdlib.passwords import ScryptOptions, ScryptPasswords, _scrypt
from werkzeug.security import generate_password_hash

from kit.errors import Unavailable

# RFC 7914, section 12, its first 32 bytes, and one by the library passlib.
RFC_7914 = _scrypt("password", b"NaCl", 10, 8, 16)
PASSLIB = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"


def test_new_hashes_have_the_parameters_of_owasp() -> None:
    made = ScryptPasswords(ScryptOptions()).hash("x")
    assert re.fullmatch(r"\$scrypt\$ln=17,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}", made)


def test_it_is_scrypt() -> None:
    assert RFC_7914.hex() == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"


def test_hashes_of_others_in_this_form_are_read_and_outdated() -> None:
    component = ScryptPasswords(ScryptOptions())
    assert component.reads(PASSLIB)
    assert component.verify(PASSLIB, "password")
    assert not component.verify(PASSLIB, "Password")
    assert component.outdated(PASSLIB)


def test_hashes_of_werkzeug_are_of_another_form() -> None:
    made = generate_password_hash("x")
    assert made.startswith("scrypt:")
    assert not ScryptPasswords(ScryptOptions()).reads(made)


@pytest.mark.parametrize("cost", [16, 21])
def test_other_costs_are_refused(cost: int) -> None:
    with pytest.raises(ValueError, match=f"cost = {cost}: write 17"):
        ScryptOptions(cost=cost)


@pytest.mark.parametrize(
    "parameters",
    ["ln=0,r=8,p=1", "ln=99,r=8,p=1", "ln=31,r=999,p=1", "ln=4,r=0,p=1", "ln=4,r=8,p=0"],
)
def test_parameters_that_scrypt_cannot_have_are_wrong_and_no_error(parameters: str) -> None:
    made = f"$scrypt${parameters}$c2FsdA${'A' * 43}"
    assert ScryptPasswords(ScryptOptions()).verify(made, "x") is False


def test_without_memory_it_says_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("hashlib.scrypt", fail)
    component = ScryptPasswords(ScryptOptions())
    with pytest.raises(Unavailable, match="not enough memory"):
        component.hash("x")
    with pytest.raises(Unavailable, match="not enough memory"):
        component.verify(PASSLIB, "x")
