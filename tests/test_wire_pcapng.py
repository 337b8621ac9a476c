"""What a capture writes, read back by decoders that are not ours: dpkt, and tcpdump."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import dpkt
import pytest

from emulator.node.wan import pcapng
from emulator.node.wan.capture import Capture, Captured
from emulator.node.wan.compiled import CHOICE
from emulator.node.wan.packets import packets, whole_packet
from tests.frames import ACK, CLIENT, CLIENT6, PSH, SYN, Ends, receive, tcp, udp
from tests.netns import core_choice

PATH, BACK = 1 * 64 + 2, 2 * 64 + 1
BODY = random.Random(5).randbytes(1448 * 5 + 100)
PATIENCE_S = 20.0


def captured(frame: bytes, snap: int = 1 << 18, **fields: int) -> Captured:
    """As the ring hands it over; delivered after 40 ms unless told otherwise."""
    known = {"first": 40_000_005, "last": 41_000_005, "segments": 1, "dropped": 0, "cause": 0}
    return Captured(
        seq=0, t=5, number=PATH, original=len(frame) - 10,
        vnet=frame[:10], frame=frame[10 : 10 + snap], **known | fields,
    )  # fmt: skip


def is_sum_right(frame: bytes) -> bool:
    """The transport's checksum over what stands in an Ethernet frame."""
    ip = dpkt.ethernet.Ethernet(frame).data
    segment = bytes(ip.data)
    pseudo = ip.src + ip.dst + len(segment).to_bytes(4, "big") + bytes([0, 0, 0, ip.p])
    data = pseudo + segment + bytes(len(segment) % 2)
    return (
        sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)) % 65535 == 0
    )


@pytest.mark.parametrize("ends", [CLIENT, CLIENT6])
def test_a_super_frame_is_shown_as_the_segments_of_a_real_wire(ends):
    """Lengths, sequence numbers and payload as a receiving kernel makes them; checksums right."""
    frame = tcp(ACK | PSH, BODY, ends=ends, gso=1448)
    shown = list(packets(captured(frame, segments=6)))
    assert [one.original for one in shown] == [len(one.frame) for one in shown]
    assert all(is_sum_right(one.frame) for one in shown)
    said = [dpkt.ethernet.Ethernet(one.frame).data.data for one in shown]
    expected = receive(frame)
    assert [(t.seq, t.flags, bytes(t.data)) for t in said] == [
        (e.seq, e.flags, e.payload) for e in expected
    ]


def test_datagrams_of_one_send_are_shown_one_by_one():
    """UDP segmentation: each has its own length and checksum."""
    shown = list(packets(captured(udp(BODY[:3007], gso=1200), segments=3)))
    assert [len(dpkt.ethernet.Ethernet(one.frame).data.data.data) for one in shown] == [
        1200, 1200, 607,
    ]  # fmt: skip
    assert all(is_sum_right(one.frame) for one in shown)


def test_a_partial_checksum_is_completed_and_a_whole_super_frame_is_possible():
    """Wireshark shows no bad checksum, cut or not."""
    assert is_sum_right(whole_packet(captured(tcp(SYN))).frame)
    assert is_sum_right(whole_packet(captured(udp(b"odd"))).frame)
    whole = whole_packet(captured(tcp(ACK, BODY, gso=1448), segments=6))
    assert is_sum_right(whole.frame)
    assert len(whole.frame) == whole.original > 7000


def test_a_kept_beginning_is_cut_as_the_whole_would_be():
    """Of each segment what was captured: headers of all, payload of the first."""
    frame = tcp(ACK | PSH, BODY, gso=1448)
    shown = list(packets(captured(frame, snap=54 + 100, segments=6)))
    assert [len(one.frame) for one in shown] == [154, 54, 54, 54, 54, 54]
    assert [one.original for one in shown] == [1502] * 5 + [154]
    seqs = [dpkt.tcp.TCP(one.frame[34:]).seq for one in shown]
    assert seqs == [1000 + 1448 * index for index in range(6)]
    (short,) = packets(captured(frame, snap=30, segments=6))
    assert (len(short.frame), short.original) == (30, len(frame) - 10)


