"""The servers under their contract, each by each gateway that it has."""

from __future__ import annotations

from kit_granian.serving import Granian
from kit_gunicorn.serving import Gunicorn
from kit_hypercorn.serving import Hypercorn
from kit_uvicorn.serving import Uvicorn
from kit_waitress.serving import Waitress

from kit.contracts.serving import ServingContract


class TestGranian(ServingContract):
    server, use, gateway = Granian, "granian", "asgi"


class TestGunicornWSGI(ServingContract):
    server, use, gateway = Gunicorn, "gunicorn", "wsgi"


class TestGunicornASGI(ServingContract):
    server, use, gateway = Gunicorn, "gunicorn", "asgi"


class TestHypercorn(ServingContract):
    server, use, gateway = Hypercorn, "hypercorn", "asgi"


class TestUvicorn(ServingContract):
    server, use, gateway = Uvicorn, "uvicorn", "asgi"


class TestWaitress(ServingContract):
    server, use, gateway = Waitress, "waitress", "wsgi"
