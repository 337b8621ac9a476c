"""What all kinds of request share: the loop, the resolver, the sink, and the bookkeeping."""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass, fields
from time import monotonic_ns
from typing import NamedTuple

from emulator.clock import NS_PER_MS
from emulator.events import Connection, Request, Schedule
from emulator.node.client.cache import Cache
from emulator.node.client.config import Config
from emulator.node.client.loop import Loop
from emulator.node.client.resolver import Resolver
from emulator.node.client.schedule import KINDS
from emulator.node.client.sink import Sink

LATE_NS = 2 * NS_PER_MS  # the bound of the design: later than this counts as late


class Failure(NamedTuple):
    """How something ended other than well, in the words of `Request`."""

    outcome: str
    detail: str
    closed_by: str = ""


# Errors that say something of this machine, not of the world that is measured.
_OURS = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN,
    errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EACCES,
})  # fmt: skip
_RESET = frozenset({errno.ECONNRESET, errno.EPIPE})


def failure_of(number: int) -> Failure:
    """What an errno means for a request."""
    name = errno.errorcode.get(number, f"errno-{number}")
    if number in _OURS:
        return Failure("unknown", name)
    return Failure("error", name, "peer-rst" if number in _RESET else "")


@dataclass(slots=True, kw_only=True)
class Pending:
    """A request in flight: `Request` while its fields are still being found out."""

    t: int
    city: str
    client: str
    n: int
    planned: int
    lookup: int | None = None
    connecting: int | None = None
    connected: int | None = None
    secured: int | None = None
    sent: int | None = None
    first: int | None = None
    end: int | None = None
    address: str = ""
    port: int = 0
    region: str = ""
    server: str = ""
    protocol: str = ""
    conn: int = 0


_PENDING = tuple(f.name for f in fields(Pending))


class City:
    """One city's client. Every begun request ends exactly once, as one event."""

    def __init__(self, config: Config, loop: Loop, sink: Sink) -> None:
        self.config = config
        self.loop = loop
        self.sink = sink
        self.resolver = Resolver(loop, config.asks, config.fqdn)
        self.caches = {kind: Cache(self.resolver) for kind in KINDS}
        self.tls = _trusting(config.root) if config.root else None
        self.in_flight = 0
        self._numbers: dict[str, int] = {}
        self._second = _Second()

    def begin(self, client: str, planned: int) -> Pending:
        """A request starts now."""
        now = monotonic_ns()
        n = self._numbers.get(client, 0)
        self._numbers[client] = n + 1
        self.in_flight += 1
        self._second.count(now - planned)
        return Pending(t=now, city=self.config.city, client=client, n=n, planned=planned)

    def end(self, pending: Pending, failure: Failure | None = None) -> None:
        """It ended, well unless there is a failure; `end` is now unless stamped before."""
        self.in_flight -= 1
        if pending.end is None:
            pending.end = monotonic_ns()
        outcome, detail, closed_by = failure or ("ok", "", "")
        known = {name: getattr(pending, name) for name in _PENDING}
        self.sink.put(Request(outcome=outcome, detail=detail, closed_by=closed_by, **known))

    def skip(self, client: str, planned: int) -> None:
        """A request was due so long ago that it is not worth sending."""
        self._second.skipped += 1
        self.end(self.begin(client, planned), Failure("unknown", "late"))

    def connection(
        self,
        client: str,
        conn: int,
        phase: str,
        *,
        address: str = "",
        port: int = 0,
        closed_by: str = "",
        detail: str = "",
    ) -> None:
        """Report a step in a connection's life."""
        self.sink.put(
            Connection(
                t=monotonic_ns(), city=self.config.city, client=client, conn=conn, phase=phase,
                address=address, port=port, closed_by=closed_by, detail=detail,
                region=self.config.region_of(address) if address else "",
            )
        )  # fmt: skip

    def tick(self) -> None:
        """Every second: report how well the schedule was kept, and begin a new second."""
        second, self._second = self._second, _Second()
        self.sink.put(
            Schedule(
                t=monotonic_ns(),
                city=self.config.city,
                planned=second.planned,
                started=second.planned - second.skipped,
                late=second.late,
                late_ms_max=second.late_ns_max / NS_PER_MS,
                in_flight=self.in_flight,
            )
        )


def _trusting(root: str) -> ssl.SSLContext:
    """What the service shows must be signed by the root in this file, and be the service's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(root)
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Second:
    """Counts of one second of the schedule."""

    def __init__(self) -> None:
        self.planned = 0
        self.skipped = 0
        self.late = 0
        self.late_ns_max = 0

    def count(self, late_ns: int) -> None:
        self.planned += 1
        self.late += late_ns > LATE_NS
        self.late_ns_max = max(self.late_ns_max, late_ns)
