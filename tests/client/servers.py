"""Small servers on 127.0.0.0/8 that answer, or fail, in exactly one way each."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dnslib

US, EU = "127.0.1.1", "127.0.2.1"
REGIONS = {"us-east": ["127.0.1.0/24"], "eu-west": ["127.0.2.0/24"]}

Serve = Callable[[socket.socket], None]


class Dns:
    """Answers every question with `rcode` and `addresses`; not at all while `silent` counts."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.port: int = sock.getsockname()[1]
        self.addresses = [US]
        self.rcode = "NOERROR"
        self.ttl = 5
        self.silent = 0  # questions to ignore; -1: all
        self.asked: list[tuple[int, int]] = []  # source port, id

    def run(self) -> None:
        with suppress(OSError):  # closed under us: the end
            while data := (received := self._sock.recvfrom(512))[0]:
                source = received[1]
                query = dnslib.DNSRecord.parse(data)
                self.asked.append((source[1], query.header.id))
                if self.silent:
                    self.silent -= 1
                    continue
                self._sock.sendto(self._answer(query), source)

    def _answer(self, query: dnslib.DNSRecord) -> bytes:
        reply = query.reply()
        reply.header.rcode = getattr(dnslib.RCODE, self.rcode)
        for address in self.addresses if self.rcode == "NOERROR" else ():
            reply.add_answer(dnslib.RR(query.q.qname, rdata=dnslib.A(address), ttl=self.ttl))
        return bytes(reply.pack())


@contextmanager
def dns_server() -> Iterator[Dns]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        server = Dns(sock)
        with _thread(server.run):
            yield server
            _poke(sock)


def _poke(sock: socket.socket) -> None:
    """Wake the thread in recvfrom with an empty datagram: closing alone would leave it there."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def _thread(run: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(5)
    assert not thread.is_alive()


class Tcp:
    """A listener on all of 127.0.0.0/8; every connection goes to what `serve` is at the time."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self._listener = socket.create_server(("", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def run(self) -> None:
        with suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                self._open.append(conn)
                threading.Thread(target=self._one, args=(conn,), daemon=True).start()

    def _one(self, conn: socket.socket) -> None:
        with suppress(OSError):
            self.serve(conn)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conn in self._open:
            conn.close()


@contextmanager
def tcp_server(serve: Serve) -> Iterator[Tcp]:
    server = Tcp(serve)
    with _thread(server.run):
        yield server
        server.close()


@contextmanager
def udp_server(serve: Callable[[socket.socket, bytes, tuple[str, int]], None]) -> Iterator[int]:
    """Hands every datagram to `serve`; gives the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((US, 0))

        def run() -> None:
            with suppress(OSError):
                while data := (received := sock.recvfrom(2048))[0]:
                    serve(sock, data, received[1])

        with _thread(run):
            yield sock.getsockname()[1]
            _poke(sock)


def http(status: int = 200, region: str = "us-east", extra: str = "", requests: int = 0) -> Serve:
    """Answers every request of a connection; after `requests` of them (0: never) it closes."""

    def serve(conn: socket.socket) -> None:
        answered = 0
        while receive_head(conn):
            answered += 1
            conn.sendall(
                f"HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\nX-Netemu-Region: {region}\r\n"
                f"X-Netemu-Server: www-1\r\nX-Netemu-Protocol: HTTP/1.1\r\n{extra}\r\nok".encode()
            )
            if answered == requests:
                conn.close()

    return serve


def receive_head(conn: socket.socket) -> bytes:
    """One request's head; empty when the client has closed."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        part = conn.recv(4096)
        if not part:
            return b""
        data += part
    return data


def reset(conn: socket.socket) -> None:
    """RST instead of an answer."""
    conn.recv(4096)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def hang_up(conn: socket.socket) -> None:
    """FIN instead of an answer."""
    conn.recv(4096)
    conn.close()


def silence(conn: socket.socket) -> None:
    """The handshake, and nothing more."""


def echo(conn: socket.socket) -> None:
    while data := conn.recv(4096):
        conn.sendall(data)


def udp_echo(sock: socket.socket, data: bytes, source: tuple[str, int]) -> None:
    sock.sendto(data, source)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on and nobody else gets."""
    with socket.socket() as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        sock.bind((US, 0))
        udp.bind(("127.0.3.1", sock.getsockname()[1]))
        yield sock.getsockname()[1]


@contextmanager
def full_port() -> Iterator[int]:
    """A port whose accept queue is full: the kernel drops every SYN."""
    with socket.create_server((US, 0), backlog=0) as listener:
        first = socket.create_connection(listener.getsockname())
        second = socket.socket()
        second.setblocking(False)
        second.connect_ex(listener.getsockname())
        with first, second:
            yield listener.getsockname()[1]


@contextmanager
def mute_port() -> Iterator[int]:
    """Handshakes complete and data is acknowledged, by the kernel alone."""
    with socket.create_server((US, 0), backlog=4096) as listener:
        yield listener.getsockname()[1]
