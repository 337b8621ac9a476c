"""init asks beside a server what its balancer would, until it is well or time is up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from emulator.node.init.well import Check
from emulator.node.loop import Loop

OK = b"HTTP/1.1 200 OK\r\n\r\n"


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Gives each connection its answer, the last one for ever, and hangs up; its port, and what it
    was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(answers[min(len(asked), len(answers)) - 1])

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def passes(port: int, path: str = "/ready?x=1", seconds: float = 1.0) -> bool:
    loop = Loop()
    check = Check("127.0.0.1", port, path, "api.shop.test", [200, 399])
    end = loop.start(check.passes_within(loop, seconds))
    end.then(lambda _: loop.stop())
    if not end.done:
        loop.run()
    is_well: bool = end.result()
    return is_well


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port: int = gone.getsockname()[1]
    return port


def test_it_asks_for_the_path_by_the_services_name() -> None:
    with server(OK) as (port, asked):
        assert passes(port)
    assert asked == [b"GET /ready?x=1 HTTP/1.1\r\nHost: api.shop.test\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 Not yet\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 ", b"", b"\x00" * 9000]
)
def test_what_is_not_well_is_asked_again(answer: bytes) -> None:
    """A bad status, another protocol, half a line, nothing, too much."""
    with server(answer, answer, OK) as (port, asked):
        assert passes(port)
    assert len(asked) == 3


def test_it_gives_up_in_time() -> None:
    with server(b"HTTP/1.1 404 Not Found\r\n\r\n") as (port, _):
        began = time.monotonic()
        assert not passes(port, seconds=0.3)
        assert time.monotonic() - began < 1.0


def test_a_program_that_begins_to_listen_is_seen(free_port: int) -> None:
    """Refused until then; only a connection is wanted."""
    opened: list[socket.socket] = []
    timer = threading.Timer(0.2, lambda: opened.append(socket.create_server(("", free_port))))
    timer.start()
    assert passes(free_port, path="", seconds=5.0)
    timer.join()
    opened[0].close()


def test_nobody_there_is_not_well(free_port: int) -> None:
    assert not passes(free_port, seconds=0.12)


def test_one_that_accepts_and_says_nothing_is_not_well() -> None:
    """Within the time of one check, whatever was granted."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert not passes(silent.getsockname()[1], seconds=0.1)
        assert time.monotonic() - began < 3.0
