"""The wire: takes frames from the sites' ports, holds them as long as the path table says, and
puts them out at their targets. One thread, one process, nothing else in it: a second busy Python
thread would take 95 % of its time.

    python3 -m emulator.node.wan.wire --control FD --table FD --records FD [--seed N]

control: SOCK_SEQPACKET, one JSON object a message, each answered {"ok": true} or {"error": ...}:
    {"op": "port", "site": 3}      with the site's packet socket (`ports.open_port`) by SCM_RIGHTS
    {"op": "unport", "site": 3}    closes our copy; the keeper's is the last and costs the 16 ms
    {"op": "macs", "macs": {"02:00:00:00:03:01": 3}}    replaces what was known
Its end ends the process. records: SOCK_SEQPACKET, `records.decode` reads each message.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import select
import socket
import time
from typing import Any

from emulator.node.wan import table as words_of
from emulator.node.wan.flows import Flows
from emulator.node.wan.outbox import Outbox
from emulator.node.wan.paths import Agenda, Path
from emulator.node.wan.poller import Poller, sharpen_timers
from emulator.node.wan.ports import dropped, is_gone
from emulator.node.wan.records import encode
from emulator.node.wan.segments import VNET
from emulator.node.wan.table import SITES, PathTable

_LARGEST = 10 + 14 + 4 + 65536  # virtio, Ethernet, VLAN, and the most that GSO puts in one frame
_TURN = 32  # frames from one port, and departures, before the others have their turn
_IDLE_NS = 100_000_000  # the heartbeat's period when nothing moves
_SOON_NS = 2_000_000  # when records wait to be flushed
_CHECKUP_NS = 1_000_000_000  # how often the kernel's drop counters are read
_MEMORY = 256 << 20  # bytes that may wait on all paths

_now = time.monotonic_ns


class Port:
    """Our end of one site's link."""

    __slots__ = ("site", "socket")

    def __init__(self, site: int, socket_: socket.socket) -> None:
        self.site = site
        self.socket = socket_


