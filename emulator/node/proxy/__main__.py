"""`python -m emulator.node.proxy`: speaks `channels` on stdin and stdout until stdin ends."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from emulator.channels import Channel, Link
from emulator.node.proxy.greeting import Failure, Greeting, Refused, Wish

_LOOKUPS = 64  # side by side; each waits in a thread of its own while name servers are silent
_FAILURES = {
    errno.ECONNREFUSED: Failure.REFUSED,
    errno.ETIMEDOUT: Failure.TIMEOUT,
    errno.ENETUNREACH: Failure.NETWORK,
    errno.EHOSTUNREACH: Failure.NETWORK,
}


class Guest:
    """One connection of a program outside, from its greeting to its being joined."""

    def __init__(self, channel: Channel, link: Link) -> None:
        self._channel = channel
        self._link = link
        self._greeting = Greeting()
        self._task: asyncio.Task[None] | None = None
        channel.on_data = self._greets
        channel.on_gone = self._leaves

    def _greets(self, data: bytes) -> None:
        try:
            answer, wish = self._greeting.feed(data)
        except Refused as refused:
            self._note(why=str(refused))
            self._channel.finish(refused.answer)
            return
        if answer:
            self._channel.say(answer)
        if wish:
            self._channel.keep(wish.first)
            self._task = asyncio.get_running_loop().create_task(self._connect(wish))

    def _leaves(self) -> None:
        if self._task:
            self._task.cancel()

    async def _connect(self, wish: Wish) -> None:
        """What came of it is told to whoever runs us before the guest can know."""
        began = time.monotonic()
        said: dict[str, Any] = {"name": wish.host, "port": wish.port}
        try:
            sock, said["address"] = await _connected(wish)
        except OSError as error:
            words = said["why"] = _words(error)
            self._note(**said, ms=_ms_since(began))
            self._channel.finish(wish.refused(_failure(error), f"{wish.host}: {words}"))
            return
        self._note(**said, ms=_ms_since(began))
        if wish.granted:
            self._channel.say(wish.granted)
        await asyncio.get_running_loop().create_connection(lambda: self._channel, sock=sock)

    def _note(self, **said: Any) -> None:
        self._link.note(json.dumps(said).encode())


async def _connected(wish: Wish) -> tuple[socket.socket, str]:
    """To the first address that answers, of those that the name has, in order. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(wish.host, wish.port, type=socket.SOCK_STREAM)
    error = OSError("no address")
    for family, _, _, _, target in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)  # noqa: FBT003
        try:
            await loop.sock_connect(sock, target)
        except OSError as why:
            error = why
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise
        else:
            return sock, str(target[0])
    raise error


def _ms_since(began: float) -> float:
    return round(1000 * (time.monotonic() - began), 3)


def _failure(error: OSError) -> Failure:
    if isinstance(error, socket.gaierror):
        return Failure.NAME
    return _FAILURES.get(error.errno or 0, Failure.OTHER)


def _words(error: OSError) -> str:
    """What the system calls it; asyncio puts addresses into it."""
    if isinstance(error, socket.gaierror):
        return (error.strerror or str(error)).lower()
    return os.strerror(error.errno).lower() if error.errno else str(error)


class _Stdin(asyncio.Protocol):
    def __init__(self, link: Link, ended: asyncio.Event) -> None:
        self._link = link
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        self._link.feed(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._ended.set()


async def serve() -> None:
    """Until stdin ends."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_LOOKUPS, "lookup"))
    ended = asyncio.Event()
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    link = Link(out.write, accept=lambda channel: Guest(channel, link))
    await loop.connect_read_pipe(lambda: _Stdin(link, ended), sys.stdin)
    link.note(b"{}")  # we listen
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve())
