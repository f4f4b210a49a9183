"""The components of the slot ``channels`` under its contract."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator

import pytest
import redis
from kit_redis.channels import RedisChannels, RedisChannelsOptions
from kit_stdlib.channels import MemoryChannels

from kit.contracts.channels import ChannelsContract
from kit.options import Secret
from kit.slots.channels import ChannelsOptions
from kit.waiting import wait


class TestMemory(ChannelsContract):
    @pytest.fixture
    def component(self) -> Iterator[MemoryChannels]:
        component = MemoryChannels(ChannelsOptions(backlog=30))
        yield component
        wait(component.close())


class TestRedis(ChannelsContract):
    @pytest.fixture
    def options(self, redis_url: str) -> RedisChannelsOptions:
        namespace = f"t{secrets.token_hex(8)}"
        return RedisChannelsOptions(url=Secret(redis_url), namespace=namespace, backlog=30)

    @pytest.fixture
    def component(self, options: RedisChannelsOptions) -> Iterator[RedisChannels]:
        component = RedisChannels(options)
        yield component
        wait(component.close())

    @pytest.fixture
    def another(self, options: RedisChannelsOptions) -> Iterator[RedisChannels]:
        component = RedisChannels(options)
        yield component
        wait(component.close())

    @pytest.fixture
    def away(self) -> Iterator[RedisChannels]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # and nobody listens
            url = Secret(f"redis://127.0.0.1:{free.getsockname()[1]}/0")
            component = RedisChannels(RedisChannelsOptions(url=url))
            yield component
            wait(component.close())

    @pytest.fixture
    def cut(self, options: RedisChannelsOptions) -> Iterator[Callable[[], None]]:
        with redis.Redis.from_url(options.url) as client:

            def cut() -> None:
                for one in client.client_list(_type="pubsub"):
                    if one["name"] == options.namespace:
                        client.client_kill_filter(_id=one["id"])

            yield cut
