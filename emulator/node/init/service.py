"""init's control lines: one keeper at a time, requests in, answers and events out."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from functools import partial

from emulator.node.children import Children
from emulator.node.init.daemons import Daemons
from emulator.node.init.probe import Probe
from emulator.node.init.well import Check
from emulator.node.lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from emulator.node.loop import Loop

BACKLOG = 1 << 20  # bytes of events kept while the keeper is away or slow; the rest is counted


class Service:
    """The socket, the events that wait for it, and one method for each operation."""

    def __init__(self, loop: Loop, directory: str, host: str) -> None:
        self._loop = loop
        self._path = f"{directory}/init.sock"
        self._host = host
        self._keeper: Lines | None = None
        self._backlog = bytearray()
        self._lost = 0
        self._children = Children(loop)
        self._daemons = Daemons(loop, self._children, f"{directory}/log", self.forward, self.tell)
        self._probe = Probe(loop)

    def listen(self) -> None:
        if os.path.exists(self._path):  # a restarted container keeps its files
            os.unlink(self._path)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        server.bind(self._path)
        server.listen(4)
        self._loop.watch(server.fileno(), lambda _: self._accept(server))

    def _accept(self, server: socket.socket) -> None:
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return
        if self._keeper is not None:
            self._keeper.close()
        self._keeper = Lines(self._loop, connection, self._request, self._left)
        self._keeper.on_drained = self._flush
        self._flush()

    def _left(self) -> None:
        self._keeper = None

    def tell(self, kind: str, **fields: object) -> None:
        """An event of init's own."""
        event = {"kind": kind, "t": time.monotonic_ns(), "host": self._host, **fields}
        self.forward(json.dumps(event, separators=(",", ":")).encode())

    def forward(self, line: bytes) -> None:
        """An event line, as it came, towards the keeper."""
        if len(self._backlog) + len(line) > BACKLOG:
            self._lost += 1
            return
        self._backlog += b'{"event":' + line + b"}\n"
        self._flush()

    def _flush(self) -> None:
        keeper = self._keeper
        if keeper is None or keeper.pending or not self._backlog:
            return
        data, self._backlog = bytes(self._backlog), bytearray()
        keeper.write(data)
        if self._lost:
            lost, self._lost = self._lost, 0
            self.tell("lost", count=lost, where=self._host)

    def _request(self, line: bytes) -> None:
        keeper = self._keeper
        request = json.loads(line)
        number, op = request.pop("id"), request.pop("op")

        def answer(result: dict[str, Any]) -> None:
            if keeper is not None and not keeper.closed:
                keeper.write(json.dumps({"id": number, **result}).encode() + b"\n")

        async def serve() -> None:
            try:
                operation = getattr(self, f"op_{op}", None)
                if operation is None:
                    raise ValueError(f"init knows no {op!r}")
                answer({"ok": await operation(**request)})
            except Exception as error:  # noqa: BLE001  (whatever it is, the asker must hear of it)
                answer({"error": f"{op}: {error or type(error).__name__}"})

        self._loop.start(serve())

    async def op_configure(
        self,
        files: dict[str, str],
        daemons: list[dict[str, Any]],
        secrets: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """`secrets`: files that only root may read."""
        for path, text in files.items():
            _write(path, text, 0o644)
        for path, text in (secrets or {}).items():
            _write(path, text, 0o600)
        self._daemons.configure(daemons)
        return {}

    async def op_start(self, daemons: list[str] | None = None) -> dict[str, Any]:
        return self._daemons.start(daemons)

    async def op_kill(self, daemons: list[str] | None = None) -> dict[str, Any]:
        return {"t": self._daemons.kill(daemons)}

    async def op_signal(self, daemon: str, signal: str) -> dict[str, Any]:
        self._daemons.signal(daemon, _signal_number(signal))
        return {}

    async def op_send(self, daemon: str, line: str) -> dict[str, Any]:
        self._daemons.send(daemon, line)
        return {}

    async def op_run(
        self, argv: list[str], timeout_s: float = 5.0, stdin: str = ""
    ) -> dict[str, Any]:
        code, out, err = await self._children.run(argv, stdin.encode(), timeout_s)
        texts = (text.decode(errors="replace") for text in (out, err))
        return dict(zip(("rc", "out", "err"), (code, *texts), strict=True))

    async def op_probe_listen(self) -> dict[str, Any]:
        self._probe.listen()
        return {}

    async def op_probe_send(self, targets: list[str], count: int) -> dict[str, Any]:
        return {"sent": await self._probe.send(targets, count)}

    async def op_probe_report(self) -> dict[str, Any]:
        return self._probe.report()

    async def op_well(self, wait_s: float, **check: Any) -> dict[str, Any]:
        return {"is_well": await Check(**check).passes_within(self._loop, wait_s)}

    async def op_logs(self, daemon: str, bytes: int = 65536) -> dict[str, Any]:  # noqa: A002
        return {"text": self._daemons.log(daemon, bytes)}

    async def op_new_logs(self, at: dict[str, int], bytes: int) -> dict[str, Any]:  # noqa: A002
        since = {name: self._daemons.log_since(name, begin, bytes) for name, begin in at.items()}
        return {name: {"text": text, "end": end} for name, (text, end) in since.items()}

    async def op_status(self) -> dict[str, Any]:
        return {"daemons": self._daemons.status()}


def _write(path: str, text: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=partial(os.open, mode=mode)) as file:
        file.write(text)


def _signal_number(name: str) -> int:
    return int(getattr(signal, name if name.startswith("SIG") else f"SIG{name}"))
