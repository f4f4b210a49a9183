"""Answers in the form in which ASGI sends them: text and data, for plans that are quick.

The headers of such an answer are the same each time but for the length, so that they are encoded
once. What is not plain text or data takes the usual way.
"""

from __future__ import annotations

from typing import Any

from kit.answers import Answers, Environ, Header

Encoded = list[tuple[bytes, bytes]]


def encoded(header: Header) -> tuple[bytes, bytes]:
    """Return a header as ASGI has it."""
    name, value = header
    return name.lower().encode("latin-1"), value.encode("latin-1")


class Ready:
    """Makes headers and body of an answer with 200, in one go."""

    def __init__(self, answers: Answers) -> None:
        self._text = [encoded(one) for one in answers.page_headers]
        self._common = [encoded(one) for one in answers.headers]
        self._made = answers.made
        self._of_data: dict[Header, Encoded] = {}

    def make(self, environ: Environ, result: Any) -> tuple[Encoded, bytes] | None:
        """Return headers and body for what a handler returned; None for the usual way."""
        if type(result) is str:
            body = result.encode()
            return [*self._text, (b"content-length", b"%d" % len(body))], body
        if type(result) is dict or type(result) is list:
            line, headers, made = self._made(environ, result)
            if line == "200 OK" and len(headers) == 1 and type(made) is bytes:
                known = self._of_data.get(headers[0])
                if known is None:
                    known = self._of_data[headers[0]] = [*self._common, encoded(headers[0])]
                return [*known, (b"content-length", b"%d" % len(made))], made
        return None
