"""What small JSON APIs have in common, put together from Framekit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kit import App, Request


class API(App):
    """An application for programs: they follow no redirects, and get whole URLs."""

    def __init__(self, config: Any = "kit.toml") -> None:
        super().__init__(config)
        self.provider(link)

    def route(self, pattern: Any, methods: Iterable[str] = ("GET",), **options: Any) -> Any:
        """Declare a handler for a pattern, with a slash at the end of the URL and without one."""
        first = super().route(pattern, methods, **options)
        second = super().route(f"{pattern}/", methods, **options)
        return lambda handler: second(first(handler))


def link(app: API, request: Request) -> Callable[..., str]:
    """Return what builds the URL of a route, with scheme, host and port as the client sent them."""
    root = request.root_url.rstrip("/")
    return lambda name, **values: root + app.url_for(name, **values)
