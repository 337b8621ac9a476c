"""What the wire saw, told as events."""

from __future__ import annotations

import dnslib
import pytest

from emulator.events import KINDS
from emulator.node.wan.flows import Flows
from emulator.node.wan.keeper_records import events_of, second_of
from emulator.node.wan.records import encode, encode_lost
from emulator.node.wan.table import PathTable, WireState
from tests.frames import SYN, tcp, udp

_SITES = {1: "us-east", 2: "paris"}


def told(frame: bytes, *, out: int) -> list[dict[str, object]]:
    """The events of one frame that entered at us-east at 1000 ns, towards paris."""
    sight = Flows().observe(frame)
    assert sight
    return list(events_of(b"".join(encode(sight, 1000, (out, out), 1, 2)), _SITES))


def test_a_telling_segment_is_a_packet_event():
    """With its sites by name, its ends, when it entered and when it left."""
    (event,) = told(tcp(SYN, seq=1), out=5000)
    assert (event["kind"], event["what"]) == ("packet", "syn")
    assert (event["source"], event["target"]) == ("us-east", "paris")
    assert (event["t"], event["out"], event["dropped"]) == (1000, 5000, "")
    assert set(event) <= set(KINDS["packet"].__dataclass_fields__) | {"kind"}


def test_a_dropped_segment_says_by_what():
    """And never left."""
    (event,) = told(tcp(SYN, seq=1), out=-1)
    assert (event["out"], event["dropped"]) == (None, "cut")


def test_a_dns_answer_is_told_with_its_content_when_it_arrives():
    """Name, type, addresses, the least TTL; `t` is its arrival at the city."""
    query = dnslib.DNSRecord.question("www.shop.test")
    answer = query.reply()
    answer.add_answer(*dnslib.RR.fromZone("www.shop.test. 5 A 198.18.1.1"))
    answer.add_answer(*dnslib.RR.fromZone("www.shop.test. 7 A 198.18.2.1"))
    (event,) = told(udp(answer.pack()), out=9000)
    assert event == {
        "kind": "answer", "t": 9000, "source": "us-east", "target": "paris",
        "name": "www.shop.test", "qtype": "A", "rcode": "NOERROR",
        "addresses": ["198.18.1.1", "198.18.2.1"], "ttl": 5, "subnet": "",
    }  # fmt: skip
    assert told(udp(answer.pack()), out=-1) == []


@pytest.mark.parametrize(
    ("option", "subnet"),
    [
        (b"\0\1\x18\x18\x0a\x04\0", "10.4.0.0/24"),
        (b"\0\1\x18\0\x0a\x04\0", ""),  # scope 0
        (b"\0\1\x18", ""),
    ],
)
def test_an_answer_says_whom_it_is_for(option: bytes, subnet: str):
    """The network of ECS; with scope 0 it is for everyone, and what is cut short says nothing."""
    answer = dnslib.DNSRecord.question("www.shop.test").reply()
    answer.add_ar(dnslib.EDNS0(udp_len=1232, opts=[dnslib.EDNSOption(8, option)]))
    (event,) = told(udp(answer.pack()), out=9000)
    assert event["subnet"] == subnet


def test_what_the_wire_could_not_hand_over_is_lost():
    """The history says so."""
    (event,) = events_of(encode_lost(12, 77), _SITES)
    assert (event["kind"], event["t"], event["count"]) == ("lost", 77, 12)


@pytest.fixture
def idle():
    table = PathTable.create()
    yield table.state()
    table.close()


def test_each_second_is_told_by_itself(idle: WireState):
    """Packets and drops since the last look; the longest lag; records lost are `lost`."""
    later = idle._replace(packets=50, overload=2, lag_max_ns=1_500_000, records_lost=3)
    wire, lost = second_of(idle, later)
    assert (wire["packets"], wire["dropped"], wire["lag_ms_max"]) == (50, 2, 1.5)
    assert (lost["kind"], lost["count"]) == ("lost", 3)
    assert len(list(second_of(later, later))) == 1
