"""TLS of a client's connections: the handshake, what its errors mean, and the goodbye."""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Callable
from time import monotonic_ns

from emulator.clock import NS_PER_S
from emulator.node.client.city import City, Failure, failure_of
from emulator.node.client.loop import Loop

# Nothing to read yet, with or without TLS: what was readable may have been a session ticket.
NOT_YET = (BlockingIOError, ssl.SSLWantReadError)
LINGER_NS = NS_PER_S  # a peer that is there says goodbye within a round trip
_WANTS = {ssl.SSLWantReadError: select.EPOLLIN, ssl.SSLWantWriteError: select.EPOLLOUT}


class Handshake:
    """On a connection that is open and not watched. Calls `done` exactly once, possibly before
    `begin` returns, unless it is dropped before: with a failure, or with `sock` ready for use."""

    def __init__(
        self, city: City, sock: socket.socket, done: Callable[[Failure | None], None]
    ) -> None:
        self._city = city
        self._done = done
        self.sock = sock

    def begin(self, context: ssl.SSLContext) -> None:
        try:
            self.sock = context.wrap_socket(
                self.sock,
                do_handshake_on_connect=False,
                server_hostname=self._city.config.fqdn,
            )
        except OSError as error:  # the connection was reset meanwhile
            self._done(failure_from(error))
            return
        self._go_on(0)

    def _go_on(self, _mask: int) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101 - begin made it one
        self._city.loop.forget(self.sock.fileno())
        try:
            self.sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wants:
            self._city.loop.watch(self.sock.fileno(), _WANTS[type(wants)], self._go_on)
        except OSError as error:
            self._done(failure_from(error))
        else:
            self._done(None)


def failure_from(error: OSError) -> Failure:
    """How a connection failed, by what its socket raised; TLS has errors that are no errno."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure("error", "certificate", "us")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure("error", "EOF", "peer-fin")
    if isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
        return failure_of(errno.EAGAIN)
    if isinstance(error, ssl.SSLError):
        return Failure("error", "EPROTO", "us")
    return failure_of(error.errno or errno.EIO)


def leave(loop: Loop, sock: socket.socket) -> None:
    """Close a connection that is at rest. A peer that speaks TLS answers our FIN with its goodbye
    (close_notify; RFC 8446, 6.1), so that is waited for: closed at once, we would answer it with a
    RST that no fault caused."""
    if isinstance(sock, ssl.SSLSocket):
        _Leaving(loop, sock)
    else:
        loop.close(sock)


class _Leaving:
    """Reads and drops what comes until the peer's FIN."""

    def __init__(self, loop: Loop, sock: ssl.SSLSocket) -> None:
        self._loop = loop
        self._sock = sock
        loop.forget(sock.fileno())
        self._timer = loop.at(monotonic_ns() + LINGER_NS, self._end)
        try:
            sock.shutdown(socket.SHUT_WR)  # what is read from now on is not decrypted
        except OSError:  # it was reset
            self._end()
            return
        loop.watch(sock.fileno(), select.EPOLLIN, self._read)

    def _read(self, _mask: int) -> None:
        try:
            ended = not self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.close(self._sock)
