"""What a path does to datagrams, seen from outside: sent in one host, received in another.

Sockets are opened in the hosts' namespaces and used from here, so no process is started. Instants
are the kernel's own: of sending ours just before, of arrival its time stamp on the frame.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.netns import inside

_HEAD = struct.Struct("=Iq")  # number, instant of sending
_STAMP = struct.Struct("=qq")  # timespec
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33  # asm-generic/socket.h
OVERHEAD = 14 + 20 + 8  # Ethernet, IPv4, UDP: what a frame is longer than the datagram's data


class Arrival(NamedTuple):
    number: int
    t: int  # ns
    delay: int  # ns, one way


class Datagrams:
    """From one host to another."""

    def __init__(self, sender: socket.socket, receiver: socket.socket) -> None:
        self._sender = sender
        self._receiver = receiver

    def send(
        self,
        count: int,
        gap_s: float = 0.0,
        size: int = _HEAD.size,
        at: Callable[[int], object] = lambda _: None,
        silence_s: float = 0.5,
    ) -> list[Arrival]:
        """What arrives, in order of arrival, until nothing came for `silence_s`. `at` is called
        with each number before it is sent."""
        arrivals: list[Arrival] = []
        begin = time.monotonic()
        for number in range(count):
            at(number)
            while (wait := begin + number * gap_s - time.monotonic()) > 0:
                arrivals += self._arrived(min(wait, 0.002))
            now = time.clock_gettime_ns(time.CLOCK_REALTIME)
            self._sender.send(_HEAD.pack(number, now).ljust(size, b"\0"))
            if number % 64 == 0:
                arrivals += self._arrived(0.0)
        while new := self._arrived(silence_s):
            arrivals += new
        return arrivals

    def send_raw(self, data: bytes) -> None:
        """One datagram with these bytes."""
        self._sender.send(data)

    def answer_raw(self, data: bytes) -> None:
        """The way back, from the port that `send_raw` sent to."""
        self._receiver.sendto(data, self._sender.getsockname())

    def _arrived(self, wait_s: float) -> list[Arrival]:
        """All that is there, or the first that comes within `wait_s`."""
        found = []
        self._receiver.settimeout(wait_s)
        try:
            while True:
                data, stamps, _, _ = self._receiver.recvmsg(2048, 64)
                self._receiver.settimeout(0.0)
                seconds, ns = _STAMP.unpack(stamps[0][2])
                number, sent = _HEAD.unpack_from(data)
                t = seconds * 1_000_000_000 + ns
                found.append(Arrival(number, t, t - sent))
        except (TimeoutError, BlockingIOError):
            return found


@contextmanager
def datagrams(
    source: tuple[int, str], target: tuple[int, str], port: int = 0
) -> Iterator[Datagrams]:
    """Ends are the process id of a host and its address; `port` is the target's, 0: any."""
    with _open(*source) as sender, _open(*target, port) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sender.connect(receiver.getsockname())
        yield Datagrams(sender, receiver)


def _open(pid: int, address: str, port: int = 0) -> socket.socket:
    with inside(f"/proc/{pid}/ns/net"):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
    end.bind((address, port))
    return end
