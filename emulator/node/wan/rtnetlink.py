"""Traffic control by netlink: one message instead of a process each.

Values are the host's byte order; attributes begin at multiples of 4 (rtnetlink(7), netlink(7)).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

# linux/netlink.h, linux/rtnetlink.h
_REQUEST, _ACK, _ECHO, _REPLACE, _EXCLUSIVE, _CREATE, _DUMP = (
    0x1, 0x4, 0x8, 0x100, 0x200, 0x400, 0x300,
)  # fmt: skip
_ERROR, _DONE = 2, 3
_NEW_LINK, _NEW_QDISC, _GET_QDISC, _NEW_FILTER = 16, 36, 38, 44
_IFNAME, _LINKINFO, _INFO_KIND, _UP = 3, 18, 1, 1  # linux/if_link.h, linux/if.h
_INGRESS, _ETH_P_ALL = 0xFFFFFFF2, 3  # clsact's, linux/pkt_sched.h
_KIND, _OPTIONS, _STATS2 = 1, 2, 7
_BASIC, _QUEUE, _PACKETS64 = 1, 3, 8  # of TCA_STATS2, linux/gen_stats.h
_HEADER = struct.Struct("=IHHII")
_TC = struct.Struct("=BxxxiIII")  # family, link, handle, parent, info
_TYPE_MASK = 0x3FFF  # an attribute's type without the flags for nesting and byte order


class Qdisc(NamedTuple):
    """One queueing discipline and what it counted."""

    link: int  # index of the interface
    kind: str
    handle: int
    parent: int
    packets: int  # that left it
    bytes: int
    waiting: int  # packets
    waiting_bytes: int
    drops: int  # its own and its children's


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and contents of attributes in a row."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & _TYPE_MASK, data[at + 4 : at + length]
        at += length + (-length % 4)


class TrafficControl:
    """A netlink socket of the namespace in which it was made. Answers come at once: no waiting."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def set_qdisc(self, link: int, parent: int, handle: int, kind: str, options: bytes) -> None:
        """Add a discipline, or change the one that is there: what waits in it stays. Raises
        OSError with the kernel's own words."""
        body = _TC.pack(0, link, handle, parent, 0)
        body += attribute(_KIND, kind.encode() + b"\0") + attribute(_OPTIONS, options)
        self._request(_NEW_QDISC, _CREATE | _REPLACE, body)

    def add_link(self, name: str, kind: str) -> int:
        """Make an interface, up; its index. Raises OSError."""
        body = struct.pack("=BxHiII", 0, 0, 0, _UP, _UP)
        body += attribute(_IFNAME, name.encode() + b"\0")
        body += attribute(_LINKINFO, attribute(_INFO_KIND, kind.encode()))
        self._request(_NEW_LINK, _CREATE | _EXCLUSIVE, body)
        return socket.if_nametoindex(name)

    def add_ingress_filter(self, link: int, handle: int, kind: str, options: bytes) -> None:
        """On an interface that has `clsact`, before the filters that `tc` adds unless told where.
        Raises OSError."""
        told = 1 << 16 | socket.htons(_ETH_P_ALL)
        body = _TC.pack(0, link, handle, _INGRESS, told)
        body += attribute(_KIND, kind.encode() + b"\0") + attribute(_OPTIONS, options)
        self._request(_NEW_FILTER, _CREATE | _EXCLUSIVE, body)

    def qdisc(self, link: int, handle: int) -> Qdisc | None:
        """One of them; None if there is no such."""
        body = _TC.pack(0, link, handle, 0, 0)
        try:
            (found,) = self._request(_GET_QDISC, _ECHO, body)
        except (OSError, ValueError):  # no interface, no discipline
            return None
        return _qdisc(found)

    def qdiscs(self) -> list[Qdisc]:
        """All of the namespace."""
        self._send(_GET_QDISC, _DUMP, _TC.pack(0, 0, 0, 0, 0))
        return [_qdisc(body) for body in self._answers()]

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        head = _HEADER.pack(16 + len(body), kind, _REQUEST | flags, self._number, 0)
        self._socket.send(head + body)

    def _request(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        self._send(kind, _ACK | flags, body)
        return list(self._answers())

    def _answers(self) -> Iterator[bytes]:
        """Bodies up to the acknowledgement or the end of a dump. Raises OSError."""
        while True:
            data = self._socket.recv(1 << 18)
            at = 0
            while at < len(data):
                length, kind, _, number, _ = _HEADER.unpack_from(data, at)
                body = data[at + 16 : at + length]
                at += length + (-length % 4)
                if number != self._number:
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    _check(body)
                    return
                yield body


def _check(body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise OSError(-code, os.strerror(-code))


def _qdisc(body: bytes) -> Qdisc:
    _, link, handle, parent, _ = _TC.unpack_from(body)
    found = dict(attributes(body[_TC.size :]))
    stats = dict(attributes(found.get(_STATS2, b"")))
    size, packets = struct.unpack_from("=QI", stats.get(_BASIC, bytes(12)))
    if _PACKETS64 in stats:
        (packets,) = struct.unpack_from("=Q", stats[_PACKETS64])
    waiting, waiting_bytes, drops = struct.unpack_from("=III", stats.get(_QUEUE, bytes(12)))
    kind = found[_KIND].rstrip(b"\0").decode()
    return Qdisc(link, kind, handle, parent, packets, size, waiting, waiting_bytes, drops)
