"""What the built-in server answers over HTTP, as an ASGI application.

Every answer names the region, the server and the protocol that the server saw. `/healthz` is what
the balancer asks; `PUT /healthz?state=bad` (or `ok`) from the host itself turns it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class Site:
    """Who answers, and in what mood."""

    region: str
    server: str
    service: str
    is_healthy: bool = True
    leaving_at: float = math.inf  # monotonic s; from then on every answer says `Connection: close`

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            status, text = self._health(scope)
        else:
            status, text = 200, "ok"
        protocol = f"HTTP/{scope['http_version']}"
        body = {
            "region": self.region,
            "server": self.server,
            "service": self.service,
            "protocol": protocol,
            "status": text,
        }
        await self._answer(send, status, json.dumps(body).encode() + b"\n", protocol)

    def leave_after(self, wait_s: float) -> None:
        """Ask clients to leave, `wait_s` from now on."""
        self.leaving_at = time.monotonic() + wait_s

    def stay(self) -> None:
        """Stop asking."""
        self.leaving_at = math.inf

    def _health(self, scope: dict[str, Any]) -> tuple[int, str]:
        if scope["method"] == "PUT":
            if (scope.get("client") or ("",))[0] != "127.0.0.1":
                return 403, "health is turned from the host itself only"
            self.is_healthy = b"state=bad" not in scope["query_string"]
        return (200, "ok") if self.is_healthy else (503, "bad")

    async def _answer(self, send: Send, status: int, body: bytes, protocol: str) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-netemu-region", self.region.encode()),
            (b"x-netemu-server", self.server.encode()),
            (b"x-netemu-protocol", protocol.encode()),
        ]
        if time.monotonic() >= self.leaving_at:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