class Wire:
    """The loop and what it knows."""

    def __init__(
        self, table: PathTable, control: socket.socket, records: socket.socket, seed: int
    ) -> None:
        self._words = table.words
        control.settimeout(0)
        self._control = control
        self._outbox = Outbox(records)
        self._seed = seed
        self._agenda = Agenda(_MEMORY)
        self._flows = Flows()
        self._paths: dict[int, Path] = {}
        self._sites: dict[int, Port] = {}
        self._fds: dict[int, Port] = {}
        self._macs: dict[bytes, int] = {}
        self._checkup = 0
        self._poller = Poller()
        self._poller.add(control.fileno())

    def run(self) -> None:
        """Until the control socket ends."""
        while True:
            for fd, events in self._poller.wait(self._patience(_now())):
                port = self._fds.get(fd)
                if port is None:
                    if fd == self._control.fileno() and not self._obey():
                        return
                elif events & select.EPOLLIN:
                    self._receive(port)
                elif is_gone(port.socket):
                    self._drop_port(port.site)
            self._depart()
            self._keep_house(_now())

    def _patience(self, now: int) -> int:
        """How long nothing is due."""
        longest = _SOON_NS if self._outbox.waiting else _IDLE_NS
        due = self._agenda.next_due()
        return longest if due is None else min(longest, max(0, due - now))

    def _receive(self, port: Port) -> None:
        receive, source = port.socket.recv, port.site
        for _ in range(_TURN):
            try:
                frame = receive(_LARGEST + 1)
            except OSError:  # empty, or the interface went down: epoll tells which
                return
            self._forward(source, frame, _now())  # the clock after recv: before it is too early

    def _forward(self, source: int, frame: bytes, now: int) -> None:
        self._words[words_of.TOTAL_PACKETS] += 1
        if not VNET + 14 <= len(frame) <= _LARGEST:
            self._words[words_of.TOTAL_UNKNOWN] += 1
            return
        if frame[VNET] & 1:  # multicast, broadcast
            for target in self._sites:
                if target != source:
                    self._path(source, target).admit(frame, now)
            return
        target = self._macs.get(frame[VNET : VNET + 6], source)
        if target == source:
            self._words[words_of.TOTAL_UNKNOWN] += 1
            return
        sight = self._flows.observe(frame)
        fates = self._path(source, target).admit(frame, now)
        if sight:
            for record in encode(sight, now, fates, source, target):
                self._outbox.add(record, now)

    def _path(self, source: int, target: int) -> Path:
        number = source * SITES + target
        path = self._paths.get(number)
        if path is None:
            path = Path(self._words, self._agenda, source, target, self._seed)
            self._paths[number] = path
        return path

    def _depart(self) -> None:
        """Send what is due."""
        agenda, words = self._agenda, self._words
        for _ in range(_TURN):
            due = agenda.next_due()
            now = _now()
            if due is None or due > now:
                return
            words[words_of.LAG_MAX] = max(words[words_of.LAG_MAX], now - due)
            _, number, frame = agenda.pop()
            port = self._sites.get(number % SITES)
            try:
                if port is None:
                    self._paths[number].refused()
                else:
                    port.socket.send(frame)
            except OSError:  # ENXIO, ENETDOWN, ENOBUFS, EMSGSIZE: the frame is lost, as on a wire
                self._paths[number].refused()

    def _keep_house(self, now: int) -> None:
        self._words[words_of.HEARTBEAT] = now
        if self._outbox.waiting:
            self._outbox.flush(now)
        if now - self._checkup >= _CHECKUP_NS:
            self._checkup = now
            self._words[words_of.TOTAL_RECORDS_LOST] = self._outbox.lost
            for port in self._sites.values():
                self._words[words_of.TOTAL_OVERLOAD] += dropped(port.socket)

    def _obey(self) -> bool:
        """Carry out one control message; False at the control socket's end."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, 4)
            if data:
                self._control.send(json.dumps(self._answer(data, fds)).encode())
        except BlockingIOError:  # nobody reads our answers; frames come first
            return True
        except ConnectionError:
            return False
        return bool(data)

    def _answer(self, data: bytes, fds: list[int]) -> dict[str, Any]:
        sent = [socket.socket(fileno=fd) for fd in fds]
        try:
            self._carry_out(json.loads(data), sent)
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            for socket_ in sent:
                socket_.close()
            return {"error": f"{type(error).__name__}: {error}"}
        return {"ok": True}

    def _carry_out(self, request: dict[str, Any], sent: list[socket.socket]) -> None:
        match request["op"], sent:
            case "port", [socket_]:
                self._add_port(request["site"], socket_)
            case "unport", []:
                self._drop_port(request["site"])
            case "macs", []:
                macs = request["macs"].items()
                self._macs = {bytes.fromhex(mac.replace(":", "")): site for mac, site in macs}
            case op, _:
                raise ValueError(f"{op!r} with {len(sent)} descriptors is not an operation")

    def _add_port(self, site: int, socket_: socket.socket) -> None:
        if not 0 < site < SITES:
            raise ValueError(f"site {site} is not one of 1..{SITES - 1}")
        self._drop_port(site)
        socket_.settimeout(0)
        port = Port(site, socket_)
        self._sites[site] = self._fds[socket_.fileno()] = port
        self._poller.add(socket_.fileno())

    def _drop_port(self, site: int) -> None:
        port = self._sites.pop(site, None)
        if port is None:
            return
        del self._fds[port.socket.fileno()]
        # epoll watches the open file, not our number: the keeper's copy would keep it there.
        self._poller.remove(port.socket.fileno())
        port.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="emulator.node.wan.wire")
    for name in ("control", "table", "records"):
        parser.add_argument(f"--{name}", type=int, required=True, metavar="FD")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sharpen_timers()
    with contextlib.suppress(OSError):  # without the right to, the container's CPU weight must do
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    wire = Wire(
        PathTable.attach(options.table),
        socket.socket(fileno=options.control),
        socket.socket(fileno=options.records),
        options.seed,
    )
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes cycles; a collection would delay frames
    wire.run()


if __name__ == "__main__":
    main()
