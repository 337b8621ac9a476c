"""`python3 -m emulator.node.app /etc/netemu/app.json`; commands are JSON lines on stdin:
`{"op": "health", "ok": false}`, `{"op": "drain", "wait_s": 9}` (from then on every answer says
`Connection: close`: behind an l4 balancer nobody else can say it), `{"op": "undrain"}`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn

from emulator.events import Daemon, encode
from emulator.node.app.echo import start_echo
from emulator.node.app.web import Site


def obey(site: Site, line: str) -> None:
    """Carry out one command line; an empty one is nothing."""
    command: dict[str, Any] = json.loads(line) if line.strip() else {}
    if command.get("op") == "health":
        site.is_healthy = bool(command["ok"])
    elif command.get("op") == "drain":
        site.leave_after(command["wait_s"])
    elif command.get("op") == "undrain":
        site.stay()


async def listen_to_commands(site: Site) -> None:
    """Read stdin until it ends; its end changes nothing."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        obey(site, line.decode())


def announce() -> None:
    """Say that it listens: a balancer that asks earlier calls it DOWN, and asks again in 1 s."""
    host = os.environ.get("NETEMU_HOST", "")
    event = Daemon(t=time.monotonic_ns(), host=host, name="app", state="listening")
    os.write(int(os.environ.get("NETEMU_EVENTS", "1")), encode(event.to_json()))


class AnnouncedServer(uvicorn.Server):
    """Says when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        announce()


async def serve(config: dict[str, Any]) -> None:
    """Serve until killed: HTTP and echo, or the echo alone beside an image that serves HTTP."""
    site = Site(config["region"], config["server"], config["service"])
    await start_echo(config["echo_port"])
    commands = asyncio.create_task(listen_to_commands(site))
    if config["port"] is None:
        announce()
        await asyncio.Event().wait()
    settings = uvicorn.Config(
        site,
        host="0.0.0.0",
        port=config["port"],
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=1024,
        timeout_keep_alive=3600,  # the client side or the balancer decides when to leave
    )
    await AnnouncedServer(settings).serve()
    commands.cancel()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
