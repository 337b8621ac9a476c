"""Invented histories in the proportions of real runs, as long as one likes.

200 requests/s a city, as `region-loss` sends them; the packets, connections, checks and answers
beside them are what two recorded minutes of it hold. us-east loses power once, its cities find
eu-west after 7 s, and the power comes back.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.events import (
    Answer,
    Check,
    Connection,
    Event,
    Fault,
    Generation,
    Health,
    Note,
    Packet,
    Request,
    Run,
    Schedule,
    Wire,
)

RATES = {"http": 80, "keepalive": 80, "stream": 20, "udp": 20}  # 200/s a city
HOMES = {"new-york": "us-east", "paris": "eu-west", "boston": "us-east", "berlin": "eu-west"}
SERVICES = {"us-east": "198.18.1.1", "eu-west": "198.18.2.1"}
NAME_SERVERS = ("ns1", "ns2")
START_NS = 5_000 * NS_PER_S  # a kernel that has been up for a while
RECOVERY_S, DETECTION_S = 7, 4
TTL_S = 5
ONE_WAY_NS = {True: 4 * NS_PER_MS, False: 40 * NS_PER_MS}  # to the home region, to the other
CONNECT_NS = 3 * NS_PER_S

_Told = tuple[int, Event]  # when the recorder learns of it


def write_history(path: Path, requests: int, cities: int = 4, seed: int = 7) -> None:
    """A history of `requests` requests of up to four cities; the power fails at 40 % of it, for
    30 s or 30 %, whichever is shorter."""
    story = _Story(list(HOMES)[:cities], requests, random.Random(seed))
    with path.open("wb") as file:
        file.write(_line(story.header(), -1))
        waiting: list[_Told] = []
        seq = 0
        for second in range(story.seconds + 1):
            waiting += story.second(second) if second < story.seconds else story.end()
            waiting.sort(key=lambda told: told[0])
            until = story.at(second + 1) if second < story.seconds else waiting[-1][0] + 1
            told = [event for t, event in waiting if t < until]
            waiting = waiting[len(told) :]
            file.writelines(_line(event, seq + index) for index, event in enumerate(told))
            seq += len(told)


def _line(event: Event, seq: int) -> bytes:
    kind = b'"kind":"%s","seq":%d' % (event.kind.encode(), seq)
    return msgspec.json.encode(event).replace(b'"seq":-1', kind, 1) + b"\n"


@dataclass(slots=True)
class _Dial:
    """A connection in the making: who, where to, and whether anybody answers."""

    city: str
    address: int  # last but one byte of the city's network
    region: str
    port: int
    t: int
    way: int
    is_dead: bool


@dataclass(slots=True)
class _Story:
    """Second by second what a lab of these cities would tell."""

    cities: list[str]
    requests: int
    random: random.Random
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    ports: int = 0

    @property
    def seconds(self) -> int:
        return self.requests // (sum(RATES.values()) * len(self.cities))

    @property
    def struck(self) -> int:
        return self.at(self.seconds * 2 // 5)

    @property
    def healed(self) -> int:
        return self.struck + min(30, self.seconds * 3 // 10) * NS_PER_S

    def at(self, second: float) -> int:
        return START_NS + round(second * NS_PER_S)

    def second(self, second: int) -> list[_Told]:
        """Everything that begins in this second."""
        began = self.at(second)
        told: list[_Told] = []
        for city in self.cities:
            for kind, rate in RATES.items():
                for index in range(rate):
                    planned = began + index * NS_PER_S // rate
                    told += self._request(city, kind, planned)
            told += self._city_second(city, second, began)
        told += self._servers(began)
        if began == self.struck:
            told += self._fault()
        told.append((began, Wire(t=began, packets=4000, dropped=0, lag_ms_max=1.8)))
        return told

    def end(self) -> list[_Told]:
        t = self.at(self.seconds)
        return [(t, Note(t=t, text="end"))]

    def _region(self, city: str, kind: str, t: int) -> tuple[str, bool]:
        """Who is asked, and whether nobody is there; what lasts stays where it has moved."""
        home = HOMES[city]
        if home != "us-east" or t < self.struck:
            return home, False
        back = self.healed + (6 * NS_PER_S if kind in ("http", "udp") else 10**15)
        if t < self.struck + RECOVERY_S * NS_PER_S:
            return home, True
        return ("eu-west", False) if t < back else (home, False)

    def _request(self, city: str, kind: str, planned: int) -> Iterator[_Told]:
        t = planned + self.random.randrange(40_000, 400_000)
        region, is_dead = self._region(city, kind, t)
        n = self.numbers[city, kind] = self.numbers.get((city, kind), -1) + 1
        self.ports += kind == "http" or is_dead
        port = 1024 + self.ports * 2 % 64_000 if kind == "http" or is_dead else 20_000 + n % 16
        way = ONE_WAY_NS[region == HOMES[city]]
        dial = _Dial(city, list(HOMES).index(city) + 3, region, port, t + 900_000, way, is_dead)
        if kind == "http" or (is_dead and kind == "keepalive"):
            yield from _handshake(dial)
        if is_dead and kind == "keepalive":
            yield from _failed_attempt(dial, n)
        if kind == "http" and not is_dead:
            yield from _exchange(dial)
        request = _request(dial, kind, n, planned, t)
        yield request.end or t, request

    def _city_second(self, city: str, second: int, began: int) -> Iterator[_Told]:
        """The schedule's word, an answer every TTL, a keep-alive connection every other second."""
        planned = sum(RATES.values())
        yield (
            began,
            Schedule(
                t=began, city=city, planned=planned, started=planned, late=0, late_ms_max=0.4,
                in_flight=4,
            ),
        )  # fmt: skip
        region, is_dead = self._region(city, "keepalive", began)
        if second % TTL_S == 0:
            yield (
                began,
                Answer(
                    t=began, source="ns1", target=city, name="www.shop.test", qtype="A",
                    rcode="NOERROR", addresses=[SERVICES[self._named(city, began)]], ttl=TTL_S,
                ),
            )  # fmt: skip
        if second % 2 == 0 and not is_dead:
            self.ports += 1
            port = 1024 + self.ports * 2 % 64_000
            way = ONE_WAY_NS[region == HOMES[city]]
            dial = _Dial(city, list(HOMES).index(city) + 3, region, port, began, way, is_dead=False)
            yield from _handshake(dial)
            yield from _exchange(dial)
            yield from _lasting(dial, second)

    def _named(self, city: str, t: int) -> str:
        region, is_dead = self._region(city, "http", t + NS_PER_S)
        return "eu-west" if is_dead and t > self.struck + DETECTION_S * NS_PER_S else region

    def _servers(self, began: int) -> Iterator[_Told]:
        """Every name server checks every region once a second."""
        for index, server in enumerate(NAME_SERVERS):
            for region in SERVICES:
                ok = region != "us-east" or not self.struck <= began < self.healed
                t = began + index * 300_000_000
                self.ports += 1
                port = 1024 + self.ports * 2 % 64_000
                yield from _check(server, region, t, port, ok=ok)

    def _fault(self) -> Iterator[_Told]:
        healed = self.healed
        for phase, t in (
            ("inject_began", self.struck), ("inject_ended", self.struck + 50 * NS_PER_MS),
            ("heal_began", healed - 100 * NS_PER_MS), ("healed", healed),
            ("heal_ended", healed + 400 * NS_PER_MS),
        ):  # fmt: skip
            yield (
                t,
                Fault(
                    t=t, id="power:us-east#1", how="power", phase=phase, target=["us-east"],
                    sites=["us-east"], hosts=["us-east/edge", "us-east/www-1", "us-east/www-2"],
                ),
            )  # fmt: skip
        for state, t in (
            ("DOWN", self.struck + DETECTION_S * NS_PER_S),
            ("UP", healed + 2 * NS_PER_S),
        ):
            up = ["eu-west"] if state == "DOWN" else ["us-east", "eu-west"]
            down = ["us-east"] if state == "DOWN" else []
            for server in NAME_SERVERS:
                place: dict[str, Any] = {"t": t, "server": server, "service": "www"}
                yield t, Health(**place, region="us-east", state=state, reason="3 failed checks")
                yield t, Generation(**place, number=2, up=up, down=down)

    def header(self) -> Run:
        kinds = [*((r, "region") for r in SERVICES), *((c, "client") for c in self.cities)]
        kinds += [(server, "dns") for server in NAME_SERVERS]
        patience = {"lookup_s": 2.0, "connect_s": 3.0, "response_s": 3.0}
        bounds = [
            {"city": c, "client": kind, "total_s": 12.0, "parts": {}, "because": ""}
            for c in self.cities for kind in RATES
        ]  # fmt: skip
        return Run(
            t=START_NS - NS_PER_S, wall="2026-01-31T12:00:00+00:00", seed=7, lab="four-cities",
            scenario="long", command="netemu run long.yaml", environment={"kernel": "6.18"},
            sites=[{"name": name, "kind": kind, "prefixes": []} for name, kind in kinds],
            services=[{"name": "www", "fqdn": "www.shop.test", "port": 80, "addresses": SERVICES,
                       "ttl_s": TTL_S, "interval_s": 1.0, "timeout_s": 1.0, "fall": 3, "rise": 2}],
            paths=[_path(city, region) for city in self.cities for region in SERVICES],
            preferred={city: _nearest(city) for city in self.cities},
            bounds={"power us-east": bounds}, timeouts=dict.fromkeys(self.cities, patience),
            objectives=[{"text": "recovery_s.p100 <= 15 s", "figure": "recovery_s",
                         "statistic": "p100", "comparison": "<=", "bound": 15.0}],
            rates={kind: float(rate) for kind, rate in RATES.items()},
        )  # fmt: skip


