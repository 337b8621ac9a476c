"""What one health check of a region's endpoint says, by the kind of the check.

    http    GET /healthz: good is an answer of 2xx
    https   the same inside TLS, whose certificate nobody verifies: it is the region that is asked
            for, not its papers (so does Amazon Route 53)
    tcp     the connection opens. It cannot see more: a kernel accepts for a program that hangs or
            is stopped, and a balancer whose servers are all dead accepts as well

Every check is a connection of its own (`Connection: close`), read to its end: closing with unread
bytes would put a RST on the wire that no fault caused. For the same reason our end of TLS is not
announced (close_notify) to a peer that has closed. One deadline is for all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

from emulator.clock import Clock
from emulator.node.dns.config import Endpoint
from emulator.node.dns.values import Checked
from emulator.steering import CheckKind

SIZE_MAX = 65536  # bytes read of a peer: one that never ends must not hold up the loop

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})[ \r\n]")
_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
}

Verdict = tuple[bool, str]
T = TypeVar("T")


def judge(answer: bytes) -> Verdict:
    """Is this HTTP answer a good check, and what did it say?"""
    if not answer:
        return False, "closed without an answer"
    status = _STATUS.match(answer)
    if not status:
        return False, "not an HTTP answer"
    return status[1].startswith(b"2"), f"HTTP {status[1].decode()}"


async def check(kind: CheckKind, endpoint: Endpoint, timeout_s: float, clock: Clock) -> Checked:
    """One health check of `endpoint`, over after `timeout_s` at the latest."""
    start_ns = clock.now_ns()
    ok, detail = await _ask(kind, endpoint, timeout_s)
    return Checked(start_ns, clock.now_ns(), ok, detail)


class _Talk:
    """One check's connection: what it waits for, and what came of it so far."""

    def __init__(self, connection: socket.socket, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.phase = "connecting"
        self.verdict: Verdict | None = None
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._left = SIZE_MAX
        self._answer = bytearray()

    async def connect(self) -> None:
        await self._loop.sock_connect(self._connection, self.endpoint)

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._connection, data)

    async def receive(self) -> bytes:
        """What came next; b"" once the peer has closed, or has said too much."""
        if not self._left:
            return b""
        chunk = await self._loop.sock_recv(self._connection, self._left)
        self._left -= len(chunk)
        return chunk

    async def hear(self, receive: Callable[[], Awaitable[bytes]]) -> None:
        """Take an HTTP answer. Its status counts as soon as it is there, whatever becomes of the
        connection."""
        self.phase = "waiting for the answer"
        while chunk := await receive():
            self._answer += chunk
            if _STATUS.match(self._answer):
                self.verdict = judge(bytes(self._answer))
        self.verdict = judge(bytes(self._answer))

    async def leave(self) -> None:
        """Say that there is no more, and read what the peer still has to say."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while await self.receive():
                pass


class _Tls:
    """TLS over a talk, by buffers: no call of it waits but for the talk's."""

    def __init__(self, talk: _Talk) -> None:
        self._talk = talk
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context().wrap_bio(self._incoming, self._outgoing)

    async def handshake(self) -> None:
        """SSLError: the peer speaks no TLS, or not ours."""
        await self._done(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        await self._done(lambda: self._tls.write(data))

    async def receive(self) -> bytes:
        """As the talk's; also a peer that closes without ending its TLS has closed."""
        try:
            return await self._done(lambda: self._tls.read(SIZE_MAX))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def _done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                await self._flush()  # the alert that says why
                raise
            else:
                await self._flush()
                return result
            if chunk := await self._talk.receive():
                self._incoming.write(chunk)
            else:
                self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._talk.send(data)


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _http(talk: _Talk) -> None:
    await talk.send(_request(talk.endpoint))
    await talk.hear(talk.receive)


async def _https(talk: _Talk) -> None:
    talk.phase = "in the TLS handshake"
    tls = _Tls(talk)
    try:
        await tls.handshake()
        await tls.send(_request(talk.endpoint))
        await talk.hear(tls.receive)
    except ssl.SSLError as error:
        talk.verdict = talk.verdict or (False, _tls_words(error))
    await talk.leave()


async def _tcp(talk: _Talk) -> None:
    talk.verdict = True, "connected"
    await talk.leave()


_KINDS: dict[CheckKind, Callable[[_Talk], Awaitable[None]]] = {
    "http": _http,
    "https": _https,
    "tcp": _tcp,
}


async def _ask(kind: CheckKind, endpoint: Endpoint, timeout_s: float) -> Verdict:
    family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)  # noqa: FBT003
        talk = _Talk(connection, endpoint)
        try:
            async with asyncio.timeout(timeout_s):
                await talk.connect()
                await _KINDS[kind](talk)
        except TimeoutError:
            return talk.verdict or (False, f"timed out {talk.phase}")
        except OSError as error:
            return False, _WORDS.get(error.errno or 0) or str(error.strerror or error)
    return talk.verdict or (False, "closed without an answer")


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed in the TLS handshake"
    if error.reason == "WRONG_VERSION_NUMBER":
        return "TLS failed: the peer speaks something else"
    reason = (error.reason or "unknown").removeprefix("SSLV3_ALERT_").removeprefix("TLSV1_ALERT_")
    return f"TLS failed: {reason.lower().replace('_', ' ')}"


def _request(endpoint: Endpoint) -> bytes:
    return (
        f"GET /healthz HTTP/1.1\r\nHost: {endpoint[0]}:{endpoint[1]}\r\n"
        "User-Agent: netemu-health-check\r\nConnection: close\r\n\r\n"
    ).encode()
