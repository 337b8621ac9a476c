"""A capture of the WAN, in the WAN container: from the ring to pcapng or to lines on stdout.

    python3 -m emulator.node.wan.tap --lab LAB --sites '{"1": "us-east", ...}' --paths 1-2,2-1
    python3 -m emulator.node.wan.tap --port l1.2

Ends after `--seconds` or `--count`, when stdin ends or has a line, on SIGTERM, and when nobody
reads stdout any more. The last line on stderr is a JSON object: packets, dropped (by cause), lost
(frames that came faster than they were read), whole (super-frames not cut into segments).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

from emulator.node.wan import pcapng, tap_port
from emulator.node.wan.capture import LARGEST, PLACE, RING, Captured, Reader
from emulator.node.wan.packets import Packet, cause, packets, whole_packet
from emulator.node.wan.table import SITES
from emulator.node.wan.tap_blocks import Blocks, blocks_of
from emulator.node.wan.tap_lines import Lines

_RENEW_S = 0.5
_PATIENCE_S = (0.002, 0.02)  # between two looks at the ring: while frames come, and at rest
# So much of the ring unread, or so old: there is no time to cut super-frames.
_CROWDED = RING // 4
_LATE_NS = 500_000_000

_now = time.monotonic_ns


class Form(Protocol):
    """How packets are shown. `t` is ns since 1970."""

    def packet(self, number: int, t: int, packet: Packet) -> None:
        """One packet of a path, by the path's number."""

    def flush(self) -> None:
        """Hand over what is shown so far. Raises BrokenPipeError when nobody reads it."""

    def end(self, lost: int) -> None:
        """The capture is over; `lost` frames were not captured."""


class Pcapng:
    """A file as Wireshark opens it: an interface for each path, comments on what was dropped."""

    def __init__(self, options: argparse.Namespace, offset: int) -> None:
        self._paths = options.paths
        self._numbers = {number: index for index, number in enumerate(options.paths)}
        self._received: Counter[int] = Counter()
        self._site = options.site
        self._began = _now() + offset
        self._pending: list[bytes] = [
            pcapng.section(
                f"netemu lab {options.lab}; the lab's clock (CLOCK_MONOTONIC, ns) is these times"
                f" minus {offset} ns",
                f"{platform.system()} {platform.release()}",
                "netemu pcap",
            )
        ]
        for source, target in map(_ends, options.paths):
            names = options.sites[source], options.sites[target]
            told = f"from {names[0]} to {names[1]}, as it enters the WAN at {names[0]}"
            self._pending.append(pcapng.interface("->".join(names), told, options.snap))
        self.flush()

    def blocks(self, ready: bytes) -> None:
        """Packets that are blocks already."""
        self._pending.append(ready)

    def count(self, number: int, packets: int) -> None:
        """So many of a path's came as blocks."""
        self._received[number] += packets

    def packet(self, number: int, t: int, packet: Packet) -> None:
        self._received[number] += 1
        self._pending.append(
            pcapng.packet(
                self._numbers[number],
                t,
                packet.frame,
                packet.original,
                comment=packet.comment,
                direction=self._direction(number),
            )
        )

    def _direction(self, number: int) -> int:
        """Seen from the site that was asked for; 0 where none was."""
        if not self._site:
            return 0
        return pcapng.OUTBOUND if number // SITES == self._site else pcapng.INBOUND

    def flush(self) -> None:
        _write(b"".join(self._pending))
        self._pending.clear()

    def end(self, lost: int) -> None:
        """Which path lost frames is not known: all stand with the first, if there are any."""
        ended = max(self._began, time.time_ns())
        for number in self._paths:
            index = self._numbers[number]
            told = lost if index == 0 else None
            received = self._received[number]
            self._pending.append(pcapng.statistics(index, self._began, ended, received, told))
        self.flush()


