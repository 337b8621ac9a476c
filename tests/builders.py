"""Invented histories, told in seconds: what the analysis is tested with."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from emulator.analysis.timeline import Client, History
from emulator.clock import NS_PER_S
from emulator.events import (
    Answer,
    Check,
    Connection,
    Event,
    Fault,
    Generation,
    Health,
    Note,
    Own,
    Packet,
    Request,
    Run,
)

ADDRESSES = {"us-east": "198.18.1.1", "eu-west": "198.18.2.1", "ap-south": "198.18.3.1"}
FQDN = "www.shop.test"
PREFERRED = {"new-york": ["us-east", "eu-west"], "paris": ["eu-west", "us-east"]}
NAME_SERVERS = ("ns1", "ns2")
KINDS = ("http", "keepalive", "stream", "udp")
CLIENT_ADDRESSES = {"new-york": "10.4.0.2", "paris": "10.5.0.2"}


def ns(seconds: float) -> int:
    """An instant: the clock of the stories starts at 1000 s, as a kernel's would."""
    return round((1000 + seconds) * NS_PER_S)


class Story:
    """A history in the making. Regions are those of ADDRESSES, requests are numbered."""

    def __init__(self, *, ttl: int = 5, bound_s: float | None = 10.3, **header: Any) -> None:
        self.events: list[Event] = [_header(ttl, bound_s, header)]
        self.ttl = ttl
        self._numbers: Counter[Client] = Counter()
        self._ports = 40000
        self.is_cut_short = False

    def requests(
        self,
        start: float,
        end: float,
        *,
        rate: float = 20,
        city: str = "new-york",
        kind: str = "http",
        region: str = "us-east",
        outcome: str = "ok",
        detail: str = "",
        takes: float | None = None,
        late: float = 0.0,
        **fields: Any,
    ) -> Story:
        """Requests planned from `start` to before `end`, all alike."""
        span = takes if takes is not None else 3.0 if outcome == "timeout" else 0.03
        for index in range(round((end - start) * rate)):
            planned = start + index / rate
            t = planned + late
            self.events.append(
                Request(
                    t=ns(t),
                    planned=ns(planned),
                    city=city,
                    client=kind,
                    n=self._number(city, kind),
                    outcome=outcome,
                    detail=detail,
                    end=ns(t + span),
                    address=ADDRESSES[region],
                    region=region if outcome == "ok" else "",
                    **(self._dialled(t, kind, outcome, detail) | fields),
                )
            )
        return self

    def dead(self, start: float, end: float, **fields: Any) -> Story:
        """Requests that meet silence."""
        return self.requests(start, end, **({"outcome": "timeout", "detail": "connect"} | fields))

    def skip(self, count: int, city: str = "new-york", kind: str = "http") -> Story:
        """Requests that were begun and of which nothing was told."""
        self._numbers[Client(city, kind)] += count
        return self

    def own(self, at: float, *, city: str = "new-york", **told: Any) -> Story:
        """A line that a client of the user's writes."""
        self.events.append(Own(t=ns(at), city=city, told=told))
        return self

    def attempts(
        self, start: float, end: float, region: str, /, *, rate: float = 4, **told: Any
    ) -> Story:
        """Lines of a client of the user's about attempts that began from `start` to before `end`,
        and took 30 ms each, or `ms`."""
        answered = {"ok": True, "ms": 30, "address": ADDRESSES[region]}
        known: dict[str, Any] = answered | {"server": f"{region}/www-1"} | told
        for index in range(round((end - start) * rate)):
            self.own(start + index / rate + known["ms"] / 1000, **known)
        return self

    def fault(
        self,
        at: float,
        target: str = "us-east",
        how: str = "power",
        *,
        healed: float | None = None,
        hosts: tuple[str, ...] = (),
        name: str = "f1",
    ) -> Story:
        """A fault with all its phases; a region or city is a site, a host is given in `hosts`."""
        phases = {"inject_began": at, "inject_ended": at + 0.05}
        if healed is not None:
            phases |= {"heal_began": healed - 0.1, "healed": healed, "heal_ended": healed + 0.4}
        sites = [] if hosts else [target]
        self.events += [
            Fault(
                t=ns(t), id=name, how=how, phase=phase, target=[target], sites=sites,
                hosts=list(hosts),
            )
            for phase, t in phases.items()
        ]  # fmt: skip
        return self

    def down(
        self, at: float, server: str = "ns1", region: str = "us-east", checks: int = 3
    ) -> Story:
        """A name server gives a region up after failed checks; live 10 ms later."""
        up = [name for name in ADDRESSES if name != region]
        self.events += [
            Check(
                t=ns(at - index - 0.4), end=ns(at - index), server=server, service="www",
                region=region, ok=False,
            )
            for index in range(checks)
        ]  # fmt: skip
        self.events += [
            Health(t=ns(at), server=server, service="www", region=region, state="DOWN"),
            Generation(
                t=ns(at + 0.01), server=server, service="www", number=2, up=up, down=[region]
            ),
        ]
        return self

    def answer(self, at: float, region: str, server: str = "ns1", city: str = "new-york") -> Story:
        """An answer reaches a city's resolver."""
        self.events.append(
            Answer(
                t=ns(at), source=server, target=city, name=FQDN + ".", qtype="A",
                rcode="NOERROR", addresses=[ADDRESSES[region]], ttl=self.ttl,
            )
        )  # fmt: skip
        return self

    def connection(self, at: float, phase: str, conn: int, **fields: Any) -> Story:
        """A step in the life of a lasting connection."""
        known = {"city": "new-york", "client": "stream", "address": ADDRESSES["us-east"]} | fields
        self.events.append(Connection(t=ns(at), conn=conn, phase=phase, **known))
        return self

    def packet(self, at: float, what: str, source: str, target: str, **fields: Any) -> Story:
        """A telling segment, delivered after 10 ms unless `out` says otherwise."""
        known: dict[str, Any] = {"src": "", "dst": "", "out": ns(at + 0.01)} | fields
        self.events.append(Packet(t=ns(at), what=what, source=source, target=target, **known))
        return self

    def handshakes(self) -> Story:
        """The packets of every handshake that the story's clients began, 0.1 ms off."""
        off = NS_PER_S // 10_000
        for r in [
            e for e in self.events if isinstance(e, Request) and e.connecting and e.client != "udp"
        ]:
            here, there = f"{CLIENT_ADDRESSES[r.city]}:{r.port}", f"{r.address}:80"
            region = next(name for name, a in ADDRESSES.items() if a == r.address)
            assert r.connecting is not None
            began = r.connecting + off
            self.events.append(
                Packet(t=began, what="syn", source=r.city, target=region, src=here, dst=there)
            )
            if r.connected:
                out = r.connected - off
                self.events.append(
                    Packet(
                        t=began, what="synack", source=region, target=r.city, src=there, dst=here,
                        out=out,
                    )
                )  # fmt: skip
        return self

    def history(self) -> History:
        """The story, folded in the order in which a recorder would have seen it."""
        history = History()
        for event in self.ordered():
            history.feed(event)
        return history

    def ordered(self) -> list[Event]:
        """The header, then every event when it was told (a request at its end), then the end."""
        header, *rest = self.events
        told = [header, *sorted(rest, key=lambda e: getattr(e, "end", None) or e.t)]
        end = Note(t=max(e.t for e in self.events), text="end")
        return told if self.is_cut_short else [*told, end]

    def lines(self) -> str:
        """The story as a file of JSON lines."""
        return "".join(json.dumps(event.to_json()) + "\n" for event in self.ordered())

    def _number(self, city: str, kind: str) -> int:
        self._numbers[Client(city, kind)] += 1
        return self._numbers[Client(city, kind)] - 1

    def _dialled(self, t: float, kind: str, outcome: str, detail: str) -> dict[str, Any]:
        self._ports += 1
        shaken = kind != "udp" and (outcome == "ok" or detail == "response")
        return {
            "lookup": ns(t + 0.001),
            "connecting": ns(t + 0.002),
            "connected": ns(t + 0.012) if shaken else None,
            "port": self._ports,
        }


