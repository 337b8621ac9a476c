"""The wire's record beside the clients', and whether the run measured what it meant to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import quantiles

from emulator.analysis.measurements import Agreement, CitySchedule, Spread, WireRecord
from emulator.analysis.timeline import Client, FaultLife, History
from emulator.clock import NS_PER_MS
from emulator.events import Packet, Request

LATE_NS = 2 * NS_PER_MS
ON_TIME_SHARE = 0.99
# A port is used again only after many others, so the same connection is never this far away.
SAME_CONNECTION_NS = 1_000 * NS_PER_MS

_Flow = tuple[str, int, str]  # city, its local port, address asked


def wire_record(history: History, life: FaultLife, until: int) -> WireRecord:
    """RST and FIN by sender, and what was sent again, from the fault until its episode's end.

    A farewell that the WAN dropped was seen by nobody: it is not counted.
    """
    seen: dict[str, Counter[str]] = {what: Counter() for what in ("rst", "fin", "synack")}
    again: Counter[str] = Counter()
    for packet in history.packets:
        if not life.began <= packet.t < until:
            continue
        again[packet.what] += 1
        if packet.out is not None and packet.what in seen:
            seen[packet.what][packet.source] += 1
    return WireRecord(
        dict(seen["rst"]),
        dict(seen["fin"]),
        again["syn-again"],
        again["again"],
        *(sum(by_site[site] for site in life.senders) for by_site in seen.values()),
    )


class Senders:
    """Which site's RST or FIN reached a client's port."""

    def __init__(self, history: History) -> None:
        self._seen: dict[tuple[str, int], list[Packet]] = defaultdict(list)
        for packet in history.packets:
            if packet.what in ("rst", "fin") and packet.out is not None:
                self._seen[packet.target, _port(packet.dst)].append(packet)

    def of(self, city: str, request: Request) -> str:
        """The site that ended this request's connection; empty when nothing was seen."""
        end = request.end if request.end is not None else request.t
        for packet in self._seen.get((city, request.port), ()):
            if packet.out is not None and request.t - LATE_NS <= packet.out <= end + LATE_NS:
                return packet.source
        return ""


def agreement(history: History) -> Agreement:
    """Client events against packets at the city's port: SYN handed over against SYN seen,
    handshake done against SYN-ACK delivered. Matched by city, local port and address."""
    syns = _by_flow(history, "syn")
    synacks = _by_flow(history, "synack")
    syn_off: list[float] = []
    synack_off: list[float] = []
    told: set[_Flow] = {
        (client.city, c.port, c.address)
        for client, connections in history.connections.items()
        for c in connections
    }
    unmatched = 0
    for flow, request in _handshakes(history):
        told.add(flow)
        began = request.connecting or request.t
        syn = _nearest(syns.get(flow, ()), began)
        if syn is None:
            unmatched += 1
            continue
        syn_off.append(abs(syn - began) / NS_PER_MS)
        synack = _nearest(synacks.get(flow, ()), request.connected) if request.connected else None
        if synack is not None and request.connected is not None:
            synack_off.append(abs(synack - request.connected) / NS_PER_MS)
    cities = {client.city for client in history.requests}
    untold = sum(
        len(times) for flow, times in syns.items() if flow[0] in cities and flow not in told
    )
    return Agreement(_spread(syn_off), _spread(synack_off), unmatched, untold)


def schedule_quality(history: History) -> tuple[CitySchedule, ...]:
    """How well each city kept its plan: from its requests, over all and between fault and heal."""
    episodes = [
        (life.began, life.healed if life.healed is not None else history.last_ns)
        for life in history.injected()
    ]
    cities: defaultdict[str, list[Request]] = defaultdict(list)
    for client, requests in history.requests.items():
        cities[client.city].extend(requests)
    return tuple(_city_schedule(city, cities[city], episodes) for city in sorted(cities))


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
    if _is_cut_short(history):
        found.append(f"it was cut short {history.seconds(history.last_ns):.0f} s after its start")
    found += [f"{lost.count} events were lost at {lost.where}" for lost in history.lost]
    overload = sum(second.dropped for second in history.wire)
    if overload:
        found.append(f"the emulated WAN was overloaded and dropped {overload} packets of its own")
    return tuple(found)


def _is_cut_short(history: History) -> bool:
    """A scenario says when it ends; what a hand follows has no end of its own."""
    is_scenario = history.run is not None and bool(history.run.scenario)
    return is_scenario and all(note.text != "end" for note in history.notes)


def _city_schedule(
    city: str, requests: Sequence[Request], episodes: Sequence[tuple[int, int]]
) -> CitySchedule:
    late = [max(0, r.t - r.planned) for r in requests]
    inside = [r.t - r.planned for r in requests if any(a <= r.planned < b for a, b in episodes)]
    return CitySchedule(
        city,
        len(requests),
        _share(late),
        _share(inside) if inside else None,
        max(late, default=0) / NS_PER_MS,
    )


def _share(late: Sequence[int]) -> float:
    return sum(ns <= LATE_NS for ns in late) / len(late) if late else 1.0


def _handshakes(history: History) -> list[tuple[_Flow, Request]]:
    """One request for every TCP handshake that a client began."""
    seen: set[tuple[Client, int, int]] = set()
    found = []
    for client, requests in history.requests.items():
        for r in requests:
            key = (client, r.port, r.connecting or 0)
            if client.kind != "udp" and r.connecting and r.port and key not in seen:
                seen.add(key)
                found.append(((client.city, r.port, r.address), r))
    return found


def _by_flow(history: History, what: str) -> dict[_Flow, list[int]]:
    flows: dict[_Flow, list[int]] = defaultdict(list)
    for p in history.packets:
        if p.what != what:
            continue
        if what == "syn":
            flows[p.source, _port(p.src), p.dst.rpartition(":")[0]].append(p.t)
        elif p.out is not None:
            flows[p.target, _port(p.dst), p.src.rpartition(":")[0]].append(p.out)
    return flows


def _nearest(times: Sequence[int], instant: int) -> int | None:
    nearest = min(times, key=lambda t: abs(t - instant), default=None)
    if nearest is None or abs(nearest - instant) > SAME_CONNECTION_NS:
        return None
    return nearest


def _spread(values: Sequence[float]) -> Spread:
    if len(values) < 2:
        only = values[0] if values else 0.0
        return Spread(len(values), only, only, only)
    cuts = quantiles(values, n=100, method="inclusive")
    return Spread(len(values), cuts[49], cuts[98], max(values))


def _port(endpoint: str) -> int:
    port = endpoint.rpartition(":")[2]
    return int(port) if port.isdigit() else 0
