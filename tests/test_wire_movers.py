"""The compiled mover and the plain one do the same with the same frames."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from emulator.impairment import Impairment
from emulator.node.wan import compiled
from emulator.node.wan.compiled import CHOICE, CompiledMover, load_core
from emulator.node.wan.mover import MoverParts
from emulator.node.wan.plain import PlainMover
from emulator.node.wan.records import Record, decode
from emulator.node.wan.table import PathTable
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
from tests.netns import core_choice

SECOND = 10**9
TWO = bytes.fromhex("020000000201")


class Bench:
    """A mover without ports: frames are fed by hand, records read back."""

    def __init__(self, kind: str) -> None:
        self.table = PathTable.create()
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parts = MoverParts(self.table.words, self._control[0], self._near, None, 7, True)
        self.mover: PlainMover | CompiledMover
        self._core = load_core() if kind == "compiled" else None
        self.mover = PlainMover(parts) if self._core is None else CompiledMover(self._core, parts)
        self.mover.set_macs({TWO: 2})
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def feed(self, frame: bytes, now: int) -> None:
        self.mover.feed(1, frame, now)

    def tell(self, now: int, *, is_all: bool = False) -> list[Record]:
        """The records so far, and those of flows that are due."""
        self.mover.tell_at(now, is_all=is_all)
        found: list[Record] = []
        while True:
            try:
                found += decode(self._far.recv(1 << 18))
            except BlockingIOError:
                return found

    def counted(self) -> tuple[object, ...]:
        return self.table.counters(1, 2), self.table.state()

    def close(self) -> None:
        for end in (self._near, self._far, *self._control):
            end.close()
        self.table.close()


@pytest.fixture
def benches(monkeypatch) -> Iterator[list[Bench]]:
    monkeypatch.setenv(CHOICE, core_choice("compiled"))
    benches = [Bench("compiled"), Bench("plain")]
    for bench in benches:
        bench.table.set(1, 2, Impairment(delay_ns=40_000_000))
    yield benches
    for bench in benches:
        bench.close()


def aimed(frame: bytes) -> bytes:
    """At site 2, whatever its maker wrote."""
    return frame[:10] + TWO + frame[16:]


def conversation(source: random.Random) -> Iterator[bytes]:
    """Segments of some connections, out of order, again, forgotten, of both families."""
    ends = [e._replace(sport=p) for e in (CLIENT, CLIENT6) for p in range(40000, 40006)]
    high: dict[Ends, int] = {}
    for _ in range(4000):
        end = source.choice(ends)
        end = source.choice((end, end.back()))
        flags = source.choice((SYN, SYN | ACK, ACK, ACK, ACK, ACK | PSH, ACK | FIN, RST, RST | ACK))
        seq = high.get(end, source.choice((100, 2**32 - 2000))) - source.choice((0, 0, 0, 500))
        size = source.choice((0, 0, 1, 100, 1000, 5000))
        yield tcp(flags, source.randbytes(size), seq=seq & 0xFFFFFFFF, ends=end,
                  gso=1000 if size > 1000 else 0)  # fmt: skip
        high[end] = seq + size + bool(flags & (SYN | FIN))


def noise(source: random.Random) -> Iterator[bytes]:
    """Datagrams, DNS, QUIC, what is none of it, and what is broken."""
    quic = b"\xc0\0\0\0\1" + bytes(100)
    for _ in range(1500):
        yield udp(source.choice((quic, b"\x40short", b"x")), ends=CLIENT)
        yield udp(source.randbytes(30), ends=source.choice((NAME_SERVER, NAME_SERVER.back())))
        kind = source.choice((0x0800, 0x86DD, 0x8100, 0x0806))
        body = bytearray(source.randbytes(source.randrange(0, 90)))
        body[9:10] = body[6:7] = source.choice((b"\x06", b"\x11"))
        yield ethernet(kind, bytes(body))
    yield b"short"
    yield bytes(10) + b"\xff" * 6 + bytes(60)


@pytest.mark.parametrize("seed", range(4))
def test_the_same_frames_leave_the_same_records(benches, seed):
    """Every record in the same order, every counter: of connections, DNS, QUIC and noise."""
    told: list[list[Record]] = []
    for bench in benches:
        source, now = random.Random(seed), SECOND
        frames = [*conversation(source), *noise(source)]
        source.shuffle(frames)
        records: list[Record] = []
        for number, frame in enumerate(frames):
            now += source.choice((1000, 100_000, 5_000_000))
            bench.feed(aimed(frame), now)
            if number == 5000:
                bench.mover.drop_port(1)
            if number % 500 == 0:
                records += bench.tell(now)
        records += bench.tell(now + SECOND // 2, is_all=True)
        told.append(records)
    assert len(told[0]) > 1000
    assert told[0] == told[1]
    assert benches[0].counted() == benches[1].counted()


def test_a_path_that_is_more_than_a_delay_is_pythons_in_both(benches):
    """The same seed draws the same losses, and each counts them once."""
    frames = [aimed(tcp(ACK, bytes(30_000), gso=1000)) for _ in range(200)]
    for bench in benches:
        bench.table.set(1, 2, Impairment(delay_ns=1000, loss=0.1, duplicate=0.01, corrupt=0.01))
        for number, frame in enumerate(frames):
            bench.feed(frame, SECOND + number)
    assert benches[0].counted() == benches[1].counted()
    assert benches[0].table.counters(1, 2).loss > 300


def test_a_core_of_another_version_is_not_used(monkeypatch):
    """Its numbers would mean something else; the wire then says that it moves in plain Python."""
    monkeypatch.setenv(CHOICE, core_choice("compiled"))
    monkeypatch.setattr(compiled, "_LAYOUT", (41, *compiled._LAYOUT[1:]))
    with pytest.raises(OSError, match="another version"):
        load_core()
