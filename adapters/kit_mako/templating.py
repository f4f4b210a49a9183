"""Mako as a component of the slot templating."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

# Mako ships no types and there are no stubs for it.
from mako import exceptions, parsetree  # type: ignore[import-untyped]
from mako.lexer import Lexer  # type: ignore[import-untyped]
from mako.lookup import TemplateLookup  # type: ignore[import-untyped]
from mako.template import ModuleInfo, Template  # type: ignore[import-untyped]

from kit.errors import TemplateError
from kit.slots.templating import ANSWERS, STRING, Filters, Globals, TemplatingOptions


class Expression(parsetree.Expression):  # type: ignore[misc]
    """``${value | filter}``: escape what the filter returns, unless the filters name ``n``.

    Mako would escape before the filters, which then see text instead of the value, and whose
    result would go out as it is. The class has this name because Mako visits nodes by it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        filters = self.escapes_code.args
        if "n" not in filters:
            self.escapes_code.args = ["n", *filters, "h"]


class EscapingLexer(Lexer):  # type: ignore[misc]
    """Mako's syntax with escaping behind filters, and none that a page switches off as a whole."""

    def append_node(self, nodecls: type, *args: Any, **kwargs: Any) -> None:
        """Add a node to the tree."""
        if nodecls is parsetree.Expression:
            nodecls = Expression
        elif nodecls is parsetree.Tag and "expression_filter" in args[1]:
            message = "expression_filter is not allowed: filter each expression"
            raise exceptions.CompileException(message, **self.exception_kwargs)
        super().append_node(nodecls, *args, **kwargs)


SETTINGS = {
    "lexer_cls": EscapingLexer,
    "default_filters": ["h"],  # for what a call with content returns
    "buffer_filters": ["Markup"],  # the output of a buffered def is escaped already
    "imports": ["from markupsafe import Markup"],
    "strict_undefined": True,
    "input_encoding": "utf-8",
}


class MakoTemplating:
    """Render templates with Mako; `lookup` is the native handle.

    Globals and filters are names like the values of a rendering, which hide them. Mako looks up
    all names of a template or def when that starts, so a missing one is an error even in a branch
    that is not taken; Python's builtins are never missing.
    """

    def __init__(
        self, options: TemplatingOptions, template_globals: Globals, template_filters: Filters
    ) -> None:
        self._shared = {**template_filters, **template_globals}
        self._folder = os.fspath(options.folder)
        self._reload = options.reload
        self._from_string = self._compile if options.reload else lru_cache(self._compile)
        self.lookup = self._new_lookup()

    def _new_lookup(self) -> TemplateLookup:
        return TemplateLookup([self._folder], filesystem_checks=False, **SETTINGS)

    def _fresh_lookup(self) -> TemplateLookup:
        # Mako's own check for changed files compares whole seconds and misses quick changes.
        return self._new_lookup() if self._reload else self.lookup

    def _compile(self, source: str) -> Template:
        return Template(source, uri=STRING, lookup=self._fresh_lookup(), **SETTINGS)  # noqa: S702 - escapes

    def render(self, name: str, values: Mapping[str, object], block: str | None = None) -> str:
        """Return the template file `name`, or only one `block` or def of it, filled."""
        return self._render(self._fresh_lookup().get_template, name, name, values, block)

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
            if block is not None:
                if not template.has_def(block):
                    raise TemplateError(f"there is no block {block!r}", name)
                template = template.get_def(block)
            text: str = template.render_unicode(**{**self._shared, **values})
            return text
        except ANSWERS:
            raise
        except Exception as error:
            raise self._located(error, name, source) from error

    def _located(self, error: Exception, name: str, source: str) -> TemplateError:
        if isinstance(error, exceptions.SyntaxException | exceptions.CompileException):
            file = os.path.relpath(error.filename, self._folder) if error.filename else STRING
            return TemplateError(POSITION.sub("", str(error)), file, error.lineno)
        message = f"{type(error).__name__}: {error}"
        frames = [
            (frame.f_globals, number)
            for frame, number in traceback.walk_tb(error.__traceback__)
            if "_template_uri" in frame.f_globals
        ]
        if not frames:
            return TemplateError(message, name)
        module, number = frames[-1]
        line = _line_of_undefined(module, error, source) or _line(module, number)
        return TemplateError(message, module["_template_uri"].lstrip("/"), line)


POSITION = re.compile(r"( in file '.*')? at line: \d+ char: \d+$", re.DOTALL)
UNDEFINED = re.compile(r"'(\w+)' is not defined")


def _line(module: Mapping[str, Any], number: int) -> int:
    """Return the line of the template for the line `number` of the module compiled from it."""
    code = module["__loader__"].get_source(module["__name__"])
    lines = ModuleInfo.get_module_source_metadata(code, full_line_map=True)["full_line_map"]
    return int(lines[number - 1])


def _line_of_undefined(module: Mapping[str, Any], error: Exception, source: str) -> int | None:
    """Return the first line that uses the name that Mako missed when the template started."""
    undefined = UNDEFINED.fullmatch(str(error))
    if not undefined or not isinstance(error, NameError):
        return None
    with suppress(OSError, ValueError, exceptions.MakoException):  # the file may have changed
        if file := module["_template_filename"]:
            source = Path(file).read_text("utf-8")
        return min(_uses(Lexer(source).parse(), undefined[1]))
    return None


def _uses(node: Any, name: str) -> Iterator[int]:
    """Yield the lines below `node` where `name` is used without being an argument."""
    for child in node.get_children():
        if name in getattr(child, "undeclared_identifiers", set)():
            yield child.lineno
        elif name not in getattr(child, "declared_identifiers", set)():
            yield from _uses(child, name)
