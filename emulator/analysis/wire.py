"""The wire's record beside the clients', and whether the history is whole."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import compress

from emulator.analysis.lateness import LATE_NS
from emulator.analysis.measurements import WireRecord
from emulator.analysis.packets import Packets
from emulator.analysis.timeline import FaultLife, History
from emulator.events import PROVES_NOTHING, Request

_SEEN = ("rst", "fin", "synack")  # counted by their sender
_AGAIN = ("syn-again", "again")


def wire_records(
    packets: Packets, episodes: Sequence[tuple[FaultLife, int]]
) -> tuple[WireRecord, ...]:
    """RST and FIN by sender, and what was sent again, from each fault until its episode's end.

    A farewell that the WAN dropped was seen by nobody: it is not counted.
    """
    borders = sorted({t for life, until in episodes for t in (life.began, until)})
    columns = (packets.column("what"), packets.column("source"), map((-1).__ne__, packets.out))
    counts = Counter(zip(map(partial(bisect_right, borders), packets.t), *columns, strict=False))
    return tuple(
        _wire_record(
            packets, life, _among(counts, bisect_right(borders, life.began), borders.index(until))
        )
        for life, until in episodes
    )


_Counts = Counter[tuple[int, int, bool]]  # what, source, whether it arrived


def _among(counts: Counter[tuple[int, int, int, bool]], first: int, last: int) -> _Counts:
    """The counts of the spans between borders, from the first to the last."""
    found: _Counts = Counter()
    for (span, what, source, arrived), count in counts.items():
        if first <= span <= last:
            found[what, source, arrived] += count
    return found


def _wire_record(packets: Packets, life: FaultLife, counts: _Counts) -> WireRecord:
    seen: dict[str, Counter[str]] = {what: Counter() for what in _SEEN}
    again: Counter[str] = Counter()
    for (what, source, arrived), count in counts.items():
        name = packets.text(what)
        again[name] += count
        if arrived and name in seen:
            seen[name][packets.text(source)] += count
    return WireRecord(
        dict(seen["rst"]),
        dict(seen["fin"]),
        *(again[what] for what in _AGAIN),
        *(sum(by_site[site] for site in life.senders) for by_site in seen.values()),
    )


class Senders:
    """Which site's RST or FIN reached a client's port, for the requests that failed."""

    def __init__(self, history: History) -> None:
        wanted = {
            (client.city, r.port)
            for client, requests in history.requests.items()
            for r in requests
            if r.outcome != "ok"
        }
        self._seen: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        packets = history.packets
        columns = (packets.column("target"), packets.column("dst"), packets.column("source"))
        ports = {port for _, port in wanted}
        near = {n: port for n, port in enumerate(map(port_of, packets.texts())) if port in ports}
        farewells = compress(zip(*columns, packets.out, strict=False), packets.are("rst", "fin"))
        for target, dst, source, out in farewells:
            if dst in near and out >= 0 and (packets.text(target), near[dst]) in wanted:
                self._seen[packets.text(target), near[dst]].append((out, packets.text(source)))

    def of(self, city: str, request: Request) -> str:
        """The site that ended this request's connection; empty when nothing was seen."""
        end = request.end if request.end is not None else request.t
        for out, source in self._seen.get((city, request.port), ()):
            if request.t - LATE_NS <= out <= end + LATE_NS:
                return source
        return ""


def doubts(history: History) -> tuple[str, ...]:
    """Why nothing may be claimed from this run; empty when all is well."""
    said = [note.text for note in history.notes if note.text.startswith(PROVES_NOTHING)]
    found = [text.removeprefix(PROVES_NOTHING) for text in said]
    if _is_cut_short(history) and not said:
        found.append(f"it was cut short {history.seconds(history.last_ns):.0f} s after its start")
    found += [f"{lost.count} events were lost at {lost.where}" for lost in history.lost]
    return (*found, *_wire_doubts(history))


def _wire_doubts(history: History) -> Iterator[str]:
    """What the WAN did that no path asked for."""
    told = [d for d in history.daemons if (d.host, d.name) == ("wan", "wire")]
    ends = [d.detail for d in told if d.state == "ended"]
    stops = [d for d in told if d.state == "stuck"]
    troubles = [second.trouble for second in history.wire if second.trouble]
    if ends:
        yield (
            f"the WAN's wire ended {_times(len(ends))} ({ends[-1]}): what was on its way was lost,"
            " and nothing moved until it was started anew"
        )
    if stops:
        yield f"the WAN's wire stood still {_times(len(stops))} for a second or more"
    if troubles and not stops and (not ends or told[-1].state == "given up"):
        yield f"the WAN's wire {troubles[-1]}"
    if overload := sum(second.dropped for second in history.wire):
        yield (
            f"the WAN was the bottleneck: more came than this machine could move, and it dropped"
            f" {overload:,} packets that no path asked it to drop"
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _is_cut_short(history: History) -> bool:
    """A scenario says when it ends; what a hand follows has no end of its own."""
    is_scenario = history.run is not None and bool(history.run.scenario)
    return is_scenario and all(note.text != "end" for note in history.notes)


def port_of(endpoint: str) -> int:
    """The port of `10.3.0.2:41234`; 0: it has none."""
    port = endpoint.rpartition(":")[2]
    return int(port) if port.isdigit() else 0
