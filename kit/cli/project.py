"""The project that commands work on: a config file, and the application that it names."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from kit import config as configuration
from kit.app import App
from kit.assembly import Stack, assemble
from kit.config import Config, Setting
from kit.errors import ConfigError, Problem, listing, nearest
from kit.plugins import load_object
from kit.providers import place


class Project:
    """A config file, by its path, with what it leads to.

    Everything raises `kit.ConfigError` for mistakes, those inside the application's own modules
    included. The folder of the config file becomes the current folder and comes first in the
    path of imports.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._given = path

    @cached_property
    def config(self) -> Config:
        """The configuration, read but not checked."""
        config = configuration.load(self._given)
        os.chdir(config.folder)
        os.environ["KIT_CONFIG"] = str(self.path)
        if str(config.folder) not in sys.path:
            sys.path.insert(0, str(config.folder))
        return config

    def stack(self) -> Stack:
        """Return the checked stack: of the application, or of the file if it names none."""
        return self.app.stack if self.config.get("app", "import") else assemble(self.config)

    @cached_property
    def app(self) -> App:
        """The application that ``[app] import`` names, imported but not checked."""
        setting = self.config.get("app", "import")
        if setting is None:
            raise _mistake(
                self.path.name,
                "[app] lacks 'import', so there is no application to work with.",
                'Name it: import = "module:name".',
            )
        app = self._imported(setting)
        source = self._source(app)
        if source not in (None, self.path.resolve()):
            raise _mistake(
                setting.where,
                f"[app] import = {setting.value!r} is an application that reads {source},"
                " not this file.",
                'Let it choose: App(os.environ.get("KIT_CONFIG", "kit.toml")).',
            )
        return app

    @staticmethod
    def _source(app: App) -> Path | None:
        return (app.config.folder / app.config.name).resolve() if app.config.name else None

    def _imported(self, setting: Setting) -> App:
        module, _, name = str(setting.value).partition(":")
        label = f"[app] import = {setting.value!r}"
        if not module or not name:
            raise _mistake(setting.where, f"{label} is not of the form 'module:name'.")
        try:
            found = load_object(module)
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError([self._failed(error, module, label, setting.where)]) from error
        apps = [key for key, value in vars(found).items() if isinstance(value, App)]
        if not hasattr(found, name):
            what = f"{label}: {module} has no {name!r}.{nearest(name, apps)}"
            raise _mistake(setting.where, what, f"Applications in it: {listing(apps)}.")
        app = getattr(found, name)
        if not isinstance(app, App):
            what = f"{label} is of type {type(app).__name__}, and not a kit.App."
            raise _mistake(setting.where, what, f"Applications in {module}: {listing(apps)}.")
        return app

    def _failed(self, error: Exception, module: str, label: str, where: str) -> Problem:
        missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        if missing and f"{module}.".startswith(f"{missing}."):
            known = [path.stem for path in self.config.folder.iterdir() if _is_module(path)]
            what = f"{label}: there is no module {missing!r}.{nearest(missing, known)}"
            return Problem(where, what, f"It is looked for from {self.config.folder}.", error)
        return self._raised(error, f"It was raised by the import of {module!r} ({where}).")

    def _raised(self, error: Exception, mend: str) -> Problem:
        what = f"{type(error).__name__}: {_message(error)}"
        return Problem(_place(error, self.config.folder), what, mend, error)

    def started(self) -> App:
        """Return the application, started; what its start hooks raise is a mistake too."""
        mend = f"It was raised at the start of the application ({self.path.name})."
        return cast(App, self._tried(self.app.start, mend))

    def called(self, function: Callable[..., Any]) -> Any:
        """Start the application, and return what a function of it returns; see `App.call`."""
        app = self.started()
        mend = f"It was raised by {function.__name__} ({place(function)})."
        return self._tried(partial(app.call, function), mend)

    def _tried(self, function: Callable[[], Any], mend: str) -> Any:
        try:
            return function()
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError([self._raised(error, mend)]) from error


def _mistake(where: str, what: str, mend: str = "") -> ConfigError:
    return ConfigError([Problem(where, what, mend)])


def _message(error: Exception) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def _place(error: Exception, folder: Path) -> str:
    """Return where an error was raised: the innermost line of the application's own code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename, folder)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _short(frame.filename, folder) != frame.filename]
    last = (own or frames)[-1]
    return f"{_short(last.filename, folder)}:{last.lineno}"


def _short(file: str, folder: Path) -> str:
    """Return the name of a file of the application, relative to its folder; others unchanged."""
    path = Path(file)
    if path.is_relative_to(folder) and "site-packages" not in path.parts:
        return str(path.relative_to(folder))
    return file
