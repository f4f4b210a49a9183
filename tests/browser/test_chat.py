"""The chat of the recipe `sanic_style`: windows of a browser, two workers, Redis between them."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "sanic_style"
NASTY = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
MOST_WINDOWS = 30
ROOM = f"room-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any], redis_url: str) -> Iterator[SimpleNamespace]:
    """The recipe, served by `kit serve` with two workers."""
    own = {
        "KIT_SERVING__WORKERS": "2",
        "KIT_CHANNELS__USE": "redis",
        "KIT_CHANNELS__REDIS__URL": redis_url,
        "KIT_CHANNELS__REDIS__NAMESPACE": f"test_{secrets.token_hex(8)}",
    }
    with serve(RECIPE, **own) as url:
        yield SimpleNamespace(url=url)


def enter(page: Any, name: str, room: str = ROOM) -> Any:
    """Open a room of the chat in a window, for somebody of a name."""
    page.goto(f"/chat.html?room={room}")
    page.get_by_text("Connected to worker").wait_for()
    page.get_by_label("Your name").fill(name)
    return page


def worker(page: Any) -> int:
    """Return the process that a window is connected to, as the window shows it."""
    return int(page.get_by_role("status").get_attribute("data-worker"))


@pytest.fixture(scope="module")
def two(visit: Any, server: SimpleNamespace) -> Iterator[tuple[Any, Any]]:
    """Two windows in one room, each connected to another worker."""
    context = visit.context.browser.new_context(base_url=server.url)
    context.set_default_timeout(10_000)
    ada, grace = enter(visit, "Ada"), enter(context.new_page(), "Grace")
    for _ in range(MOST_WINDOWS):
        if worker(ada) == worker(grace):
            enter(grace, "Grace")
    assert worker(ada) != worker(grace)
    yield ada, grace
    context.close()


def say(page: Any, message: str) -> None:
    page.get_by_label("Message", exact=True).fill(message)
    page.get_by_role("button", name="Send").click()


def heard(page: Any, *messages: str) -> bool:
    """Wait until a window shows messages, the last ones in this order."""
    items = page.get_by_role("log").locator("p")
    items.filter(has_text=messages[-1]).last.wait_for()
    return items.all_inner_texts()[-len(messages) :] == list(messages)


def test_what_is_typed_in_one_window_appears_in_the_other(two: tuple[Any, Any]) -> None:
    ada, grace = two
    say(ada, "Hello, who is there?")
    assert heard(grace, "Ada Hello, who is there?")
    grace.get_by_label("Message", exact=True).fill("It's me.")
    grace.keyboard.press("Enter")
    for page in two:
        assert heard(page, "Ada Hello, who is there?", "Grace It's me.")
    assert grace.get_by_label("Message", exact=True).input_value() == ""


def test_messages_are_text_whatever_they_hold(two: tuple[Any, Any]) -> None:
    grace = two[1]
    grace.get_by_label("Your name").fill("<b>Eve</b>")
    say(grace, NASTY)
    for page in two:
        assert heard(page, f"<b>Eve</b> {NASTY}")
        assert page.locator("main script, main img, b b").count() == 0
        assert page.title() == "Chat"
    grace.get_by_label("Your name").fill("Grace")


def test_a_window_that_is_closed_disturbs_nobody(
    two: tuple[Any, Any], new_page: Callable[..., Any]
) -> None:
    ada, grace = two
    edsger = enter(new_page("phone"), "Edsger")
    say(edsger, "I have to go")
    for page in (ada, grace, edsger):
        assert heard(page, "Edsger I have to go")
    edsger.context.close()
    say(ada, "He is gone")
    for page in two:
        assert heard(page, "Edsger I have to go", "Ada He is gone")


def test_other_rooms_hear_nothing(two: tuple[Any, Any], new_page: Callable[..., Any]) -> None:
    other = enter(new_page(), "Eve", room=f"{ROOM}-2")
    say(two[0], "for this room")
    assert heard(two[1], "Ada for this room")
    say(other, "for that room")
    assert heard(other, "Eve for that room")
    assert other.get_by_role("log").inner_text() == "Eve for that room"


def test_a_window_finds_a_worker_again_when_its_own_is_killed(two: tuple[Any, Any]) -> None:
    ada, grace = two
    killed = worker(ada)
    os.kill(killed, signal.SIGKILL)
    ada.locator(f"#status[data-worker]:not([data-worker='{killed}'])").wait_for()
    say(ada, "back again")
    assert heard(grace, "Ada back again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_the_pages_fit(
    new_page: Callable[..., Any], axe: str, scheme: str
) -> None:
    page = new_page(color_scheme=scheme)
    say(enter(page, "Ada", room="x" * 100), "x" * 500)
    check(page, axe)
    page.goto("/index.html")
    assert page.title() == "WebSocket demo"
    assert heard(page, "hello!")
    check(page, axe)


def check(page: Any, axe: str) -> None:
    page.get_by_role("log").locator("p").first.wait_for()
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], one["nodes"]) for one in result["violations"]] == []
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
