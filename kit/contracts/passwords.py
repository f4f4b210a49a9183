"""The contract of the slot ``passwords``: how a component hashes, and what the kernel adds."""

from __future__ import annotations

import logging
import threading
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.contracts import Contract, clause
from kit.errors import InvalidValue, Unavailable
from kit.slots.passwords import PasswordHasher, PasswordsOptions, policy
from kit.slots.passwords.policy import LONGEST, Passwords

GOOD = "vier Räder, 3 Beine & ein Hut"
FOREIGN = (
    "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m",
    "$unknown$x=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
    "pbkdf2_sha256$260000$c2FsdA$aGFzaA==",
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "password",
    "$",
    "",
)
"""What other programs store, and what is no hash at all."""


class Borrowed:
    """A hasher of a scheme of its own, for hashes from before."""

    def reads(self, hash: str) -> bool:
        """Say whether it is of this scheme."""
        return hash.startswith("$borrowed$")

    def hash(self, password: str) -> str:
        """Return what no real hasher would."""
        return f"$borrowed${password[::-1].encode().hex()}"

    def verify(self, hash: str, password: str) -> bool:
        """Compare."""
        return hash == self.hash(password)

    def outdated(self, hash: str) -> bool:
        """Say no: it has no parameters."""
        return False


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes at least."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


