"""HTTP/1.1 over one connection (`Link`), and kind `http`, which opens one for every request."""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic_ns

import h11

from emulator.node.client.city import City, Failure, Pending
from emulator.node.client.config import Load
from emulator.node.client.dial import Dialled, dial
from emulator.node.client.loop import Timer
from emulator.node.client.tls import failure_from, leave

# What a server may say before it closes a connection on which nothing was ever asked (HAProxy
# does, after its `timeout http-request`).
_TIRED = b"HTTP/1.1 408 "
_WATCHED = select.EPOLLIN | select.EPOLLRDHUP


class Link:
    """An open connection. `closed` says by whom and why once it is (closed_by, detail)."""

    def __init__(self, city: City, dialled: Dialled, conn: int, done: Callable[[Link], None]):
        assert dialled.sock is not None  # noqa: S101 - only successful attempts become links
        self._city = city
        self._sock = dialled.sock
        self._done = done
        self._http = h11.Connection(h11.CLIENT)
        self._pending: Pending | None = None
        self._response: h11.Response | None = None
        self._timer: Timer | None = None
        self.conn = conn
        self.address = dialled.address
        self.port = dialled.port
        self.closed: tuple[str, str] | None = None
        self.is_expired = False  # to be closed when it rests
        city.loop.watch(self._sock.fileno(), _WATCHED, self._readable)

    def ask(self, pending: Pending) -> None:
        """Send the request. `done(link)` follows when it has ended, as when an idle one closes."""
        self._pending = pending
        pending.address, pending.port, pending.conn = self.address, self.port, self.conn
        pending.region = self._city.config.region_of(self.address)
        head = h11.Request(
            method="GET",
            target=self._city.config.path,
            headers=[("Host", self._city.config.host), ("User-Agent", "netemu")],
        )
        data = (self._http.send(head) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        try:
            self._sock.send(data)
        except OSError as error:
            self._broken(error)
            return
        pending.sent = monotonic_ns()
        deadline = pending.sent + self._city.config.response_ns
        self._timer = self._city.loop.at(deadline, self._timed_out)

    def usable(self) -> bool:
        """Whether an idle connection is still open: its end may be known to the kernel only."""
        self._readable(0)
        return self.closed is None

    def close(self, closed_by: str, detail: str) -> None:
        """Once it is at rest; again: nothing."""
        if self.closed is None:
            self.closed = (closed_by, detail)
            leave(self._city.loop, self._sock)

    def _readable(self, _mask: int) -> None:
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if self._pending is None:
            is_tired = not data or data.startswith(_TIRED)
            self.close("peer-fin" if is_tired else "us", "idle" if is_tired else "EPROTO")
            self._done(self)
            return
        if data and self._pending.first is None:
            self._pending.first = monotonic_ns()
        self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while (event := self._http.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self._response = event
                elif isinstance(event, h11.EndOfMessage):
                    self._answered()
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    self._fail(Failure("error", "EOF", "peer-fin"))
                    return
        except h11.RemoteProtocolError:
            peer_ended = Failure("error", "EOF", "peer-fin")
            self._fail(Failure("error", "EPROTO", "us") if data else peer_ended)

    def _answered(self) -> None:
        pending, response = self._pending, self._response
        assert pending is not None and response is not None  # noqa: S101 - h11's order
        headers = dict(response.headers)
        asked = pending.region
        pending.end = monotonic_ns()
        # Behind an l4 balancer a server of the user's does not name the region.
        pending.region = headers.get(b"x-netemu-region", asked.encode()).decode()
        pending.server = headers.get(b"x-netemu-server", b"").decode()
        pending.protocol = headers.get(b"x-netemu-protocol", b"").decode()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close("us", "drained")
        if not 200 <= response.status_code < 300:
            self._end(Failure("error", str(response.status_code)))
        elif not asked or pending.region != asked:
            self._end(Failure("error", "wrong-region"))
        else:
            self._end(None)

    def _broken(self, error: OSError) -> None:
        failure = failure_from(error)
        if self._pending is not None:
            self._fail(failure)
            return
        self.close(failure.closed_by or "us", failure.detail)
        self._done(self)

    def _timed_out(self) -> None:
        self._fail(Failure("timeout", "response", "us"))

    def _fail(self, failure: Failure) -> None:
        if self.closed is None:
            self.closed = (failure.closed_by or "us", failure.detail)
            self._city.loop.close(self._sock)
        self._end(failure)

    def _end(self, failure: Failure | None) -> None:
        pending, self._pending, self._response = self._pending, None, None
        if self._timer is not None:
            self._timer.cancel()
        if pending is not None:
            self._city.end(pending, failure)
        self._done(self)


class NewConnections:
    """Kind `http`: one connection for one request, closed by us."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._conns = 0

    def resize(self, load: Load) -> None:
        """Nothing outlives a request here."""

    def start(self, planned: int) -> None:
        """Begin the request that was due at `planned`."""
        pending = self._city.begin("http", planned)
        self._conns += 1
        conn = self._conns

        def dialled(result: Dialled) -> None:
            result.stamp(pending)
            pending.conn = conn
            if result.failure:
                pending.region = region_of(self._city, result)
                self._city.end(pending, result.failure)
            else:
                Link(self._city, result, conn, _close).ask(pending)

        dial(self._city, "http", dialled)


def _close(link: Link) -> None:
    link.close("us", "")


def region_of(city: City, result: Dialled) -> str:
    """The region that an attempt went to; "" if it never knew where."""
    return city.config.region_of(result.address) if result.address else ""
