"""Around: code of the application that stands around every request, whatever answers it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kit.answers import Answer, Answers, Environ, Header, Stream, check_header
from kit.providers import is_async, place
from kit.requests import KEPT, Request
from kit.responses import Response
from kit.waiting import drive, in_thread, wait

Around = Callable[[Request, Callable[[], Any]], Any]
Inner = Callable[[], Awaitable[Answer]]
Failed = Callable[[Exception], Awaitable[Answer]]


def check_around(function: Any) -> None:
    """Raise TypeError for what cannot be called with a request and what proceeds."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"app.around takes a function of (request, proceed), and {place(function)} is none:"
            f" {error}"
        ) from error


class Layers:
    """The functions around every request, the outermost first; `awaits` if one is a coroutine's."""

    def __init__(self, functions: Iterable[Around], answers: Answers, limits: Any) -> None:
        self._layers = [(function, is_async(function)) for function in functions]
        self._answers = answers
        self._limits = limits
        self.awaits = any(awaits for _, awaits in self._layers)

    def __bool__(self) -> bool:
        return bool(self._layers)

    async def answer(
        self, environ: Environ, inner: Inner, failed: Failed, *, on_loop: bool
    ) -> Answer:
        """Return the answer of `inner` to a request, with all that the layers make of it.

        `failed` answers for an exception. Plain layers are called in a worker thread if this is
        awaited `on_loop`, and in place if it is driven.
        """
        line, headers, body = await self._answer(environ, inner, failed, on_loop, 0)
        if environ["REQUEST_METHOD"] == "HEAD":
            if isinstance(body, Stream):
                await body.end(GeneratorExit("HEAD has no body"))
            body = []
        return line, headers, body

    async def _answer(
        self, environ: Environ, inner: Inner, failed: Failed, on_loop: bool, depth: int
    ) -> Answer:
        if depth == len(self._layers):
            return await _settled(inner, failed, on_loop)
        function, awaits = self._layers[depth]
        passed: list[Stream] = []

        async def proceed() -> Response:
            line, headers, body = await self._answer(environ, inner, failed, on_loop, depth + 1)
            if isinstance(body, Stream):
                passed.append(body)
            return _Passed(line, headers, body)

        request = environ.get(KEPT)  # one for all, so that each may read the body
        if request is None:
            request = environ[KEPT] = Request(environ, self._limits)

        async def layered() -> Answer:
            if awaits:
                result = await function(request, proceed)
            elif on_loop:
                result = await in_thread(function, request, lambda: wait(proceed()))
            else:
                result = function(request, lambda: drive(proceed()))
            if isinstance(result, _Passed):
                return result.status, result.checked_headers(), _body(result)
            return self._answers.answer(environ, result)

        answer = await _settled(layered, failed, on_loop)
        for stream in passed:
            if stream is not answer[2]:
                await stream.end(GeneratorExit("another answer took its place"))
        return answer


async def _settled(inner: Inner, failed: Failed, on_loop: bool) -> Answer:
    """Return an answer whose first chunk is made, if it is a stream."""
    try:
        answer = await inner()
        if isinstance(stream := answer[2], Stream):
            await stream.start() if on_loop else stream.begin()
        return answer
    except Exception as error:
        return await failed(error)


class _Passed(Response):
    """An answer that was made already: it has its headers."""

    def __init__(self, line: str, headers: list[Header], body: Iterable[bytes]) -> None:
        super().__init__(status=line)
        self.headers[:] = headers
        self.response = body
        self._had = headers

    def checked_headers(self) -> list[Header]:
        """Return the headers; raise ValueError for a new one that cannot be sent."""
        headers = list(self.headers)
        if headers != self._had:
            for header in headers:
                if header not in self._had:
                    check_header(*header)
        return headers


def _body(response: Response) -> Iterable[bytes]:
    body = response.response
    return body if isinstance(body, (Stream, list)) else list(response.iter_encoded())
