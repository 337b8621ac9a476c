"""Frames as nobody should send them, fed to both movers side by side.

    python -m tests.wire_fuzz SECONDS SEED     until then; a difference or a crash ends it

`NETEMU_CORE` names the compiled core, which may be one with sanitizers.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

from emulator.impairment import Impairment
from emulator.node.wan.compiled import CompiledMover, load_core
from emulator.node.wan.keeper_records import events_of
from emulator.node.wan.mover import MoverParts
from emulator.node.wan.plain import PlainMover
from emulator.node.wan.records import decode
from emulator.node.wan.table import PathTable
from tests.frames import ACK, CLIENT, CLIENT6, FIN, NAME_SERVER, RST, SYN, ethernet, tcp, udp

MS = 1_000_000
MACS = {bytes((2, 0, 0, 0, site, 1)): site for site in (1, 2, 3)}
# What site 1 sends to 2 meets the first, to 3 the second; the tests take their turns.
PATHS = (
    Impairment(delay_ns=MS),
    Impairment(
        delay_ns=MS, jitter_ns=MS // 10, loss=0.02, burst_enter=0.01, burst_leave=0.2, reorder=0.05,
        duplicate=0.1, corrupt=0.2, rate_bps=1_000_000_000, queue_bytes=200_000, mtu=1400,
    ),
    Impairment(delay_ns=MS, rate_bps=400_000_000, aqm="codel", corrupt=0.5, mtu=576),
    Impairment(delay_ns=0, mtu=1280, duplicate=1.0),
    Impairment(delay_ns=MS, corrupt=1.0, reorder=0.3),
)  # fmt: skip
_KINDS = (0, 1, 3, 4, 5, 0x81, 0x84, 0x85, 0x80, 255)
_SIZES = (0, 1, 7, 8, 536, 1000, 1448, 9000, 65535)
_TYPES = (0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x88CC, 0x0000)


def frames(draw: random.Random) -> Iterator[bytes]:
    """For ever: honest ones of every kind, and what comes of them when anything in them lies."""
    while True:
        frame = _aimed(_honest(draw), draw)
        if draw.random() < 0.2:
            frame = _tagged(frame, draw)
        yield frame
        for hurt in draw.sample(_HURTS, draw.randrange(1, 4)):
            frame = hurt(frame, draw)
            yield frame


def _honest(draw: random.Random) -> bytes:
    size = draw.choice((0, 1, 50, 50, 1400, 1401, 1401, 3000, 8900, 30_000, 65_400))
    payload = draw.randbytes(size)
    ends = draw.choice((CLIENT, CLIENT6, NAME_SERVER, NAME_SERVER.back()))
    gso = draw.choice((0, 536, 1000, 1448)) if size > 1500 else 0
    if draw.random() < 0.4:
        return udp(payload, ends=ends, gso=gso)
    if draw.random() < 0.1:
        return ethernet(draw.choice(_TYPES), payload)
    flags = draw.choice((SYN, SYN | ACK, ACK, ACK | FIN, RST, 0xFF))
    options = draw.choice((b"", bytes(12), bytes(40)))
    return tcp(flags, payload, seq=draw.getrandbits(32), ends=ends, options=options, gso=gso)


def _aimed(frame: bytes, draw: random.Random) -> bytes:
    """At sites 2 and 3, all of them, or nobody; from site 1."""
    whom = draw.choice(
        (*list(MACS)[1:], *list(MACS)[1:], b"\xff" * 6, b"\x01\0\x5e\0\0\1", bytes(6))
    )
    return frame[:10] + whom + next(iter(MACS)) + frame[22:]


def _tagged(frame: bytes, draw: random.Random) -> bytes:
    """With VLAN tags, and the virtio header's offset moved on, or not."""
    tags = b"".join(
        draw.choice((b"\x81\x00", b"\x88\xa8")) + draw.randbytes(2)
        for _ in range(draw.choice((1, 1, 2, 5)))
    )
    start = struct.unpack_from("=H", frame, 6)[0]
    if frame[0] & 1 and draw.random() < 0.8:
        start = (start + len(tags)) & 0xFFFF
    return frame[:6] + struct.pack("=H", start) + frame[8:22] + tags + frame[22:]


