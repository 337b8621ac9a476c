"""A port on this machine behind which everything is as a host of the lab sees it.

A program in the host speaks SOCKS5 and HTTP, looks names up and connects; here is only a listener
whose connections go there as channels of one stream (`emulator/channels.py`). So a far engine will
do, and the lab stays closed: nothing in it can begin a connection to the outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from emulator.channels import Link
from emulator.controller.lab import Lab
from emulator.engine.base import Stream
from emulator.errors import EngineError, UsageError

_PROGRAM = ("python3", "-m", "emulator.node.proxy")
_STARTS_S, _ENDS_S = 10.0, 1.0
_SWITCH_S = 0.0005  # CPython lets a busy thread run for 5 ms while another has bytes to hand over


@dataclass(frozen=True, slots=True)
class Connection:
    """One that was tried: to which address it was made, or why not."""

    name: str = ""
    port: int = 0
    address: str = ""
    why: str = ""
    ms: float = 0.0  # lookup and connect


Listener = Callable[[Connection], object]


@dataclass(frozen=True, slots=True)
class Proxy:
    """Open until its block ends, or its host does."""

    host: str
    port: int
    ended: Future[None]  # when the host's program ended, which has an EngineError to say

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes curl, pip, browsers, Go, Python and others go through it, for every host."""
        http, socks = f"http://{self.address}", f"socks5h://{self.address}"
        names = {"http_proxy": http, "https_proxy": http, "all_proxy": socks, "no_proxy": ""}
        return names | {name.upper(): value for name, value in names.items()}


@contextmanager
def proxy(lab: Lab, host: str, port: int = 0, listener: Listener | None = None) -> Iterator[Proxy]:
    """As seen from a host, on 127.0.0.1; port 0: a free one. `listener` hears of each connection,
    in a thread of ours. Raises UsageError for a port that is taken, EngineError where the host
    does not run."""
    _allow_many_files()
    stream = lab.engine.stream(lab.name, host, _PROGRAM)
    relay = _Relay(stream, host, listener or (lambda _: None))
    thread = threading.Thread(target=relay.run, args=(port,), name="netemu-proxy", daemon=True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    thread.start()
    try:
        yield Proxy(host, relay.listening.result(_STARTS_S), relay.ended)
    finally:
        relay.stop()
        thread.join(_ENDS_S)
        stream.close()  # a frozen host does not read, and a write would wait for that
        thread.join()
        sys.setswitchinterval(before)


def _allow_many_files() -> None:
    """A connection is a descriptor; a shell's soft limit is often 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Relay:
    """The listener, its connections and the stream. What is written waits while the host does not
    read, and all of us with it: so do the programs here."""

    def __init__(self, stream: Stream, host: str, listener: Listener) -> None:
        self.listening: Future[int] = Future()
        self.ended: Future[None] = Future()
        self._stream = stream
        self._descriptor = stream.fileno()
        self._host = host
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._link = Link(self._write, note=self._noted)
        self._answers = asyncio.Event()  # the program in the host
        self._stopping = asyncio.Event()

    def run(self, port: int) -> None:
        """In a thread of its own, until `stop`."""
        try:
            self._loop.run_until_complete(self._serve(port))
        except Exception as error:  # noqa: BLE001 (whoever waits for the port gets it)
            self.listening.set_exception(error)
        self._stream.close()
        self._loop.close()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # it never came so far as to listen
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _serve(self, port: int) -> None:
        await self._answer()
        try:
            server = await self._loop.create_server(self._link.open, "127.0.0.1", port, backlog=512)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise UsageError(f"cannot listen on 127.0.0.1:{port}: {why}") from error
        self.listening.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        self._loop.remove_reader(self._descriptor)
        server.close()
        self._link.abort()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn

    async def _answer(self) -> None:
        self._loop.add_reader(self._descriptor, self._read)
        try:
            await asyncio.wait_for(self._answers.wait(), _STARTS_S)
        except TimeoutError as error:
            raise EngineError(
                f"the proxy's program in {self._host} does not answer; see: netemu status"
            ) from error
        if self.ended.done():
            self.ended.result()

    def _read(self) -> None:
        try:
            data = self._stream.take()
        except EngineError as error:
            self._lost(error)
            return
        if data is None:
            self._lost(
                EngineError(f"{self._host} ended, and its proxy with it; see: netemu status")
            )
        else:
            self._link.feed(data)

    def _lost(self, error: EngineError) -> None:
        self._loop.remove_reader(self._descriptor)
        self._link.abort()
        self._end(error)
        self._answers.set()

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(EngineError):  # the reader tells
            self._stream.write(data)

    def _noted(self, text: bytes) -> None:
        said: Mapping[str, Any] = json.loads(text)
        if not said:
            self._answers.set()
            return
        try:
            self._listener(Connection(**said))
        except Exception as error:  # noqa: BLE001 (whoever waits for the end gets it)
            self._end(error)

    def _end(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
