"""A client of the user's on the wire: what its city sent and no built-in client tells of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain, compress

from emulator.analysis.measurements import Row
from emulator.analysis.timeline import Client, History
from emulator.analysis.wire import port_of
from emulator.clock import NS_PER_S
from emulator.events import OWN_CLIENT, Connection, Request

# A built-in client tells of a connection at the latest when its patience ends, and at the earliest
# when it is begun; its port is used again only after many others.
_BEFORE_NS = NS_PER_S
# A lookup takes no longer where the resolver has the answer.
_ASKED_NS = NS_PER_S


def own_cities(history: History) -> set[str]:
    """The cities that have a client of the user's, as the header says or its lines show."""
    return {*(history.run.own_clients if history.run else ()), *history.own}


def unclaimed(history: History, city: str, what: str) -> Iterator[tuple[int, str]]:
    """When the wire saw a city send a `syn` to a service, or receive a `synack` from one, on a
    connection that no built-in client tells of, and of which region; in no order."""
    packets, claimed = history.packets, _claimed(history, city)
    names, at = ("source", "src", "dst"), packets.t
    if what == "synack":
        names, at = ("target", "dst", "src"), packets.out
    rows = zip(*(packets.column(name) for name in names), at, strict=False)
    site, patience_ns = packets.number(city), history.patience_ns(city)
    for here, own, other, t in compress(rows, packets.are(what)):
        if here != site or t < 0:
            continue
        address = packets.text(other).rpartition(":")[0]
        claims = claimed.get((port_of(packets.text(own)), address), ())
        is_told = any(-_BEFORE_NS <= claim - t <= patience_ns for claim in claims)
        if (region := history.region_of(address)) and not is_told:
            yield t, region


def _claimed(history: History, city: str) -> Mapping[tuple[int, str], list[int]]:
    """When the city's built-in clients tell of connections, by local port and address."""
    claimed: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for client in dict.fromkeys([*history.requests, *history.connections]):
        if client.city == city and client.kind != OWN_CLIENT:
            told: Iterator[Request | Connection]
            told = chain(history.requests.get(client, ()), history.connections.get(client, ()))
            for one in told:
                if one.port:
                    claimed[one.port, one.address].append(one.t)
    return claimed


def asked_in_vain(row: Row, history: History) -> list[int]:
    """When an own client began to ask the old region's address after its resolver had the new one,
    up to its first attempt elsewhere: by its lines, or, where they do not tell, by its SYNs."""
    city, path = row.client.city, row.milestones
    if row.client.kind != OWN_CLIENT or path.answer is None or path.lookup is None:
        return []
    lines = history.requests[Client(city, OWN_CLIENT)]
    told = ((r.t, history.region_of(r.address)) for r in lines)
    for asked in (told, unclaimed(history, city, "syn")):
        there = [t for t, region in asked if region == row.from_region]
        if during := sorted(t for t in there if path.answer < t < path.lookup):
            return during
    return []


def kept_its_answer(row: Row, history: History) -> bool:
    """Whether an own client went on with an address that its resolver no longer gave: the last time
    it asked there, any lookup begun after the new answer had long been answered with that."""
    asked, answer = asked_in_vain(row, history), row.milestones.answer or 0
    if not asked or asked[-1] - answer <= _ASKED_NS:
        return False
    later = (a for a in history.answers_to(row.client.city) if answer < a.t <= asked[-1])
    named = {history.region_of(address) for told in later for address in told.addresses}
    return row.from_region not in named
