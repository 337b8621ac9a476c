"""What the flow log adds to a fault's story: who fell silent, whose RST came from a host that never
had the connection, which DNS questions nobody answered."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import compress, groupby, pairwise

from emulator.analysis.flows import IDLE_NS, SILENT_NS
from emulator.analysis.lookups import Lookups
from emulator.analysis.measurements import FlowLog, Silence
from emulator.analysis.packets import Packets
from emulator.analysis.timeline import FaultLife, History
from emulator.clock import NS_PER_S
from emulator.events import Answer, Flow, Question

# A RST follows the SYN that it refuses within the time of a host's LAN and kernel.
_REFUSED_NS = NS_PER_S

_Direction = tuple[str, str, str, int]  # protocol, from, to, when it began
_End = tuple[str, str]


def flow_logs(history: History, episodes: Sequence[tuple[FaultLife, int]]) -> tuple[FlowLog, ...]:
    """One for each fault, from its beginning to its episode's end."""
    silences = list(_silences(history))
    strangers = _strangers(history.packets)
    lookups = _lookups(history)
    logs = []
    for life, until in episodes:
        asked = lookups.between(life.began, until)
        fell = [
            silence
            for began, silence in silences
            if life.began - IDLE_NS <= began < until and silence.site in life.senders
        ]
        logs.append(
            FlowLog(
                strangers=dict(Counter(s for t, s in strangers if life.began <= t < until)),
                questions=len(asked),
                unanswered=sum(one.is_lost(history.last_ns) for one in asked),
                silent=len(fell),
                longest=max(fell, key=lambda silence: silence.seconds, default=None),
            )
        )
    return tuple(logs)


def _lookups(history: History) -> Lookups:
    """Questions and answers in the order of their instants; none where no question was told."""
    lookups = Lookups(limit=max(1, len(history.questions)))
    answers = (answer for some in history.answers.values() for answer in some)
    told: list[Question | Answer] = [*history.questions, *answers] if history.questions else []
    for event in sorted(told, key=lambda event: event.t):
        lookups.feed(event)
    return lookups


def _strangers(packets: Packets) -> list[tuple[int, str]]:
    """When and from which site a RST came whose sender never spoke on the connection, but for
    those that refuse a SYN: no host ever has the connection that it refuses."""
    is_rst = packets.are("rst")
    columns = (packets.t, packets.column("source"), packets.column("src"), packets.column("dst"))
    rows = zip(*columns, packets.had, is_rst, strict=False)
    found = [(t, source, (dst, src)) for t, source, src, dst, had, rst in rows if rst and not had]
    syns = _arrivals(packets, {ends for _, _, ends in found})
    return [(t, packets.text(source)) for t, source, ends in found if not _has_just(syns[ends], t)]


def _arrivals(packets: Packets, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """When SYNs of these connections arrived, in order."""
    arrived: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    if wanted:
        columns = (packets.column("src"), packets.column("dst"), packets.out)
        syns = packets.are("syn", "syn-again")
        for src, dst, out in compress(zip(*columns, strict=False), syns):
            if out >= 0 and (src, dst) in wanted:
                arrived[src, dst].append(out)
    for instants in arrived.values():
        instants.sort()
    return arrived


def _has_just(instants: Sequence[int], t: int) -> bool:
    place = bisect_right(instants, t)
    return place > 0 and t - instants[place - 1] <= _REFUSED_NS


def _silences(history: History) -> Iterator[tuple[int, Silence]]:
    """Every time that one side sent nothing for 2 s or more while the other one went on, with the
    instant of its last frame before."""
    told = sorted(history.flows, key=_direction)
    seen: defaultdict[_End, list[int]] = defaultdict(list)
    for flow in told:
        seen[flow.src, flow.dst].append(flow.seen)
    for instants in seen.values():
        instants.sort()
    for _, some in groupby(told, key=_direction):
        life = sorted(some, key=lambda flow: flow.t)
        for flow, ns in _gaps(life, history.last_ns):
            if ns >= SILENT_NS and _went_on(seen.get((flow.dst, flow.src), ()), flow.seen, ns):
                ends = (flow.source, flow.src, flow.target, flow.dst)
                yield flow.seen, Silence(*ends, ns / NS_PER_S)


def _direction(flow: Flow) -> _Direction:
    return flow.protocol, flow.src, flow.dst, flow.began


def _gaps(life: Sequence[Flow], last_ns: int) -> Iterator[tuple[Flow, int]]:
    """What the wire told before each silence of a direction, and how long the silence was."""
    for flow, later in pairwise(life):
        if later.silence_ns > flow.silence_ns:
            yield flow, later.silence_ns
        elif flow.t - flow.seen >= IDLE_NS:
            yield flow, flow.t - flow.seen
    last = life[-1]
    if not last.ended and last.t - last.seen >= IDLE_NS:
        yield last, last_ns - last.seen


def _went_on(others: Sequence[int], since: int, ns: int) -> bool:
    """Whether the other side sent something well within the silence: what it sent right after was
    the last answers' acknowledgement, and right before the end what was answered then."""
    place = bisect_right(others, since + IDLE_NS)
    return place < len(others) and others[place] <= since + ns - IDLE_NS
