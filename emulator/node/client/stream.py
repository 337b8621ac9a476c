"""Kind `stream`: long-lived TCP connections to the echo port, each with a message every 200 ms
(less often where more streams were asked for than the rate needs).

A stream lives for ever: it connects, and when the connection ends or stalls it connects again. An
attempt (lookup and connect) has the city's connect timeout; after a failed one, or a connection
that never carried an echo, it waits BACK_OFF_NS. It stalls when its oldest message has had no
echo for the response timeout. Until the first attempt has ended there is no stream, and so no
message is due.
"""

from __future__ import annotations

import errno
import select
from collections import deque
from time import monotonic_ns

from emulator.clock import NS_PER_MS
from emulator.node.client.city import City, Failure, Pending, failure_of
from emulator.node.client.config import Load
from emulator.node.client.dial import Dialled, dial
from emulator.node.client.loop import Conn

BACK_OFF_NS = 100 * NS_PER_MS
MESSAGES_PER_S = 5  # of one stream
_SIZE = 16  # bytes of a message: its number, in hexadecimal
_UNCONNECTED = Failure("error", "unconnected")


class Streams:
    """As many streams as were asked for, else as the rate needs; the messages go round them."""

    def __init__(self, city: City) -> None:
        self.city = city
        self._conns = 0
        self._turn = 0
        self._streams: list[_Stream] = []

    def resize(self, load: Load) -> None:
        """More or fewer streams; those that fit stay as they are."""
        wanted = load.connections or max(1, round(load.rate / MESSAGES_PER_S))
        wanted = wanted if load.rate > 0 else 0
        for stream in self._streams[wanted:]:
            stream.retire()
        del self._streams[wanted:]
        while len(self._streams) < wanted:
            self._streams.append(_Stream(self))
            self._streams[-1].connect()

    def start(self, planned: int) -> None:
        """Send the message that was due at `planned`."""
        if self._streams:
            self._turn = (self._turn + 1) % len(self._streams)
            self._streams[self._turn].send(planned)

    def new_conn(self) -> int:
        self._conns += 1
        return self._conns


class _Stream:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._city = streams.city
        self._dialled = Dialled()
        self._sock: Conn | None = None
        self._conn = 0
        self._why: Failure | None = None  # of the last failed attempt; None: none has ended yet
        self._waiting: deque[tuple[Pending, bytes]] = deque()
        self._received = b""
        self._echoed = False
        self._stall_armed = False
        self._retired = False

    def connect(self) -> None:
        if self._retired:
            return
        self._conn = self._streams.new_conn()
        self._city.connection("stream", self._conn, "attempt")
        deadline = monotonic_ns() + self._city.config.connect_ns
        dial(self._city, "stream", self._attempted, deadline)

    def send(self, planned: int) -> None:
        if self._sock is None and self._why is None:
            return
        pending = self._city.begin("stream", planned)
        if self._sock is None:
            ours = self._why if self._why and self._why.outcome == "unknown" else None
            self._city.end(pending, ours or _UNCONNECTED)
            return
        pending.conn, pending.protocol = self._conn, "tcp"
        pending.address, pending.port = self._dialled.address, self._dialled.port
        pending.region = self._city.config.region_of(pending.address)
        message = b"%0*x" % (_SIZE, pending.n)
        self._waiting.append((pending, message))
        try:
            self._sock.send(message)
        except OSError as error:
            self._lose(failure_of(error.errno or errno.EIO))
            return
        pending.sent = monotonic_ns()
        self._watch_stall()

    def retire(self) -> None:
        """No message will be due again: close when the echoes in flight are there."""
        self._retired = True
        if not self._waiting:
            self._close("us", "idle")

    def _attempted(self, result: Dialled) -> None:
        self._dialled = result
        if result.failure:
            self._report("failed", result.failure.closed_by, result.failure.detail)
            self._why = result.failure
            self._back_off()
            return
        self._sock, self._why = result.sock, _UNCONNECTED
        self._received, self._echoed = b"", False
        self._report("open")
        if self._retired:
            self._close("us", "idle")
        elif self._sock is not None:
            events = select.EPOLLIN | select.EPOLLRDHUP
            self._city.loop.watch(self._sock.fileno(), events, self._readable)

    def _readable(self, _mask: int) -> None:
        assert self._sock is not None  # noqa: S101 - the loop forgot us otherwise
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(failure_of(error.errno or errno.EIO))
            return
        if data:
            self._echo(data, monotonic_ns())
        else:
            self._lose(Failure("error", "EOF", "peer-fin"))

    def _echo(self, data: bytes, now: int) -> None:
        self._received += data
        while self._received and self._waiting:
            pending, message = self._waiting[0]
            pending.first = pending.first or now
            if len(self._received) < _SIZE:
                return
            echo, self._received = self._received[:_SIZE], self._received[_SIZE:]
            if echo != message:
                break
            self._waiting.popleft()
            self._echoed = True
            pending.end = now
            self._city.end(pending)
        if self._received:
            self._lose(Failure("error", "EPROTO", "us"))
        elif self._retired and not self._waiting:
            self._close("us", "idle")

    def _watch_stall(self) -> None:
        """One timer a stream, always for the message that was the oldest when it was set."""
        if self._waiting and not self._stall_armed:
            self._stall_armed = True
            self._city.loop.at(self._stalls_at(), self._check_stall)

    def _stalls_at(self) -> int:
        return self._waiting[0][0].t + self._city.config.response_ns

    def _check_stall(self) -> None:
        self._stall_armed = False
        if self._waiting and self._stalls_at() <= monotonic_ns():
            self._lose(Failure("error", "stalled", "us"))
        else:
            self._watch_stall()

    def _lose(self, failure: Failure) -> None:
        """The connection is over: so are its messages. Connect again."""
        self._close(failure.closed_by or "us", failure.detail)
        while self._waiting:
            pending, _ = self._waiting.popleft()
            self._city.end(pending, failure)
        if self._echoed:
            self.connect()
        else:
            self._back_off()

    def _back_off(self) -> None:
        self._city.loop.at(monotonic_ns() + BACK_OFF_NS, self.connect)

    def _close(self, closed_by: str, detail: str) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._city.loop.close(sock)
            self._report("close", closed_by, detail)

    def _report(self, phase: str, closed_by: str = "", detail: str = "") -> None:
        self._city.connection(
            "stream", self._conn, phase, address=self._dialled.address, port=self._dialled.port,
            closed_by=closed_by, detail=detail,
        )  # fmt: skip
