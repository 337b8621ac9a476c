"""Kind `keepalive`: a pool of HTTP connections, last in, first out.

One request a connection at a time; the one used last is used next, a new one if none is idle.

With `connections` the pool is kept warm, as real pools with a minimum are: so many are opened at
the start, all at once, and a lost one is replaced at once and not at the next need. An attempt
that failed is made again after 100 ms, twice that the next time, and so on up to 1 s: a pool that
is refused must not become a storm of SYNs. Counted are all connections of the pool, idle, in use
or being opened; where requests need more, it grows, and does not shrink again. Nobody looks
whether an idle connection still leads anywhere: one that fell silent is found out by the request
that gets it.

With a lifetime a connection that has lived so long is closed: at once where it is idle, else when
its answer is there. The next one looks up anew. Real pools shorten each life by a random part, so
that not all end at once; here a life is exact, and the lives are spread as their beginnings are.
"""

from __future__ import annotations

from functools import partial
from time import monotonic_ns

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.node.client.city import City, Pending
from emulator.node.client.config import Load
from emulator.node.client.dial import Dialled, dial
from emulator.node.client.http import Link, region_of

BACK_OFF_NS = 100 * NS_PER_MS
BACK_OFF_MAX_NS = 1000 * NS_PER_MS


class KeepAlive:
    """Every request gets a connection of the pool, or opens one for it."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._conns = 0
        self._idle: list[Link] = []
        self._wanted = False
        self._least = 0
        self._size = 0  # idle, in use, being opened
        self._backing_off = 0  # to be opened again soon
        self._lifetime_s: float | None = None

    def resize(self, load: Load) -> None:
        """Without a rate the pool is closed, now or when the answers in flight are there."""
        self._wanted = load.rate > 0
        self._least = load.connections or 0
        self._lifetime_s = load.lifetime_s
        while self._idle and not self._wanted:
            self._retire(self._idle.pop())
        self._fill()

    def start(self, planned: int) -> None:
        """Begin the request that was due at `planned`."""
        pending = self._city.begin("keepalive", planned)
        while self._idle:
            if self._idle[-1].usable():
                self._idle.pop().ask(pending)
                return
        self._open(pending)

    def _fill(self) -> None:
        """Open what is missing."""
        while self._is_short():
            self._open(None)

    def _open(self, pending: Pending | None, wait_ns: int = BACK_OFF_NS) -> None:
        """A new connection, for this request or to stay idle; `wait_ns`: if it fails, until the
        next attempt."""
        self._conns += 1
        self._size += 1
        if pending is not None:
            pending.conn = self._conns
        self._city.connection("keepalive", self._conns, "attempt")
        dial(self._city, "keepalive", partial(self._dialled, self._conns, pending, wait_ns))

    def _dialled(self, conn: int, pending: Pending | None, wait_ns: int, result: Dialled) -> None:
        failure = result.failure
        if pending is not None:
            result.stamp(pending)
            pending.region = region_of(self._city, result)
        self._city.connection(
            "keepalive", conn, "failed" if failure else "open", address=result.address,
            port=result.port, closed_by=failure.closed_by if failure else "",
            detail=failure.detail if failure else "",
        )  # fmt: skip
        if failure:
            self._back_off(wait_ns)
            if pending is not None:
                self._city.end(pending, failure)
            return
        link = Link(self._city, result, conn, self._rested)
        if self._lifetime_s is not None:
            ends = monotonic_ns() + round(self._lifetime_s * NS_PER_S)
            self._city.loop.at(ends, partial(self._expired, link))
        if pending is not None:
            link.ask(pending)
        else:
            self._rested(link)

    def _back_off(self, wait_ns: int) -> None:
        self._size -= 1
        self._backing_off += 1
        longer_ns = min(2 * wait_ns, BACK_OFF_MAX_NS)
        self._city.loop.at(monotonic_ns() + wait_ns, partial(self._open_again, longer_ns))

    def _open_again(self, wait_ns: int) -> None:
        self._backing_off -= 1
        if self._is_short():
            self._open(None, wait_ns)

    def _is_short(self) -> bool:
        return self._wanted and self._size + self._backing_off < self._least

    def _expired(self, link: Link) -> None:
        """Its life is over; one in use rests first."""
        link.is_expired = True
        if link in self._idle:
            self._idle.remove(link)
            self._retire(link)

    def _rested(self, link: Link) -> None:
        """A link has ended its request, was opened to stay idle, or was closed while it was."""
        if link.closed is None and self._wanted and not link.is_expired:
            self._idle.append(link)
            return
        if link in self._idle:
            self._idle.remove(link)
        self._retire(link)

    def _retire(self, link: Link) -> None:
        link.close("us", "lifetime" if link.is_expired else "idle")
        assert link.closed is not None  # noqa: S101 - close sets it
        closed_by, detail = link.closed
        self._city.connection(
            "keepalive", link.conn, "close", address=link.address, port=link.port,
            closed_by=closed_by, detail=detail,
        )  # fmt: skip
        self._size -= 1
        self._fill()