def _path(city: str, region: str) -> dict[str, Any]:
    one_way_ms = ONE_WAY_NS[HOMES[city] == region] / NS_PER_MS
    return {
        "source": city, "target": region, "one_way_ms": one_way_ms, "measured_ms": one_way_ms,
        "because": "places",
    }  # fmt: skip


def _nearest(city: str) -> list[str]:
    return sorted(SERVICES, key=lambda region: region != HOMES[city])


def _request(dial: _Dial, kind: str, n: int, planned: int, t: int) -> Request:
    """A request of this kind, or how it fails at a region without power."""
    answered = not dial.is_dead
    lasts = kind == "stream" or (kind == "keepalive" and answered)
    sent = dial.t + (2 * dial.way if kind == "http" else 100_000)
    first = sent + 2 * dial.way + 500_000
    outcome, detail, end = ("ok", "", first + 90_000)
    if not answered:
        outcome, detail, end = "timeout", "connect", t + CONNECT_NS
        if kind == "udp":
            detail = "response"
        if kind == "stream":
            outcome, detail, end = "error", "unconnected", t
    return Request(
        t=t, planned=planned, city=dial.city, client=kind, n=n, outcome=outcome, detail=detail,
        lookup=None if lasts else t + 800_000, connecting=None if lasts else dial.t,
        connected=dial.t + 2 * dial.way if kind == "http" and answered else None,
        sent=sent if answered else None, first=first if answered else None, end=end,
        address=SERVICES[dial.region], port=dial.port,
        region=dial.region if answered else "",
        server=f"{dial.region}/www-{1 + n % 2}" if answered and kind != "udp" else "",
        protocol={"udp": "udp", "stream": "tcp"}.get(kind, "HTTP/1.1") if answered else "",
        closed_by="" if answered else "us", conn=n + 1 if kind == "http" else n % 10,
    )  # fmt: skip


