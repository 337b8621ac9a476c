"""One attempt to reach the service over TCP: lookup, then connect, then TLS where it speaks it."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from emulator.node.client.city import City, Failure, Pending, failure_of
from emulator.node.client.loop import Conn, Timer
from emulator.node.client.resolver import Answer
from emulator.node.client.schedule import FOREVER
from emulator.node.client.tls import Handshake


@dataclass(slots=True)
class Dialled:
    """What the attempt came to: an open socket, or a failure. Instants in ns; `lookup` None: no
    answer came, or none was needed."""

    sock: Conn | None = None
    failure: Failure | None = None
    lookup: int | None = None
    connecting: int | None = None
    connected: int | None = None
    secured: int | None = None
    address: str = ""
    port: int = 0

    def stamp(self, pending: Pending) -> None:
        """Write the attempt into the request it was made for."""
        pending.lookup = self.lookup
        pending.connecting = self.connecting
        pending.connected = self.connected
        pending.secured = self.secured
        pending.address = self.address
        pending.port = self.port


def lookup_failure(answer: Answer) -> Failure | None:
    """How a request ends for which the name was not found; None: it was."""
    if answer.errno:
        return failure_of(answer.errno)
    if answer.rcode == "timeout":
        return Failure("timeout", "lookup")
    return None if answer.rcode == "NOERROR" else Failure("error", answer.rcode)


def dial(city: City, client: str, done: Callable[[Dialled], None], deadline: int = FOREVER) -> None:
    """Look the name up and connect as `client` (a kind) does, each within the city's timeout,
    both before `deadline`. A TLS handshake is part of the connect.

    Calls `done` exactly once, possibly before this returns.
    """
    _Dial(city, client, done, deadline).begin()


class _Dial:
    def __init__(
        self, city: City, client: str, done: Callable[[Dialled], None], deadline: int
    ) -> None:
        self._city = city
        self._names = city.caches[client]
        is_echo = client == "stream"
        self._port = city.config.echo_port if is_echo else city.config.port
        self._tls = None if is_echo else city.tls
        self._done = done
        self._deadline = deadline
        self._result = Dialled()
        self._timer: Timer | None = None

    def begin(self) -> None:
        limit = min(self._city.config.lookup_ns, self._deadline - monotonic_ns())
        self._names.lookup(limit, self._answered)

    def _answered(self, answer: Answer) -> None:
        failure = lookup_failure(answer)
        if failure:
            self._fail(failure)
            return
        self._result.lookup = None if answer.is_held else answer.t
        self._result.address = answer.addresses[0]
        self._connect()

    def _connect(self) -> None:
        result = self._result
        try:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._fail(failure_of(error.errno or errno.EIO))
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        result.connecting = monotonic_ns()
        number = sock.connect_ex((result.address, self._port))
        if number not in {0, errno.EINPROGRESS}:
            sock.close()
            self._fail(failure_of(number))
            return
        result.sock = sock
        result.port = sock.getsockname()[1]
        limit = min(result.connecting + self._city.config.connect_ns, self._deadline)
        self._timer = self._city.loop.at(limit, self._give_up)
        self._city.loop.watch(sock.fileno(), select.EPOLLOUT, self._connected)

    def _connected(self, _mask: int) -> None:
        now = monotonic_ns()
        sock = self._result.sock
        assert isinstance(sock, socket.socket)  # noqa: S101 - set by _connect
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._drop(failure_of(number))
            return
        self._city.loop.forget(sock.fileno())
        self._result.connected = now
        if self._tls is None:
            self._finish()
            return
        handshake = Handshake(self._city, sock, self._tls, self._shaken)
        self._result.sock = handshake.sock
        handshake.begin()

    def _shaken(self, failure: Failure | None) -> None:
        if failure:
            self._drop(failure)
            return
        self._result.secured = monotonic_ns()
        self._finish()

    def _give_up(self) -> None:
        phase = "connect" if self._result.connected is None else "handshake"
        self._drop(Failure("timeout", phase, "us"))

    def _drop(self, failure: Failure) -> None:
        sock, self._result.sock = self._result.sock, None
        if sock is not None:
            self._city.loop.close(sock)
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        self._result.failure = failure
        self._finish()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._done(self._result)
