"""What crosses one port of a running lab's WAN, by tcpdump, on the lab's clock.

A small program in the WAN container runs tcpdump and sends a marker frame whenever it is told to.
A port's frames are captured in order, so once a marker is in the capture, everything that crossed
the port before it is, too: the start is known, nothing is waited for blindly, nothing is cut off.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import dpkt

from emulator.clock import NS_PER_S
from emulator.engine.base import Engine, Stream

MARKER = 0x88B5  # EtherType for local experiments (IEEE 802): every host ignores it
PATIENCE_S = 10.0
FIN, SYN, RST, ACK = (dpkt.tcp.TH_FIN, dpkt.tcp.TH_SYN, dpkt.tcp.TH_RST, dpkt.tcp.TH_ACK)

# A line on stdin asks for a marker, its end ends the capture. The marker carries the wall clock
# less the lab's, both read while the processor was not taken away in between.
_PROGRAM = """
import json, socket, subprocess, sys, time
tcpdump = subprocess.Popen([
    "tcpdump", "-i", sys.argv[1], "-Z", "root", "-n", "-U", "--immediate-mode", "-s", "0",
    "-B", "16384", "--time-stamp-precision=nano", "-w", "-"], stdin=subprocess.DEVNULL)
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
port.bind((sys.argv[1], 0))
def offset():
    looks = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(5)]
    before, wall, after = min(looks, key=lambda look: look[2] - look[0])
    return wall - (before + after) // 2
for line in sys.stdin:
    marker = json.dumps([int(line), offset()]).encode().ljust(80)
    port.send(bytes(12) + bytes.fromhex("88b5") + marker)
tcpdump.terminate()
tcpdump.wait()
"""


@dataclass(frozen=True, slots=True)
class Captured:
    """One packet at the port. `sender` is the number of the site whose router put it on the WAN."""

    t: int  # ns, the lab's clock
    sender: int
    src: str  # "10.3.0.2"
    dst: str
    sport: int = 0
    dport: int = 0
    protocol: str = "ip"  # tcp, udp, icmp, ip
    flags: int = 0
    seq: int = 0
    ack: int = 0
    payload: bytes = b""

    def has(self, flags: int) -> bool:
        """Whether all of these TCP flags are set."""
        return self.protocol == "tcp" and self.flags & flags == flags

    @property
    def is_syn(self) -> bool:
        """The first segment of a handshake."""
        return self.protocol == "tcp" and self.flags & (SYN | ACK) == SYN

    @property
    def is_farewell(self) -> bool:
        """FIN or RST."""
        return self.protocol == "tcp" and bool(self.flags & (FIN | RST))

    @property
    def flow(self) -> tuple[str, int, str, int]:
        """Both ends, in this packet's direction."""
        return self.src, self.sport, self.dst, self.dport

    @property
    def back(self) -> tuple[str, int, str, int]:
        """The flow of the answers to this packet."""
        return self.dst, self.dport, self.src, self.sport


class Capture:
    """A running capture of one port ("w3"); a context manager. Ends as the port vanishes, too."""

    def __init__(self, engine: Engine, lab: str, port: str) -> None:
        self._source = _Source(engine.stream(lab, "wan", ("python3", "-c", _PROGRAM, port)))
        self._packets: list[Captured] = []
        self._markers: dict[int, int] = {}  # number -> wall clock less the lab's clock, ns
        self._news = threading.Condition()
        self._has_begun = self._has_ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._wait(lambda: self._has_begun, "tcpdump did not begin")
        self._asked = 0
        self.catch_up()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.close()
        self._thread.join(PATIENCE_S)

    @property
    def packets(self) -> list[Captured]:
        """Everything that has been seen so far."""
        with self._news:
            return list(self._packets)

    def catch_up(self) -> list[Captured]:
        """Everything that has crossed the port until now; of a port that is gone, all there was."""
        self._asked += 1
        number = self._asked
        if not self._has_ended:
            self._source.write(f"{number}\n".encode())
        self._wait(
            lambda: number in self._markers or self._has_ended, f"marker {number} did not arrive"
        )
        return self.packets

    def until(self, holds: Callable[[Captured], bool], patience_s: float = PATIENCE_S) -> Captured:
        """The first packet, seen already or to come, for which this holds."""
        found: list[Captured] = []

        def look() -> bool:
            found.extend([packet for packet in self._packets if holds(packet)][:1])
            return bool(found)

        self._wait(look, "no such packet crossed the port", patience_s)
        return found[0]

    def _wait(self, holds: Callable[[], bool], complaint: str, s: float = PATIENCE_S) -> None:
        with self._news:
            if not self._news.wait_for(holds, s):
                raise AssertionError(f"{complaint} within {s:g} s; {len(self._packets)} packets")

    def _read(self) -> None:
        try:
            reader = dpkt.pcap.Reader(self._source)
            with self._news:
                self._has_begun = True
                self._news.notify_all()
            for seconds, frame in reader:
                with self._news:
                    self._take(int(seconds * NS_PER_S), frame)
                    self._news.notify_all()
        except dpkt.NeedData:
            return  # the last record was cut off: the port vanished or we have left
        finally:
            with self._news:
                self._has_ended = True
                self._news.notify_all()

    def _take(self, wall: int, frame: bytes) -> None:
        ethernet = dpkt.ethernet.Ethernet(frame)
        if ethernet.type == MARKER:
            number, offset = json.loads(frame[14:])
            self._markers[number] = offset
        elif self._markers and isinstance(ethernet.data, dpkt.ip.IP):
            offset = self._markers[max(self._markers)]
            self._packets.append(_captured(wall - offset, ethernet.src[4], ethernet.data))


def _captured(t: int, sender: int, ip: dpkt.ip.IP) -> Captured:
    src, dst = (".".join(str(byte) for byte in address) for address in (ip.src, ip.dst))
    above = ip.data
    if isinstance(above, dpkt.tcp.TCP):
        return Captured(
            t, sender, src, dst, above.sport, above.dport, "tcp",
            above.flags, above.seq, above.ack, bytes(above.data),
        )  # fmt: skip
    if isinstance(above, dpkt.udp.UDP):
        return Captured(
            t, sender, src, dst, above.sport, above.dport, "udp", payload=bytes(above.data)
        )
    kind = "icmp" if isinstance(above, dpkt.icmp.ICMP) else "ip"
    return Captured(t, sender, src, dst, protocol=kind, payload=bytes(above))


class _Source:
    """A stream as the file that dpkt reads: as many bytes as it asks for, fewer at the end."""

    name = "tcpdump"

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.write = stream.write
        self.close = stream.close

    def read(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size and (part := self._stream.read(size - len(parts))):
            parts += part
        return parts


def wait_until(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Ask again and again until it holds."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(0.02)
