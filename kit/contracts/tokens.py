"""The contract of the slot ``tokens``: what a component signs, and what single use makes of it."""

from __future__ import annotations

import json
import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from kit.contracts import Contract, clause
from kit.options import Secret
from kit.slots.tokens import SingleUseTokens, Tokens

KEY = Secret("the key that signs now, 32 bytes long")
OLD = Secret("the key from before, over 32 bytes long")
OTHER = Secret("a key of somebody else, 32 bytes or more")
HOUR = 3600
VALUE = {"id": 7, "name": "Ada <é>", "list": [1.5, None, True], "more": {"": "😀"}}


class Clock:
    """A clock that stands still until the test moves `now`, in seconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


def segments(token: str) -> Iterator[bytes]:
    """Yield what the parts of a token encode, unpacked where they are compressed."""
    for part in re.split(r"[^A-Za-z0-9_-]", token):
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4)) if len(part) % 4 != 1 else b""
        yield decoded
        try:
            yield zlib.decompress(decoded)
        except zlib.error:
            continue


def header(**claims: object) -> str:
    """Return the header of a JSON Web Token, in base64url."""
    return urlsafe_b64encode(json.dumps({"typ": "JWT", **claims}).encode()).decode().rstrip("=")


class TokensContract(Contract):
    """What every way of signing promises. Subclass it, and give `make`."""

    def make(self, secret_keys: tuple[Secret, ...], clock: Callable[[], float]) -> Tokens:
        """Build the component with these keys and this clock, as the kernel would."""
        raise NotImplementedError(f"{type(self).__name__}.make has to build the component")

    @pytest.fixture
    def clock(self) -> Clock:
        """The clock of the component."""
        return Clock()

    @pytest.fixture
    def component(self, clock: Clock) -> Tokens:
        """The component with one key."""
        return self.make((KEY,), clock)

    @pytest.fixture
    def single(self, component: Tokens) -> SingleUseTokens:
        """The kernel's tokens for one use, over the component."""
        return SingleUseTokens(component)

    @clause("K1")
    @pytest.mark.parametrize(
        "value", [VALUE, [VALUE] * 50, [], {}, "", "text", 0, 2**70, -1.5, False]
    )
    def test_what_is_signed_is_read(self, component: Tokens, value: object) -> None:
        """A value is read as it was signed, as often as one asks."""
        token = component.sign("reset", value, HOUR)
        assert component.read("reset", token) == value
        assert component.read("reset", token) == value
        assert type(component.read("reset", token)) is type(value)

    @clause("K2")
    def test_a_token_fits_into_a_url(self, component: Tokens) -> None:
        """A token has only letters, digits, and ``-``, ``.``, ``_``, ``~``."""
        for value in (VALUE, "?&=#/+% \n", "é" * 1000):
            assert re.fullmatch(r"[A-Za-z0-9._~-]+", component.sign("reset", value, HOUR))

    @clause("K3")
    def test_a_changed_token_is_worth_nothing(self, component: Tokens) -> None:
        """A token with any other character, cut short or longer, is read as None."""
        token = component.sign("reset", VALUE, HOUR)
        for place, found in enumerate(token[:-1]):
            # The last character before a separator has bits that base64 does not use.
            if found.isalnum() and token[place + 1] != ".":
                other = "B" if found == "A" else "A"
                changed = f"{token[:place]}{other}{token[place + 1 :]}"
                assert component.read("reset", changed) is None, changed
        for changed in (
            token[:-2],
            token[1:],
            f"{token}AA",
            f"{token}.AA",
            token.rpartition(".")[0],
        ):
            assert component.read("reset", changed) is None, changed

    @clause("K4")
    def test_rubbish_is_no_token(self, component: Tokens) -> None:
        """Whatever text comes in place of a token is read as None, without an error."""
        for rubbish in (
            "",
            ".",
            "..",
            "...",
            "A",
            "é.é.é",
            "\ud800",
            "\0",
            "{}",
            "null",
            "A" * 10**6,
        ):
            assert component.read("reset", rubbish) is None, ascii(rubbish[:9])

    @clause("K5")
    def test_a_purpose_is_the_only_one(self, component: Tokens) -> None:
        """A token for one purpose is read as None for any other."""
        token = component.sign("reset", VALUE, HOUR)
        for other in ("rese", "reset ", "Reset", "resett", "verify", "reset/é", "*", "reset\0"):
            assert component.read(other, token) is None, other
        assert component.read("é", component.sign("é", 1, HOUR)) == 1

    @clause("K6")
    def test_a_token_expires(self, component: Tokens, clock: Clock) -> None:
        """A token is read until its lifetime is over, to the second, and never after that."""
        begin = clock.now
        token, short = component.sign("reset", 1, HOUR), component.sign("reset", 1, 60)
        clock.now = begin + 58
        assert component.read("reset", short) == 1
        clock.now = begin + 61
        assert component.read("reset", short) is None
        assert component.read("reset", token) == 1
        for later in (HOUR + 1, 10 * 365 * 24 * HOUR):
            clock.now = begin + later
            assert component.read("reset", token) is None

    @clause("K7")
    def test_keys_can_be_changed(self, clock: Clock) -> None:
        """The first key signs, and what any key has signed is read."""
        before, now = self.make((OLD,), clock), self.make((KEY, OTHER, OLD), clock)
        assert now.read("reset", before.sign("reset", 1, HOUR)) == 1
        assert now.read("reset", now.sign("reset", 1, HOUR)) == 1
        assert before.read("reset", now.sign("reset", 1, HOUR)) is None
        assert self.make((KEY,), clock).read("reset", now.sign("reset", 1, HOUR)) == 1

    @clause("K8")
    def test_another_key_signs_nothing(self, component: Tokens, clock: Clock) -> None:
        """A token that was signed with another key is read as None."""
        for key in (OTHER, Secret(f"{KEY} "), Secret(KEY[:-1]), Secret("")):
            forged = self.make((key,), clock).sign("reset", VALUE, HOUR)
            assert component.read("reset", forged) is None

    @clause("K9")
    def test_a_token_does_not_choose_its_algorithm(self, component: Tokens) -> None:
        """A token that says it has another algorithm, a key of its own or no signature is None."""
        token = component.sign("reset", VALUE, HOUR)
        first, _, rest = token.partition(".")
        unsigned = rest.rpartition(".")[0] or first
        for name in ("none", "None", "NONE", "", "HS512", "RS256", "HS256\0", None):
            for ending in (rest, f"{unsigned}.", unsigned, f"{unsigned}.AAAA"):
                forged = f"{header(alg=name)}.{ending}"
                assert component.read("reset", forged) is None, forged
        own = header(alg="HS256", jwk={"kty": "oct", "k": "AAAA"}, kid="../../dev/null")
        assert component.read("reset", f"{own}.{rest}") is None

    @clause("K10")
    @pytest.mark.parametrize(
        "value",
        [
            None,
            (1, 2),
            {1, 2},
            {1: 2},
            [(1,)],
            b"bytes",
            float("nan"),
            float("inf"),
            date(2026, 1, 31),
        ],
        ids=repr,
    )
    def test_what_json_would_change_is_refused(self, component: Tokens, value: object) -> None:
        """A value that would not be read as it is raises TypeError when it is signed."""
        with pytest.raises(TypeError, match="a token cannot hold"):
            component.sign("reset", value, HOUR)

    @clause("K11")
    def test_threads_do_not_meet(self, component: Tokens) -> None:
        """Threads that sign and read at the same time each get their own values."""

        def work(number: int) -> bool:
            signed = [component.sign(f"for {number}", number, HOUR) for _ in range(50)]
            return all(component.read(f"for {number}", token) == number for token in signed)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))

    # Single use.

    @clause("K12")
    def test_a_token_ends_with_its_state(self, single: SingleUseTokens) -> None:
        """A token for one use is read while the state is as it was when signed, and not after."""
        passwords = {7: "$hash of the old password"}
        token = single.sign("reset", 7, HOUR, state=passwords[7])
        assert single.read("reset", token, passwords.get) == 7
        assert single.read("reset", token, passwords.get) == 7
        passwords[7] = "$hash of a new password"
        assert single.read("reset", token, passwords.get) is None
        del passwords[7]
        assert single.read("reset", token, passwords.get) is None

    @clause("K13")
    def test_single_use_keeps_the_rest(self, single: SingleUseTokens, clock: Clock) -> None:
        """A token for one use has its purpose, its lifetime and its signature like any other."""
        token = single.sign("reset", VALUE, HOUR, state="a")
        asked: list[object] = []

        def state(value: object) -> str:
            asked.append(value)
            return "a"

        for purpose, text in (("verify", token), ("reset", f"{token}AA"), ("reset", "")):
            assert single.read(purpose, text, state) is None
        clock.now += HOUR + 1
        assert single.read("reset", token, state) is None
        assert asked == [], "nothing is looked up for a token that is worth nothing"
        with pytest.raises(TypeError):
            single.sign("reset", (1,), HOUR, state="a")

    @clause("K14")
    def test_the_kinds_of_tokens_are_apart(
        self, component: Tokens, single: SingleUseTokens
    ) -> None:
        """A token for one use is no plain token of that purpose, nor the other way round."""
        once = single.sign("reset", 7, HOUR, state="a")
        plain = component.sign("reset", 7, HOUR)
        assert component.read("reset", once) is None
        assert single.read("reset", plain, lambda value: "a") is None

    @clause("K15")
    def test_the_state_does_not_go_out(self, single: SingleUseTokens) -> None:
        """Who holds a token for one use can read its value, and not the state."""
        token = single.sign("reset", "value-to-see", HOUR, state="state-to-hide")
        seen = b"".join(segments(token))
        assert b"value-to-see" in seen
        assert b"state-to-hide" not in seen
