"""Jinja2 as a component of the slot templating."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateSyntaxError

from kit.errors import TemplateError
from kit.slots.templating import ANSWERS, STRING, Filters, Globals, TemplatingOptions


@dataclass(frozen=True, kw_only=True)
class Jinja2Options(TemplatingOptions):
    """Options of Jinja2.

    `extensions` are import paths such as ``jinja2.ext.do``. `trim_blocks` drops the line break
    after a block tag, `lstrip_blocks` the white space before it.
    """

    extensions: list[str] = field(default_factory=list)
    trim_blocks: bool = False
    lstrip_blocks: bool = False


class Jinja2Templating:
    """Render templates with Jinja2; `environment` is the native handle.

    A block that is rendered alone sees the values and globals, and what is defined or imported
    inside it: Jinja2 runs nothing of the template around it.
    """

    def __init__(
        self, options: Jinja2Options, template_globals: Globals, template_filters: Filters
    ) -> None:
        self.environment = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            loader=FileSystemLoader(options.folder),
            auto_reload=options.reload,
            cache_size=-1,
            extensions=options.extensions,
            trim_blocks=options.trim_blocks,
            lstrip_blocks=options.lstrip_blocks,
        )
        self.environment.globals.update(template_globals)
        self.environment.filters.update(template_filters)
        self._folder = options.folder
        self._from_string = lru_cache(self.environment.from_string)

    def render(self, name: str, values: Mapping[str, object], block: str | None = None) -> str:
        """Return the template file `name`, or only one `block` of it, filled with `values`."""
        return self._render(self.environment.get_template, name, name, values, block)

    def render_string(self, source: str, values: Mapping[str, object]) -> str:
        """Return the template text `source`, filled with `values`."""
        return self._render(self._from_string, source, STRING, values)

    def _render(
        self,
        load: Callable[[str], Template],
        source: str,
        name: str,
        values: Mapping[str, object],
        block: str | None = None,
    ) -> str:
        try:
            template = load(source)
            if block is None:
                return template.render(values)
            return self._render_block(template, name, values, block)
        except ANSWERS:
            raise
        except Exception as error:
            raise self._located(error, name) from error

    def _render_block(
        self, template: Template, name: str, values: Mapping[str, object], block: str
    ) -> str:
        if block not in template.blocks:
            raise TemplateError(f"there is no block {block!r}", name)
        try:
            return "".join(template.blocks[block](template.new_context(dict(values))))
        except Exception:
            self.environment.handle_exception()

    def _located(self, error: Exception, name: str) -> TemplateError:
        if isinstance(error, TemplateSyntaxError):
            return TemplateError(error.message or "malformed", error.name or name, error.lineno)
        line = None
        for frame, number in traceback.walk_tb(error.__traceback__):
            # Jinja2 puts frames that stand for lines of a template into the traceback.
            if "__jinja_exception__" in frame.f_globals:
                file, line = frame.f_code.co_filename, number
                name = STRING if file == "<template>" else os.path.relpath(file, self._folder)
        return TemplateError(f"{type(error).__name__}: {error}", name, line)
