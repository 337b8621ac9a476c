"""The keeper's socket: requests and answers of every attached netemu, events to those who read."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from emulator.errors import HostSilent
from emulator.node.lines import Lines
from emulator.node.loop import Future, Loop
from emulator.node.wan.keeper_history import History

_FEED_S = 0.01  # events travel in batches: each wake-up of a reader costs the lab CPU
_PENDING = 1 << 20  # bytes a reader may leave untaken; the rest waits in the ring, or is lost there

Serve = Callable[["Client", str, dict[str, Any]], Coroutine[Future, None, Any]]


class Client:
    """One connection."""

    def __init__(self, loop: Loop, sock: socket.socket, server: Clients, history: History) -> None:
        self._loop = loop
        self._server = server
        self._history = history
        self._cursor: int | None = None
        self._lines = Lines(loop, sock, self._request, lambda: server.left(self))
        self._lines.on_drained = self.feed

    def subscribe(self, since: int | None) -> None:
        """Push every event from number `since` on; None: from now on."""
        self._cursor = self._history.next_seq if since is None else max(0, since)
        self.feed()

    def feed(self) -> None:
        """Push what the reader can take."""
        while self._cursor is not None and self._lines.pending < _PENDING:
            lost, lines = self._history.since(self._cursor, _PENDING)
            if lost:
                self._tell_lost(lost, self._cursor + lost - 1)
            self._cursor += lost + len(lines)
            self._lines.write(b"".join(b'{"event":%b}\n' % line for line in lines))
            if not lines:
                return

    def _tell_lost(self, count: int, seq: int) -> None:
        lost = {"kind": "lost", "t": time.monotonic_ns(), "seq": seq}
        event = {"event": {**lost, "count": count, "where": "the keeper's ring"}}
        self._lines.write(json.dumps(event).encode() + b"\n")

    def _request(self, line: bytes) -> None:
        self._loop.start(self._answer(line))

    async def _answer(self, line: bytes) -> None:
        number = None
        try:
            request = json.loads(line)
            number, op = request.pop("id"), request.pop("op")
            answer = {"ok": await self._server.serve(self, op, request)}
        except HostSilent as error:
            answer = {"error": str(error), "silent": True}
        except Exception as error:  # noqa: BLE001  (whatever it is, the asker must hear of it)
            answer = {"error": str(error) or repr(error)}
        self._lines.write(json.dumps({"id": number, **answer}).encode() + b"\n")


class Clients:
    """All connections."""

    def __init__(
        self, loop: Loop, history: History, serve: Serve, on_left: Callable[[Client], object]
    ) -> None:
        self.serve = serve
        self._loop = loop
        self._history = history
        self._on_left = on_left
        self._clients: set[Client] = set()
        self._feeding = False

    def listen(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        server.bind(str(path))
        server.listen(64)
        self._loop.watch(server.fileno(), lambda _: self._accept(server))

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = server.accept()
            self._clients.add(Client(self._loop, connection, self, self._history))

    def left(self, client: Client) -> None:
        self._clients.discard(client)
        self._on_left(client)

    def news(self) -> None:
        """The history has grown."""
        if not self._feeding:
            self._feeding = True
            self._loop.after(_FEED_S, self._feed)

    def _feed(self) -> None:
        self._feeding = False
        for client in list(self._clients):  # one may turn out to have left
            client.feed()
