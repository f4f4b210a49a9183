"""Serving by waitress: one loop reads and writes, and threads do nothing but call handlers."""

from __future__ import annotations

import logging
import signal
import time
from typing import Any, ClassVar

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.server import BaseWSGIServer, create_server  # type: ignore[import-untyped]

from kit.slots.serving import Service, ServingOptions


class Waitress:
    """waitress: it takes a request in whole before a thread sees it."""

    lacks: ClassVar = {
        "asgi": "waitress serves by WSGI, without WebSockets",
        "ping": "waitress has no WebSockets",
    }

    def __init__(self, options: ServingOptions) -> None:
        self._options = options

    def serve(self, service: Service) -> None:
        """Run the loop of waitress until SIGTERM, and on until all answers are out."""
        options = self._options
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # one line per waiting request
        everything: dict[int, Any] = {}
        server = create_server(
            service.application,
            map=everything,
            sockets=list(service.listeners),
            threads=service.threads,
            backlog=options.backlog,
            connection_limit=options.connections + 2 * len(service.listeners),
            asyncore_use_poll=True,  # select knows no more than 1024 files
            channel_timeout=int(options.idle_timeout),
            cleanup_interval=max(1, int(options.idle_timeout / 4)),
            max_request_header_size=options.head,
            max_request_body_size=service.body,
            clear_untrusted_proxy_headers=False,
            ident="",
        )
        listening = [one for one in everything.values() if isinstance(one, BaseWSGIServer)]
        for one in listening:
            one.channel_class = _Channel
        is_ending = False

        def end(*args: Any) -> None:
            nonlocal is_ending
            is_ending = True
            for one in listening:
                one.pull_trigger()  # so that the loop takes notice at once

        def turn() -> None:
            wasyncore.loop(timeout=1, map=everything, use_poll=True, count=1)

        signal.signal(signal.SIGTERM, end)
        while not is_ending:
            turn()
        for one in listening:
            wasyncore.dispatcher.close(one)
        latest = time.monotonic() + options.grace
        while time.monotonic() < latest and any(map(_is_busy, everything.values())):
            turn()
        server.task_dispatcher.shutdown(timeout=max(latest - time.monotonic(), 1))


def _is_busy(one: Any) -> bool:
    """Say whether a connection has a request in hand, or an answer that is not out yet."""
    if not isinstance(one, HTTPChannel):
        return False
    coming = one.request is not None and one.request.headers_finished
    return bool(one.requests or coming or one.total_outbufs_len)


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Refuses a request that says in two ways how long it is."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length beside Transfer-Encoding")


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """Counts the time that all headers take, and not only that between two bytes of them."""

    parser_class = _Parser

    def handle_read(self) -> None:
        before = self.last_activity  # type: ignore[has-type]  # waitress has no types
        super().handle_read()
        if self.request is not None and not self.request.headers_finished:
            self.last_activity = before
