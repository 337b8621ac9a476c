"""What the wire records: connections' beginnings and ends, what is sent again, DNS answers."""

from __future__ import annotations

import random

import pytest

from emulator.node.wan.flows import WHATS, Flows
from emulator.node.wan.records import (
    FlowRecord,
    Record,
    decode,
    encode,
    encode_flow,
    encode_lost,
)
from tests.frames import (
    ACK,
    CLIENT,
    CLIENT6,
    FIN,
    NAME_SERVER,
    PSH,
    RST,
    SYN,
    Ends,
    ethernet,
    tcp,
    udp,
)

SERVER = CLIENT.back()


def told(flows: Flows, frame: bytes) -> list[str]:
    sight = flows.observe(frame)
    return [WHATS[what] for what in sight.whats] if sight else []


def at_port(number: int) -> Ends:
    """A connection of the client's from another port."""
    return CLIENT._replace(sport=number)


def test_a_connection_from_syn_to_rst():
    """A handshake, the first payload of each direction, nothing for what follows, the ends."""
    flows = Flows()
    assert told(flows, tcp(SYN, seq=100)) == ["syn"]
    assert told(flows, tcp(SYN | ACK, seq=900, ends=SERVER)) == ["synack"]
    assert told(flows, tcp(ACK, seq=101)) == []
    assert told(flows, tcp(ACK | PSH, b"GET /", seq=101)) == ["data"]
    assert told(flows, tcp(ACK | PSH, b"HTTP", seq=901, ends=SERVER)) == ["data"]
    assert told(flows, tcp(ACK | PSH, b"more", seq=905, ends=SERVER)) == []
    assert told(flows, tcp(ACK | FIN, seq=909, ends=SERVER)) == ["fin"]
    assert told(flows, tcp(RST, seq=106)) == ["rst"]


def test_an_rst_of_a_host_that_never_spoke_is_a_strangers():
    """A rebooted host, or a port on which nobody listens."""
    flows = Flows()
    flows.observe(tcp(SYN, seq=100))
    (record,) = records_of(flows, tcp(RST | ACK, ends=SERVER), 5, (9, 9))
    assert (record.what, record.had) == ("rst", False)
    flows.observe(tcp(SYN | ACK, seq=7, ends=SERVER))
    (record,) = records_of(flows, tcp(RST | ACK, ends=SERVER), 5, (9, 9))
    assert (record.what, record.had) == ("rst", True)


def flow_records(flows: Flows, now: int, *, is_all: bool = False) -> list[FlowRecord]:
    told = (encode_flow(direction, now) for direction in flows.to_tell(now, is_all=is_all))
    return [record.flow for record in decode(b"".join(told)) if record.flow]


def test_a_direction_is_told_with_its_end():
    """What it sent, what of it again, when its first and last byte came, its longest silence."""
    flows = Flows()
    flows.observe(tcp(SYN, seq=100), 10, (3, 1))
    flows.observe(tcp(ACK, b"x" * 5000, seq=101, gso=1000), 20, (3, 1))
    flows.observe(tcp(ACK, b"x" * 1000, seq=4101), 320, (3, 1))
    flows.observe(tcp(ACK | FIN, b"y", seq=5101), 400, (3, 1))
    assert flow_records(flows, 500) == [
        FlowRecord("tcp", True, 1, 10, 20, 400, 400, 8, 6001, 300)
    ]  # fmt: skip
    assert flow_records(flows, 501, is_all=True) == []


def test_what_acknowledges_the_others_end_is_no_news():
    """A connection costs one telling a direction; what is sent again after the end is news."""
    flows = Flows()
    flows.observe(tcp(SYN, seq=100), 10)
    flows.observe(tcp(ACK | FIN, b"y", seq=101), 20)
    assert len(flow_records(flows, 30)) == 1
    flows.observe(tcp(ACK, seq=103), 40)
    assert flow_records(flows, 50, is_all=True) == []
    flows.observe(tcp(ACK | FIN, b"y", seq=101), 60)
    assert [flow.again for flow in flow_records(flows, 70, is_all=True)] == [1]


