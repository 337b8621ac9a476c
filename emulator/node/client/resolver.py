"""The stub resolver of a host, as glibc's behaves: no cache (`cache` is one), two tries, one
deadline.

Every lookup has a socket of its own (random source port, from the kernel) and a random id. The
query is sent again after half the time; at once if the resolver refuses, fails or its port is
closed. What does not belong to the question is ignored.
"""

from __future__ import annotations

import errno
import random
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

import dnslib

from emulator.node.client.loop import Loop

TRIES = 2  # resolv.conf(5): attempts
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
    """Asks one recursive resolver for the A records of one name."""

    def __init__(self, loop: Loop, server: tuple[str, int], name: str) -> None:
        self.loop = loop
        self.server = server
        self.name = name
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
        self._tries = 0
        now = monotonic_ns()
        self._sock: socket.socket | None = None
        self._timers = (
            self._loop.at(now + limit_ns // TRIES, self._half_time),
            self._loop.at(now + limit_ns, self._give_up),
        )

    def begin(self) -> None:
        try:
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._sock.connect(self._resolver.server)
        except OSError as error:
            self._failed(error)
            return
        self._loop.watch(self._sock.fileno(), select.EPOLLIN, self._readable)
        self._send()

    def _send(self) -> None:
        assert self._sock is not None  # noqa: S101 - begin opened it, _end drops us
        self._tries += 1
        try:
            self._sock.send(self._query)
        except ConnectionRefusedError as error:
            self._refused(error)
        except OSError as error:
            self._failed(error)

    def _half_time(self) -> None:
        if self._tries < TRIES:
            self._send()

    def _give_up(self) -> None:
        self._end(Answer(monotonic_ns(), "timeout"))

    def _readable(self, _mask: int) -> None:
        assert self._sock is not None  # noqa: S101 - the loop forgot us otherwise
        try:
            data = self._sock.recv(4096)
        except BlockingIOError:
            return
        except ConnectionRefusedError as error:
            self._refused(error)
            return
        except OSError as error:
            self._failed(error)
            return
        answer = _parse(data, self._id, self._resolver.name)
        if answer is None:
            return
        if answer.rcode in _TRY_AGAIN and self._tries < TRIES:
            self._send()
        else:
            self._end(answer)

    def _refused(self, error: OSError) -> None:
        """The resolver's host lives, nobody listens there."""
        if self._tries < TRIES:
            self._send()
        else:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        number = error.errno or errno.EIO
        name = errno.errorcode.get(number, f"errno-{number}")
        self._end(Answer(monotonic_ns(), name, errno=number))

    def _end(self, answer: Answer) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._sock is not None:
            self._loop.close(self._sock)
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
