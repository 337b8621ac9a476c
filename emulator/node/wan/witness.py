"""Sees what passes the sites' ports of a WAN that the kernel moves, and touches nothing.

    python3 -m emulator.node.wan.witness --control FD --records FD

control: a stream of JSON lines, unanswered:
    {"op": "port", "site": 3, "interface": "w3"}    {"op": "unport", "site": 3}
    {"op": "macs", "macs": {"02:00:00:00:03:01": 3}}
    {"op": "path", "source": 1, "target": 2, "patience_ns": 1000000000, "cause": "loss"}
    {"op": "flows"}                                 tell every direction that moved
Its end ends the process. records: SOCK_SEQPACKET, `records.decode` reads each message.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import socket
import struct
import time
from typing import Any

from emulator.clock import WallClock
from emulator.node.wan.outbox import Outbox
from emulator.node.wan.ports import dropped, is_gone, open_witness_port
from emulator.node.wan.sightings import PathNews, Sightings

_FRAME = 10 + 2048  # virtio, and more than a DNS message by UDP has; others come as 128 bytes
_STAMP = struct.Struct("=qq")
_OUTGOING = 4  # PACKET_OUTGOING of linux/if_packet.h
_PACE_S = 0.005  # frames are read in batches: nothing waits for the records
# A frame seen on one port may have been seen on another just before and not be read yet: frames
# are judged when all of their time have been read.
_SETTLED_NS = 2_000_000
_CHECKUP_NS = 1_000_000_000


class Witness:
    """The loop and its ports."""

    def __init__(self, control: socket.socket, records: socket.socket) -> None:
        self._control = control
        self._partial = b""
        self._outbox = Outbox(records)
        self._sightings = Sightings(self._outbox.add)
        self._ports: dict[int, socket.socket] = {}
        self._wall = WallClock()
        self._unread: list[tuple[int, int, bytes]] = []  # t, site it entered by or 0, frame
        self._checkup = 0
        control.settimeout(0)
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)

    def run(self) -> None:
        """Until the control stream ends."""
        while True:
            is_busy = bool(self._unread or self._outbox.waiting)
            events = dict(self._poll.poll(_PACE_S if is_busy else 0.1))
            if self._control.fileno() in events and not self._obey():
                return
            time.sleep(_PACE_S)
            self._look()

    def _look(self) -> None:
        began = time.monotonic_ns()
        self._wall.look()
        for site, port in list(self._ports.items()):
            self._read(site, port)
        self._unread.sort(key=lambda seen: seen[0])
        horizon = began - _SETTLED_NS
        judged = 0
        for t, source, frame in self._unread:
            if t > horizon:
                break
            judged += 1
            if source:
                self._sightings.enters(frame, t, source)
            else:
                self._sightings.leaves(frame, t)
        del self._unread[:judged]
        self._sightings.expire(horizon)
        self._keep_house(began)

    def _read(self, site: int, port: socket.socket) -> None:
        """All that a port has seen."""
        receive, unread, monotonic_ns = port.recvmsg, self._unread, self._wall.monotonic_ns
        try:
            while True:
                frame, ancillary, _, address = receive(_FRAME, 64)
                seconds, ns = _STAMP.unpack(ancillary[0][2])
                t = monotonic_ns(seconds * 1_000_000_000 + ns)
                unread.append((t, 0 if address[2] == _OUTGOING else site, frame))
        except BlockingIOError:
            return
        except OSError:
            if is_gone(port):
                self._drop_port(site)

    def _keep_house(self, now: int) -> None:
        if now - self._checkup >= _CHECKUP_NS:
            self._checkup = now
            if missed := sum(dropped(port) for port in self._ports.values()):
                self._sightings.doubt(missed, now)
            self._sightings.tell_flows(now, is_all=False)
        self._outbox.flush(now)

    def _obey(self) -> bool:
        """Carry out what the control stream says; False at its end."""
        try:
            data = self._control.recv(1 << 18)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._carry_out(json.loads(line))
        return bool(data)

    def _carry_out(self, request: dict[str, Any]) -> None:
        match request.pop("op"):
            case "port":
                self._drop_port(request["site"])
                port = open_witness_port(request["interface"])
                self._ports[request["site"]] = port
                self._poll.register(port, select.EPOLLIN)
            case "unport":
                self._drop_port(request["site"])
            case "macs":
                macs = request["macs"].items()
                self._sightings.macs = {bytes.fromhex(m.replace(":", "")): s for m, s in macs}
            case "path":
                pair = request.pop("source"), request.pop("target")
                self._sightings.paths[pair] = PathNews(**request)
            case "flows":
                self._sightings.tell_flows(time.monotonic_ns(), is_all=True)
            case op:
                raise ValueError(f"{op!r} is not an operation")

    def _drop_port(self, site: int) -> None:
        port = self._ports.pop(site, None)
        if port is not None:
            port.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="emulator.node.wan.witness")
    for name in ("control", "records"):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="FD")
    options = parser.parse_args()
    control, records = (socket.socket(fileno=fd) for fd in (options.control, options.records))
    os.nice(5)  # packets are moved without us
    gc.freeze()
    Witness(control, records).run()


if __name__ == "__main__":
    main()