def test_a_direction_that_goes_on_is_told_now_and_then():
    """Every 5 s while it moves, once it has been silent for 1 s, and whenever somebody asks."""
    flows = Flows()
    second = 10**9
    flows.observe(tcp(SYN, seq=100), 0)
    flows.observe(tcp(ACK, b"x", seq=101), second // 2)
    assert flow_records(flows, second) == []
    assert [flow.bytes for flow in flow_records(flows, second, is_all=True)] == [1]
    assert flow_records(flows, 3 * second) == []
    for tenth in range(30, 71):
        flows.observe(tcp(ACK, b"x", seq=72 + tenth), tenth * second // 10)
        told = flow_records(flows, tenth * second // 10)
        assert bool(told) == (tenth == 60)
    assert [flow.seen for flow in flow_records(flows, 8 * second)] == [7 * second]


def test_the_first_and_the_last_packet_of_quic_are_told():
    """From a long header of a version that we know; its short headers belong to it."""
    flows = Flows()
    assert flows.observe(udp(b"\x40short", ends=CLIENT), 1) is None
    assert len(flows) == 0
    flows.observe(udp(b"\xc0\0\0\0\1" + bytes(1195), ends=CLIENT), 2, (3, 1))
    flows.observe(udp(b"\x40" + bytes(49), ends=CLIENT), 9, (3, 1))
    (flow,) = flow_records(flows, 10, is_all=True)
    assert flow == FlowRecord("quic", False, 0, 2, 2, 9, 9, 2, 1250, 7)


def test_first_payload_and_fin_in_one_segment_tell_both():
    flows = Flows()
    flows.observe(tcp(SYN, seq=100))
    assert told(flows, tcp(ACK | FIN, b"bye", seq=101)) == ["data", "fin"]


@pytest.mark.parametrize("start", [100, 2**32 - 3])
def test_what_is_sent_again_is_told_also_where_numbers_wrap(start: int):
    flows = Flows()

    def at(offset: int) -> int:
        return (start + offset) & 0xFFFFFFFF

    assert told(flows, tcp(SYN, seq=start)) == ["syn"]
    assert told(flows, tcp(SYN, seq=start)) == ["syn-again"]
    assert told(flows, tcp(ACK, b"abcdef", seq=at(1))) == ["data"]
    assert told(flows, tcp(ACK, b"abcdef", seq=at(1))) == ["again"]
    assert told(flows, tcp(ACK, b"abc", seq=at(1))) == ["again"]
    assert told(flows, tcp(ACK, b"ghi", seq=at(7))) == []
    assert told(flows, tcp(ACK | FIN, b"jk", seq=at(10))) == ["fin"]
    assert told(flows, tcp(ACK | FIN, b"jk", seq=at(10))) == ["again"]
    assert told(flows, tcp(ACK, seq=at(13))) == []


def test_a_synack_again_and_a_new_connection_on_old_ports():
    flows = Flows()
    assert told(flows, tcp(SYN | ACK, seq=5)) == ["synack"]
    assert told(flows, tcp(SYN | ACK, seq=5)) == ["synack-again"]
    assert told(flows, tcp(SYN, seq=99999)) == ["syn"]
    assert told(flows, tcp(ACK, b"hello", seq=100000)) == ["data"]


@pytest.mark.parametrize("probe", [b"", b"\x00"])
def test_keep_alive_probes_are_not_retransmissions(probe):
    """They repeat the last sequence number with no byte or one."""
    flows = Flows()
    flows.observe(tcp(SYN, seq=100))
    flows.observe(tcp(ACK, b"abc", seq=101))
    assert told(flows, tcp(ACK, probe, seq=103)) == []


def test_a_flow_first_seen_in_the_middle_has_no_first_payload_but_retransmits():
    flows = Flows()
    assert told(flows, tcp(ACK, b"abc", seq=101)) == []
    assert told(flows, tcp(ACK, b"abc", seq=101)) == ["again"]


def test_the_longest_silent_flow_is_forgotten_first():
    """Memory is bounded; a flow that still speaks is remembered."""
    flows = Flows(limit=3)
    flows.observe(tcp(SYN, seq=100, ends=at_port(1)))
    flows.observe(tcp(ACK, b"abc", seq=101, ends=at_port(1)))
    for port in range(2, 50):
        flows.observe(tcp(SYN, seq=100, ends=at_port(port)))
        assert told(flows, tcp(ACK, b"abc", seq=101, ends=at_port(1))) == ["again"]
        assert len(flows) <= 3
    assert told(flows, tcp(SYN, seq=100, ends=at_port(2))) == ["syn"]


def test_ipv6_and_super_frames_are_read_alike():
    flows = Flows()
    assert told(flows, tcp(SYN, seq=100, ends=CLIENT6)) == ["syn"]
    assert told(flows, tcp(ACK, b"x" * 5000, seq=101, gso=1000, ends=CLIENT6)) == ["data"]
    assert told(flows, tcp(ACK, b"x" * 1000, seq=2101, ends=CLIENT6)) == ["again"]


@pytest.mark.parametrize(
    "frame",
    [
        udp(b"hello", ends=CLIENT),
        ethernet(0x0806, bytes(28)),
        ethernet(0x8100, bytes(60)),
        ethernet(0x0800, b"\x45" + bytes(10)),
        ethernet(0x0800, b"\x4f\x00\x00\x3c" + bytes(5) + b"\x06" + bytes(30)),
        ethernet(0x86DD, b"\x60" + bytes(20)),
        tcp(SYN)[:30] + b"\x20\x01" + tcp(SYN)[32:],  # a fragment
    ],
)
def test_what_tells_nothing_is_let_be(frame):
    assert Flows().observe(frame) is None


def test_random_bytes_never_hurt():
    flows, source = Flows(), random.Random(3)
    for kind in (0x0800, 0x86DD):
        for _ in range(1500):
            body = bytearray(source.randbytes(source.randrange(0, 90)))
            body[9:10] = body[6:7] = b"\x06"
            flows.observe(ethernet(kind, bytes(body)))


def test_a_dns_question_keeps_its_whole_payload():
    (record,) = records_of(Flows(), udp(b"question", ends=NAME_SERVER.back()), 10, (20, 20))
    assert (record.what, record.payload) == ("question", b"question")


def test_a_dns_answer_keeps_its_whole_payload():
    (record,) = records_of(Flows(), udp(b"answer" * 80), 10, (20, 20))
    assert (record.what, record.payload) == ("dns", b"answer" * 80)
    assert (record.src, record.dst) == ("198.18.9.53:53", "10.3.0.1:5353")


def records_of(flows: Flows, frame: bytes, t: int, fates: tuple[int, int]) -> list[Record]:
    sight = flows.observe(frame)
    assert sight is not None
    return list(decode(b"".join(encode(sight, t, fates, 3, 1))))


def test_a_record_comes_back_as_it_was_written():
    (record,) = records_of(Flows(), tcp(SYN), 5_000, (45_000, 45_000))
    assert record == Record(
        "syn", 5_000, 45_000, "", 3, 1, "10.3.0.2:41234", "198.18.1.1:80", b""
    )  # fmt: skip


def test_a_dropped_frame_says_why_and_has_no_way_out():
    (record,) = records_of(Flows(), tcp(RST, ends=CLIENT6), 5, (-1, -1))
    assert (record.what, record.out, record.dropped) == ("rst", None, "cut")
    assert (record.src, record.dst) == ("[2001:db8:1::2]:41234", "[2001:db8:2::1]:80")


def test_a_fin_has_the_fate_of_the_last_segment_data_that_of_the_first():
    """A super-frame can lose its end and keep its beginning."""
    flows = Flows()
    flows.observe(tcp(SYN, seq=100))
    frame = tcp(ACK | FIN, b"x" * 3000, seq=101, gso=1000)
    data, fin = records_of(flows, frame, 5, (45, -2))
    assert (data.what, data.out) == ("data", 45)
    assert (fin.what, fin.dropped) == ("fin", "loss")


def test_missing_records_are_told():
    (record,) = decode(encode_lost(12, 99))
    assert (record.what, record.t, record.missing) == ("lost", 99, 12)


@pytest.mark.parametrize("data", [b"x", b"\xff" * 40])
def test_what_the_wire_would_not_write_is_refused(data):
    with pytest.raises(ValueError, match="not a wire record"):
        list(decode(data))