class PasswordsContract(Contract):
    """What every way of hashing promises. Subclasses give `component` and `other`.

    The first clauses ask the component itself, the others go through ``password_keeper``.
    """

    @pytest.fixture
    def component(self) -> PasswordHasher:
        """The component under test, with any parameters that it takes."""
        raise NotImplementedError("give the fixture `component`: a password hasher")

    @pytest.fixture
    def other(self) -> PasswordHasher:
        """The same component with other parameters."""
        raise NotImplementedError("give the fixture `other`: the component, set otherwise")

    @pytest.fixture
    def keeper(self, component: PasswordHasher) -> Passwords:
        """The kernel's part, around the component, with the default options."""
        return Passwords([component], PasswordsOptions())

    # The component.

    @clause("W1")
    def test_a_hash_verifies_its_password_alone(self, component: PasswordHasher) -> None:
        """A hash is right for the password that it was made of, and for no other."""
        made = component.hash(GOOD)
        assert component.verify(made, GOOD) is True
        for wrong in ("", GOOD[:-1], f"{GOOD} ", GOOD.upper(), made):
            assert component.verify(made, wrong) is False, wrong

    @clause("W2")
    def test_every_hash_has_its_own_salt(self, component: PasswordHasher) -> None:
        """Two hashes of one password differ."""
        assert component.hash(GOOD) != component.hash(GOOD)

    @clause("W3")
    def test_a_hash_is_a_short_line(self, component: PasswordHasher) -> None:
        """A hash is at most 255 visible characters of ASCII, and begins with ``$``."""
        for password in ("x", "é" * LONGEST):
            made = component.hash(password)
            assert made.startswith("$")
            assert len(made) <= 255
            assert all("!" <= one <= "~" for one in made), made

    @clause("W4")
    def test_passwords_count_whole(self, component: PasswordHasher) -> None:
        """Every character counts: the last of a long password, and what follows a NUL."""
        for first in ("a" * 71, "é" * (LONGEST - 1), "😀\0"):
            made = component.hash(f"{first}x")
            assert component.verify(made, f"{first}x")
            assert not component.verify(made, f"{first}y"), first[:8]

    @clause("W5")
    def test_it_reads_its_own_scheme(self, component: PasswordHasher) -> None:
        """It reads what it made, and nothing of another scheme."""
        assert component.reads(component.hash(GOOD))
        for foreign in (*FOREIGN, Borrowed().hash(GOOD)):
            assert not component.reads(foreign), foreign

    @clause("W6")
    def test_what_is_no_hash_is_never_right(self, component: PasswordHasher) -> None:
        """A damaged hash, and one of another scheme, is wrong for every password: no error."""
        made = component.hash(GOOD)
        scheme = made[: made.index("$", 1) + 1]
        rest = made.removeprefix(scheme)
        damaged = [made[:-1], made[: len(made) // 2], scheme, f"{made}é", f"{made}$", rest]
        damaged += [f"{scheme}x{rest}", f"{scheme}{rest.replace('=', '=-', 1)}", f"{made}\n"]
        for bad in (*damaged, *FOREIGN):
            assert component.verify(bad, GOOD) is False, bad

    @clause("W7")
    def test_other_parameters_are_outdated(
        self, component: PasswordHasher, other: PasswordHasher
    ) -> None:
        """A hash with other parameters is read and right, and outdated; a new one is not."""
        made = component.hash(GOOD)
        assert not component.outdated(made)
        assert other.reads(made)
        assert other.verify(made, GOOD)
        assert other.outdated(made)
        assert component.outdated(made[: made.index("$", 1) + 1]), "it has no parameters at all"

    @clause("W8")
    def test_hashing_is_slow_and_time_says_nothing(self, component: PasswordHasher) -> None:
        """To hash takes 10 milliseconds at least; a wrong password as long as the right one."""
        made = component.hash(GOOD)
        right = seconds(lambda: component.verify(made, GOOD))
        wrong = seconds(lambda: component.verify(made, "x"))
        assert seconds(lambda: component.hash(GOOD)) > 0.01
        assert 1 / 3 < right / wrong < 3

    @clause("W9")
    def test_threads_do_not_meet(self, component: PasswordHasher) -> None:
        """Threads that hash at the same time each get their own hash."""
        passwords = [f"{GOOD} {number}" for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(component.hash, passwords))
            right = list(pool.map(component.verify, made, passwords))
            wrong = list(pool.map(component.verify, made, passwords[::-1]))
        assert all(right)
        assert not any(wrong)

    # What the kernel adds.

    @clause("W10")
    def test_forms_of_one_letter_are_one(self, keeper: Passwords) -> None:
        """A letter is the same whether it comes as one code point or as several (NFC)."""
        made = keeper.hash(unicodedata.normalize("NFC", GOOD))
        assert keeper.verify(made, unicodedata.normalize("NFD", GOOD))

    @clause("W11")
    def test_different_letters_differ(self, keeper: Passwords) -> None:
        """Case, spaces at the ends, and letters that only look alike are told apart."""
        made = keeper.hash("Ⅳ zu eins")
        for other in ("IV zu eins", "ⅳ zu eins", "Ⅳ zu eins ", " Ⅳ zu eins", "Ⅳ  zu eins"):
            assert not keeper.verify(made, other), other

    @clause("W12")
    def test_long_enough_is_enough(self, keeper: Passwords) -> None:
        """A new password of 8 to 1024 characters is taken, whatever these are."""
        for password in (
            "zqvkmwpx",
            "90417726",
            "  wide  spaces  ",
            "пароль-ёжик",
            "😀🎩🦔🚲🌵🧶🪵🧊",
        ):
            assert keeper.check_new(password) == [], password
        assert keeper.check_new(("abcdefghijklmnop" * 64)[:LONGEST]) == []

    @clause("W13")
    def test_length_has_limits(self, component: PasswordHasher, keeper: Passwords) -> None:
        """A shorter password than `minimum` is refused, and one of over 1024 characters."""
        assert keeper.check_new("zqvkmwp") == ["Use at least 8 characters."]
        strict = Passwords([component], PasswordsOptions(minimum=15))
        assert strict.check_new("zqvkmwpx-zqvkm") == ["Use at least 15 characters."]
        assert strict.check_new("zqvkmwpx-zqvkmw") == []
        for length in (LONGEST + 1, LONGEST * 100):
            assert keeper.check_new(("abcd-" * length)[:length]) == ["Use at most 1024 characters."]

    @clause("W14")
    def test_common_passwords_are_refused(
        self, component: PasswordHasher, keeper: Passwords, tmp_path: Path
    ) -> None:
        """What everybody tries first is refused in any case, and so is what `blocklist` has."""
        for password in ("password", "Password1", "QWERTYUIOP", " iloveyou ", "zzzzzzzzzzzz"):
            assert len(keeper.check_new(password)) == 1, password
        (tmp_path / "more.txt").write_text("Zitronenfalter\nüberall7\n", "utf-8")
        options = PasswordsOptions(blocklist=tmp_path / "more.txt")
        more = Passwords([component], options)
        for password in ("zitronenfalter", "ÜBERALL7", "password"):
            assert len(more.check_new(password)) == 1, password
        assert keeper.check_new("zitronenfalter") == []

    @clause("W15")
    def test_what_belongs_to_the_account_is_refused(self, component: PasswordHasher) -> None:
        """A password that holds a name, an address, or one of `words`, is refused."""
        keeper = Passwords([component], PasswordsOptions(words=("Gadget Shop",)))
        context = ("Ada Lovelace", "countess@byron-house.example")
        for password in ("xxLOVELACE42", "my-countess-1", "byron.2815.x", "gadget-4-me"):
            assert len(keeper.check_new(password, *context)) == 1, password
        assert keeper.check_new("xxLOVELACE42") == []
        assert keeper.check_new("adamant horse, example", *context) == []

    @clause("W16")
    def test_what_cannot_be_typed_is_refused(self, keeper: Passwords) -> None:
        """Control characters and halves of characters are refused, and are never right."""
        made = keeper.hash(GOOD)
        for bad in ("\0", "\n", "\x7f", "\ud800", "\U000e1000"):
            assert len(keeper.check_new(GOOD + bad)) == 1, ascii(bad)
            assert not keeper.verify(made, GOOD + bad)
            with pytest.raises(InvalidValue):
                keeper.hash(GOOD + bad)

    @clause("W17")
    def test_too_long_passwords_are_not_hashed(self, keeper: Passwords) -> None:
        """A password that is too long is wrong at once, and nothing is cut off to make it right."""
        made = keeper.hash("é" * LONGEST)
        assert keeper.verify(made, "é" * LONGEST)
        for length in (LONGEST + 1, LONGEST * 1000):
            assert not keeper.verify(made, "é" * length)
            with pytest.raises(InvalidValue, match="at most 1024"):
                keeper.hash("é" * length)

    @clause("W18")
    def test_hashes_from_before_are_read(self, component: PasswordHasher) -> None:
        """The first component hashes, the others read: their hashes are right, and outdated."""
        old = Borrowed().hash(GOOD)
        keeper = Passwords([component, Borrowed()], PasswordsOptions())
        assert keeper.verify(old, GOOD)
        assert not keeper.verify(old, "x")
        assert keeper.outdated(old)
        made = keeper.hash(GOOD)
        assert component.reads(made)
        assert not keeper.outdated(made)

    @clause("W19")
    def test_a_hash_that_nothing_reads_is_told(
        self, keeper: Passwords, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A hash that no component reads is wrong and outdated; the log has its scheme, not it."""
        with caplog.at_level(logging.ERROR, "kit.security"):
            for foreign in FOREIGN:
                assert not keeper.verify(foreign, "password")
                assert keeper.outdated(foreign)
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == len(FOREIGN) - 1, "one for each but the empty one"
        assert "2b" in told[0]
        assert all("[passwords] use" in line and "GhvMmNV" not in line for line in told)

    @clause("W20")
    def test_nobody_is_told_apart_by_time(self, keeper: Passwords) -> None:
        """An unknown name, and an account without password, take as long as a wrong password."""
        made = keeper.hash(GOOD)
        wrong = seconds(lambda: keeper.verify(made, "x"))
        assert 1 / 3 < seconds(lambda: keeper.dummy("x")) / wrong < 3
        assert 1 / 3 < seconds(lambda: keeper.verify("", "x")) / wrong < 3

    @clause("W21")
    def test_few_are_hashed_at_once(
        self, component: PasswordHasher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only `at_once` are hashed at a time; who waits in vain for a turn gets Unavailable."""
        keeper = Passwords([component], PasswordsOptions(at_once=1))
        made, begun, go_on = keeper.hash(GOOD), threading.Event(), threading.Event()

        def slowly(hash: str, password: str) -> bool:
            begun.set()
            return go_on.wait(20)

        monkeypatch.setattr(component, "verify", slowly)
        monkeypatch.setattr(policy, "WAIT", 0.05)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(keeper.verify, made, GOOD)
            assert begun.wait(20)
            try:
                for call in (lambda: keeper.hash(GOOD), lambda: keeper.dummy(GOOD)):
                    with pytest.raises(Unavailable):
                        call()
            finally:
                go_on.set()
            assert first.result(20)
        assert keeper.hash(GOOD)