def _odd_virtio(frame: bytes, draw: random.Random) -> bytes:
    """Any part of the virtio header is any number."""
    head = list(struct.unpack("=BBHHHH", frame[:10].ljust(10, b"\0")))
    head[0] = draw.choice((head[0], 0, 1, 2, 3, 255))
    head[1] = draw.choice((head[1], *_KINDS))
    head[3] = draw.choice((head[3], *_SIZES)) if len(frame) < 4000 else draw.choice(_SIZES[4:])
    for field in (2, 4, 5):
        near = (head[field] + draw.randrange(-3, 4)) & 0xFFFF
        head[field] = draw.choice((head[field], near, len(frame) & 0xFFFF, draw.getrandbits(16)))
    return struct.pack("=BBHHHH", *head) + frame[10:]


def _odd_bytes(frame: bytes, draw: random.Random) -> bytes:
    """Some bytes of the headers are others: lengths, versions, protocols, flags."""
    hurt = bytearray(frame)
    for _ in range(draw.randrange(1, 4)):
        if len(hurt) > 24:
            at = draw.randrange(22, min(len(hurt), 100))
            hurt[at] = draw.choice((0, 1, 0x0F, 0x45, 0x4F, 0x60, 0xFF, draw.getrandbits(8)))
    return bytes(hurt)


def _odd_length(frame: bytes, draw: random.Random) -> bytes:
    """Cut short anywhere, or with something behind its end."""
    if draw.random() < 0.7:
        most = draw.choice((len(frame), 100, 30))
        return frame[: draw.randrange(min(most, len(frame)) + 1)]
    return frame + draw.randbytes(draw.choice((1, 4, 1000, 70_000)))


_HURTS = (_odd_virtio, _odd_virtio, _odd_bytes, _odd_length)


class Side:
    """A mover with three ports; nothing leaves by them, all that would is taken from it."""

    def __init__(self, kind: str, seed: int) -> None:
        self.table = PathTable.create()
        self._told, self._heard = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._told, self._heard):
            end.setblocking(False)
        self._told.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        parts = MoverParts(self.table.words, self._control[0], self._told, None, seed, True)
        core = load_core() if kind == "compiled" else None
        self.mover = PlainMover(parts) if core is None else CompiledMover(core, parts)
        self.mover.set_macs(MACS)
        self._ends: list[socket.socket] = []
        for site in MACS.values():
            near, far = socket.socketpair()
            self.mover.add_port(site, near)
            self._ends += [near, far]

    def shape(self, paths: tuple[Impairment, Impairment]) -> None:
        for target, impairment in zip((2, 3), paths, strict=True):
            self.table.set(1, target, impairment)
            self.table.set(target, 1, Impairment(delay_ns=MS))

    def feed(self, frame: bytes, now: int) -> list[tuple[int, int, bytes]]:
        """Due, lane and bytes of all that leaves after a frame came in."""
        self.mover.feed(1, frame, now)
        return list(iter(self.mover.take, None))

    def told(self, now: int) -> list[object]:
        """Every record so far, and that the keeper can read it."""
        self.mover.tell_at(now, is_all=True)
        found: list[object] = []
        while select.select([self._heard], [], [], 0)[0]:
            message = self._heard.recv(1 << 18)
            list(events_of(message, {1: "one", 2: "two", 3: "three"}))
            found += decode(message)
        return found

    def counted(self) -> tuple[object, ...]:
        paths = ((1, 2), (1, 3), (2, 1), (3, 1))
        return *(self.table.counters(*path) for path in paths), self.table.state()

    def close(self) -> None:
        for end in (*self._ends, *self._control, self._told, self._heard):
            end.close()
        self.table.close()


def compare(seed: int, count: int) -> None:
    """Raises AssertionError where the movers differ over so many frames."""
    draw = random.Random(seed)
    sides = [Side("compiled", seed), Side("plain", seed)]
    chosen = draw.sample(PATHS, 2)
    for side in sides:
        side.shape((chosen[0], chosen[1]))
    now, source = 1_000 * MS, frames(draw)
    for number in range(count):
        frame = next(source)
        now += draw.choice((1, 1000, MS, 20 * MS))
        left = [side.feed(frame, now) for side in sides]
        assert left[0] == left[1], f"seed {seed}, frame {number}: {frame[:120].hex()}"
    told = [side.told(now) for side in sides]
    assert told[0] == told[1], f"seed {seed}: records differ"
    counted = [side.counted() for side in sides]
    assert counted[0] == counted[1], f"seed {seed}: {counted}"
    for side in sides:
        side.close()


def main(seconds: str, seed: str) -> None:
    until, number = time.monotonic() + float(seconds), int(seed)
    while time.monotonic() < until:
        compare(number, 300)
        number += 1
    print(f"{300 * (number - int(seed))} frames, no difference")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
