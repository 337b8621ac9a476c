"""What the analysis found, as frozen values. Instants are ns of the lab's clock, spans seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from emulator.analysis.timeline import Client, FaultLife
from emulator.clock import NS_PER_S

State = Literal["unaffected", "recovered", "not_recovered", "inconclusive"]
Fate = Literal["reset", "closed by peer", "silent", "closed by us", "survived"]
PARTS = ("detection_s", "publish_s", "cache_s", "client_s", "connect_s", "resume_s")


@dataclass(frozen=True, slots=True)
class ServerView:
    """When one name server stopped naming a region."""

    server: str
    down: int | None  # marked it DOWN
    live: int | None  # its routing without it was live
    checks: int = 0  # failed checks up to `down`
    old_answer: int | None = None  # last answer that still named it, after another's new answer


@dataclass(frozen=True, slots=True)
class Milestones:
    """m1 to m5 of the design on one client's own path; None: does not apply."""

    down: int | None = None
    live: int | None = None
    answer: int | None = None
    lookup: int | None = None
    connected: int | None = None
    server: str = ""  # the name server that `down`, `live` and `answer` speak of
    checks: int = 0  # its failed checks up to `down`
    held: Held | None = None
    others: tuple[ServerView, ...] = ()  # name servers that disagreed with it

    def instants(self) -> tuple[int | None, ...]:
        return (self.down, self.live, self.answer, self.lookup, self.connected)


@dataclass(frozen=True, slots=True)
class Held:
    """The last old answer that a resolver was given before the new one."""

    since: int
    ttl: int
    until: int

    @property
    def held_s(self) -> float:
        return (self.until - self.since) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Loss:
    """How requests ended that failed, and how many ended so."""

    outcome: str  # error, timeout
    detail: str
    closed_by: str
    sender: str  # site whose RST or FIN was seen on the wire for it; "" : none
    count: int


@dataclass(frozen=True, slots=True)
class Reversion:
    """Where a client that had left its preferred region ended up after the heal."""

    seconds: float | None  # back after so long; None: it stays where it is
    region: str  # that serves it now; "": the history ends too soon to tell


@dataclass(frozen=True, slots=True)
class Row:
    """What one fault did to one client kind of one city."""

    client: Client
    state: State
    reason: str
    began: int  # m0
    recovered: int | None  # m6, of the last recovery
    milestones: Milestones
    relapses: int
    with_heal: bool  # it recovered only once the fault was healed
    outage_s: float
    requests: int  # started between the fault and the end of its episode
    unknown: int
    requests_lost: int
    lost_after_heal: int
    losses: tuple[Loss, ...]
    fates: Mapping[str, int]  # connections open at the fault, by Fate
    reset: int  # connections ended by an RST
    from_region: str
    to_region: str
    baseline: float | None  # availability before the fault; None: no request
    reversion: Reversion | None
    bound_s: float | None
    notes: tuple[str, ...] = ()

    @property
    def recovery_s(self) -> float | None:
        """From the fault to the start of the window that proves recovery."""
        return None if self.recovered is None else (self.recovered - self.began) / NS_PER_S

    def borders(self) -> tuple[int, ...]:
        """m0, m1 .. m6, each clipped to [the one before, recovery]. Empty without a recovery."""
        if self.recovered is None:
            return ()
        borders = [self.began]
        for instant in self.milestones.instants():
            reached = borders[-1] if instant is None else instant
            borders.append(min(max(reached, borders[-1]), self.recovered))
        return (*borders, self.recovered)

    def parts(self) -> dict[str, float]:
        """Seconds by part; they sum to `recovery_s`. Empty without a recovery."""
        spans = ((end - start) / NS_PER_S for start, end in pairwise(self.borders()))
        return dict(zip(PARTS, spans, strict=False))


@dataclass(frozen=True, slots=True)
class WireRecord:
    """What the WAN saw of TCP between a fault and the end of its episode."""

    resets: Mapping[str, int]  # RST by the site that sent them
    fins: Mapping[str, int]  # FIN by the site that sent them
    syns_again: int
    data_again: int
    target_resets: int  # RST and FIN of the target's sites, the sum
    target_fins: int
    target_synacks: int  # handshakes that the target's kernel still completed


