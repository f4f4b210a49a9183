"""Many clients at once: ``python crowd.py KIND PORT COUNT``.

They tell on stdout when all are connected, hold on until stdin ends, and tell then how many were
served to the end. KIND is ``sockets`` (idle WebSockets, which get their own message back when
asked at last) or ``slow`` (a byte each second, of the headers in every other request, else of the
body).
"""

from __future__ import annotations

import asyncio
import resource
import sys

AT_ONCE = 50
PATIENCE = 30
UPGRADE = (
    "GET /feed HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Origin: http://127.0.0.1:{port}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)
MESSAGE, ECHO = b"\x81\x82\0\0\0\0hi", b"\x81\x02hi"
HEADERS = "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow: "
BODY = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/octet-stream\r\n"
    "Content-Length: 1000\r\n\r\n"
)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def main(kind: str, port: int, count: int) -> None:
    """Connect, hold on, and tell."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def opened(number: int) -> Connection:
        async with gate:
            if kind == "sockets":
                return await _upgraded(port)
            return await _begun(port, number)

    opening = [opened(number) for number in range(count)]
    connections = await asyncio.wait_for(asyncio.gather(*opening), PATIENCE)
    print("open", flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while kind == "slow" and not ended.done():
        for _, writer in connections:
            if not writer.is_closing():
                writer.write(b"a")
        await asyncio.wait([ended], timeout=1)
    await ended
    good = await asyncio.gather(*(_served(kind, *one) for one in connections))
    print(sum(good), flush=True)


async def _upgraded(port: int) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPGRADE.format(port=port).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"no WebSocket: {answer!r}")
    return reader, writer


async def _begun(port: int, number: int) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = "/slow" if number % 4 == 1 else "/slow/plain"
    writer.write((BODY if number % 2 else HEADERS).format(port=port, path=path).encode())
    return reader, writer


async def _served(kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Say whether the server has kept a connection: nothing came unasked, and it is not closed."""
    if kind == "sockets":
        writer.write(MESSAGE)
        try:
            return await asyncio.wait_for(reader.readexactly(len(ECHO)), PATIENCE) == ECHO
        except (OSError, EOFError):
            return False
    try:
        async with asyncio.timeout(0.01):
            await reader.read(1)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
