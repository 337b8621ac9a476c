"""DNS over TCP as RFC 7766 has it, on real sockets of both families."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import dns.message
import pytest

from emulator.clock import ManualClock
from emulator.node.dns import tcp as tcp_module
from emulator.node.dns.answers import Answers
from emulator.node.dns.message import respond
from emulator.node.dns.metrics import Counts
from emulator.node.dns.sockets import bind
from emulator.node.dns.tcp import Streams
from tests.dns.examples import authority
from tests.dns.process import DEADLINE_S

LONG_S = 60.0  # no connection of these tests is idle for so long


class Serving:
    """Streams on a port of their own, and what they counted."""

    def __init__(self, streams: Streams, port: int, counts: Counts, address: str) -> None:
        self.streams = streams
        self.counts = counts
        self.at = (address, port)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that the server knows of."""
        known = len(self.streams) + self.counts.drops["connection limit",]
        connected = await asyncio.open_connection(*self.at)
        await until(lambda: len(self.streams) + self.counts.drops["connection limit",] > known)
        return connected


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(
    address: str = "127.0.0.1", idle_s: float = LONG_S, limit: int = 100
) -> AsyncIterator[Serving]:
    state, counts = authority(), Counts(ManualClock())
    answers = Answers("tcp", lambda: state, state.askers.find, counts, respond)
    udp, tcp = bind([address], 0)
    streams = Streams(tcp, answers, counts, idle_s, limit)
    try:
        yield Serving(streams, tcp[0].getsockname()[1], counts, address)
    finally:
        streams.close()
        for bound in (*udp, *tcp):
            bound.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test()

    asyncio.run(bounded())


def framed(name: str, identity: int = 0) -> bytes:
    wire = dns.message.make_query(name, "A", id=identity).to_wire()
    return struct.pack("!H", len(wire)) + wire


async def answer(reader: asyncio.StreamReader) -> dns.message.Message:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return dns.message.from_wire(await reader.readexactly(length))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_pipelined_queries_are_answered_in_order(address: str) -> None:
    """However the pieces come that TCP cuts a stream into, over both families."""

    async def test() -> None:
        names = ["www.shop.test.", "nope.shop.test.", "example.com."] * 40
        stream = b"".join(framed(name, number) for number, name in enumerate(names))
        async with serving(address) as server:
            reader, writer = await server.connect()
            for start in range(0, len(stream), 111):
                writer.write(stream[start : start + 111])
                await writer.drain()
            answers = [await answer(reader) for _ in names]
            writer.close()
        assert [message.id for message in answers] == list(range(len(names)))
        assert [str(message.question[0].name) for message in answers] == names

    run(test)


def test_idle_connections_are_closed_and_busy_ones_are_not() -> None:
    """Half a query does not count as one: who sends a byte now and then holds nothing."""

    async def test() -> None:
        async with serving(idle_s=0.2) as server:
            (idle, first), (busy, second) = await server.connect(), await server.connect()
            first.write(b"\0")
            ended = asyncio.create_task(idle.read())
            answered = 0
            while not ended.done():
                second.write(framed("www.shop.test"))
                await answer(busy)
                answered += 1
            assert await ended == b""
            assert answered > 1
            assert server.counts.drops["idle",] == 1
            assert len(server.streams) == 1
            for writer in (first, second):
                writer.close()

    run(test)


def test_beyond_the_limit_the_longest_idle_makes_room() -> None:
    """New ones are always served; who asked a moment ago stays."""

    async def test() -> None:
        async with serving(limit=3) as server:
            peers = [await server.connect() for _ in range(3)]
            reader, writer = peers[0]
            writer.write(framed("www.shop.test"))
            await answer(reader)
            late, asking = await server.connect()
            asking.write(framed("www.shop.test"))
            await answer(late)
            assert await peers[1][0].read() == b""  # the second: the first has asked since
            writer.write(framed("www.shop.test"))
            await answer(reader)
            assert len(server.streams) == 3
            for _, each in (*peers, (late, asking)):
                each.close()

    run(test)


def test_answers_that_nobody_reads_stop_the_questions_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is unsent is bounded, others are answered meanwhile, and nothing is lost in the end."""
    monkeypatch.setattr(tcp_module, "UNSENT_MAX", 4096)

    async def test() -> None:
        async with serving() as server:
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(server.at)
            deaf.setblocking(False)
            query = framed("www.shop.test")
            stuck = asyncio.create_task(_send_for_ever(deaf, query))
            await until(lambda: any(c.unsent for c in server.streams.connections()))
            reader, writer = await server.connect()
            for _ in range(50):
                writer.write(query)
                await answer(reader)
            (held,) = [c for c in server.streams.connections() if c.unsent]
            assert len(held.unsent) <= 4096 + 512
            stuck.cancel()
            deaf.close()
            writer.close()
            await until(lambda: len(server.streams) == 0)

    run(test)


async def _send_for_ever(peer: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_sendall(peer, data)


def test_who_reads_late_gets_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those to queries that were read while there was no room for their answers."""
    monkeypatch.setattr(tcp_module, "UNSENT_MAX", 100)
    count = 500

    async def test() -> None:
        async with serving() as server:
            reader, writer = await server.connect()
            writer.write(b"".join(framed("www.shop.test", n) for n in range(count)))
            answers = [await answer(reader) for _ in range(count)]
            writer.write_eof()
            assert [message.id for message in answers] == list(range(count))
            assert await reader.read() == b""
            writer.close()

    run(test)


def test_who_holds_what_is_left_of_the_memory_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long queries that never end, on many connections: the sum is bounded, others are served, and
    what was held is free again with the connection."""
    monkeypatch.setattr(tcp_module, "HELD_MAX", 100_000)

    async def test() -> None:
        async with serving() as server:
            peers = [await server.connect() for _ in range(10)]
            for _, writer in peers:
                writer.write(b"\xff\xff" + b"x" * 20_000)
            # Four of 20,002 bytes fit; who connects while the sixth is being closed is not seen.
            await until(lambda: server.counts.drops["too much held",] == 6)
            reader, asking = await server.connect()
            asking.write(framed("www.shop.test"))
            assert (await answer(reader)).answer
            for _, writer in (*peers, (reader, asking)):
                writer.close()
            await until(lambda: len(server.streams) == 0)
            reader, asking = await server.connect()
            for _ in range(10):
                asking.write(framed("www.shop.test") + b"\x40\x00" + b"x" * 0x4000)
                assert (await answer(reader)).answer
                await answer(reader)
            asking.close()

    run(test)


def test_a_peer_that_resets_costs_nobody_else() -> None:
    """Its connection is forgotten."""

    async def test() -> None:
        async with serving() as server:
            peer = socket.create_connection(server.at)
            await until(lambda: len(server.streams) == 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.send(framed("www.shop.test") * 3)
            peer.close()
            await until(lambda: len(server.streams) == 0)
            reader, writer = await server.connect()
            writer.write(framed("www.shop.test"))
            assert (await answer(reader)).answer
            writer.close()

    run(test)


def test_both_families_listen_on_one_port() -> None:
    """`::` takes IPv6 alone, so that `0.0.0.0` can be listened on beside it."""
    udp, tcp = bind(["::"], 0)
    port = tcp[0].getsockname()[1]
    beside = socket.socket()
    beside.bind(("0.0.0.0", port))
    for bound in (*udp, *tcp, beside):
        bound.close()
