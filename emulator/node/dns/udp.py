"""DNS over UDP: sockets read until they are empty, a bounded number of datagrams a turn."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from emulator.node.dns.answers import Answers, Counting

# Datagrams between two looks at everything else (checks, TCP, commands): 0.4 ms of answers that
# are looked up, some 5 ms of answers that are made.
TURN = 64
SIZE = 4096  # bytes read of a query; one with a cookie, a subnet and padding has some 500
RECEIVE_BUFFER = 4 << 20  # bytes that wait while a check is handled; the kernel may grant less
_SO_RCVBUFFORCE = 33  # Linux; the socket module has no name for it


class Datagrams:
    """One UDP socket, answered from the loop that it is opened on."""

    def __init__(self, udp: socket.socket, answers: Answers, counting: Counting) -> None:
        self._answers = answers
        self._counting = counting
        self._receive = udp.recvfrom
        self._send = udp.sendto
        enlarge_buffer(udp)
        asyncio.get_running_loop().add_reader(udp, self.read)

    def read(self) -> None:
        """Answer what has come. The routing cannot change meanwhile: nothing else runs."""
        tables, receive, send = self._answers.tables(), self._receive, self._send
        for _ in range(TURN):
            try:
                data, sender = receive(SIZE)
            except BlockingIOError:
                return
            except OSError:
                continue  # of an answer sent before (ICMP said something), not of this query
            try:
                tail, tally = tables[sender[0]][data[2:]]
                tally.count += 1
                reply = data[:2] + tail
            except KeyError:
                made = self._answers.answer(data, sender[0])
                if made is None:
                    continue
                reply = made
            try:
                send(reply, sender)
            except OSError:  # the buffer is full, or the sender's address was never one
                self._counting.dropped("unsent")


def enlarge_buffer(udp: socket.socket) -> None:
    """Room for what comes while the server does something else, as much as the kernel allows."""
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    with contextlib.suppress(OSError):  # beyond rmem_max only with CAP_NET_ADMIN
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