@dataclass(frozen=True, slots=True)
class Silence:
    """One side of a flow that sent nothing while the other one went on."""

    site: str  # that fell silent
    end: str  # "198.18.1.1:80"
    peer_site: str
    peer_end: str
    seconds: float  # until the other side's last frame that was not answered


@dataclass(frozen=True, slots=True)
class FlowLog:
    """What the wire's flows and DNS questions tell of a fault; all empty in a history of before."""

    strangers: Mapping[str, int] = field(default_factory=dict)
    # by site: RST of hosts that never had the connection, refusals not counted
    questions: int = 0  # asked of DNS servers over the WAN
    unanswered: int = 0
    silent: int = 0  # directions of the target that fell silent while the other side went on
    longest: Silence | None = None


@dataclass(frozen=True, slots=True)
class FaultMeasured:
    """One fault with everything it did."""

    life: FaultLife
    ends: int  # healed, else the end of what is known
    rows: tuple[Row, ...]
    wire: WireRecord
    flows: FlowLog = FlowLog()


@dataclass(frozen=True, slots=True)
class Spread:
    """Differences between two records of the same thing, in ms."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One connection of which its client and the wire tell different things."""

    t: int
    client: Client  # kind "": nobody's
    port: int  # its local one
    address: str  # asked
    told: str  # by the client: `it was connected`
    seen: str  # by the wire: `saw no SYN-ACK reach it`


@dataclass(frozen=True, slots=True)
class Agreement:
    """The clients' record held against the wire's, connection by connection."""

    syn: Spread
    synack: Spread
    unmatched_client: int  # handshakes that a client began and no SYN was seen for
    unmatched_wire: int  # first SYNs of a city that no client tells of
    disagreements: tuple[Disagreement, ...] = ()  # all there are, those two among them, by time


@dataclass(frozen=True, slots=True)
class CitySchedule:
    """How many of a city's requests started within 2 ms of their plan."""

    city: str
    requests: int
    on_time: float  # share
    on_time_in_fault: float | None
    late_ms_max: float


@dataclass(frozen=True, slots=True)
class LostWrite:
    """A write that the service had acknowledged to a client of the user's and does not hold."""

    id: str
    city: str
    t: int  # acknowledged


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What one count found of the writes that had been acknowledged before it began."""

    host: str  # that was asked
    t: int  # when the count began
    held: int  # IDs there, whoever wrote them
    acknowledged: Mapping[str, int]  # by city
    lost: tuple[LostWrite, ...]  # oldest first
    fault: str  # the last one before the count, "" for none
    struck: int | None  # when it was injected

    def of(self, city: str | None) -> WriteCount:
        """The same of one city's writes; of all, where none is named."""
        if city is None:
            return self
        told = {name: count for name, count in self.acknowledged.items() if name == city}
        return replace(
            self, acknowledged=told, lost=tuple(one for one in self.lost if one.city == city)
        )

    @property
    def count(self) -> int:
        """Acknowledged writes."""
        return sum(self.acknowledged.values())

    @property
    def rpo_s(self) -> float | None:
        """From the oldest lost write to the fault, or to the newest lost write where that was
        acknowledged after the fault; 0 when nothing is lost, None where no fault came before."""
        if not self.lost:
            return 0.0
        if self.struck is None:
            return None
        first, last = self.lost[0].t, self.lost[-1].t
        return (max(self.struck, last) - min(self.struck, first)) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Asked:
    """What a city's resolver asked of name servers: whole cycles, one query each."""

    cycles: int
    seconds: float  # that they took together


@dataclass(frozen=True, slots=True)
class Measurements:
    """All figures of one history."""

    faults: tuple[FaultMeasured, ...]
    schedule: tuple[CitySchedule, ...]
    agreement: Agreement
    availability: Mapping[Client, tuple[int, int]]  # ok, failed
    inconclusive: tuple[str, ...] = field(default=())  # why nothing may be claimed from this run
    asked: Mapping[str, Asked] = field(default_factory=dict)  # by city; only those that asked
    late: tuple[str, ...] = ()  # cities that did not keep their schedule, in words
    writes: tuple[WriteCount, ...] = ()  # one a count, oldest first
    off_by_s: float = 0.0  # so much the machine's delays may have moved any time, see lateness.py

    def rows(self) -> tuple[Row, ...]:
        """The rows of all faults."""
        return tuple(row for fault in self.faults for row in fault.rows)
