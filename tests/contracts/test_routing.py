"""The components of the slot ``routing`` under its contract, and side by side."""

from __future__ import annotations

import random
import re

import pytest
from kit_ffroute.routing import FFRouter
from kit_werkzeug.routing import WerkzeugRouter

from kit.contracts.routing import RoutingContract
from kit.patterns import CONVERTERS, Converter, Pattern
from kit.slots.routing import RoutingOptions


class TestWerkzeug(RoutingContract):
    native = "/native/<int(max=9):x>"

    @pytest.fixture
    def component(self) -> WerkzeugRouter:
        return WerkzeugRouter(RoutingOptions())


class TestFFRoute(RoutingContract):
    @pytest.fixture
    def component(self) -> FFRouter:
        return FFRouter(RoutingOptions())


KINDS = {
    **CONVERTERS,
    "slug": Converter("[a-z]+"),
    "pair": Converter("[a-c]{2}"),
    "deep": Converter("x(?:/y)*", slashes=True),
    "any": Converter(r"[\s\S]+", slashes=True),
}
LITERALS = ["a", "b", "ab", "1", "x", "v", "-", ".", "{", "}", "é", "%20", "+", "|", "$", "(", "*"]
SEGMENTS = [
    *("", "a", "b", "ab", "aa", "1", "12", "1.5", "x", "x/y", "v1", "va", "a-b", "1-2", "é", "\n"),
    *("a\n", "%20", "{", "}", "{a}", ".a", "007", "９", "9" * 19, "+", "|", "$", "\u2028", "A"),
]


def random_pattern(chance: random.Random) -> Pattern:
    """Return a pattern of up to three segments, each of text and parameters in any order."""
    while True:
        text, parameters = "", 0
        for _ in range(chance.randint(1, 3)):
            text += "/"
            for _ in range(chance.choice([0, 1, 1, 1, 2])):
                if chance.random() < 0.5:
                    text += chance.choice(LITERALS)
                else:
                    text += f"<{chance.choice([*KINDS])}:p{parameters}>"
                    parameters += 1
        try:
            return Pattern.parse(text, KINDS)
        except ValueError:
            continue  # the grammar refuses it


def random_path(chance: random.Random, patterns: list[Pattern]) -> str:
    """Return a path that may match one of the patterns."""
    pieces = chance.choice(patterns).pieces
    path = "".join(p if isinstance(p, str) else chance.choice(SEGMENTS) for p in pieces)
    return path + chance.choice(["", "", "", "/"])


@pytest.mark.parametrize("seed", range(100))
def test_both_routers_find_the_first_pattern_in_the_order_of_the_kernel(seed):
    chance = random.Random(seed)
    shapes = {p.shape: p for p in (random_pattern(chance) for _ in range(8))}
    patterns = sorted(shapes.values(), key=lambda pattern: pattern.rank)
    routers = [WerkzeugRouter(RoutingOptions()), FFRouter(RoutingOptions())]
    for pattern in patterns:
        for router in routers:
            router.add(pattern, pattern.text)
    for _ in range(40):
        path = random_path(chance, patterns)
        matches = ((p.text, re.fullmatch(p.regex, path)) for p in patterns)
        expected = next(((text, m.groupdict()) for text, m in matches if m), None)
        for router in routers:
            found = router.match(path)
            assert (found and (found[0], dict(found[1]))) == expected, (path, router)
