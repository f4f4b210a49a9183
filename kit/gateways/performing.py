"""Performing: a plan is run in plain code, or beside an event loop where it may run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from kit.answers import Answer, Environ, Stream
from kit.clients import Client
from kit.plans import Plan
from kit.waiting import Place, Threads, threads_here


async def perform_plain(plan: Plan, environ: Environ, values: Mapping[str, Any]) -> Answer:
    """Run a plan where there is no event loop: to be driven."""
    return plan.answer(environ, values)


async def loaded(plan: Plan, environ: Environ, most: int) -> None:
    """Read the body of a request, of `most` bytes, unless the plan reads it as it comes."""
    client = environ["wsgi.input"]
    if isinstance(client, Client) and plan.place != "inline" and plan.loads(environ):
        await client.load(plan.body or most, environ.get("CONTENT_LENGTH"))


async def perform_on_loop(plan: Plan, environ: Environ, values: Mapping[str, Any]) -> Answer:
    """Run a plan where it may run beside an event loop."""
    if plan.place == "loop":
        return await plan.run(environ, values)
    if plan.place == "inline":
        return plan.answer(environ, values)
    return await run_in_thread(plan, environ, values)


async def run_in_thread(plan: Plan, environ: Environ, values: Mapping[str, Any]) -> Answer:
    """Run a plan in a worker thread, and let its stream be made in one, too."""
    threads = threads_here()
    place = await threads.take()
    made: list[Answer] = []

    def answer() -> None:
        made.append(plan.answer(environ, values))

    is_kept = False
    try:
        await place.call(answer)
        body = made[0][2]
        if isinstance(body, Stream):
            is_kept = plan.one_thread
            body.aside = place.call if is_kept else partial(threads.call, context=place.context)
            if is_kept:
                body.then(_giving(threads, place))
        return made[0]
    except asyncio.CancelledError:  # the thread has come to its end all the same
        for _, _, body in made:
            if isinstance(body, Stream):
                await place.call(body.close)
        raise
    finally:
        if not is_kept:
            threads.give(place)


def _giving(threads: Threads, place: Place) -> Callable[[BaseException | None], Awaitable[None]]:
    async def give(error: BaseException | None) -> None:
        threads.give(place)

    return give
