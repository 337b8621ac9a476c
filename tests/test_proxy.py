"""The proxy's two halves with a pipe between them instead of a lab: curl and sockets through it."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.controller.proxy import Connection, Proxy, proxy
from emulator.errors import EngineError, UsageError
from tests.curl import curl
from tests.processes import ProcessStream


class _Echo(BaseHTTPRequestHandler):
    """Says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(f"{self.path} for {self.headers['Host']}".encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Web(ThreadingHTTPServer):
    """Hundreds may come at once: whom a full backlog dropped would try again for a minute."""

    request_queue_size = 512


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    """A server's port."""
    with _Web(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class _Program(ProcessStream):
    """That can die."""

    def kill(self) -> None:
        self._process.kill()


class _Here:
    """An engine whose hosts are this machine."""

    def __init__(self) -> None:
        self.streams: list[_Program] = []

    def stream(self, _lab: str, _host: str, command: tuple[str, ...]) -> _Program:
        self.streams.append(_Program([sys.executable, *command[1:]]))
        return self.streams[-1]


@contextmanager
def opened(port: int = 0) -> Iterator[tuple[Proxy, list[Connection], _Here]]:
    told: list[Connection] = []
    engine = _Here()
    lab: Any = SimpleNamespace(name="here", engine=engine)
    with proxy(lab, "paris/client", port, told.append) as found:
        yield found, told, engine


@pytest.fixture(scope="module")
def through() -> Iterator[tuple[Proxy, list[Connection], _Here]]:
    with opened() as found:
        yield found


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_curl_gets_a_page(web, through, scheme):
    """Either way; the server sees its own path and host."""
    address = through[0].address
    done = curl("-x", f"{scheme}://{address}", f"http://localhost:{web}/a?b=c")
    assert done.stdout == f"/a?b=c for localhost:{web}"


def test_curl_posts_by_a_tunnel(web, through):
    """CONNECT; a megabyte there and back."""
    body = "x" * 1_000_000
    words = ("-p", "-x", f"http://{through[0].address}", "--data-binary", "@-")
    assert curl(*words, f"http://localhost:{web}/", stdin=body).stdout == body


def test_the_environment_is_enough(web, through):
    """For programs that know nothing of us; hosts here are not an exception."""
    done = curl(f"http://localhost:{web}/", environment=through[0].environment)
    assert done.stdout == f"/ for localhost:{web}"


def test_each_connection_is_told(web, through):
    """Where it went and how long that took."""
    curl("-x", f"socks5h://{through[0].address}", f"http://localhost:{web}/")
    told = through[1][-1]
    assert (told.name, told.port, told.why) == ("localhost", web, "")
    assert told.address in {"127.0.0.1", "::1"}
    assert 0 < told.ms < 5000


@pytest.mark.parametrize(
    ("target", "curls_code", "why"),
    [
        ("http://127.0.0.1:9/", 97, "connection refused"),
        ("http://no-such-name.invalid/", 97, "name"),
    ],
)
def test_what_fails_there_fails_here(through, target, curls_code, why):
    """In SOCKS5's words to curl (97: the proxy could not connect), by HTTP with a page."""
    address = through[0].address
    assert curl("-x", f"socks5h://{address}", target).returncode == curls_code
    assert why in through[1][-1].why
    done = curl("-w", "%{http_code}", "-x", f"http://{address}", target)
    assert done.stdout.endswith("502")
    assert why in done.stdout


def test_three_hundred_at_once(web, through):
    """Each with its own answer."""
    answers: list[str] = []

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", through[0].port), timeout=60) as sock:
            sock.sendall(
                f"GET http://localhost:{web}/{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            with sock.makefile("rb") as file:
                answers.append(file.read().decode().rpartition("\n")[2])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(f"/{number} for x" for number in range(300))


def test_a_port_that_is_taken_is_a_usage_error(through):
    """Said with its number; nothing is left."""
    port = through[0].port
    with pytest.raises(UsageError, match=f"{port}: address already"), opened(port):
        pass


def test_connections_end_with_the_block(web):
    """And the port is free again."""
    with opened() as (found, _, engine):
        held = socket.create_connection(("127.0.0.1", found.port), timeout=10)
        held.sendall(f"CONNECT 127.0.0.1:{web} HTTP/1.1\r\n\r\n".encode())
        assert held.recv(100).startswith(b"HTTP/1.1 200 ")
    with held, pytest.raises(ConnectionResetError):
        held.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", found.port))
    assert engine.streams[0].read(1) == b""


def test_a_host_that_dies_ends_it_and_says_so(web):
    """Nobody waits for ever: connections are reset, and who waits for the end is told."""
    with opened() as (found, _, engine):
        held = socket.create_connection(("127.0.0.1", found.port), timeout=10)
        held.sendall(f"CONNECT 127.0.0.1:{web} HTTP/1.1\r\n\r\n".encode())
        assert held.recv(100).startswith(b"HTTP/1.1 200 ")
        engine.streams[0].kill()
        with pytest.raises(EngineError, match="paris/client ended"):
            found.ended.result(10)
        with held, pytest.raises(ConnectionResetError):
            held.recv(1)


def test_a_listener_that_fails_ends_it(web):
    """As one that prints into a pipe which nobody reads any more."""

    def tell(_: Connection) -> None:
        raise BrokenPipeError

    lab: Any = SimpleNamespace(name="here", engine=_Here())
    with proxy(lab, "paris/client", 0, tell) as found:
        curl("-x", f"socks5h://{found.address}", f"http://localhost:{web}/")
        with pytest.raises(BrokenPipeError):
            found.ended.result(10)


def test_a_program_that_cannot_start_is_an_error():
    """Not a port behind which nothing is."""
    engine = _Here()
    engine.stream = lambda *_: _Program([sys.executable, "-c", ""])  # type: ignore[method-assign]
    lab: Any = SimpleNamespace(name="here", engine=engine)
    began = time.monotonic()
    with pytest.raises(EngineError, match="paris/client"), proxy(lab, "paris/client"):
        pass
    assert time.monotonic() - began < 8
