"""What the tour promises of web sockets, and of the rooms of the chat."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from kit.testing import SocketRefused

SOCKETS = ["/feed", "/echo", "/chat/lobby"]


def test_the_feed_says_hello_at_once_and_for_each_message(by_asgi):
    with by_asgi.websocket("/feed") as ws:
        assert ws.receive() == "hello!"
        for message in ("one", b"two"):
            ws.send(message)
            assert ws.receive() == "hello!"


def test_everything_comes_back_in_order(by_asgi):
    messages = ["a", b"b", "", b"", "Zoë 😀", "x" * 100_000, b"\x00\xff" * 50_000, "end"]
    with by_asgi.websocket("/echo") as ws:
        for message in messages:
            ws.send(message)
        assert [ws.receive() for _ in messages] == messages


@pytest.fixture
def room(by_asgi):
    """A function that lets somebody come into a room of the chat, and returns their socket."""
    with ExitStack() as everybody:

        def come(name: str = "lobby"):
            ws = everybody.enter_context(
                by_asgi.websocket(f"/chat/{name}", subprotocols=["worker"])
            )
            assert ws.receive() == f"worker {os.getpid()}"
            return ws

        yield come


def test_everybody_in_a_room_hears_what_is_said(room):
    three = [room() for _ in range(3)]
    three[0].send("hello")
    three[1].send(b"\x00")
    for ws in three:
        assert {ws.receive(), ws.receive()} == {"hello", b"\x00"}


def test_what_one_says_comes_in_order(room):
    ada, grace = room(), room()
    said = [str(number) for number in range(200)]
    for one in said:
        ada.send(one)
    assert [grace.receive() for _ in said] == said
    assert [ada.receive() for _ in said] == said


@pytest.mark.parametrize("other", ["lobby2", "LOBBY", "lobby.", "*", "Zoë"])
def test_rooms_are_apart(room, other):
    ada, grace = room("lobby"), room(other)
    ada.send("for the lobby")
    grace.send("for the other")
    assert ada.receive() == "for the lobby"
    assert grace.receive() == "for the other"


def test_those_who_leave_disturb_nobody(room):
    ada, grace, edsger = room(), room(), room()
    grace.close(1000)
    ada.send("one")
    edsger.close(1006)  # a connection that is lost
    ada.send("two")
    assert [ada.receive(), ada.receive()] == ["one", "two"]


def test_a_room_needs_no_subprotocol(by_asgi):
    with by_asgi.websocket("/chat/quiet") as ws:
        ws.send("alone")
        assert ws.receive() == "alone"


@pytest.mark.parametrize("path", SOCKETS)
def test_a_plain_request_to_a_socket_is_refused(client, path):
    assert 400 <= client.get(path).status_code < 500


def test_a_handshake_elsewhere_is_refused(by_asgi):
    with pytest.raises(SocketRefused) as refused, by_asgi.websocket("/nope"):
        pass
    assert refused.value.status == 404


def test_pages_of_other_sites_open_no_socket(by_asgi):
    headers = {"Origin": "https://evil.example"}
    with pytest.raises(SocketRefused) as refused, by_asgi.websocket("/echo", headers=headers):
        pass
    assert refused.value.status == 403
