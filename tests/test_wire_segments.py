"""Super-frames are cut into frames that a kernel takes for what the sender sent."""

from __future__ import annotations

import itertools
import random

import pytest

from emulator.node.wan.segments import Layout, cut, layout, wire_bytes
from tests.frames import ACK, CLIENT6, CWR, FIN, PSH, ethernet, receive, tcp, udp

TIMESTAMPS = bytes.fromhex("0101080a0000000100000002")
BODY = random.Random(1).randbytes(10 * 1000 + 123)
SUPER = {
    "tcp4": tcp(
        ACK | PSH | FIN | CWR, BODY, seq=2**32 - 2500, options=TIMESTAMPS, gso=1000
    ),
    "tcp6": tcp(ACK | PSH, BODY, ends=CLIENT6, gso=1000),
    "udp4": udp(BODY, gso=1000),
    "udp6": udp(BODY, ends=CLIENT6, gso=1000),
}  # fmt: skip


def shape_of(frame: bytes) -> Layout:
    shape = layout(frame)
    assert shape is not None
    return shape


@pytest.mark.parametrize("kind", SUPER)
def test_every_run_of_segments_is_a_valid_frame_with_the_same_segments(kind):
    """However it is cut: sequence numbers, flags, identifications, payloads are those of the
    whole, and every length and checksum is right by an implementation of its own."""
    frame = SUPER[kind]
    whole = receive(frame)
    shape = shape_of(frame)
    assert shape.segments == len(whole) == 11
    for start, stop in itertools.combinations(range(12), 2):
        found = receive(cut(frame, shape, start, stop))
        expected = whole[start:stop]
        assert [s.payload for s in found] == [s.payload for s in expected]
        assert [(s.seq, s.flags) for s in found] == [(s.seq, s.flags) for s in expected]
        if kind.endswith("4"):
            assert [s.identification for s in found] == [s.identification for s in expected]


def test_the_whole_is_passed_on_as_it_came():
    frame = SUPER["tcp4"]
    assert cut(frame, shape_of(frame), 0, 11) is frame


def test_wire_bytes_charge_every_segment_its_headers():
    """11 segments with 66 bytes of headers each, as a real wire would carry them."""
    frame = SUPER["tcp4"]
    assert wire_bytes(frame, shape_of(frame)) == len(BODY) + 11 * 66
    single = tcp(ACK, b"x" * 100)
    assert wire_bytes(single, layout(single)) == 100 + 54


@pytest.mark.parametrize(
    "frame",
    [
        tcp(ACK, b"x" * 100),
        ethernet(0x0806, bytes(28)),
        ethernet(0x8100, bytes(2000)),
        b"\x01\x01" + bytes(8) + bytes(200),  # claims GSO, has no segment size
        b"\x01\x01" + b"\xff" * 8 + bytes(200),  # claims headers behind its end
        SUPER["tcp4"][:60],
    ],
)
def test_what_cannot_be_cut_counts_as_one_frame(frame):
    assert layout(frame) is None


def test_random_bytes_never_hurt():
    """Whatever a site sends, the layout is None or lies inside the frame."""
    source = random.Random(7)
    for _ in range(2000):
        frame = bytes([1, source.choice([1, 4, 5, 0x81])]) + source.randbytes(
            source.randrange(22, 200)
        )
        shape = layout(frame)
        if shape:
            assert shape.header < len(frame)
            cut(frame, shape, 0, 1)
