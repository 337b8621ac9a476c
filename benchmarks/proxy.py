"""What `netemu proxy` adds to a round trip, how much it carries, and how many connections."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from statistics import median

from benchmarks.host import taken_since, ticks
from benchmarks.labs import fresh_lab
from benchmarks.table import Line, Say, information, median_at_least, median_at_most
from emulator.controller.lab import Lab
from emulator.controller.proxy import Proxy, proxy
from emulator.controller.traffic import stop_traffic, wait_until_idle

ADDED_MS, MBIT_PER_S, CONNECTIONS = 1.0, 500.0, 500  # bounds
ROUNDS = 5
_TRIPS = 300  # round trips of a round
_BULK_S = 3.0
_PORT = 9000
_CITY, _ROUTER = "paris", "eu-west/edge"
# A round trip after the other over one connection to the echo, as seen in the city itself: ms.
_INSIDE = """
import socket, sys, time
sock = socket.create_connection((sys.argv[1], 7))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for _ in range(int(sys.argv[2])):
    began = time.monotonic_ns()
    sock.sendall(b"x" * 64)
    sock.recv(64)
    print((time.monotonic_ns() - began) / 1e6)
"""
_SENDER = """
import socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("listens", flush=True)
while True:
    sock, _ = listener.accept()
    try:
        while True: sock.sendall(bytes(1 << 20))
    except OSError: sock.close()
"""


def measure(say: Say) -> list[Line]:
    """In a lab without load, from a city to the region that is nearest to it."""
    before = ticks()
    with fresh_lab() as lab, proxy(lab, f"{_CITY}/client") as opened:
        stop_traffic(lab)
        wait_until_idle(lab)
        region = _ROUTER.partition("/")[0]
        address = lab.plan.services[0].addresses[region]
        added = _added_ms(lab, opened, address)
        say(f"{median(added):.3f} ms more than in {_CITY} itself")
        bulk = _mbit_per_s(lab, opened)
        say(f"{median(bulk):.0f} Mbit/s")
        held = [float(_held(opened, address, CONNECTIONS)) for _ in range(ROUNDS)]
    return [
        median_at_most("added to a round trip", added, ADDED_MS, "ms"),
        median_at_least("one stream", bulk, MBIT_PER_S, "Mbit/s"),
        median_at_least("connections that answer, of so many at once", held, CONNECTIONS, ""),
        information("what the machine's host took", [100 * taken_since(before)], "%"),
    ]


def _connected(opened: Proxy, target: str) -> socket.socket:
    host, port = opened.address.split(":")
    sock = socket.create_connection((host, int(port)), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    assert sock.recv(100).startswith(b"HTTP/1.1 200 ")  # noqa: S101
    return sock


def _added_ms(lab: Lab, opened: Proxy, address: str) -> list[float]:
    """The median trip of each round through the proxy less the one inside, in turn."""
    found = []
    for _ in range(ROUNDS):
        argv = ["python3", "-c", _INSIDE, address, str(_TRIPS)]
        said = lab.wan.host(f"{_CITY}/client", "run", 60.0, argv=argv)
        inside = median(float(line) for line in said["out"].split())
        with _connected(opened, f"{address}:7") as sock:
            found.append(median(_trip_ms(sock) for _ in range(_TRIPS)) - inside)
    return found


def _trip_ms(sock: socket.socket) -> float:
    began = time.monotonic_ns()
    sock.sendall(b"x" * 64)
    sock.recv(64)
    return (time.monotonic_ns() - began) / 1e6


def _mbit_per_s(lab: Lab, opened: Proxy) -> list[float]:
    """From the region's router to this machine, after the slow start."""
    sender = lab.engine.stream(lab.name, _ROUTER, ("python3", "-c", _SENDER, str(_PORT)))
    site = next(site for site in lab.plan.sites if site.name == _ROUTER.partition("/")[0])
    try:
        assert sender.read(100) == b"listens\n"  # noqa: S101
        return [_rate(opened, f"{site.wan_address}:{_PORT}") for _ in range(ROUNDS)]
    finally:
        sender.close()


def _rate(opened: Proxy, target: str) -> float:
    buffer = bytearray(1 << 20)
    with _connected(opened, target) as sock:
        begin = time.monotonic() + 1.0
        while time.monotonic() < begin:
            sock.recv_into(buffer)
        size, began = 0, time.monotonic()
        while (now := time.monotonic()) < began + _BULK_S:
            size += sock.recv_into(buffer)
        return 8e-6 * size / (now - began)


def _held(opened: Proxy, address: str, count: int) -> int:
    """How many of so many open connections answer."""
    with ExitStack() as stack:
        socks = [stack.enter_context(_connected(opened, f"{address}:7")) for _ in range(count)]
        for sock in socks:
            sock.sendall(b"here")
        return sum(sock.recv(4) == b"here" for sock in socks)
