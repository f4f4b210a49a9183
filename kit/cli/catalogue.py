"""The catalogue: every slot and component that is there to choose, whether in use or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kit.assembly import names_in
from kit.components import Component, Slot
from kit.config import Config
from kit.errors import ConfigError, Problem
from kit.plugins import Plugins, installed, load_entry, load_object
from kit.slots import SHIPPED


@dataclass
class Catalogue:
    """Slots by name, their components by name, what is in use, and which slots the config names.

    A plug-in that cannot be imported is one of the `problems`, and the rest is listed.
    """

    slots: dict[str, Slot] = field(default_factory=dict)
    components: dict[str, dict[str, Component]] = field(default_factory=dict)
    in_use: dict[str, tuple[str, ...]] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def each(self) -> Iterator[Component]:
        """Yield all components, by slot and by name."""
        for slot in self.slots:
            for _, component in sorted(self.components[slot].items()):
                yield component


def catalogue(config: Config) -> Catalogue:
    """List what is installed, what the plug-ins of `config` add, and what it takes itself."""
    found = Catalogue()
    plugins = Plugins(_plugins(config, found.problems).items())
    for _, slots in plugins.each("kit_slots"):
        found.slots.update({slot.name: slot for slot in slots})
    found.components = {slot: {} for slot in found.slots}
    for _, components in plugins.each("kit_components"):
        for component in components:
            if component.slot in found.slots:
                found.components[component.slot][component.name] = component
    for slot in found.slots.values():
        use = config.get(slot.name, "use")
        if use is not None or slot.default is not None:
            names = tuple(map(str, names_in(use))) if use else slot.defaults
            found.in_use[slot.name] = names
            found.named += [slot.name] if use else []
            for name in names:
                if ":" in name:
                    found.components[slot.name][name] = _own(slot.name, name)
    return found


def _plugins(config: Config, problems: list[Problem]) -> dict[str, Any]:
    """Import the plug-ins of all components, and those that the config lists."""
    found: dict[str, Any] = dict(SHIPPED)
    entries = installed()
    for name in [*(name for name in entries if "." in name), *_listed(config)]:
        try:
            if name in entries:
                found[entries[name].value] = load_entry(entries[name], name)
            else:
                found[name] = load_object(name)
        except ConfigError as error:
            problems.extend(error.problems)
        except Exception as error:
            what = f"plug-in {name!r} cannot be imported: {type(error).__name__}: {error}"
            problems.append(Problem("[app] plugins", what, "", error))
    return found


def _listed(config: Config) -> list[str]:
    setting = config.get("app", "plugins")
    if setting is None:
        return []
    names = setting.value.split(",") if isinstance(setting.value, str) else setting.value
    return [str(name).strip() for name in names]


def _own(slot: str, path: str) -> Component:
    """Describe a component of the application's own code under the name it is used by."""
    return Component(slot=slot, name=path, factory=path)


def pip_line(component: Component) -> str:
    """Return the command that installs the library of a component."""
    return f'pip install "{component.install or component.library}"'
