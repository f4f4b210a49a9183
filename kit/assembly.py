"""Assembly: from a configuration and plug-ins to a checked, frozen stack."""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from kit.components import Component, Slot
from kit.compression import ResponsesOptions
from kit.config import Config, Setting
from kit.errors import ConfigError, Problem, listing, nearest
from kit.options import Secret, Size
from kit.plugins import Plugins, installed, load_entry, load_object
from kit.reader import Reader, Value, kind_of
from kit.security.options import CorsOptions, SecurityOptions
from kit.slots import SHIPPED
from kit.waiting import THREADS

_BODY = Size(2_500_000)
_FIELD = Size(500_000)
_PART_HEADERS = Size(8_000)
_MESSAGE = Size(1 << 20)


@dataclass(frozen=True, kw_only=True)
class AppOptions:
    """The table ``[app]``: `import_` is what ``kit run`` serves, as ``module:name``.

    `secret_key` signs what goes through the client; what one of `secret_key_fallbacks` has signed
    is still taken, so that a key can be changed. `plugins` names further plug-ins: installed
    ones, or ``module`` and ``module:name`` from the application's own code. With `debug`
    unexpected errors are raised again, for a debugger: never on a server that others can reach.
    At most `threads` plain handlers run at a time in one process.
    """

    import_: str = ""
    secret_key: Secret | None = None
    secret_key_fallbacks: list[Secret] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    debug: bool = False
    threads: int = THREADS

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError("threads is at least 1")
        if self.secret_key is None and self.secret_key_fallbacks:
            raise ValueError("secret_key_fallbacks are old keys, and there is no secret_key")
        for name, key in [
            ("secret_key", self.secret_key),
            *(("secret_key_fallbacks", key) for key in self.secret_key_fallbacks),
        ]:
            if key is not None and len(key) < 32:
                raise ValueError(
                    f"{name} is shorter than 32 characters; make one with:"
                    ' python -c "import secrets; print(secrets.token_urlsafe(32))"'
                )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The table ``[limits]``: what a request may bring; more is answered with 413.

    `body` is the size of a whole body, `field` of one text field of a form, `fields` the number of
    fields, `files` that of files, `part_headers` the size of the headers of one part of a multipart
    form, `query` the number of values in the query. All text of one form is at most 2.5 MB, or
    `field` if that is more, and a name in it 255 characters. `message` is the size of one message
    of a WebSocket, which is closed with 1009 for more.
    """

    body: Size = _BODY
    field: Size = _FIELD
    fields: int = 1000
    files: int = 100
    part_headers: Size = _PART_HEADERS
    query: int = 1000
    message: Size = _MESSAGE

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} = {value!r}: it is a whole number, not negative")


@dataclass(frozen=True, kw_only=True)
class MatrixOptions:
    """The table ``[matrix]``: what ``kit matrix`` does not try.

    `without` names a component (``"templating.mako"``), a gateway (``"gateway.wsgi"``), or several
    that do not go together (``"persistence.peewee + gateway.asgi"``), each with the reason why.
    """

    without: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Filling:
    """A slot with the component that fills it: its imported factory and its checked options."""

    slot: Slot
    component: Component
    factory: Any
    options: Any
    where: str

    @property
    def key(self) -> str:
        """The name of the filling: its slot, and the component where there may be many."""
        return f"{self.slot.name}.{self.component.name}" if self.slot.many else self.slot.name


@dataclass(frozen=True)
class Stack:
    """What a configuration picked, checked and frozen: `values` are all options with origin.

    `tables` are the options of the kernel by table; `fillings` are by key: by slot, and
    ``slot.component`` where a slot takes many.
    """

    tables: dict[str, Any]
    slots: dict[str, Slot]
    fillings: dict[str, Filling]
    plugins: Plugins
    values: tuple[Value, ...]

    @property
    def app(self) -> AppOptions:
        """The options of the table ``[app]``."""
        options: AppOptions = self.tables["app"]
        return options

    @property
    def limits(self) -> Limits:
        """The options of the table ``[limits]``."""
        limits: Limits = self.tables["limits"]
        return limits

    def filling(self, slot: str) -> list[Filling]:
        """Return what fills a slot, in the order of the configuration; empty if nothing does."""
        return [one for one in self.fillings.values() if one.slot.name == slot]


def assemble(config: Config, plugins: Iterable[tuple[str, Any]] = ()) -> Stack:
    """Check a configuration whole and return its stack; raise one ConfigError with all problems."""
    return _Assembly(config).run(list(plugins))


KERNEL_TABLES: dict[str, type] = {
    "app": AppOptions,
    "limits": Limits,
    "security": SecurityOptions,
    "cors": CorsOptions,
    "responses": ResponsesOptions,
    "matrix": MatrixOptions,
}


class _Assembly:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.reader = Reader(config)
        self.problems = self.reader.problems
        self.entries = installed()
        self.slots: dict[str, Slot] = {}
        self.components: dict[tuple[str, str], Component] = {}
        self.failed: set[str] = set()

    def run(self, given: list[tuple[str, Any]]) -> Stack:
        tables = {name: self._kernel_table(name) or cls() for name, cls in KERNEL_TABLES.items()}
        try:
            plugins = self._plugins([*SHIPPED, *given], tables["app"].plugins)
        except ConfigError as error:
            raise ConfigError(in_order([*self.problems, *error.problems])) from error
        self._declarations(plugins)
        for name in self.config.tables():
            self._check_table(name)
        self._check_variables()
        fillings = [filling for slot in self.slots.values() for filling in self._fill(slot)]
        if self.problems:
            raise ConfigError(in_order(self.problems))
        by_key = {filling.key: filling for filling in fillings}
        values = {value.keys: value for value in self.reader.values}
        return Stack(tables, self.slots, by_key, plugins, tuple(values.values()))

    def _kernel_table(self, name: str) -> Any:
        cls = KERNEL_TABLES[name]
        known = [option.name.rstrip("_") for option in fields(cls)]
        for rest, setting in self.config.below(name):
            if rest and rest[0] not in known:
                self.reader.unknown((name, rest[0]), setting.where, known)
        return self.reader.options(cls, [(name,)], {f.name: (name,) for f in fields(cls)})

    def _plugins(self, named: list[tuple[str, Any]], listed: list[str]) -> Plugins:
        """Import what the config names: its plug-ins, and those of the components it uses."""
        found = dict(named)
        setting = self.config.get("app", "plugins")
        for name in listed:
            where = setting.where if setting else ""
            if name in self.entries:
                self._load_entry(found, name, name, where)
            else:
                self._load_own(found, name, where)
        for table in self.config.tables():
            if use := self.config.get(table, "use"):
                for name in names_in(use):
                    self._load_component(found, f"{table}.{name}", use.where)
        for slot in [one for plugin in [*found.values()] for one in _slots_of(plugin)]:
            if self.config.get(slot.name, "use") is None:
                for name in slot.defaults:
                    self._load_component(found, f"{slot.name}.{name}", "")
        return Plugins(found.items())

    def _load_component(self, found: dict[str, Any], entry: str, where: str) -> None:
        if entry in self.entries:
            self._load_entry(found, self.entries[entry].value, entry, where)

    def _load_entry(self, found: dict[str, Any], name: str, entry: str, where: str) -> None:
        try:
            plugin = load_entry(self.entries[entry], where)
        except ConfigError as error:
            self.problems.extend(error.problems)
            self.failed.add(entry)
        else:
            if not any(plugin is other for other in found.values()):
                found[name] = plugin

    def _load_own(self, found: dict[str, Any], name: str, where: str) -> None:
        try:
            plugin = load_object(name)
        except Exception as error:
            names = [entry for entry in self.entries if "." not in entry]
            self._problem(
                where,
                f"[app] plugins: {name!r} is no installed plug-in.{nearest(name, names)}"
                f" As a module it cannot be imported: {type(error).__name__}: {error}",
                f"Installed plug-ins: {listing(names)}; or name a module of the application.",
                error,
            )
        else:
            if not any(plugin is other for other in found.values()):
                found[name] = plugin

    def _declarations(self, plugins: Plugins) -> None:
        places: dict[str, str] = {}
        for plugin, slots in plugins.each("kit_slots"):
            for slot in slots:
                if slot.name in self.slots:
                    other = places[slot.name]
                    self._problem(
                        "",
                        f"plug-ins {other!r} and {plugin!r} both declare slot {slot.name!r}.",
                        "Take one of them out.",
                    )
                self.slots[slot.name], places[slot.name] = slot, plugin
        for plugin, components in plugins.each("kit_components"):
            for component in components:
                key = (component.slot, component.name)
                label = f"{component.name!r} for slot {component.slot!r}"
                if key in self.components:
                    self._problem(
                        "",
                        f"plug-ins {places[label]!r} and {plugin!r} both give {label}.",
                        "Take one of them out.",
                    )
                self.components[key], places[label] = component, plugin

    def _check_table(self, name: str) -> None:
        allowed = [*KERNEL_TABLES, *self.slots]
        stray = self.config.get(name)
        if stray is not None and stray.value != {}:
            if name in allowed:
                wrong = f"is {kind_of(stray.value)}, not a table."
                mend = f"Write a line [{name}], and its keys below that."
            else:
                wrong = f"stands outside of a table.{nearest(name, allowed)}"
                mend = f"Put it below one of: {listing(f'[{table}]' for table in allowed)}."
            self._problem(stray.where, f"{name!r} {wrong}", mend)
        elif name not in allowed:
            where = next(setting.where for _, setting in self.config.below(name))
            self.reader.unknown((name,), where, allowed, "table")

    def _check_variables(self) -> None:
        """Report variables that were meant to set something, and do not."""
        kernel = [(table, f"KIT_{table.upper()}_") for table in KERNEL_TABLES]
        tables = [(table, f"KIT_{table.upper().replace('-', '_')}_") for table in self.slots]
        for name in os.environ:
            for table, beginning in [*kernel, *tables]:
                if name.startswith(beginning) and "__" not in name:
                    key = name.removeprefix(beginning)
                    what = f"sets nothing: two underscores stand between [{table}] and its key."
                    mend = f"Call it {beginning}_{key}, or unset it."
                    self._problem(f"environment variable {name}", what, mend)

    def _fill(self, slot: Slot) -> list[Filling]:
        use = self.config.get(slot.name, "use")
        if use is None:
            below = self.config.below(slot.name)
            stray = next((one for one in below if one[0] or one[1].value == {}), None)
            if slot.default is None and (stray or slot.required):
                where = stray[1].where if stray else self.config.name
                names = listing(self._names(slot))
                example = '["..."]' if slot.many else '"..."'
                self._problem(
                    where,
                    f"[{slot.name}] does not say which component to use.",
                    f"Add: use = {example} with one of: {names}.",
                )
            if slot.default is None:
                return []
            use = Setting(list(slot.defaults) if slot.many else slot.default, "default")
        uses = [replace(use, value=name) for name in names_in(use)] if slot.many else [use]
        components = [self._component(slot, one) for one in uses]
        in_use = [one.name for one in components if one]
        if not uses or len({*in_use}) < len(in_use):
            what = f"[{slot.name}] use = {use.value!r} names {'one twice' if uses else 'nothing'}."
            self._problem(use.where, what, "List each component that is to be used, once.")
            return []
        self._check_keys(slot, [one for one in components if one])
        fillings = []
        for component, one in zip(components, uses, strict=True):
            factory = component and self._factory(component, one)
            if component is not None and factory is not None:
                options = self._options(slot, component, factory)
                fillings.append(Filling(slot, component, factory, options, use.where))
        return fillings

    def _names(self, slot: Slot) -> list[str]:
        """The names of all components for a slot: installed ones and those of loaded plug-ins."""
        listed = [e.partition(".")[2] for e in self.entries if e.startswith(f"{slot.name}.")]
        return [*listed, *(name for of, name in self.components if of == slot.name)]

    def _component(self, slot: Slot, use: Setting) -> Component | None:
        name = use.value
        if isinstance(name, str) and (slot.name, name) in self.components:
            return self.components[slot.name, name]
        if isinstance(name, str) and f"{slot.name}.{name}" in self.failed:
            return None  # its plug-in failed on import, which is reported
        if isinstance(name, str) and ":" in name:
            return self._own_component(slot, use)
        entries = [entry.split(".", 1) for entry in self.entries if "." in entry]
        others = [of for of, given in [*entries, *self.components] if given == name]
        known = self._names(slot)
        wrong = f"no component of that name.{nearest(str(name), known)}"
        if slot.name in others:
            entry = self.entries[f"{slot.name}.{name}"]
            wrong = f"its plug-in {entry.value!r} gives no such component."
        elif others:
            wrong = f"it fills the slot {others[0]!r}."
        self._problem(
            use.where,
            f"[{slot.name}] use = {name!r}: {wrong}",
            f'Allowed: {listing(set(known))}, or "module:name" from the application.',
        )
        return None

    def _own_component(self, slot: Slot, use: Setting) -> Component | None:
        """Take a component from the application's own code: a factory, or a Component."""
        try:
            found = load_object(use.value)
        except Exception as error:
            self._problem(
                use.where,
                f"[{slot.name}] use = {use.value!r} cannot be imported:"
                f" {type(error).__name__}: {error}",
                "It is looked for where Python was started and, by the command kit, in"
                f" {self.config.folder}.",
                error,
            )
            return None
        if not isinstance(found, Component):
            name = use.value.partition(":")[2]
            found = Component(slot=slot.name, name=name, factory=found)
        if found.slot != slot.name:
            self._problem(
                use.where,
                f"[{slot.name}] use = {use.value!r}: it fills the slot {found.slot!r}.",
                f"Move it to [{found.slot}].",
            )
            return None
        return found

    def _factory(self, component: Component, use: Setting) -> Any:
        if not isinstance(component.factory, str):
            return component.factory
        try:
            return load_object(component.factory)
        except Exception as error:
            label = f"[{component.slot}] use = {component.name!r}"
            wrong = f"cannot be imported: {type(error).__name__}: {error}"
            if isinstance(error, ImportError) and component.version() is None:
                wrong = f"the library {component.library!r} is not installed."
            pip = component.install or component.library
            self._problem(
                use.where, f"{label}: {wrong}", f'pip install "{pip}"' if pip else "", error
            )
            return None

    def _options(self, slot: Slot, component: Component, factory: Any) -> Any:
        cls = _options_class(slot, factory)
        shared = [option.name for option in fields(slot.options)]
        own_table = (slot.name, component.name)
        own = [option.name for option in fields(cls)]
        places: dict[str, tuple[str, ...]] = dict.fromkeys(own, own_table)
        for name in shared:  # what the component's own table says wins over the slot's table
            if not any(self.config.below(*own_table, name)):
                places[name] = (slot.name,)
        for rest, setting in self.config.below(*own_table):
            if rest and rest[0] not in own:
                self.reader.unknown((*own_table, rest[0]), setting.where, own)
        return self.reader.options(cls, [(slot.name,), own_table], places)

    def _check_keys(self, slot: Slot, in_use: list[Component]) -> None:
        """Report keys and tables of a slot that nothing reads, whatever component is in use."""
        shared = [option.name for option in fields(slot.options)]
        components = {*self._names(slot), *(one.name for one in in_use)}
        for rest, setting in self.config.below(slot.name):
            if not rest or (len(rest) > 1 and not self._looks_known(rest[0], components)):
                continue  # no table, which is reported; or a component of the application's own
            if rest[0] in components and len(rest) > 1:
                continue  # read by that component, or kept for it
            if rest[0] not in shared and rest != ("use",):
                kind = "component" if len(rest) > 1 else "key"
                allowed = [*components] if len(rest) > 1 else ["use", *shared]
                self.reader.unknown((slot.name, rest[0]), setting.where, allowed, kind)

    @staticmethod
    def _looks_known(name: str, components: set[str]) -> bool:
        return name in components or bool(nearest(name, components))

    def _problem(
        self, where: str, what: str, mend: str = "", cause: BaseException | None = None
    ) -> None:
        self.problems.append(Problem(where, what, mend, cause))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems by file and line; those of one place stay as they are."""

    def key(problem: Problem) -> tuple[str, int]:
        file, _, line = problem.where.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (problem.where, 0)

    return sorted(problems, key=key)


def _options_class(slot: Slot, factory: Any) -> Any:
    hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    return hints.get("options", slot.options)


def names_in(use: Setting) -> list[str]:
    """Return the names of components in ``use``: one, a list, or text from the environment."""
    if isinstance(use.value, list):
        return use.value
    if isinstance(use.value, str) and use.from_environment:
        return [name.strip() for name in use.value.split(",") if name.strip()]
    return [use.value]


def _slots_of(plugin: Any) -> Iterable[Slot]:
    declare = getattr(plugin, "kit_slots", None)
    return declare() if declare else ()
