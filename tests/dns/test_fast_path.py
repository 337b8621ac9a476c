"""Answers from the tables are the answers that would be made, and never older than the routing."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import dns.edns
import dns.message
import pytest

from emulator.clock import ManualClock
from emulator.node.dns import answers as answers_module
from emulator.node.dns.answers import Answers
from emulator.node.dns.authority import Authority
from emulator.node.dns.message import respond
from emulator.node.dns.metrics import Counts
from emulator.node.dns.values import Answered, Facts, Routing, Transport
from tests.dns.examples import NEW_YORK, PARIS, STRANGER, authority, service_json

TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp")
SOURCES = (NEW_YORK, PARIS, STRANGER, "2001:db8::1")
ONE_MORE = 2000  # bytes: an answer and its table; the bound is looked at before the next
WEIGHTED = {"kind": "weighted", "members": ["us-east", "eu-west"], "weights": [3, 1]}


def query(name: str, qtype: str = "A", **more: object) -> bytes:
    return dns.message.make_query(name, qtype, id=0, **more).to_wire()  # type: ignore[arg-type]


def corpus() -> Iterator[bytes]:
    """Bytes after which a server answers in every way that it can."""
    for name in ("www.shop.test", "WwW.sHoP.tEsT", "nope.shop.test", "shop.test", "example.com"):
        for qtype in ("A", "AAAA", "ANY", "SOA", "NS", "TYPE666", "AXFR"):
            yield query(name, qtype)
            yield query(name, qtype, use_edns=0, payload=1232)
    subnets = [dns.edns.ECSOption(a, n) for a, n in (("10.4.0.0", 24), ("10.3.0.0", 24))]
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"cookie00")
    for option in (*subnets, nsid, cookie):
        yield query("www.shop.test", options=[option])
    yield query("www.shop.test", use_edns=1)
    yield query("www.shop.test")[:-1]
    yield query("www.shop.test") + b"more"
    notify = bytearray(query("www.shop.test"))
    notify[2] = 0x20
    yield bytes(notify)
    notify[2] = 0x80
    yield bytes(notify)
    yield b"\0\0short"


class Live:
    """An authority whose routing is changed by hand, and answers that follow it."""

    def __init__(self, transport: Transport = "udp", at_first: Authority | None = None) -> None:
        self.now = at_first or authority()
        self.counts = Counts(ManualClock())
        find = self.now.askers.find
        self.answers = Answers(transport, lambda: self.now, find, self.counts, respond)

    def switch(self, down: tuple[str, ...]) -> None:
        self.now = replace(self.now, routing=after(self.now.routing, down))


def after(routing: Routing, down: tuple[str, ...]) -> Routing:
    services = dict(routing.services)
    for name, state in services.items():
        regions = {
            region: replace(held, health="DOWN" if region in down else "UP")
            for region, held in state.regions.items()
        }
        services[name] = replace(state, regions=regions)
    return Routing(routing.serial + 1, services)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_kept_answers_are_those_that_would_be_made(transport: Transport) -> None:
    """Byte for byte, for every asker, as often as one asks, before and after each change."""
    live = Live(transport)
    questions = list(corpus())
    for down in ((), ("us-east",), ("us-east", "eu-west"), ("eu-west",), ()):
        live.switch(down)
        for identity in (b"\x12\x34", b"\xfe\xdc", b"\0\0"):
            for source in SOURCES:
                for data in questions:
                    asked = identity + data[2:]
                    made = respond(asked, source, transport, live.now)
                    assert live.answers.answer(asked, source) == (made and made.data)


def test_a_change_of_the_routing_empties_the_tables_at_once() -> None:
    """Whoever reads tables for a turn of the loop gets them without what was true before."""
    live = Live()
    live.answers.answer(query("www.shop.test"), PARIS)
    assert live.answers.tables()[PARIS]
    live.switch(("eu-west",))
    assert not live.answers.tables()
    assert live.answers.kept == 0


def test_askers_that_no_policy_tells_apart_share_a_table() -> None:
    """A resolver is found once; its neighbour finds the answer already there."""
    live = Live()
    for source in (PARIS, "10.4.0.99", NEW_YORK):
        live.answers.answer(query("www.shop.test"), source)
    tables = live.answers.tables()
    assert tables[PARIS] is tables["10.4.0.99"]
    assert tables[PARIS] is not tables[NEW_YORK]


def test_drawn_answers_are_never_kept() -> None:
    """Every query of a weighted name is a draw of its own."""
    live = Live(at_first=authority(service_json(policy=WEIGHTED, ttl_s=5)))
    given = {live.answers.answer(query("www.shop.test"), PARIS) for _ in range(50)}
    assert len(given) == 2
    assert not live.answers.tables()[PARIS]


def test_every_answer_is_counted_once() -> None:
    """Made or kept, over both transports, across changes and scrapes."""
    draws = random.Random(53)
    expected: Counter[tuple[str, str, str]] = Counter()
    live, counts = Live(), Counts(ManualClock())
    find = live.now.askers.find
    over = {t: Answers(t, lambda: live.now, find, counts, respond) for t in TRANSPORTS}
    questions = list(corpus())
    silent = 0
    for turn in range(2000):
        transport, source = draws.choice(TRANSPORTS), draws.choice(SOURCES)
        data = draws.choice(questions)
        given = over[transport].answer(data, source)
        facts = respond(data, source, transport, live.now)
        if given is None:
            silent += 1
        if facts is not None:
            qtype = "other" if facts.facts.qtype == "TYPE666" else facts.facts.qtype
            expected[transport, qtype, facts.facts.rcode] += 1
        if turn % 300 == 299:
            live.switch(draws.choice([(), ("us-east",), ("eu-west",)]))
        if turn % 170 == 169:
            over["udp"].fold()
    for answers in over.values():
        answers.fold()
        answers.fold()
    known = {key: n for key, n in counts.queries.items() if key[1] != "other"}
    assert known == {key: n for key, n in expected.items() if key in known}
    assert sum(counts.queries.values()) == sum(expected.values())
    assert counts.drops["no query",] == silent > 0


@pytest.mark.parametrize("flood", ["names", "sources", "cases"])
def test_a_flood_does_not_grow_the_tables(monkeypatch: pytest.MonkeyPatch, flood: str) -> None:
    """Random names, spoofed sources, 0x20's letters: what is kept stays below its bound, every
    answer is still right, and all are counted."""
    bound = 100_000
    monkeypatch.setattr(answers_module, "KEPT_MAX", bound)
    draws = random.Random(20)
    plain = query("www.shop.test")
    counts = Counts(ManualClock())
    now = authority()

    def answer_short(data: bytes, source: str, _: Transport, __: Authority) -> Answered:
        return Answered(data[::-1], Facts("NOERROR", "A", "www", ("us-east",)), is_fixed=True)

    answers = Answers("udp", lambda: now, now.askers.find, counts, answer_short)
    for number in range(2000):
        data, source = plain, PARIS
        if flood == "names":
            data = struct.pack("!HQ", number, draws.getrandbits(64)) + plain
        elif flood == "sources":
            source = f"203.0.{number >> 8}.{number & 255}"
        else:
            data = bytes(b ^ (b > 64 and draws.getrandbits(1) << 5) for b in plain)
        answers.answer(data, source)
        assert answers.kept <= bound + ONE_MORE
        assert sum(map(len, answers.tables().values())) < bound / len(plain)
    answers.fold()
    assert counts.answers["www", "us-east"] == 2000
