"""The wire's record beside the clients', and whether the run measured what it meant to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import compress, repeat
from statistics import quantiles

from emulator.analysis.measurements import Agreement, CitySchedule, Spread, WireRecord
from emulator.analysis.packets import Packets
from emulator.analysis.periods import run_interval
from emulator.analysis.timeline import FaultLife, History
from emulator.clock import NS_PER_MS
from emulator.events import PROVES_NOTHING, Request

LATE_NS = 2 * NS_PER_MS
ON_TIME_SHARE = 0.99
# A port is used again only after many others, so the same connection is never this far away.
SAME_CONNECTION_NS = 1_000 * NS_PER_MS

_SEEN = ("rst", "fin", "synack")  # counted by their sender
_AGAIN = ("syn-again", "again")
_INSTANT = 64  # bits; a flow's number stands above them


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
        near = {n: port for n, port in enumerate(map(_port, packets.texts())) if port in ports}
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


class _Flows:
    """A number for every (site, its local port, the address asked)."""

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        self._names: dict[str, int] = {}
        self._ports = [_port(text) for text in packets.texts()]
        self._hosts = [self._name(text.rpartition(":")[0]) for text in packets.texts()]
        self._sites = [self._name(text) for text in packets.texts()]

    def of(self, site: str, port: int, address: str) -> int:
        return self._name(site) << 48 | self._name(address) << 16 | port

    def instants(self, what: str, site: str, near: str, far: str, at: Sequence[int]) -> list[int]:
        """Every packet of a kind that has an instant, as its flow's number and that instant, in
        order; `site`, `near` and `far` are the columns that its flow is read from."""
        sites, ports, hosts = self._sites, self._ports, self._hosts
        columns = (self._packets.column(name) for name in (site, near, far))
        rows = compress(zip(*columns, at, strict=False), self._packets.are(what))
        found = [
            (sites[s] << 48 | hosts[f] << 16 | ports[n]) << _INSTANT | t
            for s, n, f, t in rows
            if t >= 0
        ]
        found.sort()
        return found

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))


def agreement(history: History) -> Agreement:
    """Client events against packets at the city's port: SYN handed over against SYN seen,
    handshake done against SYN-ACK delivered. Matched by city, local port and address."""
    flows, packets = _Flows(history.packets), history.packets
    syns = flows.instants("syn", "source", "src", "dst", packets.t)
    synacks = flows.instants("synack", "target", "dst", "src", packets.out)
    syn_off: list[float] = []
    synack_off: list[float] = []
    told = {
        flows.of(client.city, c.port, c.address)
        for client, connections in history.connections.items()
        for c in connections
    }
    unmatched = 0
    for city, request in _handshakes(history):
        flow = flows.of(city, request.port, request.address)
        told.add(flow)
        off = _apart(syns, flow, request.connecting or request.t)
        if off is None:
            unmatched += 1
            continue
        syn_off.append(off / NS_PER_MS)
        back = request.connected and _apart(synacks, flow, request.connected)
        if back is not None and request.connected:
            synack_off.append(back / NS_PER_MS)
    cities = {flows.of(client.city, 0, "") >> 48 for client in history.requests}
    untold = sum(
        instant >> _INSTANT not in told for instant in syns if instant >> _INSTANT + 48 in cities
    )
    return Agreement(_spread(syn_off), _spread(synack_off), unmatched, untold)


def _apart(instants: Sequence[int], flow: int, t: int) -> int | None:
    """How far the nearest packet of this flow's connection is; None: there is none."""
    asked = flow << _INSTANT | t
    place = bisect_left(instants, asked)
    off = instants[place] - asked if place < len(instants) else SAME_CONNECTION_NS + 1
    if place and asked - instants[place - 1] < off:
        off = asked - instants[place - 1]
    return off if off <= SAME_CONNECTION_NS else None


def schedule_quality(history: History) -> tuple[CitySchedule, ...]:
    """How well each city kept its plan: from its requests, over all and between fault and heal.
    What the clean-up after the run's end disturbs is no part of it."""
    episodes = _merged(
        (life.began, life.healed if life.healed is not None else history.last_ns)
        for life in history.injected()
    )
    cities: defaultdict[str, list[list[Request]]] = defaultdict(list)
    for client, requests in history.requests.items():
        cities[client.city].append(requests)
    _, ends = run_interval(history)
    return tuple(_city_schedule(city, cities[city], episodes, ends) for city in sorted(cities))


def _merged(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Borders of what lies in any of the spans: in at the first, out at the second, and so on."""
    borders: list[int] = []
    for began, until in sorted(spans):
        if borders and began <= borders[-1]:
            borders[-1] = max(borders[-1], until)
        else:
            borders += [began, until]
    return borders


def doubts(history: History, schedule: Sequence[CitySchedule]) -> tuple[str, ...]:
    """Why nothing may be claimed from this run; empty when all is well."""
    found = []
    for city in schedule:
        worst = min(city.on_time, 1.0 if city.on_time_in_fault is None else city.on_time_in_fault)
        if worst < ON_TIME_SHARE:
            found.append(
                f"{city.city} started only {worst:.1%} of its requests within 2 ms of plan"
                f" (latest {city.late_ms_max:.1f} ms); this machine is too busy"
            )
    said = [note.text for note in history.notes if note.text.startswith(PROVES_NOTHING)]
    found += [text.removeprefix(PROVES_NOTHING) for text in said]
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


def _city_schedule(
    city: str, clients: Sequence[Sequence[Request]], episodes: Sequence[int], ends: int
) -> CitySchedule:
    asked = [r for requests in clients for r in requests if r.planned < ends]
    late = [r.t - r.planned for r in asked]
    inside = [r.t - r.planned for r in asked if bisect_right(episodes, r.planned) & 1]
    latest = max(late, default=0)
    return CitySchedule(
        city,
        len(late),
        _share(late),
        _share(inside) if inside else None,
        max(0, latest) / NS_PER_MS,
    )


def _share(late: Sequence[int]) -> float:
    return sum(map(LATE_NS.__ge__, late)) / len(late) if late else 1.0


def _handshakes(history: History) -> Iterator[tuple[str, Request]]:
    """Of every TCP handshake that a client began its city and a request that tells of it."""
    for (city, kind), requests in history.requests.items():
        began = (r for r in requests if r.connecting and r.port)
        if kind == "http":  # a connection each
            yield from zip(repeat(city), began, strict=False)
        elif kind != "udp":
            first = {(r.port, r.connecting): r for r in reversed([*began])}
            yield from zip(repeat(city), first.values(), strict=False)


def _spread(values: Sequence[float]) -> Spread:
    if len(values) < 2:
        only = values[0] if values else 0.0
        return Spread(len(values), only, only, only)
    cuts = quantiles(values, n=100, method="inclusive")
    return Spread(len(values), cuts[49], cuts[98], max(values))


def _port(endpoint: str) -> int:
    port = endpoint.rpartition(":")[2]
    return int(port) if port.isdigit() else 0
