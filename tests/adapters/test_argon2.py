"""What is particular to passwords hashed with Argon2id."""

from __future__ import annotations

import re

import pytest
from argon2 import PasswordHasher, Type
from argon2.exceptions import HashingError, VerificationError
from kit_argon2.passwords import Argon2Options, Argon2Passwords

from kit.errors import Unavailable
from kit.options import Size

MIB = 1024**2


def test_new_hashes_are_argon2id_with_the_second_choice_of_rfc_9106() -> None:
    made = Argon2Passwords(Argon2Options()).hash("x")
    assert re.fullmatch(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$[\w+/]{22}\$[\w+/]{43}", made)


def test_options_are_what_a_hash_costs() -> None:
    options = Argon2Options(time=2, memory=Size(20 * MIB), parallelism=1)
    assert "$m=20480,t=2,p=1$" in Argon2Passwords(options).hash("x")


@pytest.mark.parametrize(
    ("time", "memory"), [(0, 64), (1, 45), (2, 18), (3, 11), (4, 8), (5, 6), (100, 1)]
)
def test_weaker_parameters_than_those_of_owasp_are_refused(time: int, memory: int) -> None:
    with pytest.raises(ValueError, match="too weak; the least is time = 2 with memory = '19 MiB'"):
        Argon2Options(time=time, memory=Size(memory * MIB))


@pytest.mark.parametrize(("time", "memory"), [(1, 46), (2, 19), (3, 12), (4, 9), (5, 7), (9, 7)])
def test_every_choice_of_owasp_is_taken(time: int, memory: int) -> None:
    made = Argon2Passwords(Argon2Options(time=time, memory=Size(memory * MIB))).hash("x")
    assert f"$m={memory * 1024},t={time}," in made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parallelism": 0}, "parallelism = 0"),
        ({"parallelism": 256}, "parallelism = 256"),
        ({"memory": Size(64 * MIB + 1)}, "a multiple of 1 KiB"),
        ({"memory": Size(4 * 1024**4)}, "below 4 TiB"),
        ({"minimum": 4}, "at least 8"),
    ],
)
def test_other_parameters_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Argon2Options(**options)


@pytest.mark.parametrize("kind", [Type.I, Type.D])
def test_other_kinds_of_argon2_are_read_and_outdated(kind: Type) -> None:
    component = Argon2Passwords(Argon2Options())
    made = PasswordHasher(type=kind).hash("x")
    assert component.reads(made)
    assert component.verify(made, "x")
    assert not component.verify(made, "y")
    assert component.outdated(made)


def test_without_memory_it_says_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    component = Argon2Passwords(Argon2Options())
    huge = "$argon2id$v=19$m=4294967295,t=3,p=4$c2FsdHNhbHRzYWx0$" + "A" * 43
    with pytest.raises(Unavailable, match="not enough memory"):
        component.verify(huge, "x")

    def fail(*arguments: object, **options: object) -> None:
        raise HashingError("Memory allocation error")

    monkeypatch.setattr("argon2._password_hasher.hash_secret", fail)
    with pytest.raises(Unavailable, match="not enough memory"):
        component.hash("x")


def test_the_library_says_so_by_these_words() -> None:
    """Its exceptions do not tell a lack of memory from a broken hash in another way."""
    huge = "$argon2id$v=19$m=4294967295,t=3,p=4$c2FsdHNhbHRzYWx0$" + "A" * 43
    with pytest.raises(VerificationError, match="Memory allocation error"):
        PasswordHasher().verify(huge, "x")
