"""The built-in server, as ASGI calls: no socket needed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from emulator.node.app.__main__ import obey
from emulator.node.app.web import Site


def ask(
    site: Site, path: str = "/", method: str = "GET", query: bytes = b"", client: str = "127.0.0.1"
) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query,
        "client": (client, 40000),
    }
    asyncio.run(site(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


def new_site() -> Site:
    return Site("us-east", "us-east/www-1", "www")


def test_every_answer_names_region_server_and_protocol():
    """In headers for programs and in the body for people."""
    status, headers, body = ask(new_site())
    assert status == 200
    assert headers[b"x-netemu-region"] == b"us-east"
    assert headers[b"x-netemu-server"] == b"us-east/www-1"
    assert headers[b"x-netemu-protocol"] == b"HTTP/1.1"
    assert (body["region"], body["server"]) == ("us-east", "us-east/www-1")


def test_health_can_be_turned_bad_and_good_again():
    """By the host itself; the balancer then sees 503."""
    site = new_site()
    assert ask(site, "/healthz")[0] == 200
    ask(site, "/healthz", "PUT", b"state=bad")
    assert ask(site, "/healthz")[0] == 503
    ask(site, "/healthz", "PUT", b"state=ok")
    assert ask(site, "/healthz")[0] == 200
    obey(site, '{"op": "health", "ok": false}\n')
    assert ask(site, "/healthz")[0] == 503


def test_health_cannot_be_turned_from_elsewhere():
    """A client behind the balancer must not be able to break the region."""
    site = new_site()
    assert ask(site, "/healthz", "PUT", b"state=bad", client="10.1.0.1")[0] == 403
    assert ask(site, "/healthz")[0] == 200


def test_drain_asks_clients_to_leave_only_after_its_wait():
    """Behind an l4 balancer nobody else can say `Connection: close`."""
    site = new_site()
    obey(site, '{"op": "drain", "wait_s": 60}\n')
    assert b"connection" not in ask(site)[1]
    obey(site, '{"op": "drain", "wait_s": 0}\n')
    assert ask(site)[1][b"connection"] == b"close"
    obey(site, '{"op": "undrain"}\n')
    assert b"connection" not in ask(site)[1]