@pytest.mark.parametrize(
    ("fields", "comments"),
    [
        ({}, [""] * 6),
        ({"dropped": 6, "cause": 1, "first": -1, "last": -1}, ["dropped: cut"] * 6),
        ({"dropped": 2, "cause": 3, "last": -3},
         ["2 of these 6 segments dropped: queue", "", "", "", "", "dropped: queue"]),
        ({"dropped": 1, "cause": 2, "first": -2},
         ["1 of these 6 segments dropped: loss; this one among them", "", "", "", "", ""]),
    ],
)  # fmt: skip
def test_what_was_dropped_has_a_comment(fields, comments):
    """Where a segment's fate is known it says so; else the first tells how many."""
    frame = tcp(ACK | PSH, BODY, gso=1448)
    shown = packets(captured(frame, **{"segments": 6} | fields))
    assert [one.comment for one in shown] == comments


def test_comments_of_single_and_whole_frames():
    """Dropped and why; some of many; and, if asked for, when it arrives."""
    alone = captured(tcp(SYN), dropped=1, cause=5, first=-5, last=-5)
    assert whole_packet(alone, with_delays=True).comment == "dropped: mtu"
    some = captured(tcp(ACK, BODY, gso=1448), segments=6, dropped=2, cause=3)
    assert whole_packet(some).comment == "2 of 6 segments dropped: queue"
    assert whole_packet(captured(tcp(SYN), last=40_000_005), with_delays=True).comment == (
        "arrives after 40.000 ms"
    )


@pytest.mark.parametrize("data", [b"", b"short", bytes(12) + b"\x81\x00\x00\x05\x08\x06", BODY])
def test_frames_that_nobody_knows_are_shown_as_they_are(data):
    """Short, VLAN, random; also with a virtio header that promises what is not there."""
    for vnet in (bytes(10), b"\x01\x01" + b"\xff" * 8, b"\x01\x04\x00\x00\x01\x00\x00\x00\x06\x00"):
        shown = list(packets(captured(vnet + data)))
        assert [one.original for one in shown][:1] == [len(data)] or len(shown) > 1


def test_blocks_are_read_by_another_decoder():
    """Section, interfaces, instants, and a frame that is shorter than it was."""
    t = 1_800_000_000_123_456_789
    data = (
        pcapng.section("a lab", "Linux", "netemu pcap")
        + pcapng.interface("a->b", "from a to b", 262_144)
        + pcapng.interface("b->a", "from b to a", 262_144)
        + pcapng.packet(0, t, b"x" * 61, 1514, comment="dropped: loss", direction=pcapng.INBOUND)
        + pcapng.packet(1, t + 1000, b"", 0)
        + pcapng.statistics(0, t, t + 5, 1, 0)
    )
    reader = dpkt.pcapng.Reader(BytesIO(data))
    (first, frame), (second, nothing) = reader
    assert (frame, nothing) == (b"x" * 61, b"")
    assert (first, second) == pytest.approx((t / 1e9, (t + 1000) / 1e9), rel=1e-15)


class Tap:
    """The program on a ring of its own, and the wire's end of that ring."""

    def __init__(self, folder: Path, *options: str) -> None:
        place = str(folder / "ring")
        self.ring = Capture.create(place)
        self.program = subprocess.Popen(
            [sys.executable, "-m", "emulator.node.wan.tap", "--ring", place, "--lab", "lab",
             "--paths", "1-2,2-1", "--sites", json.dumps({1: "us-east", 2: "paris"}), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while not self.ring.is_on(time.monotonic_ns()):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def put(
        self, frame: bytes, number: int = PATH, dropped: int = 0, cause: int = 0, ahead_s: float = 0
    ) -> None:
        t = time.monotonic_ns() + round(ahead_s * 1e9)
        fate = -cause or t + 40_000_000
        segments = 6 if frame[1] else 1  # the only super-frame here has so many
        self.ring.add(frame, t, fate, fate, number, segments, dropped, cause)

    def end(self) -> tuple[bytes, dict[str, object]]:
        """What it wrote, and its summary."""
        out, errors = self.program.communicate(b"end\n", timeout=PATIENCE_S)
        assert self.program.returncode == 0, errors
        told: dict[str, object] = json.loads(errors.splitlines()[-1])
        return out, told

    def close(self) -> None:
        with self.program:
            self.program.kill()
        self.ring.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Tap]]:
    """Starts the program with options; ends it with the test."""
    with ExitStack() as stack:

        def started(*options: str) -> Tap:
            tap = Tap(tmp_path, *options)
            stack.callback(tap.close)
            return tap

        yield started


def tcpdump(data: bytes) -> list[str]:
    done = subprocess.run(
        ["tcpdump", "-r", "-", "-n", "-t", "-v"], input=data, capture_output=True, check=True
    )
    return done.stdout.decode().splitlines()


