"""Kind `udp`: a datagram to the echo port and its echo, after a lookup of its own.

The datagrams go round PORTS fixed source ports, so that what a balancer remembers of a flow (its
connection tracking) shows. The echo is matched by the number inside, and must come from where the
datagram went. Nobody answers for a closed port but ICMP, which the kernel hands us with the
datagram it is about (IP_RECVERR).
"""

from __future__ import annotations

import errno
import select
import socket
import sys
from dataclasses import dataclass
from functools import partial
from time import monotonic_ns

from emulator.node.client.city import City, Failure, Pending, failure_of
from emulator.node.client.config import Load
from emulator.node.client.dial import lookup_failure
from emulator.node.client.loop import Timer
from emulator.node.client.resolver import Answer

PORTS = 8
_SIZE = 16  # bytes of a datagram: its number, in hexadecimal
_IP_RECVERR = 11  # linux/in.h; socket has no name for it before Python 3.14


@dataclass(slots=True)
class _Sent:
    pending: Pending
    timer: Timer


class Datagrams:
    """Asks over fixed source ports from `config.udp_port` on."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._sockets: list[socket.socket] = []
        self._waiting: dict[int, _Sent] = {}

    def resize(self, load: Load) -> None:
        """The source ports are opened at the first need, and stay open."""
        if load.rate > 0 and not self._sockets:
            self._sockets = [self._open(self._city.config.udp_port + k) for k in range(PORTS)]

    def start(self, planned: int) -> None:
        """Begin the exchange that was due at `planned`."""
        pending = self._city.begin("udp", planned)
        pending.protocol = "udp"
        pending.port = self._city.config.udp_port + pending.n % PORTS
        done = partial(self._answered, pending)
        self._city.caches["udp"].lookup(self._city.config.lookup_ns, done)

    def _open(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.bind(("", port))
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        self._city.loop.watch(sock.fileno(), select.EPOLLIN, partial(self._ready, sock))
        return sock

    def _answered(self, pending: Pending, answer: Answer) -> None:
        failure = lookup_failure(answer)
        if failure:
            self._city.end(pending, failure)
            return
        pending.lookup = None if answer.is_held else answer.t
        pending.address = answer.addresses[0]
        pending.region = self._city.config.region_of(pending.address)
        pending.connecting = monotonic_ns()
        number = self._send(pending)
        if number:
            self._city.end(pending, failure_of(number))
            return
        pending.sent = monotonic_ns()
        timer = self._city.loop.at(
            pending.sent + self._city.config.response_ns, partial(self._give_up, pending)
        )
        self._waiting[pending.n] = _Sent(pending, timer)

    def _send(self, pending: Pending) -> int:
        """0 or an errno. An earlier datagram's ICMP error may come first: take it, send again."""
        sock = self._sockets[pending.n % PORTS]
        datagram = b"%0*x" % (_SIZE, pending.n)
        for _ in range(2):
            try:
                sock.sendto(datagram, (pending.address, self._city.config.echo_port))
            except OSError as error:
                number = error.errno or errno.EIO
                self._take_errors(sock)
            else:
                return 0
        return number

    def _ready(self, sock: socket.socket, mask: int) -> None:
        if mask & select.EPOLLERR:
            self._take_errors(sock)
        try:
            data, source = sock.recvfrom(2048)
        except OSError:  # nothing there, or an ICMP error that the error queue reports
            return
        sent = self._find(data)
        if sent is None or source != (sent.pending.address, self._city.config.echo_port):
            return
        sent.pending.first = sent.pending.end = monotonic_ns()
        self._end(sent, None)

    def _take_errors(self, sock: socket.socket) -> None:
        while True:
            try:
                data, ancillary, _, _ = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
            except OSError:  # EAGAIN: the queue is empty
                return
            sent = self._find(data)
            if sent is not None and ancillary:
                # struct sock_extended_err begins with the errno, 32 bits
                number = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
                self._end(sent, failure_of(number))

    def _find(self, data: bytes) -> _Sent | None:
        try:
            return self._waiting.get(int(data, 16)) if len(data) == _SIZE else None
        except ValueError:
            return None

    def _give_up(self, pending: Pending) -> None:
        self._end(self._waiting[pending.n], Failure("timeout", "response", "us"))

    def _end(self, sent: _Sent, failure: Failure | None) -> None:
        del self._waiting[sent.pending.n]
        sent.timer.cancel()
        self._city.end(sent.pending, failure)
