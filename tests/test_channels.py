"""Many streams over one: what goes in at one end comes out at the other, however it is cut."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from emulator.channels import WINDOW, Channel, Kind, Link

_SIZE = 3_000_000


class Ends:
    """Two links joined in memory, bytes handed over in pieces of random sizes; each channel that
    is opened at one end joins a socket at the other."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.carried = [0, 0]  # bytes towards the far end, and back
        self.far_sockets: list[socket.socket] = []
        self.sockets: list[socket.socket] = []
        self.near = Link(lambda data: self._carry(0, data))
        self.far = Link(lambda data: self._carry(1, data), accept=self._accept)
        self._joining: set[asyncio.Task[object]] = set()

    def _carry(self, way: int, data: bytes) -> None:
        self.carried[way] += len(data)
        target = (self.far, self.near)[way]
        at = 0
        while at < len(data):
            size = self._random.choice((1, 5, 9, 100, 70_000))
            piece, at = data[at : at + size], at + size
            asyncio.get_running_loop().call_soon(target.feed, piece)

    def _accept(self, channel: Channel) -> None:
        ours, theirs = socket.socketpair()
        self.far_sockets.append(theirs)
        self.sockets.append(theirs)
        self._joining.add(asyncio.get_running_loop().create_task(join(channel, ours)))

    async def pair(self) -> tuple[socket.socket, socket.socket]:
        """The two ends of a new channel."""
        ours, near = socket.socketpair()
        self.sockets.append(near)
        await join(self.near.open(), ours)
        while len(self.far_sockets) < len(self.near):
            await asyncio.sleep(0.001)
        for end in (near, self.far_sockets[-1]):
            end.setblocking(False)
        return near, self.far_sockets[-1]

    async def tcp(self) -> socket.socket:
        """The near end of a new channel, as a TCP connection; the far end is joined."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        self.sockets.append(near)
        near.setblocking(False)
        await join(self.near.open(), ours)
        while not self.far_sockets:
            await asyncio.sleep(0.001)
        return near

    async def close(self) -> None:
        self.near.abort()
        self.far.abort()
        for end in self.sockets:
            end.close()
        await asyncio.sleep(0.01)  # transports close in the loop's next turns


def play(seed: int, scene: Callable[[Ends], Awaitable[None]]) -> None:
    """A scene between two ends, for a minute at most."""

    async def run() -> None:
        ends = Ends(seed)
        try:
            await asyncio.wait_for(scene(ends), 60)
        finally:
            await ends.close()

    asyncio.run(run())


async def join(channel: Channel, sock: socket.socket) -> None:
    sock.setblocking(False)
    await asyncio.get_running_loop().create_connection(lambda: channel, sock=sock)


async def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := await asyncio.get_running_loop().sock_recv(sock, 1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(3))
def test_both_ways_at_once_whole_and_ended(seed):
    """Twelve windows each way; each end's FIN comes after its last byte; nothing is left."""

    async def scene(ends: Ends) -> None:
        data = random.Random(seed).randbytes(_SIZE)
        loop = asyncio.get_running_loop()
        near, far = await ends.pair()

        async def send(sock: socket.socket, what: bytes) -> None:
            await loop.sock_sendall(sock, what)
            sock.shutdown(socket.SHUT_WR)

        answers = await asyncio.gather(
            send(near, data), send(far, data[::-1]), read_all(far), read_all(near)
        )
        assert answers[2] == data
        assert answers[3] == data[::-1]
        while len(ends.near) or len(ends.far):
            await asyncio.sleep(0.001)

    play(seed, scene)


def test_who_does_not_read_holds_up_nobody_else():
    """And no more than a window, and what its socket takes, is under way to it."""

    async def scene(ends: Ends) -> None:
        loop = asyncio.get_running_loop()
        stuck, _ = await ends.pair()
        flood = loop.create_task(loop.sock_sendall(stuck, bytes(40 * WINDOW)))
        near, far = await ends.pair()
        await asyncio.sleep(0.3)
        assert not flood.done()
        assert ends.carried[0] < 8 * WINDOW
        await loop.sock_sendall(near, b"hello")
        assert await loop.sock_recv(far, 10) == b"hello"
        flood.cancel()

    play(0, scene)


def test_a_half_close_lets_the_answer_come():
    """As `printf ... | nc` does."""

    async def scene(ends: Ends) -> None:
        loop = asyncio.get_running_loop()
        near, far = await ends.pair()
        await loop.sock_sendall(near, b"ask")
        near.shutdown(socket.SHUT_WR)
        assert await read_all(far) == b"ask"
        await loop.sock_sendall(far, b"answer")
        far.close()
        assert await read_all(near) == b"answer"

    play(1, scene)


def test_an_abort_at_one_end_is_one_at_the_other():
    """A RST stays a RST: whoever looks at failures must not see a proper end instead."""

    async def scene(ends: Ends) -> None:
        near = await ends.tcp()
        ends.far.abort()
        ends.near.send(1, Kind.DATA, 1, b"x")  # for a channel that is no more
        ends.far.send(1, Kind.RESET)
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(near, 1)
        assert not len(ends.near)

    play(2, scene)


def test_a_socket_that_is_reset_resets_its_channel():
    """Told to the other end, whose socket is cut off too."""

    async def scene(ends: Ends) -> None:
        near = await ends.tcp()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        near.close()
        while len(ends.near) or len(ends.far):
            await asyncio.sleep(0.001)
        assert ends.far_sockets[0].recv(1) == b""

    play(3, scene)


def test_an_end_for_a_socket_that_was_reset_disturbs_nobody():
    """A browser closes like that all the time. The other end's END is under way meanwhile."""

    async def scene(ends: Ends) -> None:
        near = await ends.tcp()
        beside, far = await ends.pair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        near.close()
        ends.near.feed(b"\0\0\0\x01\x02\0\0\0\0" + b"\0\0\0\x02\x01\0\0\0\x04more")
        assert await asyncio.get_running_loop().sock_recv(beside, 10) == b"more"
        while len(ends.near) > 1:
            await asyncio.sleep(0.001)
        assert far

    play(5, scene)


def test_what_comes_before_a_socket_is_kept_for_it():
    """The channel is spoken to while a connection is being made."""

    async def scene(ends: Ends) -> None:
        came: list[Channel] = []
        ends.far = Link(lambda data: None, accept=came.append)
        ends.near.open().say(b"early")
        while not came:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        came[0].keep(b", kept")
        ours, theirs = socket.socketpair()
        ends.sockets.append(theirs)
        await join(came[0], ours)
        came[0].handle(Kind.END, 0, b"")
        theirs.setblocking(False)
        assert await read_all(theirs) == b"early, kept"

    play(4, scene)


def test_frames_of_a_channel_that_ended_are_ignored_and_nonsense_is_not():
    """The one was under way; the other nobody can have sent."""
    link = Link(lambda _: None)
    link.feed(b"\0\0\0\x09\x01\0\0\0\x02hi")
    with pytest.raises(ValueError, match="99"):
        link.feed(b"\0\0\0\x09\x63\0\0\0\0")