def test_a_live_capture_ends_when_told_and_tcpdump_reads_it(start):
    """All that entered before the end is there, in order, with right checksums."""
    tap = start()
    tap.put(tcp(SYN))
    tap.put(tcp(SYN | ACK, ends=CLIENT.back()), BACK)
    tap.put(tcp(ACK, ends=Ends(sport=7)), dropped=1, cause=1)
    data, told = tap.end()
    assert told == {"packets": 3, "dropped": {"cut": 1}, "lost": 0, "whole": 0}
    lines = [line.strip() for line in tcpdump(data) if line.startswith("    ")]
    assert [line.partition(":")[0] for line in lines] == [
        "10.3.0.2.41234 > 198.18.1.1.80",
        "198.18.1.1.80 > 10.3.0.2.41234",
        "10.3.0.2.7 > 198.18.1.1.80",
    ]
    assert all("(correct)" in line for line in lines)
    for words in (b"us-east->paris", b"dropped: cut", b"netemu lab lab"):
        assert words in data


@pytest.mark.parametrize("options", [(), ("--site", "1"), ("--snap", "61")])
def test_the_compiled_core_writes_the_same_packets(start, monkeypatch, options):
    """Both families, checksums that a sender left open, short frames, what was dropped, segments
    of super-frames: block by block what Python writes."""
    frames = [
        *(tcp(ACK, BODY[:size], ends=ends) for size in (0, 1, 700) for ends in (CLIENT, CLIENT6)),
        udp(b"x" * 31), udp(b"x" * 1200, ends=CLIENT6), tcp(ACK, BODY, gso=1448),
        bytes(10) + bytes(14), bytes(10) + random.Random(1).randbytes(60),
    ]  # fmt: skip
    packets = []
    for mover in ("compiled", "plain Python"):
        monkeypatch.setenv(CHOICE, core_choice(mover))
        tap = start(*options)
        for number, frame in enumerate(frames * 20):
            place, dropped = (PATH, BACK, 7 * 64 + 9)[number % 3], number % 7 == 5
            # Stamped ahead: a program that comes late to them would leave super-frames whole.
            tap.put(frame, place, int(dropped), dropped, ahead_s=PATIENCE_S)
        data, told = tap.end()
        assert (told["lost"], told["whole"]) == (0, 0)
        packets.append([block[20:] for block in blocks(data) if block[:4] == b"\6\0\0\0"])
    assert packets[0] == packets[1]
    assert len(packets[0]) > 150


def blocks(data: bytes) -> Iterator[bytes]:
    """The blocks of a pcapng file, without the instants that stand at 12 of a packet's."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], sys.byteorder)
        yield data[at : at + size]
        at += size


def test_lines_name_the_path_and_what_was_dropped(start):
    """One line a packet, by tcpdump, with the time of day before and the fate behind."""
    tap = start("--text")
    tap.put(tcp(SYN))
    tap.put(udp(b"x", ends=CLIENT.back()), BACK, dropped=1, cause=2)
    first, second = tap.end()[0].decode().splitlines()
    assert first[15:].startswith("  us-east->paris  IP 10.3.0.2.41234 > 198.18.1.1.80: Flags [S]")
    assert second[15:].startswith("  paris->us-east  IP 198.18.1.1.80 > 10.3.0.2.41234: UDP")
    assert second.endswith("  [dropped: loss]")


def test_only_what_was_dropped(start):
    """--dropped and --count: the first drop ends it, though nobody told it to."""
    tap = start("--dropped", "--count", "1")
    tap.put(tcp(SYN))
    tap.put(tcp(SYN, seq=9), dropped=1, cause=4)
    assert tap.program.wait(PATIENCE_S) == 0
    assert tap.program.stderr is not None
    assert json.loads(tap.program.stderr.read())["dropped"] == {"overload": 1}


def test_a_reader_that_leaves_ends_the_capture(start):
    """No message but the summary, no hanging program, nobody listens any more."""
    tap = start()
    assert tap.program.stdout is not None
    tap.program.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while tap.program.poll() is None:
        tap.put(tcp(SYN))
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert tap.program.returncode == 0
    assert not tap.ring.is_on(time.monotonic_ns())


def test_a_ring_that_is_not_there_is_said(tmp_path):
    """In words that netemu hands on."""
    argv = [sys.executable, "-m", "emulator.node.wan.tap", "--ring", str(tmp_path / "none"),
            "--paths", "1-2", "--sites", "{}"]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot capture on the WAN: ")
