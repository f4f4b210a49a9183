"""Waiting: how plain code and coroutines call each other.

Plain code waits for something asynchronous with `wait`. A coroutine calls plain code with
`in_thread` if it may take its time, and with `spawn` if it does no more than to `wait`.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from functools import partial, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from greenlet import greenlet

P = ParamSpec("P")
T = TypeVar("T")

# `loop`: that of the coroutine for which this thread works; `plain`: whether it drives `steps`
_here = threading.local()
_held: ContextVar[Place | None] = ContextVar("held", default=None)
_nested: ContextVar[bool] = ContextVar("nested", default=False)
_spawned: weakref.WeakSet[greenlet] = weakref.WeakSet()
_ON_THE_LOOP = (
    "this waits for something asynchronous, and was called on the event loop itself, which would"
    " stand still: await it there, or call this with `await kit.in_thread(function, ...)`"
)


def wait(awaitable: Awaitable[T]) -> T:
    """Return the result of something awaitable, in plain code.

    In code that `spawn` runs the event loop goes on meanwhile. In a thread of `in_thread` it is
    awaited on the loop that the thread works for; elsewhere on a loop that this process keeps in
    the background. Raises RuntimeError on the thread of an event loop.
    """
    if _spawned:
        from greenlet import getcurrent

        current = getcurrent()
        if current in _spawned and current.parent is not None:
            result: T = current.parent.switch(awaitable)
            return result
    loop = getattr(_here, "loop", None)
    if loop is None:
        if on_loop():
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError(_ON_THE_LOOP)
        loop = background_loop.loop()
    in_place = getattr(_here, "loop", None) is not None
    future = asyncio.run_coroutine_threadsafe(_awaited(awaitable, in_place), loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def on_loop() -> bool:
    """Say whether this is called by a coroutine, whose event loop would stand still."""
    return asyncio._get_running_loop() is not None and asyncio.current_task() is not None


async def _awaited(awaitable: Awaitable[T], in_place: bool = False) -> T:
    if in_place:  # the thread of that place waits for this
        _held.set(None)
        _nested.set(True)
    return await awaitable


async def spawn(function: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> T:
    """Call plain code on the event loop, and await for it what it gives to `wait`.

    It must do nothing else that takes time. The library greenlet carries it, as in SQLAlchemy.
    """
    from greenlet import getcurrent, greenlet

    here = getcurrent()
    child = greenlet(function, here)
    child.gr_context = here.gr_context
    _spawned.add(child)
    try:
        waited: Any = child.switch(*args, **named)
        while not child.dead:
            try:
                value = await waited
            except BaseException as error:
                waited = child.throw(error)
            else:
                waited = child.switch(value)
    finally:
        _spawned.discard(child)
    result: T = waited
    return result


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to wait for, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine had to wait where nothing can be awaited")


class Place:
    """A place among the worker threads, held by one request: one thread for what is called there.

    `context` are the context variables of the providers that are opened and finished in it.
    """

    def __init__(self, thread: ThreadPoolExecutor, *, counts: bool) -> None:
        self.thread = thread
        self.counts = counts
        self.context = copy_context()
        self.is_open = True
        self.is_busy = False

    async def call(
        self, function: Callable[..., T], *args: Any, context: Context | None = None
    ) -> T:
        """Call a function; who cancels this waits until it has returned."""
        self.is_busy = True
        try:
            return await _call(self.thread, context or self.context, function, args)
        finally:
            self.is_busy = False


class Threads:
    """The worker threads of an event loop, no more than `limit` of them.

    Who holds a place finds a thread free whenever it needs one: those that wait for a connection
    cannot keep those that have one from going on and giving it back. What a thread itself waits
    for gets one beyond the limit, since it cannot wait for its own.
    """

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)
        self._idle: list[ThreadPoolExecutor] = []

    async def take(self) -> Place:
        """Wait for a place, to be given back."""
        counts = not _nested.get()
        if counts:
            await self._free.acquire()
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, "kit")
        return Place(thread, counts=counts)

    def give(self, place: Place) -> None:
        """Give a place back."""
        place.is_open = False
        self._idle.append(place.thread)
        if place.counts:
            self._free.release()

    async def hold(self) -> bool:
        """Let the calls of this request have the same place; False if they have one already."""
        place = _held.get()
        if place and place.is_open:
            return False
        _held.set(await self.take())
        return True

    def free(self) -> None:
        """Give back the place that this request holds."""
        place = _held.get()
        if place and place.is_open:
            self.give(place)

    async def call(
        self, function: Callable[..., T], *args: Any, context: Context | None = None
    ) -> T:
        """Call a function in the place that is held, if nothing else is, or in one of its own."""
        held = _held.get()
        context = context or copy_context()
        if held and held.is_open and not held.is_busy:
            return await held.call(function, *args, context=context)
        place = await self.take()
        try:
            return await place.call(function, *args, context=context)
        finally:
            self.give(place)

    async def step(self, function: Callable[..., T], *args: Any) -> T:
        """Open or finish a provider: in the place that is held, and with its variables."""
        held = _held.get()
        if held and held.is_open:
            return await held.call(function, *args)
        return await self.call(function, *args)

    def close(self) -> None:
        """End the threads."""
        for thread in self._idle:
            thread.shutdown()


async def _call(
    thread: ThreadPoolExecutor,
    context: Context,
    function: Callable[..., T],
    args: tuple[Any, ...],
) -> T:
    loop = asyncio.get_running_loop()
    for variable, value in copy_context().items():
        if context.get(variable, context) is not value:
            context.run(variable.set, value)
    before = context.copy()
    done: asyncio.Future[None] = loop.create_future()
    job = thread.submit(_work, loop, context, function, args)
    job.add_done_callback(lambda _: loop.call_soon_threadsafe(_mark, done))
    cancelled: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    for variable, value in context.items():
        if before.get(variable, before) is not value:
            variable.set(value)
    return job.result()


def _work(
    loop: AbstractEventLoop, context: Context, function: Callable[..., T], args: tuple[Any, ...]
) -> T:
    _here.loop = loop
    return context.run(function, *args)


def _mark(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


_threads: weakref.WeakKeyDictionary[AbstractEventLoop, Threads] = weakref.WeakKeyDictionary()
THREADS = 40


def threads_here() -> Threads:
    """Return the worker threads of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _threads.get(loop)
    if found is None:
        found = _threads[loop] = Threads(THREADS)
    return found


