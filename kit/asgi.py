"""The application for production servers by ASGI: ``uvicorn kit.asgi:application``.

It is the one that ``[app] import`` names in the ``kit.toml`` of the current folder, or in the file
that `KIT_CONFIG` names. It is checked here; the server starts and stops it by the lifespan
protocol, on its own event loop.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kit.cli.output import print_problems
from kit.cli.project import Project
from kit.errors import ConfigError
from kit.gateways.asgi import ASGI


def load() -> ASGI:
    """Return the ASGI callable; mistakes are printed, and end the process.

    Its exit code is 3, as in `kit.wsgi`.
    """
    try:
        app = Project(Path(os.environ.get("KIT_CONFIG", "kit.toml"))).app
        app.check()
        app.stop()  # what was made for the check; the lifespan starts it on the server's loop
    except ConfigError as error:
        print_problems(error, traceback=bool(os.environ.get("KIT_TRACEBACK")))
        sys.exit(3)
    return app.asgi


application = load()
