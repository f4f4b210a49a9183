"""What is particular to rates counted in memory and in Redis by the library limits."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from kit_limits import rates
from kit_limits.rates import MemoryRates, RedisOptions, RedisRates

from kit.errors import ConfigError, Unavailable
from kit.options import Secret
from kit.slots.rates import Rate

MINUTE = Rate(2, 60)


@pytest.fixture
def options(redis_url: str) -> RedisOptions:
    return RedisOptions(url=Secret(redis_url), namespace=f"t{secrets.token_hex(8)}")


@pytest.fixture
def component(options: RedisOptions) -> Iterator[RedisRates]:
    component = RedisRates(options)
    yield component
    component._storage.reset()
    component.close()


@pytest.fixture
def keys(options: RedisOptions) -> Iterator[Callable[[], list[bytes]]]:
    with redis.Redis.from_url(options.url) as client:
        yield lambda: client.keys(f"{options.namespace}*")


def test_processes_count_together(options: RedisOptions, component: RedisRates) -> None:
    program = (
        "import sys; from kit_limits.rates import RedisOptions, RedisRates, Rate, Secret\n"
        "component = RedisRates(RedisOptions(url=Secret(sys.argv[1]), namespace=sys.argv[2]))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(sum(component.hit('key', Rate(50, 3600)) == 0 for _ in range(40)))\n"
    )
    command = [sys.executable, "-c", program, options.url, options.namespace]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    counted = []
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        counted.append(int(process.communicate(timeout=60)[0]))
    assert sum(counted) == 50
    assert component.hit("key", Rate(50, 3600)) > 0


def test_keys_go_by_themselves(
    options: RedisOptions, component: RedisRates, keys: Callable[[], list[bytes]]
) -> None:
    component.hit("a", MINUTE)
    component.hit("b", Rate(1, 1))
    with redis.Redis.from_url(options.url) as client:
        assert all(0 < client.ttl(key) <= 60 for key in keys())
    assert len(keys()) == 2
    time.sleep(1.1)
    assert len(keys()) == 1


def test_keys_have_the_namespace_and_no_address(
    options: RedisOptions, component: RedisRates, keys: Callable[[], list[bytes]]
) -> None:
    component.hit("login ada@example.org 192.0.2.1", MINUTE)
    [key] = keys()
    assert key.startswith(f"{options.namespace}:".encode())
    assert b"ada" not in key
    assert b"192" not in key


def test_namespaces_are_apart(options: RedisOptions, component: RedisRates) -> None:
    other = RedisRates(RedisOptions(url=options.url, namespace=f"{options.namespace}x"))
    assert [component.hit("key", MINUTE) for _ in range(2)] == [0, 0]
    assert [other.hit("key", MINUTE) for _ in range(2)] == [0, 0]
    other._storage.reset()
    other.close()


@pytest.mark.parametrize("namespace", ["", "Rates", "a b", "a*", "1a", "x" * 41])
def test_a_namespace_is_a_name(namespace: str) -> None:
    with pytest.raises(ValueError, match="a letter first"):
        RedisOptions(url=Secret("redis://127.0.0.1"), namespace=namespace)


def test_a_url_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="the option url does not say") as refused:
        RedisRates(RedisOptions(url=Secret("http://:hunter2@host")))
    assert "hunter2" not in str(refused.value)


class Server:
    """A Redis server of the test's own, which it may stop and start."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command = [program, "--port", str(self.port), "--dir", str(folder), "--save", ""]

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the server does not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    program = shutil.which("redis-server")
    if not program:
        if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    server = Server(program, tmp_path)
    server.start()
    yield server
    server.stop()


def test_it_is_unavailable_while_the_server_is_and_then_counts_again(server: Server) -> None:
    component = RedisRates(RedisOptions(url=Secret(f"redis://127.0.0.1:{server.port}/0")))
    assert component.hit("key", MINUTE) == 0
    server.stop()
    start = time.monotonic()
    with pytest.raises(Unavailable, match="redis"):
        component.hit("key", MINUTE)
    assert time.monotonic() - start < 2 * rates.TIMEOUT
    server.start()
    assert component.hit("key", MINUTE) == 0
    component.close()


def test_a_server_that_is_full_counts_nothing_and_lets_nobody_through(server: Server) -> None:
    component = RedisRates(RedisOptions(url=Secret(f"redis://127.0.0.1:{server.port}/0")))
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", "1")
    with pytest.raises(Unavailable):
        component.hit("key", MINUTE)
    component.close()


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        component = RedisRates(RedisOptions(url=Secret(f"redis://127.0.0.1:{port}/0")))
        start = time.monotonic()
        with pytest.raises(Unavailable):
            component.hit("key", MINUTE)
        assert time.monotonic() - start < 2
        component.close()


def test_memory_forgets_what_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MANY", 100)
    component = MemoryRates()
    for number in range(300):
        component.hit(f"address {number}", Rate(1, 1))
    time.sleep(1.1)
    component.hit("wakes the library up", Rate(1, 1))
    time.sleep(0.2)  # its thread empties the lists, and leaves them there
    for number in range(150):
        assert component.hit(f"visitor {number}", Rate(1, 3600)) == 0
    assert len(component._storage.events) < 200
    assert all(component.hit(f"visitor {number}", Rate(1, 3600)) for number in range(150))
    component.close()


def test_closed_memory_is_empty() -> None:
    component = MemoryRates()
    component.hit("key", MINUTE)
    component.close()
    assert not component._storage.events
