"""For every clause of the contract a server that is broken in just that respect.

In class ``TestG4`` the test of clause G4 must fail. Nothing here is collected by itself: the tests
of the contracts run this file and look at the outcome. The servers are in ``ill_servers.py``, which
their processes import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import ill_servers

from kit.contracts import serving as contract
from kit.contracts.serving import Running, ServingContract

PATIENCE = 2  # seconds: what does not come, does not come


class Broken(ServingContract):
    def __init_subclass__(cls) -> None:
        number = cls.__name__.removeprefix("Test")
        cls.server, cls.use = getattr(ill_servers, number), f"ill_servers:{number}"
        cls.gateway = "wsgi" if "wsgi" not in cls.server.lacks else "asgi"

    @pytest.fixture
    def running(
        self, started: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Running]:
        """That on a port, alone; it has begun to serve, so that it fails at nothing else."""
        running = started("127.0.0.1:0", idle_timeout=1, head=contract.HEAD, grace=1)
        running.wait_for("Serving.")
        monkeypatch.setattr(contract, "WAIT", PATIENCE)
        yield running
        running.hang_up()

    @pytest.fixture
    def few(
        self, started: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Running]:
        """That on a UNIX socket, likewise."""
        few = started("unix:s", connections=contract.CONNECTIONS, grace=1)
        few.wait_for("Serving.")
        monkeypatch.setattr(contract, "WAIT", PATIENCE)
        yield few
        few.hang_up()


class TestG1(Broken):
    """Spaces in a query become `+`."""


class TestG2(Broken):
    """Of headers of one name the last one is left."""


class TestG3(Broken):
    """There is one thread."""


class TestG4(Broken):
    """A stream is collected."""


class TestG5(Broken):
    """Every connection is closed after one answer."""


class TestG6(Broken):
    """X-Forwarded-For is believed."""


class TestG7(Broken):
    """X_User is taken for X-User."""


class TestG8(Broken):
    """What is behind the last chunk is another request, whatever the length was."""


class TestG9(Broken):
    """Headers are as large as they are."""


class TestG10(Broken):
    """Who says nothing may stay."""


class TestG11(Broken):
    """Each slow client has a thread."""


class TestG12(Broken):
    """There is room for everybody."""


class TestG13(Broken):
    """A UNIX socket is no good."""


class TestG14(Broken):
    """Messages are short."""


class TestG15(Broken):
    """Nobody is told who has gone."""


class TestG16(Broken):
    """A reload drops what is in hand."""


class TestG17(Broken):
    """So does the end."""


class TestG18(Broken):
    """Who breaks off has said all."""