def _packet(dial: _Dial, what: str, after: int, *, back: bool = False, again: int = 0) -> _Told:
    here, there = f"10.{dial.address}.0.2:{dial.port}", f"{SERVICES[dial.region]}:80"
    t = dial.t + after + again
    out = None if dial.is_dead else t + dial.way
    return (
        out or t,
        Packet(
            t=t, what=what, out=out, dropped="cut" if dial.is_dead else "",
            source=dial.region if back else dial.city, target=dial.city if back else dial.region,
            src=there if back else here, dst=here if back else there,
        ),
    )  # fmt: skip


def _handshake(dial: _Dial) -> Iterator[_Told]:
    """SYN and its answer; to a region without power the SYN three times."""
    yield _packet(dial, "syn", 60_000)
    if dial.is_dead:
        yield _packet(dial, "syn-again", NS_PER_S)
        yield _packet(dial, "syn-again", 2 * NS_PER_S)
    else:
        yield _packet(dial, "synack", dial.way + 100_000, back=True)


def _exchange(dial: _Dial) -> Iterator[_Told]:
    """First data of both ends, and both ends' FIN."""
    yield _packet(dial, "data", 2 * dial.way + 200_000)
    yield _packet(dial, "data", 3 * dial.way + 400_000, back=True)
    yield _packet(dial, "fin", 4 * dial.way + 500_000)
    yield _packet(dial, "fin", 5 * dial.way + 600_000, back=True)


