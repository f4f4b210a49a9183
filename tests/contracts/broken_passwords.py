"""For every clause of the contract a component, or a kernel, that is broken in just that respect.

In class ``TestW7`` the test of clause W7 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from kit.contracts.passwords import PasswordsContract
from kit.slots.passwords import policy
from kit.slots.passwords.policy import Passwords


class Hasher:
    """A component that keeps the contract, for the others to break; nothing to use."""

    cost = 0.015  # seconds

    def __init__(self, version: int = 1) -> None:
        self.version = version

    def reads(self, hash: str) -> bool:
        return hash.startswith("$made$")

    def hash(self, password: str) -> str:
        return self.made(password, secrets.token_hex(8), str(self.version))

    def made(self, password: str, salt: str, version: str) -> str:
        time.sleep(self.cost)
        return f"$made$v={version}${salt}${self.digest(salt + password)}"

    def digest(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def verify(self, hash: str, password: str) -> bool:
        found = re.fullmatch(r"\$made\$v=(\d)\$(\w{16})\$(\w{64})", hash, re.ASCII)
        if found is None:
            return False
        return hmac.compare_digest(hash, self.made(password, found[2], found[1]))

    def outdated(self, hash: str) -> bool:
        return not hash.startswith(f"$made$v={self.version}$")


class Broken(PasswordsContract):
    Hasher: Callable[..., Any] = Hasher

    @pytest.fixture
    def component(self) -> Any:
        return type(self).Hasher()

    @pytest.fixture
    def other(self) -> Any:
        return type(self).Hasher(2)


def broken(owner: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Return a fixture that replaces an attribute of the kernel by ``make(the original)``."""

    @pytest.fixture(autouse=True)
    def replace(self: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, make(getattr(owner, name)))

    return replace


class TestW1(Broken):
    class Hasher(Hasher):
        def digest(self, text: str) -> str:
            return super().digest(text.strip())


class TestW2(Broken):
    class Hasher(Hasher):
        def hash(self, password: str) -> str:
            return self.made(password, "0" * 16, "1")


class TestW3(Broken):
    class Hasher(Hasher):
        def digest(self, text: str) -> str:
            return super().digest(text) * 4

        def verify(self, hash: str, password: str) -> bool:
            return hash == self.made(password, hash[10:26], hash[8])


class TestW4(Broken):
    class Hasher(Hasher):
        def digest(self, text: str) -> str:
            return super().digest(text.encode()[:88].decode(errors="replace"))


class TestW5(Broken):
    class Hasher(Hasher):
        def reads(self, hash: str) -> bool:
            return hash.startswith("$")


class TestW6(Broken):
    class Hasher(Hasher):
        def verify(self, hash: str, password: str) -> bool:
            _version, salt, digest = hash.removeprefix("$made$").split("$")
            return self.digest(salt + password).startswith(digest)


class TestW7(Broken):
    class Hasher(Hasher):
        def outdated(self, hash: str) -> bool:
            return not self.reads(hash)


class TestW8(Broken):
    class Hasher(Hasher):
        cost = 0


class TestW9(Broken):
    class Hasher(Hasher):
        def digest(self, text: str) -> str:
            self.text = text
            time.sleep(0.002)
            return super().digest(self.text)


class TestW10(Broken):
    kernel = broken(policy, "_usable", lambda usable: lambda password: password)


class TestW11(Broken):
    kernel = broken(
        policy, "_usable", lambda usable: lambda text: usable(unicodedata.normalize("NFKC", text))
    )


class TestW12(Broken):
    """A rule of composition."""

    kernel = broken(
        Passwords,
        "check_new",
        lambda check: (
            lambda s, p, *c: check(s, p, *c) or ([] if re.search("[0-9]", p) else ["Use a digit."])
        ),
    )


class TestW13(Broken):
    kernel = broken(policy, "LONGEST", lambda longest: longest * 200)
    raw = broken(policy, "_LONGEST_RAW", lambda longest: longest * 200)


class TestW14(Broken):
    kernel = broken(policy, "_read", lambda read: lambda file: {one.upper() for one in read(file)})


class TestW15(Broken):
    kernel = broken(policy, "_parts", lambda parts: lambda context: [context.casefold()])


class TestW16(Broken):
    kernel = broken(policy, "_is_typed", lambda typed: lambda text: True)


class TestW17(Broken):
    kernel = broken(policy, "_usable", lambda usable: lambda text: usable(text[: policy.LONGEST]))


class TestW18(Broken):
    kernel = broken(
        Passwords, "outdated", lambda outdated: lambda s, old: s._reader(old).outdated(old)
    )


class TestW19(Broken):
    kernel = broken(policy.logger, "error", lambda error: lambda *arguments: None)


class TestW20(Broken):
    kernel = broken(Passwords, "dummy", lambda dummy: lambda self, password: None)


class TestW21(Broken):
    kernel = broken(Passwords, "_turn", lambda turn: lambda self: nullcontext())
