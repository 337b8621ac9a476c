"""The shell around the pure core: sockets, checks, commands and the event pipe, on one loop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import cast

from emulator.clock import Clock
from emulator.errors import NotReady
from emulator.events import Event, Lost, encode
from emulator.node.dns.commands import follow_commands
from emulator.node.dns.config import Config
from emulator.node.dns.message import Authority, respond
from emulator.node.dns.policy import LatencyPolicy
from emulator.node.dns.routing import Emit, LiveRouting
from emulator.node.dns.schedules import Checks
from emulator.node.dns.values import Transport
from emulator.node.dns.zone import Zone

Respond = Callable[[bytes, str, Transport], bytes | None]

TCP_BACKLOG = 128

log = logging.getLogger(__name__)


class EventPipe:
    """Writes event lines to a file descriptor and never waits for its reader.

    A reader that stands still (a frozen host) must not stop the answers: what does not fit is
    counted, and the count is the next line that gets through.
    """

    def __init__(self, descriptor: int, server: str, clock: Clock) -> None:
        self._descriptor = descriptor
        self._server = server
        self._clock = clock
        self._lost = 0

    def emit(self, event: Event) -> None:
        if self._lost:
            loss = Lost(t=self._clock.now_ns(), count=self._lost, where=f"{self._server} dns")
            if not self._write(loss):
                self._lost += 1
                return
            self._lost = 0
        if not self._write(event):
            self._lost += 1

    def _write(self, event: Event) -> bool:
        try:
            os.write(self._descriptor, encode(event.to_json()))  # below PIPE_BUF: whole or not
        except OSError:
            return False
        return True


class Datagrams(asyncio.DatagramProtocol):
    """DNS over UDP on one socket."""

    def __init__(self, answer: Respond) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._answer(data, addr[0], "udp")
        if reply is not None:
            self._transport.sendto(reply, addr)


class Streams:
    """DNS over TCP (RFC 7766): any number of queries a connection, answered in their order."""

    def __init__(self, answer: Respond, idle_s: float) -> None:
        self._answer = answer
        self._idle_s = idle_s

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = writer.get_extra_info("peername")[0]
        try:
            while True:
                async with asyncio.timeout(self._idle_s):
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    query = await reader.readexactly(length)
                    reply = self._answer(query, source, "tcp")
                    if reply is None:
                        break
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # idle, gone, or finished: all end the connection
        finally:
            writer.close()


def bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """A UDP and a listening TCP socket on every address; NotReady names the one that fails."""
    sockets = []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind, transport in ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp")):
            listener = socket.socket(family, kind)
            try:
                if kind == socket.SOCK_STREAM:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
            except OSError as error:
                raise NotReady(
                    f"cannot listen on {address} port {port}/{transport}: {error.strerror};"
                    " the host must be wired before its name server starts"
                ) from error
            listener.setblocking(False)  # noqa: FBT003
            sockets.append(listener)
    return sockets


async def listen(sockets: Sequence[socket.socket], answer: Respond, idle_s: float) -> None:
    """Start answering on all sockets."""
    loop = asyncio.get_running_loop()
    streams = Streams(answer, idle_s)
    for listener in sockets:
        if listener.type == socket.SOCK_DGRAM:
            await loop.create_datagram_endpoint(lambda: Datagrams(answer), sock=listener)
        else:
            await asyncio.start_server(streams.serve, sock=listener, backlog=TCP_BACKLOG)


async def run(config: Config, zone: Zone, clock: Clock, emit: Emit, commands: int) -> None:
    """Serve the zone until cancelled. NotReady if an address cannot be listened on."""
    policy = LatencyPolicy.of(config.sites, tuple(sorted(config.services[0].regions)))
    live = LiveRouting(config.server, config.services, clock, emit)
    checks = Checks(config.services, clock, live.take)

    def answer(data: bytes, source: str, transport: Transport) -> bytes | None:
        return respond(data, source, transport, Authority(zone, policy, live.routing))

    await listen(bind(config.listen, config.port), answer, config.tcp_idle_s)
    follow_commands(commands, lambda line: obey(line, live, checks))
    log.info("%s serves %s on %s", config.server, config.zone, ", ".join(config.listen))
    await checks.run()


def obey(line: str, live: LiveRouting, checks: Checks) -> None:
    """Do what a command line says; nonsense is logged."""
    try:
        command = json.loads(line)
        if command["op"] == "state":
            live.emit_live()
        elif command["op"] == "phase":
            checks.place(int(command["t"]), command["region"])
        else:
            raise ValueError(command["op"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("%r is no command (%r); there are state and phase", line, error)
