"""What the flow log adds to a fault's story: who fell silent, whose RST came from a host that never
had the connection, which DNS questions nobody answered."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import compress, groupby, pairwise
from typing import NamedTuple

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
_Ends = tuple[str, str]


class _Gap(NamedTuple):
    """A direction without a frame: what was told of it before, until when, and the instants of the
    other side's frames, as far as they were told."""

    flow: Flow
    until: int
    others: Sequence[int]


def flow_logs(history: History, episodes: Sequence[tuple[FaultLife, int]]) -> tuple[FlowLog, ...]:
    """One for each fault, from its beginning to its episode's end."""
    gaps = list(_gaps(history))
    strangers = _strangers(history.packets)
    lookups = _lookups(history)
    logs = []
    for life, until in episodes:
        asked = lookups.between(life.began, until)
        fell = [silence for gap in gaps if (silence := _silence(gap, life, until))]
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


def _silence(gap: _Gap, life: FaultLife, until: int) -> Silence | None:
    """The gap as the other side met it in a fault: from the fault, or the last answer in it, to
    its own last frame that was not answered. None: it was not the fault's, or nobody waited."""
    flow = gap.flow
    since = max(flow.seen, life.began)
    if flow.source not in life.senders or since >= until:
        return None
    # What was sent right before the next answer was answered; right after the last one, its ACK.
    first = bisect_right(gap.others, max(flow.seen + IDLE_NS, life.began))
    last = bisect_right(gap.others, min(gap.until - IDLE_NS, until))
    if first >= last or gap.others[last - 1] - since < SILENT_NS:
        return None
    seconds = (gap.others[last - 1] - since) / NS_PER_S
    return Silence(flow.source, flow.src, flow.target, flow.dst, seconds)


def _gaps(history: History) -> Iterator[_Gap]:
    told = sorted(history.flows, key=_direction)
    seen: defaultdict[_Ends, list[int]] = defaultdict(list)
    for flow in told:
        seen[flow.src, flow.dst].append(flow.seen)
    for instants in seen.values():
        instants.sort()
    for _, some in groupby(told, key=_direction):
        life = sorted(some, key=lambda flow: flow.t)
        others = seen.get((life[0].dst, life[0].src), [])
        for flow, until in _pauses(life, history.last_ns):
            yield _Gap(flow, until, others)


def _direction(flow: Flow) -> _Direction:
    return flow.protocol, flow.src, flow.dst, flow.began


def _pauses(life: Sequence[Flow], last_ns: int) -> Iterator[tuple[Flow, int]]:
    """What was told last before each long pause of a direction, and when the pause ended. It is
    told of after its first second without a frame, unless nothing is new since it was told of."""
    for flow, later in pairwise(life):
        if later.silence_ns > max(flow.silence_ns, SILENT_NS):
            yield flow, flow.seen + later.silence_ns
    if not life[-1].ended:
        yield life[-1], last_ns
