"""Waiting: plain code and coroutines that call each other."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from werkzeug.test import Client

from kit import App, waiting
from kit.providers import naming
from kit.testing import client
from kit.waiting import (
    PerLoop,
    Threads,
    alike,
    called,
    drive,
    end_threads,
    in_place,
    in_thread,
    limit_threads,
    spawn,
    threads_here,
    wait,
)

color: contextvars.ContextVar[str] = contextvars.ContextVar("color", default="none")


async def later(value):
    await asyncio.sleep(0)
    return value


def run(main):
    async def ended():
        try:
            return await main()
        finally:
            await end_threads()

    return asyncio.run(ended())


@pytest.fixture
def background_loop(monkeypatch):
    """A background loop that no application uses."""
    own = type(waiting.background_loop)()
    monkeypatch.setattr(waiting, "background_loop", own)
    return own


def loops() -> int:
    return [thread.name for thread in threading.enumerate()].count("kit-loop")


def test_plain_code_waits_on_a_loop_in_the_background(background_loop):
    before = loops()
    with background_loop:
        assert wait(later(1)) == 1
        assert loops() == before + 1
    assert loops() == before


def test_what_still_runs_in_the_background_is_cancelled_at_the_end(background_loop):
    ended = threading.Event()

    async def endless():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def begin():
        tasks.append(asyncio.create_task(endless()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    with background_loop:
        wait(begin())
    assert ended.is_set()


def test_a_thread_waits_on_the_loop_that_it_works_for():
    async def main():
        here = asyncio.get_running_loop()

        async def where():
            return asyncio.get_running_loop()

        assert await in_thread(lambda: wait(where())) is here

    run(main)


def test_waiting_on_the_loop_itself_is_an_error():
    async def main():
        with pytest.raises(RuntimeError, match="the event loop itself"):
            wait(later(1))

    run(main)


def test_spawned_code_waits_while_the_loop_goes_on():
    async def main():
        gate = asyncio.Event()

        def plain():
            assert wait(gate.wait())
            return wait(later("done"))

        spawned = asyncio.create_task(spawn(plain))
        await asyncio.sleep(0)
        gate.set()
        assert await spawned == "done"

    run(main)


def test_spawned_code_is_cancelled_where_it_waits():
    async def main():
        seen = []

        def plain():
            try:
                wait(asyncio.Event().wait())
            except asyncio.CancelledError:
                seen.append("cancelled")
                wait(later(None))
                raise

        spawned = asyncio.create_task(spawn(plain))
        await asyncio.sleep(0)
        spawned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawned
        assert seen == ["cancelled"]

    run(main)


@pytest.mark.parametrize("call", [in_thread, spawn])
def test_context_variables_go_along(call):
    async def main():
        color.set("red")
        assert await call(color.get) == "red"

    run(main)


def test_what_a_thread_sets_comes_back():
    async def main():
        await in_thread(color.set, "blue")
        assert color.get() == "blue"

    run(main)


def test_a_held_place_is_one_thread_and_one_context():
    async def main():
        threads = threads_here()
        color.set("red")
        assert await threads.hold()
        assert not await threads.hold()
        token = await in_place(color.set, "green")
        assert await in_place(threading.get_ident) == await in_place(threading.get_ident)
        await in_place(color.reset, token)  # an error in any other context
        assert color.get() == "red"
        threads.free()

    run(main)


def test_who_holds_a_place_goes_on_while_all_threads_wait():
    async def main():
        limit_threads(2)
        gate = threading.Event()
        held, done = asyncio.Event(), asyncio.Event()

        async def holder():
            await threads_here().hold()
            held.set()
            await done.wait()
            await in_thread(gate.set)  # on which the others wait
            threads_here().free()

        async def waiter():
            await in_thread(gate.wait)

        tasks = [asyncio.create_task(holder())]
        await held.wait()
        tasks += [asyncio.create_task(waiter()) for _ in range(3)]
        await asyncio.sleep(0)
        done.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)

    run(main)


def test_there_are_no_more_threads_than_the_limit():
    async def main():
        limit_threads(3)
        most, now, lock, three = 0, 0, threading.Lock(), threading.Barrier(3)

        def work():
            nonlocal most, now
            with lock:
                now += 1
                most = max(most, now)
            three.wait(10)
            with lock:
                now -= 1

        await asyncio.gather(*(in_thread(work) for _ in range(9)))
        assert most == 3

    run(main)


def test_who_is_cancelled_waits_for_the_thread():
    async def main():
        begun, go_on, ended = threading.Event(), threading.Event(), []

        def work():
            begun.set()
            go_on.wait(10)
            ended.append(True)

        task = asyncio.create_task(in_thread(work))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]

    run(main)


def test_no_thread_is_left():
    before = threading.active_count()

    async def main():
        await asyncio.gather(*(in_thread(len, "x") for _ in range(5)))

    run(main)
    assert threading.active_count() == before


def test_errors_come_back_from_a_thread():
    async def main():
        with pytest.raises(ValueError, match="invalid literal"):
            await in_thread(int, "x")

    run(main)


def test_each_loop_has_its_own_resource(background_loop):
    made, closed = [], []

    def make():
        made.append(asyncio.get_running_loop())
        return len(made)

    async def close(one):
        closed.append(one)

    async def here():
        assert resources.here() == resources.here()
        return resources.here()

    resources = PerLoop(make, close)
    with background_loop:
        assert wait(here()) == 1
        assert asyncio.run(here()) == 2

        async def end():
            await resources.close()

        asyncio.run(end())  # the second loop is gone, the first one runs elsewhere
    assert closed == [1]


def test_a_coroutine_that_waits_cannot_be_driven():
    async def ready():
        return 1

    assert drive(ready()) == 1
    with pytest.raises(RuntimeError, match="had to wait"):
        drive(later(1))


def test_threads_are_made_when_they_are_needed():
    async def main():
        before = threading.active_count()
        Threads(40)
        assert threading.active_count() == before

    run(main)


def test_what_a_thread_waits_for_gets_a_thread_beyond_the_limit():
    async def main():
        limit_threads(1)

        async def nested():
            return await in_thread(lambda: "deep")

        assert await asyncio.wait_for(in_thread(lambda: wait(nested())), 10) == "deep"

    run(main)


def test_tasks_of_one_request_do_not_share_variables():
    async def main():
        await threads_here().hold()

        async def one(name):
            color.set(name)
            await asyncio.sleep(0)
            return await in_thread(color.get), color.get()

        assert await asyncio.gather(one("a"), one("b")) == [("a", "a"), ("b", "b")]
        threads_here().free()

    run(main)


def test_a_task_that_outlives_its_request_has_no_part_in_its_place():
    async def main():
        limit_threads(2)
        await threads_here().hold()
        go_on = asyncio.Event()

        async def later():
            await go_on.wait()
            return await in_thread(threading.get_ident)

        task = asyncio.create_task(later())
        threads_here().free()
        gate = threading.Event()
        busy = asyncio.create_task(in_thread(lambda: gate.wait() and threading.get_ident()))
        await asyncio.sleep(0)
        go_on.set()
        found = await asyncio.wait_for(task, 10)
        gate.set()
        assert found != await busy

    run(main)


@pytest.mark.parametrize("is_async", [False, True])
def test_steps_around_functions_of_either_kind_are_written_once(is_async, background_loop):
    places = []

    def plain(number, *, more):
        places.append(threading.current_thread())
        return number + more

    async def waiting_one(number, *, more):
        await asyncio.sleep(0)
        return plain(number, more=more)

    async def steps(number):
        """Add twice."""
        return await called(plain, await called(waiting_one, number, more=1), more=1)

    made = alike(waiting_one if is_async else plain, steps)
    assert made.__doc__ == "Add twice."
    if is_async:
        assert run(lambda: made(1)) == 3
    else:
        with background_loop:
            assert made(1) == 3
    own = places[1] is threading.current_thread()
    assert own is not is_async, "plain code does not stop an event loop"


def stepping(app):
    """A route of steps around a plain handler, one around a coroutine function."""

    def plain():
        return {"thread": threading.current_thread() is threading.main_thread()}

    async def waiting_one():
        return await later(plain())

    for name, handler in [("plain", plain), ("waiting", waiting_one)]:

        async def steps(handler=handler):
            return await called(handler)

        app.get(f"/{name}", name=name, inline=name == "plain")(
            naming(of=handler)(alike(handler, steps))
        )


def test_plain_steps_run_on_a_loop_where_a_route_is_inline():
    app = App()
    stepping(app)
    visitor = client(app, gateway="asgi")
    assert [visitor.get(path).status_code for path in ("/plain", "/waiting")] == [200, 200]


def test_plain_steps_run_in_a_thread_that_has_a_loop():
    app = App()
    stepping(app)

    async def main():
        return Client(app).get("/plain").json

    assert run(main) == {"thread": True}


def test_a_loop_within_plain_steps_has_its_own_ways():
    """Where plain steps call what awaits steps on a loop of its own, those go to threads."""
    here = threading.get_ident()

    async def steps():
        return await called(threading.get_ident)

    async def outer():
        first = await called(run, alike(later, steps))
        return first, await called(threading.get_ident)

    first, second = alike(int, outer)()
    assert first != here
    assert second == here
    assert run(alike(later, steps)) != here, "it is over"


def test_what_steps_raise_is_raised(background_loop):
    async def steps():
        try:
            await called(int, "x")
        except ValueError:
            raise LookupError("x") from None

    with pytest.raises(LookupError):
        alike(int, steps)()
