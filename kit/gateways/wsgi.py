"""The WSGI gateway (PEP 3333)."""

from __future__ import annotations

from collections.abc import Iterable

from kit.answers import Environ, Stream
from kit.gateways import WSGI, Gateway, StartResponse
from kit.gateways.performing import perform_plain
from kit.requests import FILES
from kit.waiting import drive


def make_wsgi(gateway: Gateway) -> WSGI:
    """Make the WSGI callable of a started application."""
    before, events, is_bare = gateway.before, gateway.events, gateway.is_bare
    find, finished = gateway.find, gateway.finished

    def wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            if events:
                events.started(environ)
            for look in before:
                look(environ)
            plan, values = find(environ)
            answer = plan.answer(environ, values)
            if type(answer[2]) is Stream:
                answer[2].begin()
        except Exception as error:
            answer = drive(gateway.failed(environ, error, perform_plain))
        if not is_bare or FILES in environ or environ["wsgi.url_scheme"] == "https":
            answer = drive(finished(environ, answer, perform_plain))
        line, headers, body = answer
        if events:
            events.finished(environ, int(line[:3]))
        start_response(line, headers)
        return body

    return wsgi
