"""Around: code of the application that stands around every request, whatever answers it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from kit.answers import (
    BODILESS,
    Answer,
    Answers,
    Environ,
    Header,
    Stream,
    bodiless,
    check_header,
)
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
        proceeded = False

        async def proceed() -> Response:
            nonlocal proceeded
            if proceeded:
                raise RuntimeError(f"{place(function)} called proceed() twice")
            proceeded = True
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
                result = await _beside(function, request, proceed)
            else:
                result = function(request, lambda: drive(proceed()))
            if isinstance(result, _Passed):
                return result.answer()
            if result is None or inspect.isawaitable(result):
                raise TypeError(_no_answer(function, result))
            return self._answers.answer(environ, result)

        try:
            answer = await _settled(layered, failed, on_loop)
        except BaseException as error:  # cancelled, or raised again for a debugger
            for stream in passed:
                await stream.end(error)
            raise
        for stream in passed:
            await _replaced(stream, answer[2])
        return answer


async def _beside(
    function: Callable[..., Any], request: Request, proceed: Callable[[], Awaitable[Response]]
) -> Any:
    """Call a plain layer in a thread; what it waits for there is cancelled with it."""
    tasks: list[asyncio.Task[Any] | None] = []

    async def noted() -> Response:
        tasks.append(asyncio.current_task())
        return await proceed()

    calling = asyncio.ensure_future(in_thread(function, request, lambda: wait(noted())))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        for task in tasks:
            if task is not None:
                task.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await calling
        raise


def _no_answer(function: Callable[..., Any], result: Any) -> str:
    if result is None:
        return f"{place(function)} returned nothing: return what proceed() gave, or another answer"
    if inspect.iscoroutine(result):
        result.close()
    return f"{place(function)} returned what is to be awaited: write `await proceed()`"


async def _replaced(stream: Stream, body: Iterable[bytes]) -> None:
    """End the stream of an inner answer, unless it is sent; then with what is made of it."""

    async def end(error: BaseException | None) -> None:
        await stream.end(error)

    if isinstance(body, Stream) and body is not stream:
        body.then(end)
    elif body is not stream:
        await end(GeneratorExit("another answer took its place"))


async def _settled(inner: Inner, failed: Failed, on_loop: bool) -> Answer:
    """Return an answer whose first chunk is made, if it is a stream."""
    try:
        answer = await inner()
        await _begun(answer[2], on_loop)
        return answer
    except Exception as error:
        answer = await failed(error)
        await _begun(answer[2], on_loop)
        return answer


async def _begun(body: Iterable[bytes], on_loop: bool) -> None:
    if not isinstance(body, Stream):
        return
    if on_loop:
        body.run, body.aside = wait, body.aside or in_thread
        await body.start()
    else:
        body.begin()


class _Passed(Response):
    """An answer that was made already: it has its headers."""

    def __init__(self, line: str, headers: list[Header], body: Iterable[bytes]) -> None:
        super().__init__(status=line)
        self.headers[:] = headers
        self.response = body if isinstance(body, Stream) else list(body)
        self._had = headers

    def answer(self) -> Answer:
        """Return it as it is by now; raise ValueError for what cannot be sent."""
        headers, body = list(self.headers), self.response
        if headers != self._had:
            for header in headers:
                if header not in self._had:
                    check_header(*header)
        check_header("Status", self.status)
        if not isinstance(body, (Stream, list)):
            body = Stream(iter(self.iter_encoded()))
            headers = [header for header in headers if header[0].lower() != "content-length"]
        if self.status_code in BODILESS:
            return bodiless(self.status, headers, [])
        return self.status, headers, body
