"""The stub resolver of a host, as glibc's behaves (resolv.conf(5)): no cache (`cache` is one),
every server in its order, all of them twice, one deadline.

Every lookup has sockets of its own (random source ports, from the kernel), one a server, and a
random id. Each turn has an equal part of the time, the last one all that is left; the next server
is asked at once if one refuses, fails or its port is closed. Only the socket whose turn it is is
read, and what does not belong to the question is ignored.
"""

from __future__ import annotations

import errno
import random
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic_ns

import dnslib

from emulator.node.client.loop import Loop, Timer

ATTEMPTS = 2  # resolv.conf(5)
Server = tuple[str, int]
_TRY_AGAIN = frozenset({"SERVFAIL", "NOTIMP", "REFUSED"})  # glibc asks the next server for these


@dataclass(frozen=True, slots=True)
class Answer:
    """`rcode` is NOERROR, another rcode, `timeout`, `NODATA` or an errno name. `t` in ns."""

    t: int
    rcode: str
    addresses: tuple[str, ...] = ()
    ttl: int = 0
    errno: int = 0  # of a socket call that failed
    is_held: bool = False  # by a cache of the client's own: nobody was asked


class Resolver:
    """Asks for the A records of one name, one server after the other."""

    def __init__(self, loop: Loop, servers: Sequence[Server], name: str) -> None:
        self.loop = loop
        self.servers = tuple(servers)
        self.name = name
        # RD is set, as by every stub resolver: a name server that is asked directly ignores it.
        self.question = bytes(dnslib.DNSRecord.question(name).pack())[2:]

    def lookup(self, limit_ns: int, done: Callable[[Answer], None]) -> None:
        """Calls `done` exactly once, within `limit_ns`; possibly before this returns."""
        _Lookup(self, limit_ns, done).begin()


class _Lookup:
    def __init__(self, resolver: Resolver, limit_ns: int, done: Callable[[Answer], None]) -> None:
        self._resolver = resolver
        self._loop = resolver.loop
        self._done = done
        self._id = random.getrandbits(16)
        self._query = self._id.to_bytes(2, "big") + resolver.question
        self._turns = iter(resolver.servers * ATTEMPTS)
        self._left = len(resolver.servers) * ATTEMPTS
        self._patience_ns = limit_ns // self._left
        self._sockets: dict[Server, socket.socket] = {}
        self._sock: socket.socket | None = None  # of the server whose turn it is
        self._limit = self._loop.at(monotonic_ns() + limit_ns, self._give_up)
        self._turn: Timer | None = None

    def begin(self) -> None:
        """The next server's turn; there is one."""
        if self._turn is not None:
            self._turn.cancel()
        if self._sock is not None:
            self._loop.forget(self._sock.fileno())
        self._left -= 1
        if self._left:
            self._turn = self._loop.at(monotonic_ns() + self._patience_ns, self.begin)
        try:
            self._sock = self._socket_to(next(self._turns))
            self._loop.watch(self._sock.fileno(), select.EPOLLIN, self._readable)
            self._sock.send(self._query)
        except OSError as error:
            self._failed(error)

    def _socket_to(self, server: Server) -> socket.socket:
        """One a server: a late answer is read when it is asked again."""
        if server not in self._sockets:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._sockets[server] = sock
            sock.connect(server)
        return self._sockets[server]

    def _give_up(self) -> None:
        self._end(Answer(monotonic_ns(), "timeout"))

    def _readable(self, _mask: int) -> None:
        assert self._sock is not None  # noqa: S101 - the loop forgot us otherwise
        try:
            data = self._sock.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(error)
            return
        answer = _parse(data, self._id, self._resolver.name)
        if answer is None:
            return
        if answer.rcode in _TRY_AGAIN and self._left:
            self.begin()
        else:
            self._end(answer)

    def _failed(self, error: OSError) -> None:
        """Where nobody listens the next is asked at once; other errors are this machine's own."""
        if isinstance(error, ConnectionRefusedError) and self._left:
            self.begin()
            return
        number = error.errno or errno.EIO
        name = errno.errorcode.get(number, f"errno-{number}")
        self._end(Answer(monotonic_ns(), name, errno=number))

    def _end(self, answer: Answer) -> None:
        self._limit.cancel()
        if self._turn is not None:
            self._turn.cancel()
        for sock in self._sockets.values():
            self._loop.close(sock)
        self._done(answer)


def _parse(data: bytes, wanted_id: int, name: str) -> Answer | None:
    """The answer in a datagram, None if it is not one to our question."""
    now = monotonic_ns()
    try:
        record = dnslib.DNSRecord.parse(data)
        asked = str(record.q.qname).rstrip(".").lower()
    except (dnslib.DNSError, IndexError, ValueError):
        return None
    if record.header.id != wanted_id or not record.header.qr or asked != name.rstrip(".").lower():
        return None
    found = [rr for rr in record.rr if rr.rtype == dnslib.QTYPE.A]
    rcode = str(dnslib.RCODE.get(record.header.rcode))
    if rcode == "NOERROR" and not found:
        rcode = "NODATA"
    ttl = min((rr.ttl for rr in found), default=0)
    return Answer(now, rcode, tuple(str(rr.rdata) for rr in found), ttl)
