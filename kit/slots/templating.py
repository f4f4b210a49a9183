"""Templating: render a named template or a string, always escaping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from kit.components import Slot
from kit.errors import KitError, TemplateError
from kit.plugins import hookimpl
from kit.providers import provider

Globals = Mapping[str, object]
"""Values that every template sees, by name."""

Filters = Mapping[str, Callable[[Any], object]]
"""Functions of one argument that every template can apply to a value, by name."""

ANSWERS = (KitError, HTTPException)
"""Exceptions that say themselves how to answer the request: rendering passes them on unchanged."""

STRING = "<string>"
"""What a `TemplateError` calls a template that came as a string."""


@dataclass(frozen=True, kw_only=True)
class TemplatingOptions:
    """Options that mean the same for every template engine.

    `folder` holds the templates, in UTF-8, and has to exist. `reload` looks for changed files at
    each rendering; without it a template is compiled once.
    """

    folder: Path = Path("templates")
    reload: bool = False

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise ValueError(f"there is no folder {self.folder}: make it, or set another one")


class Templating(Protocol):
    """A template engine that escapes every value, whatever the template is called.

    To write a component, take what you need in the factory: ``options`` (annotated with
    `TemplatingOptions`, or with a subclass that adds options of the engine), ``template_globals``
    (`Globals`) and ``template_filters`` (`Filters`). Build the engine there, once, and write the
    two methods. What all components promise:

    - Values are escaped in files, strings, blocks, includes, inherited templates, helpers and
      behind filters. A value with ``__html__`` (MarkupSafe's `Markup`) is markup, and passes. Only
      the template's own author can switch escaping off, by the engine's own means.
    - None is shown as ``None``. A name that is used but not given is an error.
    - Names are relative to the folder, written with ``/``, and never lead out of it.
    - What goes wrong is a `kit.errors.TemplateError` raised ``from`` the engine's exception, with
      the name and the line of the template where it happened. Exceptions of `ANSWERS`, raised by
      code that the template called, pass unchanged.
    - Any number of threads may render at the same time.

    `kit.contracts.templating.TemplatingContract` proves it, clause by clause. An engine that
    cannot do everything says so in ``lacks``.
    """

    def render(self, name: str, values: Mapping[str, object], block: str | None = None) -> str:
        """Return the template file `name`, or only one `block` of it, filled with `values`.

        A block is what the file itself calls so: a block of Jinja2, a block or def of Mako.
        """
        ...

    def render_string(self, source: str, values: Mapping[str, object]) -> str:
        """Return the template text `source`, filled with `values`, under the rules for files.

        `source` is code of the application: whoever writes it can run anything. Never build it
        from what users send, which belongs in `values`. There is no way to render their templates.
        """
        ...


def template_file(folder: Path, name: str) -> Path:
    """Return the file of the template `name`, for engines whose loader does not check names.

    Raises `TemplateError` where there is none, or where the name would lead out of the folder.
    """
    outside = {"", ".", ".."}.intersection(name.split("/")) or {"\\", "\0", ":"}.intersection(name)
    if outside or not (folder / name).is_file():
        raise TemplateError(f"there is no such template in {folder}", name)
    return folder / name


class Render(Protocol):
    """The ``render`` provider: ``render("show.html", contact=contact)``."""

    def __call__(self, name: str, /, *, block: str | None = None, **values: object) -> Markup:
        """Render the template `name`, or one `block` of it, with `values`; markup-safe."""
        ...


@provider(scope="app")
def render(templating: Templating) -> Render:
    """Render a template by name: ``render("show.html", contact=contact)``."""
    engine = templating.render

    def render(name: str, /, *, block: str | None = None, **values: object) -> Markup:
        return Markup(engine(name, values, block))  # noqa: S704 - the engine has escaped it

    return render


slot = Slot(
    name="templating",
    protocol=Templating,
    options=TemplatingOptions,
    providers=(render,),
    contract="kit.contracts.templating:TemplatingContract",
)


kit_after = ("kit.slots.routing",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``templating``."""
    return [slot]
