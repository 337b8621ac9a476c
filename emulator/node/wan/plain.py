"""Frames moved in plain Python: about 80,000 small ones a second on one core."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable

from emulator.node.wan import table as words_of
from emulator.node.wan.agenda import Agenda
from emulator.node.wan.flows import Direction, Flows
from emulator.node.wan.mover import LARGEST, MEMORY, STALE_NS, MoverParts
from emulator.node.wan.outbox import Outbox
from emulator.node.wan.paths import EXPRESS, Path
from emulator.node.wan.poller import Poller
from emulator.node.wan.ports import dropped, receive_stamped
from emulator.node.wan.records import encode, encode_flow
from emulator.node.wan.segments import VNET
from emulator.node.wan.table import SITES

_TURN = 32  # frames from one port before the others have their turn
_IDLE_NS = 100_000_000  # the heartbeat's period when nothing moves
_SOON_NS = 2_000_000  # when records wait to be flushed
_CHECKUP_NS = 1_000_000_000  # how often the kernel's drop counters are read

_now = time.monotonic_ns


class PlainMover:
    """The loop and what it knows."""

    name = "plain Python"

    def __init__(self, parts: MoverParts) -> None:
        self._words = parts.words
        self._control = parts.control
        self._outbox = Outbox(parts.records)
        self._outbox.lost = parts.words[words_of.TOTAL_RECORDS_LOST]  # by those before us
        self._capture = parts.capture
        self._seed = parts.seed
        self._agenda = Agenda(MEMORY)
        self._flows = Flows() if parts.has_flow_log else None
        self._paths: dict[int, Path] = {}
        self._ports: dict[int, socket.socket] = {}
        self._sites: dict[int, int] = {}  # by descriptor
        self._macs: dict[bytes, int] = {}
        self._checkup = 0
        self._poller = Poller()
        self._poller.add(self._control.fileno())

    def add_port(self, site: int, port: socket.socket) -> None:
        self._ports[site] = port
        self._sites[port.fileno()] = site
        self._poller.add(port.fileno())

    def drop_port(self, site: int) -> None:
        if self._flows is not None:
            self._flows.forget_site(site)
        port = self._ports.pop(site, None)
        if port is not None:
            del self._sites[port.fileno()]
            # epoll watches the open file, not our number: the keeper's copy would keep it there.
            self._poller.remove(port.fileno())

    def set_macs(self, macs: dict[bytes, int]) -> None:
        self._macs = macs

    def tell_flows(self) -> None:
        self._tell_flows(_now(), is_all=True)

    def feed(self, source: int, frame: bytes, now: int) -> None:
        """As if the frame had come in at `now`."""
        self._forward(source, frame, now)

    def take(self) -> tuple[int, int, bytes] | None:
        """Due, lane and frame of what would leave first; None: nothing waits."""
        return self._agenda.pop() if self._agenda.heap else None

    def tell_at(self, now: int, *, is_all: bool) -> None:
        """Tell flows as at an instant, and hand all records over."""
        self._tell_flows(now, is_all=is_all)
        self._outbox.flush(now + _CHECKUP_NS)

    def run(self) -> int:
        while True:
            is_told, gone = False, 0
            for fd, events in self._poller.wait(self._patience(_now())):
                site = self._sites.get(fd)
                if site is None:
                    is_told = is_told or fd == self._control.fileno()
                elif events & select.EPOLLIN:
                    self._receive(site)
                else:
                    gone = site
            self._depart()
            self._keep_house(_now())
            if gone or is_told:
                return gone

    def _patience(self, now: int) -> int:
        """How long nothing is due."""
        longest = _SOON_NS if self._outbox.waiting else _IDLE_NS
        due = self._agenda.next_due()
        return longest if due is None else min(longest, max(0, due - now))

    def _receive(self, source: int) -> None:
        port = self._ports[source]
        receive = port.recv
        try:  # OSError: empty, or the interface went down: epoll tells which
            frame, waited = receive_stamped(port, LARGEST + 1)
            if waited > STALE_NS:  # those behind it waited as long: away with a good many
                self._discard(port)
                return
            self._forward(source, frame, _now())
            for _ in range(_TURN - 1):
                frame = receive(LARGEST + 1)
                self._forward(source, frame, _now())  # the clock after recv: before is too early
        except OSError:
            return

    def _discard(self, port: socket.socket) -> None:
        self._words[words_of.TOTAL_OVERLOAD] += 1
        for _ in range(8 * _TURN):
            port.recv(LARGEST + 1)
            self._words[words_of.TOTAL_OVERLOAD] += 1

    def _forward(self, source: int, frame: bytes, now: int) -> None:
        self._words[words_of.TOTAL_PACKETS] += 1
        if not VNET + 14 <= len(frame) <= LARGEST:
            self._words[words_of.TOTAL_UNKNOWN] += 1
            return
        if frame[VNET] & 1:  # multicast, broadcast
            for target in self._ports:
                if target != source:
                    self._admit(source, target, frame, now)
            return
        target = self._macs.get(frame[VNET : VNET + 6], source)
        if target == source:
            self._words[words_of.TOTAL_UNKNOWN] += 1
            return
        flows = self._flows
        sight = flows.observe(frame, now, (source, target)) if flows is not None else None
        fates = self._admit(source, target, frame, now)
        if sight:
            for record in encode(sight, now, fates, source, target):
                self._outbox.add(record, now)

    def _admit(self, source: int, target: int, frame: bytes, now: int) -> tuple[int, int]:
        number = source * SITES + target
        path = self._paths.get(number)
        if path is None:
            path = Path(self._words, self._agenda, source, target, self._seed)
            self._paths[number] = path
        fates = path.admit(frame, now)
        capture = self._capture
        if capture is not None and capture.is_on(now) and capture.wants(number):
            capture.add(frame, now, fates.first, fates.last, number,
                        fates.segments, fates.dropped, -fates.cause)  # fmt: skip
        return fates.first, fates.last

    def _depart(self) -> None:
        """Send all that was due when we began. More may come in than goes out in a turn (many
        ports, broadcasts): what waits longer must wait where the kernel drops."""
        agenda, words = self._agenda, self._words
        begun = _now()
        while (due := agenda.next_due()) is not None and due <= begun:
            words[words_of.HEARTBEAT] = now = _now()
            words[words_of.LAG_MAX] = max(words[words_of.LAG_MAX], now - due)
            _, lane, frame = agenda.pop()
            self._send(lane % EXPRESS, frame, is_late=now - due > STALE_NS)

    def _send(self, number: int, frame: bytes, *, is_late: bool) -> None:
        port = self._ports.get(number % SITES)
        cell = words_of.path_words(number // SITES, number % SITES)
        if is_late:
            self._words[cell + words_of.OVERLOAD_DROPS] += 1
            self._words[words_of.TOTAL_OVERLOAD] += 1
            return
        try:
            if port is not None:
                port.send(frame)
                return
        except OSError:  # ENXIO, ENETDOWN, ENOBUFS, EMSGSIZE: the frame is lost, as on a wire
            pass
        self._words[cell + words_of.SEND_ERRORS] += 1
        self._words[words_of.TOTAL_SEND_ERRORS] += 1

    def _keep_house(self, now: int) -> None:
        self._words[words_of.HEARTBEAT] = now
        self._tell(self._flows.ended() if self._flows is not None else (), now)
        if self._outbox.waiting:
            self._outbox.flush(now)
        if now - self._checkup >= _CHECKUP_NS:
            self._checkup = now
            self._words[words_of.TOTAL_RECORDS_LOST] = self._outbox.lost
            self._tell_flows(now, is_all=False)
            for port in self._ports.values():
                self._words[words_of.TOTAL_OVERLOAD] += dropped(port)

    def _tell_flows(self, now: int, *, is_all: bool) -> None:
        if self._flows is not None:
            self._tell(self._flows.to_tell(now, is_all=is_all), now)

    def _tell(self, directions: Iterable[Direction], now: int) -> None:
        for direction in directions:
            self._outbox.add(encode_flow(direction, now), now)
