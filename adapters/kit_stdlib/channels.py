"""Channels within one process, by nothing but its memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from kit.slots.channels import ChannelsOptions, Inbox, Rooms


class MemoryChannels:
    """Carries messages within this process: for one worker, for development and tests."""

    lacks: ClassVar = {
        "sharing": "each process has channels of its own",
        "outages": "its memory is there as long as it is",
    }

    def __init__(self, options: ChannelsOptions) -> None:
        self.options = options
        self._rooms = Rooms()

    async def publish(self, channel: str, message: bytes) -> None:
        """Put `message` into the inboxes of the channel, and give their readers a turn."""
        self._rooms.put(channel, message)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield an inbox that is there until the context is left."""
        inbox = Inbox(self.options.backlog)
        self._rooms.enter(channel, inbox)
        try:
            yield inbox
        finally:
            self._rooms.leave(channel, inbox)

    async def close(self) -> None:
        """End all subscriptions."""
        self._rooms.end("the channels are closed: the application stops")
