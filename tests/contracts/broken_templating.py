"""For each clause of the templating contract a component that breaks just that one.

The name keeps this file out of a normal run. A test runs it, and sees clause T7 fail in `TestT7`.
Some break the clauses that rest on theirs, too.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from kit_jinja2.templating import Jinja2Options, Jinja2Templating
from werkzeug.exceptions import HTTPException

from kit.contracts.templating import TemplatingContract
from kit.errors import KitError, TemplateError

SOURCES = Path(__file__).parent / "templates" / "jinja2"
Values = Mapping[str, Any]


class Broken(TemplatingContract):
    sources = {file.name: file.read_text("utf-8") for file in SOURCES.iterdir()}
    Engine: type[Jinja2Templating] = Jinja2Templating

    def make(self, folder, reload, template_globals, template_filters):
        options = Jinja2Options(folder=folder, reload=reload)
        return self.Engine(options, template_globals, template_filters)


def unescaping(*names: str) -> type[Jinja2Templating]:
    """An engine that forgets to escape in some templates."""

    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            text = super().render(name, values, block)
            return html.unescape(text) if name in names else text

    return Engine


def changing(change: Callable[[Any], Any]) -> type[Jinja2Templating]:
    """An engine that changes values before it shows them."""

    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            values = {key: change(value) for key, value in values.items()}
            return super().render(name, values, block)

    return Engine


class Handling(Broken):
    """A component that does something of its own with errors."""

    def handle(self, error: TemplateError, name: str) -> str:
        raise NotImplementedError

    def make(self, folder, reload, template_globals, template_filters):
        handle = self.handle

        class Engine(Jinja2Templating):
            def render(self, name: str, values: Values, block: str | None = None) -> str:
                try:
                    return super().render(name, values, block)
                except TemplateError as error:
                    return handle(error, name)

        self.Engine = Engine
        return super().make(folder, reload, template_globals, template_filters)


class TestT1(Broken):
    Engine = unescaping("value.txt")


class TestT2(Broken):
    Engine = unescaping("quoted.html")


class TestT3(Broken):
    class Engine(Jinja2Templating):
        def render_string(self, source: str, values: Values) -> str:
            return html.unescape(super().render_string(source, values))


class TestT4(Broken):
    Engine = unescaping("loop.html")


class TestT5(Broken):
    Engine = unescaping("include.html")


class TestT6(Broken):
    Engine = unescaping("child.html")


class TestT7(Broken):
    Engine = unescaping("helper.html")


class TestT8(Broken):
    Engine = unescaping("content.html")


class TestT9(Broken):
    Engine = unescaping("filter.html")


class TestT10(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            text = super().render(name, values, block)
            return html.unescape(text) if block else text


class TestT11(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            return super().render(name, values)


class TestT12(Broken):
    Engine = changing(lambda value: str(value) if hasattr(value, "__html__") else value)


class TestT13(Broken):
    Engine = changing(lambda value: html.unescape(value) if value == "&lt; &#34; &amp;" else value)


class TestT14(Broken):
    Engine = changing(lambda value: "" if value is None else value)


class TestT15(Broken):
    def make(self, folder, reload, template_globals, template_filters):
        return super().make(folder, reload, dict.fromkeys(template_globals, ""), template_filters)


class TestT16(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            self.environment.globals.update(values)
            return super().render(name, values, block)


class TestT17(Broken):
    class Engine(Jinja2Templating):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.environment.undefined = jinja2.Undefined


class TestT18(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        if "has no attribute" in str(error):
            return ""
        raise error


class TestT19(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        raise error.__cause__ if isinstance(error.__cause__, jinja2.TemplateNotFound) else error


class TestT20(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        if "no block" in str(error):
            return ""
        raise error


class TestT21(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        raise error.__cause__ if isinstance(error.__cause__, UnicodeError) else error


class TestT22(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        if isinstance(error.__cause__, ZeroDivisionError):
            raise TemplateError(str(error), error.template, error.line) from None
        raise error


class TestT23(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        raise TemplateError(str(error), name, error.line) from error.__cause__


class TestT24(Handling):
    def handle(self, error: TemplateError, name: str) -> str:
        line = error.line and error.line + 1
        raise TemplateError(str(error), error.template, line) from error.__cause__


class TestT25(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            try:
                return super().render(name, values, block)
            except TemplateError:
                raise
            except (KitError, HTTPException) as error:
                raise TemplateError(str(error), name) from error


class TestT26(Broken):
    class Engine(Jinja2Templating):
        def __init__(self, options: Jinja2Options, *arguments: Any) -> None:
            super().__init__(options, *arguments)

            def load(name: str) -> tuple[str, str, Callable[[], bool]]:
                file = options.folder / name
                return file.read_text("utf-8"), str(file), lambda: False

            self.environment.loader = jinja2.FunctionLoader(load)


class TestT27(Broken):
    def make(self, folder, reload, template_globals, template_filters):
        return super().make(folder, True, template_globals, template_filters)


class TestT28(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            self.environment.auto_reload = name != "value.html"
            return super().render(name, values, block)


class TestT29(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            self.environment.auto_reload = name == "value.html"
            return super().render(name, values, block)


class TestT30(Broken):
    class Engine(Jinja2Templating):
        def render(self, name: str, values: Values, block: str | None = None) -> str:
            self.values = values
            time.sleep(0.001)
            return super().render(name, self.values, block)


class TestT31(Broken):
    def make(self, folder, reload, template_globals, template_filters):
        folder.mkdir(exist_ok=True)
        return super().make(folder, reload, template_globals, template_filters)
