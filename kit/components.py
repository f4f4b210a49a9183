"""Slots and components: the two kinds of data that a plug-in declares.

A slot is a job in the stack with an interface; a component is what fills it. Both are plain data,
so that they can be listed, checked and documented without importing the libraries behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A job in the stack, declared by a plug-in's ``kit_slots`` hook.

    `name` is its table in ``kit.toml`` and the name of the application-scoped provider that holds
    the component. `protocol` is the interface that a component has. `options` is a frozen
    dataclass of the portable options. `providers` are provider functions that the slot adds for
    handlers once it is filled. `default` names the component used where the config names none; a
    slot without default stays empty, which is an error at start if it is `required`. `contract`
    points to the tests of its components as ``module:Class``. `asks` are names that its providers
    need of the application, each with a sentence on what to give.

    A slot `waits` if its components do: for a database or another server, say. Where some of them
    have to be awaited, `plain` makes of such a component the one that plain code uses, with the
    attribute ``awaited = True``, and returns any other as it is.

    A slot for `many` takes a list of components (``use = ["json", "html"]``, and `default` is a
    tuple): its provider holds a dict of them by name, in that order.
    """

    name: str
    protocol: type
    options: type
    providers: tuple[Callable[..., Any], ...] = ()
    default: str | tuple[str, ...] | None = None
    required: bool = False
    many: bool = False
    waits: bool = False
    plain: Callable[[Any], Any] | None = None
    asks: Mapping[str, str] = field(default_factory=dict)
    contract: str = ""

    @property
    def defaults(self) -> tuple[str, ...]:
        """The names of the components used where the config names none."""
        return (self.default,) if isinstance(self.default, str) else self.default or ()


@dataclass(frozen=True, kw_only=True)
class Component:
    """What fills a slot, declared by a plug-in's ``kit_components`` hook.

    `factory` is a class or function, or ``"module:name"`` of one, which is imported only when the
    component is chosen. It is called once, at start, and names what it needs like any provider:
    ``options`` is an instance of the class that this parameter is annotated with (a subclass of
    the slot's options class; the fields that it adds are the component's own table in
    ``kit.toml``), other names are application-scoped providers such as ``secret_key``.
    A component with a ``close`` method is closed when the application stops.
    `library` is the distribution that it wraps, `install` what pip is to be given for it.
    """

    slot: str
    name: str
    factory: str | Callable[..., Any]
    library: str = ""
    install: str = ""

    def version(self) -> str | None:
        """Return the installed version of the library, or None where it is missing."""
        try:
            return metadata.version(self.library) if self.library else ""
        except metadata.PackageNotFoundError:
            return None
