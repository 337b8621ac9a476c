"""TLS of a client's connections: the handshake, reading and writing, errors, and the goodbye.

By buffers, not by Python's own TLS sockets: those tell a RST for a FIN (until 3.12.2), and here the
socket is read by us alone.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic_ns

from emulator.clock import NS_PER_S
from emulator.node.client.city import City, Failure, failure_of
from emulator.node.client.loop import Conn, Loop

LINGER_NS = NS_PER_S  # a peer that is there says goodbye within a round trip
_RECORD = 65536  # bytes read at once; more than one record of TLS has


class TlsSocket:
    """An open connection inside TLS, with the ways of a socket that never blocks."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self.raw = raw
        self.fileno = raw.fileno
        self.close = raw.close
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def shake(self) -> bool:
        """Go on with the handshake as far as what has come allows: whether it is done. OSError,
        SSLError among them: it has failed."""
        self._fill()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError:
            with suppress(OSError):
                self._flush()  # the alert that says why
            raise
        self._flush()
        return True

    def recv(self, size: int) -> bytes:
        """What came, of any length; b"" at the end, which either side's TCP or TLS may say.
        BlockingIOError: nothing yet, though something was readable, as a session ticket is."""
        self._fill()
        parts: list[bytes] = []
        try:
            while part := self._tls.read(size):
                parts.append(part)
        except ssl.SSLWantReadError:
            if not parts:
                raise BlockingIOError(errno.EAGAIN, "nothing of use yet") from None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return b"".join(parts)

    def send(self, data: bytes) -> int:
        self._tls.write(data)
        self._flush()
        return len(data)

    def _fill(self) -> None:
        try:
            data = self.raw.recv(_RECORD)
        except BlockingIOError:
            return
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self.raw.send(data)


class Handshake:
    """On a connection that is open and not watched. Calls `done` exactly once, possibly before
    `begin` returns, unless the connection is closed before: with a failure, or with None once
    `sock` can be used, which is not watched then."""

    def __init__(
        self,
        city: City,
        raw: socket.socket,
        context: ssl.SSLContext,
        done: Callable[[Failure | None], None],
    ) -> None:
        self._loop = city.loop
        self._done = done
        self.sock = TlsSocket(raw, context, city.config.fqdn)

    def begin(self) -> None:
        self._loop.watch(self.sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP, self._go_on)
        self._go_on(0)

    def _go_on(self, _mask: int) -> None:
        try:
            is_done = self.sock.shake()
        except OSError as error:
            self._done(failure_from(error))
            return
        if is_done:
            self._loop.forget(self.sock.fileno())
            self._done(None)


def failure_from(error: OSError) -> Failure:
    """How a connection failed, by what it raised; TLS has errors that are no errno."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure("error", "certificate", "us")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure("error", "EOF", "peer-fin")
    if isinstance(error, ssl.SSLError):
        return Failure("error", "EPROTO", "us")
    return failure_of(error.errno or errno.EIO)


def leave(loop: Loop, sock: Conn) -> None:
    """Close a connection that is at rest. A peer that speaks TLS answers our FIN with its goodbye
    (close_notify; RFC 8446, 6.1), so that is waited for: closed at once, we would answer it with a
    RST that no fault caused."""
    if isinstance(sock, TlsSocket):
        _Leaving(loop, sock.raw)
    else:
        loop.close(sock)


class _Leaving:
    """Reads and drops what comes until the peer's FIN."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        loop.forget(sock.fileno())
        self._timer = loop.at(monotonic_ns() + LINGER_NS, self._end)
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:  # it was reset
            self._end()
            return
        loop.watch(sock.fileno(), select.EPOLLIN, self._read)

    def _read(self, _mask: int) -> None:
        try:
            is_over = not self._sock.recv(_RECORD)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.close(self._sock)
