"""The application for production servers: ``gunicorn kit.wsgi:application``.

It is the one that ``[app] import`` names in the ``kit.toml`` of the current folder, or in the file
that `KIT_CONFIG` names. It is started here, and stopped when the process ends.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from kit.app import App
from kit.cli.output import print_problems
from kit.cli.project import Project
from kit.errors import ConfigError


def load() -> App:
    """Return the application, started; mistakes are printed, and end the process.

    Its exit code is 3, by which a worker of gunicorn says that it cannot boot: the master then
    ends as well. After any other it would start workers for ever.
    """
    try:
        app = Project(Path(os.environ.get("KIT_CONFIG", "kit.toml"))).started()
    except ConfigError as error:
        print_problems(error, traceback=bool(os.environ.get("KIT_TRACEBACK")))
        sys.exit(3)
    atexit.register(app.stop)
    return app


application = load()
