"""Datagrams are answered whatever the kernel says in between, a bounded number a turn."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Any, cast

import dns.message

from emulator.clock import ManualClock
from emulator.node.dns.answers import Answers
from emulator.node.dns.message import respond
from emulator.node.dns.metrics import Counts
from emulator.node.dns.sockets import bind
from emulator.node.dns.udp import TURN, Datagrams
from tests.dns.examples import PARIS, authority

QUERY = dns.message.make_query("www.shop.test", "A", id=7).to_wire()


class Scripted:
    """A socket that yields what it was told, errors too, and is empty then. `refusals`: what
    sending does, one after another."""

    def __init__(self, received: Iterable[bytes | OSError], refusals: Iterable[OSError] = ()):
        self._received: Iterator[bytes | OSError] = iter(received)
        self._refusals = iter(refusals)
        self.sent: list[bytes] = []
        self.descriptor = -1

    def fileno(self) -> int:
        return self.descriptor

    def setsockopt(self, *_: Any) -> None:
        pass

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        given = next(self._received, BlockingIOError())
        if isinstance(given, OSError):
            raise given
        return given, (PARIS, 5353)

    def sendto(self, data: bytes, _: object) -> None:
        refusal = next(self._refusals, None)
        if refusal:
            raise refusal
        self.sent.append(data)


def turn(scripted: Scripted) -> Counts:
    """One turn of the loop, and what was counted in it."""
    counts = Counts(ManualClock())

    async def once() -> None:
        state = authority()
        answers = Answers("udp", lambda: state, state.askers.find, counts, respond)
        Datagrams(cast(socket.socket, scripted), answers, counts).read()
        answers.fold()
        asyncio.get_running_loop().remove_reader(scripted.fileno())

    with socket.socket(type=socket.SOCK_DGRAM) as quiet:
        scripted.descriptor = quiet.fileno()
        asyncio.run(once())
    return counts


def test_errors_of_receiving_cost_nothing_that_came_after() -> None:
    """An ICMP error for an answer sent before is told with the next datagram."""
    refused = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    scripted = Scripted([QUERY, refused, QUERY, OSError(errno.EHOSTUNREACH, ""), QUERY])
    turn(scripted)
    assert len(scripted.sent) == 3
    assert len(set(scripted.sent)) == 1


def test_answers_that_cannot_be_sent_are_counted() -> None:
    """A full buffer and a sender that cannot be answered cost their own answer alone."""
    scripted = Scripted([QUERY] * 5, [BlockingIOError(), OSError(errno.EINVAL, "")])
    counts = turn(scripted)
    assert len(scripted.sent) == 3
    assert counts.drops["unsent",] == 2


def test_a_flood_leaves_room_for_everything_else() -> None:
    """A turn ends though more has come; what has come is not lost."""
    scripted = Scripted([QUERY] * (TURN + 9))
    turn(scripted)
    assert len(scripted.sent) == TURN
    turn(scripted)
    assert len(scripted.sent) == TURN + 9


def test_senders_of_both_families_get_their_own_answer() -> None:
    """From the address that was asked, with the id that was sent."""

    async def ask(address: str) -> bytes:
        loop = asyncio.get_running_loop()
        state, counts = authority(), Counts(ManualClock())
        answers = Answers("udp", lambda: state, state.askers.find, counts, respond)
        udp, tcp = bind([address], 0)
        Datagrams(udp[0], answers, counts)
        with socket.socket(udp[0].family, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.connect(udp[0].getsockname())
            asking.send(QUERY)
            told = await asyncio.wait_for(loop.sock_recv(asking, 4096), 20)
        loop.remove_reader(udp[0])
        for bound in (*udp, *tcp):
            bound.close()
        return told

    told = asyncio.run(ask("::1"))
    assert dns.message.from_wire(told).id == 7
    assert told == asyncio.run(ask("127.0.0.1"))