class Tap:
    """The loop from the ring to a form."""

    def __init__(self, options: argparse.Namespace, reader: Reader) -> None:
        self._options = options
        self._reader = reader
        self._is_over = False
        self._is_late = False
        self._ends_at = _now() + int(options.seconds * 1e9) if options.seconds else None
        self.packets = 0
        self.dropped: Counter[str] = Counter()
        self.whole = 0

    def stop(self, *_: object) -> None:
        """What is in the ring already still comes."""
        self._is_over = True

    def told(self) -> dict[str, object]:
        """What there was, in numbers."""
        lost = self._reader.lost
        return {"packets": self.packets, "dropped": self.dropped, "lost": lost, "whole": self.whole}

    def run(self, offset: int) -> None:
        """Until it is over. `offset`: from the lab's clock to ns since 1970. Raises
        BrokenPipeError."""
        options = self._options
        form: Form = Lines(options) if options.text else Pcapng(options, offset)
        blocks = self._blocks(form, offset)
        patience = _PATIENCE_S[0]
        while not self._is_full:
            is_last = self._is_over
            found = self._reader.chunk()
            self._show_all(form, found, offset, blocks)
            form.flush()
            if is_last and not found:
                break
            patience = _PATIENCE_S[0] if found else min(patience * 1.5, _PATIENCE_S[1])
            self._wait(0 if found and self._reader.behind else patience)
        if blocks is not None and isinstance(form, Pcapng):
            self.packets += blocks.packets
            for number in options.paths:
                form.count(number, blocks.received(number))
        form.end(self._reader.lost)

    def _blocks(self, form: Form, offset: int) -> Blocks | None:
        """The core, where all that is wanted of a frame is the frame."""
        options = self._options
        if not isinstance(form, Pcapng) or options.count or options.dropped or options.delays:
            return None
        blocks = blocks_of(options.paths, options.snap, options.site, offset)
        if blocks is not None and self._ends_at is not None:
            blocks.end_at(self._ends_at)
        return blocks

    def _show_all(self, form: Form, data: bytes, offset: int, blocks: Blocks | None) -> None:
        """A chunk of the ring."""
        at, size = 0, 0
        self._is_late = self._reader.behind > _CROWDED
        while at < len(data):
            if blocks is not None and isinstance(form, Pcapng):
                ready, size = blocks.convert(self._reader, data, at)
                form.blocks(ready)
                at += size
            if at < len(data):
                captured, size = self._reader.one(data, at)
                if not size:
                    return
                at += size
                if captured is not None and self._is_wanted(captured):
                    self._is_late = self._is_late or _now() - captured.t > _LATE_NS
                    self._show(form, captured, captured.t + offset)

    @property
    def _is_full(self) -> bool:
        return bool(self._options.count) and self.packets >= self._options.count

    def _is_wanted(self, captured: Captured) -> bool:
        is_late = self._ends_at is not None and captured.t >= self._ends_at
        return not is_late and (captured.dropped > 0 or not self._options.dropped)

    def _show(self, form: Form, captured: Captured, t: int) -> None:
        if captured.dropped and not self._is_full:
            self.dropped[cause(captured)] += captured.dropped
        for packet in self._packets(captured):
            is_shown = not self._options.dropped or "dropped" in packet.comment
            if is_shown and not self._is_full:
                form.packet(captured.number, t, packet)
                self.packets += 1

    def _packets(self, captured: Captured) -> Iterable[Packet]:
        with_delays = self._options.delays
        if self._is_late:
            self.whole += captured.segments > 1
            return [whole_packet(captured, with_delays=with_delays)]
        return packets(captured, with_delays=with_delays)

    def _wait(self, seconds: float) -> None:
        if self._ends_at is not None and _now() >= self._ends_at:
            self._is_over = True
        if not self._is_over and select.select([0], [], [], seconds)[0]:
            os.read(0, 1 << 16)  # a line, or its end
            self._is_over = True


def _write(data: bytes) -> None:
    """All of it: a pipe may take a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _ends(number: int) -> tuple[int, int]:
    return number // SITES, number % SITES


def _paths(text: str) -> list[int]:
    pairs: Iterator[list[str]] = (pair.split("-") for pair in text.split(","))
    return [int(source) * SITES + int(target) for source, target in pairs]


def _sites(text: str) -> dict[int, str]:
    return {int(number): str(name) for number, name in json.loads(text).items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="emulator.node.wan.tap")
    parser.add_argument("--lab", default="")
    parser.add_argument("--sites", type=_sites, default={}, metavar="JSON")
    parser.add_argument("--paths", type=_paths, default=[], metavar="1-2,2-1")
    parser.add_argument("--port", default="", help="instead of paths: a LAN's port, by tcpdump")
    parser.add_argument("--site", type=int, default=0, help="in and out are seen from this one")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--snap", type=int, default=LARGEST)
    parser.add_argument("--text", action="store_true", help="lines by tcpdump, no pcapng")
    parser.add_argument("--dropped", action="store_true", help="only what was dropped")
    parser.add_argument("--delays", action="store_true", help="when each arrives, too")
    parser.add_argument("--ring", default=PLACE)
    return parser.parse_args()


def main() -> None:
    options = _options()
    os.nice(19)  # packets are moved before they are shown
    if options.port:
        sys.exit(tap_port.watch(options))
    try:
        reader = Reader(options.ring, options.paths, options.snap, _now())
    except OSError as error:
        sys.exit(f"cannot capture on the WAN: {error}")
    tap = Tap(options, reader)
    signal.signal(signal.SIGTERM, tap.stop)
    # By a timer: also while whoever reads stdout lets us wait, so that what is lost is counted.
    signal.signal(signal.SIGALRM, lambda *_: reader.renew(_now()))
    signal.setitimer(signal.ITIMER_REAL, _RENEW_S, _RENEW_S)
    try:
        tap.run(time.time_ns() - _now())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # quiet, also at Python's own end
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        reader.close()
    print(json.dumps(tap.told()), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
