"""Packets as lines of text: what tcpdump says of each, with its path and what became of it.

tcpdump prints neither the interface nor the comment of a packet, and may need several lines for
one. So it is given the packet's number as its time, and that leads back to the rest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time

from emulator.node.wan import pcapng
from emulator.node.wan.capture import LARGEST
from emulator.node.wan.packets import Packet
from emulator.node.wan.table import SITES

_NS = 1_000_000_000
# -Z root: the image has no user for it; -r -: from stdin, -n: numbers, -l: by the line, -tt:
# seconds since 1970
_ARGV = ("tcpdump", "-Z", "root", "-r", "-", "-n", "-l", "-tt")


class Lines:
    """The form that writes to stdout through tcpdump. Raises FileNotFoundError without one."""

    def __init__(self, options: argparse.Namespace) -> None:
        paths, sites = options.paths, options.sites
        names = {n: f"{sites[n // SITES]}->{sites[n % SITES]}" for n in paths}
        width = max(map(len, names.values()))
        self._names = {number: name.ljust(width) for number, name in names.items()}
        self._width = width
        self._told: dict[int, tuple[str, str]] = {}  # by number: what stands before and behind
        self._number = 0
        self._pending: list[bytes] = [
            pcapng.section("", "", "netemu pcap"),
            pcapng.interface("wan", "", LARGEST),
        ]
        self._program = subprocess.Popen(
            _ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._is_read = True
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()

    def packet(self, number: int, t: int, packet: Packet) -> None:
        index = self._number
        self._number += 1
        behind = f"  [{packet.comment}]" if packet.comment else ""
        self._told[index] = (f"{_clock(t)}  {self._names[number]}  ", behind)
        self._pending.append(pcapng.packet(0, index * _NS, packet.frame, packet.original))

    def flush(self) -> None:
        """Raises BrokenPipeError when nobody reads stdout any more."""
        data, self._pending = b"".join(self._pending), []
        assert self._program.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            self._program.stdin.write(data)
            self._program.stdin.flush()
        except BrokenPipeError:
            if self._is_read:
                sys.exit(f"cannot capture as text: tcpdump ended: {self._complaint()}")
            raise

    def _complaint(self) -> str:
        assert self._program.stderr is not None  # noqa: S101 - a pipe was asked for
        return self._program.stderr.read().decode(errors="replace").strip()

    def end(self, lost: int) -> None:
        """Wait for the last line."""
        assert self._program.stdin is not None  # noqa: S101 - a pipe was asked for
        self._program.stdin.close()
        self._printer.join()
        self._program.wait()

    def _print(self) -> None:
        """In a thread of its own: tcpdump must never wait for us while we wait for it."""
        assert self._program.stdout is not None  # noqa: S101 - a pipe was asked for
        behind = ""
        for raw in self._program.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            stamp, _, said = line.partition(" ")
            number = stamp.partition(".")[0]
            told = self._told.pop(int(number), None) if number.isdecimal() else None
            before, behind = told or (" " * (self._width + 19), "")
            if not self._say(f"{before}{said if told else line}{behind}\n"):
                return

    def _say(self, line: str) -> bool:
        try:
            os.write(1, line.encode())
        except BrokenPipeError:
            self._is_read = False
            self._program.kill()
        return self._is_read


def _clock(t: int) -> str:
    """The time of day, UTC, to the microsecond."""
    seconds, rest = divmod(t, _NS)
    return f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06}"