def _failed_attempt(dial: _Dial, conn: int) -> Iterator[_Told]:
    place: dict[str, Any] = {"city": dial.city, "client": "keepalive", "conn": conn + 1_000_000}
    address = SERVICES[dial.region]
    yield dial.t, Connection(t=dial.t, phase="attempt", **place)
    failed = dial.t + CONNECT_NS
    yield (
        failed,
        Connection(
            t=failed, phase="failed", address=address, port=dial.port, closed_by="us",
            detail="connect", **place,
        ),
    )  # fmt: skip


def _lasting(dial: _Dial, second: int) -> Iterator[_Told]:
    """A keep-alive connection that is open for 20 s."""
    place: dict[str, Any] = {"city": dial.city, "client": "keepalive", "conn": second + 1}
    where: dict[str, Any] = {
        "address": SERVICES[dial.region],
        "port": dial.port,
        "region": dial.region,
    }
    opened, closed = dial.t + 2 * dial.way, dial.t + 20 * NS_PER_S
    yield dial.t, Connection(t=dial.t, phase="attempt", **place)
    yield opened, Connection(t=opened, phase="open", **place, **where)
    yield (
        closed,
        Connection(t=closed, phase="close", closed_by="us", detail="idle", **place, **where),
    )


def _check(server: str, region: str, t: int, port: int, *, ok: bool) -> Iterator[_Told]:
    """A health check, and its packets."""
    end = t + (10 * NS_PER_MS if ok else NS_PER_S)
    here = f"198.18.{5 + NAME_SERVERS.index(server)}.53:{port}"
    there = f"198.18.{1 + list(SERVICES).index(region)}.254:9001"
    ways = ["syn", "synack", "data", "data", "fin", "fin"] if ok else ["syn"]
    for index, what in enumerate(ways):
        pair = [(server, here), (region, there)]
        (source, src), (target, dst) = pair[:: -1 if index % 2 else 1]
        at = t + index * NS_PER_MS
        yield (
            at,
            Packet(
                t=at, what=what, source=source, target=target, src=src, dst=dst,
                out=at + NS_PER_MS if ok else None, dropped="" if ok else "cut",
            ),
        )  # fmt: skip
    detail = "HTTP 200" if ok else "timed out connecting"
    check = Check(t=t, server=server, service="www", region=region, ok=ok, end=end, detail=detail)
    yield end, check
