"""The echo and the reports of Falcon's tutorial on web sockets."""

from __future__ import annotations

import hmac
import logging
from datetime import UTC, datetime
from pathlib import Path

import framework as falcon
from framework import WebSocketDisconnected

logger = logging.getLogger("ws")
FOLDER = Path(__file__).parent
TOKEN = "very secure token"  # noqa: S105 - that of the tutorial; yours comes from the environment

REPORTS = {
    f"report{number}": {
        "title": f"Report {number}",
        "content": f"This is the content of report {number}",
    }
    for number in range(1, 5)
}


class AuthMiddleware:
    """Lets nobody use the protected sockets whose first message is not the token."""

    def __init__(self, protected_routes):
        self.protected_routes = frozenset(protected_routes)

    async def process_request_ws(self, req, ws):
        await ws.accept()
        if req.path not in self.protected_routes:
            return
        token = await ws.receive_text()
        if not hmac.compare_digest(token.encode(), TOKEN.encode()):
            logger.warning("a client of %s has no token", req.path)
            await ws.close(1008)


class LoggerMiddleware:
    """Tells of each connection once it is known what it leads to."""

    async def process_resource_ws(self, req, ws, resource, params):
        logger.info("connected to %s: %s", req.path, type(resource).__name__)


class HelloWorldResource:
    async def on_get(self, req, resp):
        resp.media = {"hello": "world"}


class EchoWebSocketResource:
    async def on_websocket(self, req, ws):
        while True:
            try:
                message = await ws.receive_text()
                await ws.send_media({"message": message, "date": datetime.now(UTC).isoformat()})
            except WebSocketDisconnected:
                return


class ReportsResource:
    async def on_websocket(self, req, ws):
        while True:
            try:
                report = REPORTS.get(await ws.receive_text())
                if report is None:
                    await ws.send_media({"error": "report not found"})
                else:
                    await ws.send_media({"report": report["title"]})
            except WebSocketDisconnected:
                return


app = falcon.App(FOLDER / "ws.toml")
app.add_route("/hello", HelloWorldResource())
app.add_route("/echo", EchoWebSocketResource())
app.add_route("/reports", ReportsResource())
app.add_middleware(AuthMiddleware(["/reports"]))
app.add_middleware(LoggerMiddleware())
app.add_static_route("/", FOLDER / "static", fallback_filename="index.html")