def _header(ttl: int, bound_s: float | None, header: dict[str, Any]) -> Run:
    bounds = [
        {"city": "new-york", "client": kind, "total_s": bound_s, "parts": {}, "because": ""}
        for kind in KINDS
        if bound_s is not None
    ]
    known: dict[str, Any] = {
        "wall": "2026-01-31T12:00:00Z",
        "seed": 7,
        "lab": "two-region",
        "scenario": "region-loss",
        "command": "netemu run region-loss.yaml",
        "environment": {"kernel": "6.18"},
        "sites": [
            *({"name": name, "kind": "region", "prefixes": []} for name in ("us-east", "eu-west")),
            *({"name": name, "kind": "client", "prefixes": []} for name in PREFERRED),
            *({"name": name, "kind": "dns", "prefixes": []} for name in NAME_SERVERS),
        ],
        "services": [
            {"name": "www", "fqdn": FQDN, "port": 80, "addresses": ADDRESSES, "ttl_s": ttl}
        ],
        "paths": _paths(),
        "preferred": PREFERRED,
        "bounds": {"power us-east": bounds},
        "timeouts": {city: {"lookup_s": 2, "connect_s": 3, "response_s": 3} for city in PREFERRED},
        "objectives": [],
        "rates": {"http": 20.0},
    }
    return Run(t=ns(-1), **(known | header))


def _paths() -> list[dict[str, Any]]:
    one_way = {
        ("new-york", "us-east"): 4.5,
        ("new-york", "eu-west"): 38.0,
        ("paris", "eu-west"): 5.5,
        ("paris", "us-east"): 41.5,
    }
    return [
        {"source": a, "target": b, "one_way_ms": ms, "measured_ms": ms + 0.05, "because": "places"}
        for pair, ms in one_way.items()
        for a, b in (pair, pair[::-1])
    ]
