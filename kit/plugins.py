"""Plug-ins: found by entry point, imported one by one, always named, checked, and ordered.

The entry-point group is ``kit``. An entry point named ``slot.component`` gives a component for a
slot and is imported when the config picks that component; any other name is a plug-in that the
config lists in ``[app] plugins``. Nothing else is imported.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pluggy

from kit import hookspecs
from kit.errors import ConfigError, Problem, listing, nearest

GROUP = "kit"
hookimpl = pluggy.HookimplMarker("kit")


def installed() -> dict[str, metadata.EntryPoint]:
    """Return the entry points of all installed plug-ins by name, without importing any."""
    found: dict[str, metadata.EntryPoint] = {}
    for entry in metadata.entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ConfigError(
                [
                    Problem(
                        "",
                        f"two distributions give {entry.name!r}: {_distribution(other)}"
                        f" and {_distribution(entry)}.",
                        "Uninstall one of them.",
                    )
                ]
            )
    return found


def load_object(path: str) -> Any:
    """Import ``module:name`` (or a whole ``module``) and return the object.

    Raises ImportError or AttributeError as Python does, and whatever the module itself raises.
    """
    module, _, name = path.partition(":")
    target = importlib.import_module(module)
    if name and not hasattr(target, name):
        raise AttributeError(f"module {module!r} has no {name!r}.{nearest(name, vars(target))}")
    return getattr(target, name) if name else target


def load_entry(entry: metadata.EntryPoint, where: str) -> Any:
    """Import one plug-in; a failure names distribution, plug-in and cause."""
    try:
        return entry.load()
    except Exception as error:
        raise ConfigError(
            [
                Problem(
                    where,
                    f"plug-in {entry.name!r} of {_distribution(entry)} cannot be imported from"
                    f" {entry.value!r}: {type(error).__name__}: {error}",
                    "Reinstall or repair that distribution, or choose another component.",
                    error,
                )
            ]
        ) from error


def _distribution(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"


class Plugins:
    """The plug-ins of one application, on top of pluggy.

    `named` are (name, plug-in) pairs. The kernel's, which are modules of ``kit`` under their own
    names, are called first, so that at the start tables are there, and the others in the order of
    their names, except where a plug-in has an attribute ``kit_before`` or ``kit_after``: a tuple
    of names of plug-ins.
    """

    def __init__(self, named: Iterable[tuple[str, Any]]) -> None:
        self.manager = pluggy.PluginManager("kit")
        self.manager.add_hookspecs(hookspecs)
        plugins = dict(named)
        self._check(plugins)
        for name in reversed(_ordered(plugins)):  # pluggy calls the last registered first
            self.manager.register(plugins[name], name=name)
        self.manager.check_pending()
        self.hook: Any = self.manager.hook

    def _check(self, plugins: dict[str, Any]) -> None:
        specs = {
            name: list(inspect.signature(spec).parameters)
            for name, spec in vars(hookspecs).items()
            if name.startswith("kit_")
        }
        problems = []
        for name, plugin in plugins.items():
            if _is_kernels(name) and sys.modules.get(name) is not plugin:
                what = "names that begin with 'kit.' are for the plug-ins of the kernel."
                problems.append(Problem(f"plug-in {name!r}", what, "Give it another name."))
            for hook in dir(plugin):
                if self.manager.parse_hookimpl_opts(plugin, hook) is not None:
                    wrong = _wrong_hook(hook, getattr(plugin, hook), specs)
                    problems += [Problem(f"plug-in {name!r}", *one) for one in wrong]
        if problems:
            raise ConfigError(problems)

    def implemented(self, hook: str) -> bool:
        """Say whether any plug-in implements `hook`."""
        return bool(getattr(self.hook, hook).get_hookimpls())

    def each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Yield (plug-in name, result) of every implementation of `hook`, in order."""
        for implementation in reversed(getattr(self.hook, hook).get_hookimpls()):
            wanted = {name: arguments[name] for name in implementation.argnames}
            yield implementation.plugin_name, implementation.function(**wanted)


def _wrong_hook(name: str, function: Any, specs: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the name or the arguments of a hook, and how to mend it."""
    if name not in specs:
        what = f"implements {name!r}, which is no hook.{nearest(name, specs)}"
        yield what, f"Hooks are: {listing(specs)}."
        return
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in specs[name]:
            yield (
                f"{name} takes {parameter.name!r}, which is no argument of that hook."
                f"{nearest(parameter.name, specs[name])}",
                f"Arguments are: {listing(specs[name])}.",
            )


def _ordered(plugins: dict[str, Any]) -> Sequence[str]:
    """Sort names so that every ``kit_before`` and ``kit_after`` holds, else the kernel's first."""
    after: dict[str, set[str]] = {name: set() for name in plugins}
    for name, plugin in plugins.items():
        after[name].update(other for other in getattr(plugin, "kit_after", ()) if other in plugins)
        for other in getattr(plugin, "kit_before", ()):
            if other in plugins:
                after[other].add(name)
    order: list[str] = []
    while after:
        free = [name for name, others in after.items() if not others - set(order)]
        if not free:
            raise ConfigError(
                [
                    Problem(
                        "",
                        f"plug-ins {listing(after)} want to come before and after each other.",
                        "Take one of their `kit_before` or `kit_after` names away.",
                    )
                ]
            )
        first = min(free, key=lambda name: (not _is_kernels(name), name))
        order.append(first)
        del after[first]
    return order


def _is_kernels(name: str) -> bool:
    return name.startswith("kit.")


def plugin_of(**hooks: Any) -> SimpleNamespace:
    """Make a plug-in from functions given by hook name (for applications and tests)."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})