async def end_threads() -> None:
    """End the worker threads of the running event loop, when what they do is done."""
    loop = asyncio.get_running_loop()
    if (threads := _threads.pop(loop, None)) is not None:
        await loop.run_in_executor(None, threads.close)


def limit_threads(limit: int) -> None:
    """Give the running event loop at most `limit` worker threads, unless it has some."""
    loop = asyncio.get_running_loop()
    if loop not in _threads:
        _threads[loop] = Threads(limit)


async def in_place(function: Callable[..., T], /, *args: Any) -> T:
    """Open or finish a plain provider in the thread of its request."""
    return await threads_here().step(function, *args)


async def in_thread(function: Callable[..., T], /, *args: Any) -> T:
    """Call plain code that may take its time in a worker thread, and return its result.

    Context variables go with it, and those that it sets come back. There are at most ``[app]
    threads`` at work; whoever cancels this waits until the function has returned.
    """
    return await threads_here().call(function, *args)


async def called(function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
    """Call a plain function or a coroutine function, and return its result.

    In a coroutine a plain one is called in a worker thread. In plain code, to which `alike` brings
    this, it is called in place, and a coroutine is waited for.
    """
    driven = getattr(_here, "plain", False)
    if driven or not on_loop():
        _here.plain = False  # what the function calls is no part of these steps
        try:
            result = function(*args, **named)
            return wait(result) if result is not None and isawaitable(result) else result
        finally:
            _here.plain = driven
    if iscoroutinefunction(function):
        return await function(*args, **named)
    return await in_thread(partial(function, *args, **named))


def alike(function: Callable[..., Any], steps: Callable[P, Coroutine[Any, Any, T]]) -> Any:
    """Return `steps` for a coroutine function, and for a plain one the same as a plain function.

    `steps` is a coroutine function that awaits nothing but `called`. So what a framework puts
    around handlers of either kind is written once.
    """
    if iscoroutinefunction(function):
        return steps

    @wraps(steps)
    def plain(*args: P.args, **named: P.kwargs) -> T:
        before = getattr(_here, "plain", False)
        _here.plain = True  # a loop may run in this thread, which is called in place all the same
        try:
            return drive(steps(*args, **named))
        finally:
            _here.plain = before

    return plain


class PerLoop(Generic[T]):
    """A resource that belongs to an event loop, such as a pool of connections: one for each.

    `make` is called on the loop, and `close` is awaited there.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[object]]) -> None:
        self._make = make
        self._close = close
        self._made: dict[AbstractEventLoop, T] = {}
        mine = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forget(mine()))

    def here(self) -> T:
        """Return the resource of the running event loop, made when it is first asked for."""
        loop = asyncio.get_running_loop()
        found = self._made.get(loop)
        if found is None:
            for one in [one for one in self._made if one.is_closed()]:
                del self._made[one]
            found = self._made[loop] = self._make()
        return found

    async def close(self) -> None:
        """Close the resources of all loops that still run; the others are gone with theirs."""
        made, self._made = self._made, {}
        here = asyncio.get_running_loop()
        for loop, one in made.items():
            if loop is here:
                await self._close(one)
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(_awaited(self._close(one)), loop)
                await asyncio.wrap_future(closing)


def _forget(resources: PerLoop[Any] | None) -> None:
    """Leave what a new process has from its parent to the parent."""
    if resources is not None:
        _left.append(resources._made)
        resources._made = {}


_left: list[object] = []  # to finalize it would reach into the sockets of the parent


class _Background:
    """The event loop of a process that has no other: it runs in a thread, while it is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.threads = THREADS
        self._users = 0
        self._loop: AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def loop(self) -> AbstractEventLoop:
        """Return the loop, and start it if it does not run."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                started: Future[None] = Future()
                self._loop.call_soon(limit_threads, self.threads)
                self._loop.call_soon(started.set_result, None)
                run = self._loop.run_forever
                self._thread = threading.Thread(target=run, name="kit-loop", daemon=True)
                self._thread.start()
                started.result()
            return self._loop

    def __enter__(self) -> None:
        """Keep the loop while somebody may use it."""
        with self._lock:
            self._users += 1

    def __exit__(self, *exc: object) -> None:
        """Let go of it; the last one ends it and its thread."""
        with self._lock:
            self._users -= 1
            ending = not self._users and self._loop is not None
            loop, thread = self._loop, self._thread
            if ending:
                self._loop = self._thread = None
        if ending and loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(_end(loop), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def forked(self) -> None:
        """Begin anew in a new process, which has none of its parent's threads."""
        _left.append(self._loop)
        users, threads = self._users, self.threads
        self.__init__()  # type: ignore[misc]  # the lock, too, may have been held
        self._users, self.threads = users, threads


async def _end(loop: AbstractEventLoop) -> None:
    """End what still runs on a loop."""
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await end_threads()
    await loop.shutdown_default_executor()


background_loop = _Background()
os.register_at_fork(after_in_child=background_loop.forked)
