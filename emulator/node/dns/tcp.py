"""DNS over TCP (RFC 7766): any number of queries a connection, answered in their order.

All connections are one `epoll`, which is one descriptor of the loop: each turn takes a bounded
number of them and a bounded number of bytes from each, so thousands that talk at once cost the
rest of the server no more than some do, and one that is idle costs a socket and one small object.
A connection is either read or written: as long as a peer leaves answers unread, it is asked for
nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import select
import socket
from collections import OrderedDict
from collections.abc import Sequence

from emulator.node.dns.answers import Answers, Counting

TURN = 8  # connections a turn, also new ones: with READ some 100 queries, were all pipelined
READ = 512  # bytes a turn and connection; a query has some 40
UNSENT_MAX = 65537  # bytes of answers above which a connection is answered nothing more
HELD_MAX = 8 << 20  # bytes unread and unsent in all; who would hold more than is left is closed
CONNECTIONS_MAX = 8192  # in all; beyond them the longest idle makes room
BACKLOG = 1024  # connections that wait to be accepted
SWEEPS = 4  # looks at who is idle during one idle timeout


class Connection:
    """What is unread of one peer's queries and unsent of our answers."""

    __slots__ = ("active", "peer", "socket", "unread", "unsent")

    def __init__(self, accepted: socket.socket, peer: str, now: float) -> None:
        self.socket = accepted
        self.peer = peer
        self.active = now  # when a query last ended: half a one does not keep it open
        self.unread = b""
        self.unsent = b""

    @property
    def held(self) -> int:
        return len(self.unread) + len(self.unsent)

    def send(self) -> None:
        """As much as the peer takes now."""
        with contextlib.suppress(BlockingIOError):
            sent = self.socket.send(self.unsent)
            self.unsent = self.unsent[sent:]


class Streams:
    """Every TCP connection of a server. `limit`: how many at once."""

    def __init__(
        self, listeners: Sequence[socket.socket], answers: Answers, counting: Counting,
        idle_s: float, limit: int = CONNECTIONS_MAX,
    ) -> None:  # fmt: skip
        self._loop = asyncio.get_running_loop()
        self._answers = answers
        self._counting = counting
        self._idle_s = idle_s
        self._limit = min(limit, raise_file_limit(2 * limit) // 2)  # half is for health checks
        self._epoll = select.epoll()
        self._connections: OrderedDict[int, Connection] = OrderedDict()  # the longest idle first
        self._held = 0
        self._listeners = listeners
        for listener in listeners:
            listener.listen(BACKLOG)
            self._loop.add_reader(listener, self._accept, listener)
        self._loop.add_reader(self._epoll.fileno(), self._serve)
        self._sweep()

    def __len__(self) -> int:
        return len(self._connections)

    def connections(self) -> list[Connection]:
        """Those that are open, the longest idle first."""
        return list(self._connections.values())

    def close(self) -> None:
        """Every connection, and answer no more."""
        for connection in self.connections():
            self._close(connection)
        for listener in self._listeners:
            self._loop.remove_reader(listener)
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._sweeping.cancel()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(TURN):
            try:
                accepted, address = listener.accept()
            except OSError:  # nobody is left, or went away while waiting
                return
            accepted.setblocking(False)  # noqa: FBT003
            if len(self._connections) >= self._limit:
                self._close(next(iter(self._connections.values())), "connection limit")
            self._connections[accepted.fileno()] = Connection(
                accepted, address[0], self._loop.time()
            )
            self._epoll.register(accepted.fileno(), select.EPOLLIN)

    def _serve(self) -> None:
        for descriptor, _ in self._epoll.poll(0, TURN):
            connection = self._connections[descriptor]
            held, waited = connection.held, bool(connection.unsent)
            is_open, why = self._go_on(connection)
            self._held += connection.held - held
            if not is_open:
                self._close(connection, why)
            elif self._held > HELD_MAX:
                self._close(connection, "too much held")
            elif waited != bool(connection.unsent):
                wanted = select.EPOLLOUT if connection.unsent else select.EPOLLIN
                self._epoll.modify(descriptor, wanted)

    def _go_on(self, connection: Connection) -> tuple[bool, str]:
        """Send what is unsent, or read and answer. Is it open still, and if not, why?"""
        try:
            if not connection.unsent:
                received = connection.socket.recv(READ)
                if not received:
                    return False, ""
                connection.unread += received
                self._answer(connection)
            connection.send()
            while not connection.unsent and self._answer(connection):
                connection.send()
        except BlockingIOError:
            return True, ""
        except OSError:
            return False, "connection reset"
        return True, ""

    def _answer(self, connection: Connection) -> bool:
        """Answer every query that is whole, until enough is unsent; False where there is none."""
        unread, at, size = connection.unread, 0, 0
        answers: list[bytes] = []
        while size < UNSENT_MAX and len(unread) >= at + 2:
            end = at + 2 + int.from_bytes(unread[at : at + 2])
            if len(unread) < end:
                break
            answer = self._answers.answer(unread[at + 2 : end], connection.peer)
            at = end
            if answer is not None:
                answers += (len(answer).to_bytes(2), answer)
                size += 2 + len(answer)
        if at:
            connection.unread = unread[at:]
            connection.unsent = b"".join(answers)
            connection.active = self._loop.time()
            self._connections.move_to_end(connection.socket.fileno())
        return at > 0

    def _sweep(self) -> None:
        """Close those that have been idle for too long."""
        long_ago = self._loop.time() - self._idle_s
        while self._connections:
            oldest = next(iter(self._connections.values()))
            if oldest.active > long_ago:
                break
            self._close(oldest, "idle")
        self._sweeping = self._loop.call_later(self._idle_s / SWEEPS, self._sweep)

    def _close(self, connection: Connection, reason: str = "") -> None:
        if reason:
            self._counting.dropped(reason)
        self._held -= connection.held
        del self._connections[connection.socket.fileno()]
        connection.socket.close()  # which also takes it out of the epoll


def raise_file_limit(wanted: int) -> int:
    """How many descriptors this process may have, after asking for so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        for limits in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
            with contextlib.suppress(ValueError, OSError):  # the first needs CAP_SYS_RESOURCE
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
