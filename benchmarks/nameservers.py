"""The name servers that are compared, each a process on 127.0.0.1, and a health endpoint."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emulator.analysis.lines import typed
from emulator.errors import NotReady
from emulator.events import Check, Event, Generation

NAME, US_EAST, EU_WEST = "www.shop.test", "198.18.1.1", "198.18.2.1"
READY_S = 20.0
INTERVAL_S = 0.5  # of the health checks
_KNOT = """\
server:
    rundir: {directory}
    listen: 127.0.0.1@{port}
database:
    storage: {directory}
log:
  - target: stderr
    any: error
zone:
  - domain: shop.test
    storage: {directory}
    file: shop.test.zone
"""
_ZONE = """\
$ORIGIN shop.test.
$TTL 5
@ SOA ns1 hostmaster 1 3600 600 86400 5
@ NS ns1
ns1 A 198.18.5.53
www A 198.18.1.1
"""


def free_port() -> int:
    """One that is free for UDP and TCP now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with suppress(OSError):
                udp.bind(tcp.getsockname())
                return int(tcp.getsockname()[1])


def ask(port: int, name: str = NAME, timeout_s: float = 1.0) -> bytes:
    """The answer to an A query over UDP. Raises TimeoutError."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(timeout_s)
        asking.connect(("127.0.0.1", port))
        asking.send(query)
        return asking.recv(4096)


def wait_until_answering(process: subprocess.Popen[bytes], port: int, name: str = NAME) -> None:
    """Raises NotReady when the server ends, or has not answered in time."""
    until = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError):  # refused as yet
            if ask(port, name, 0.05)[7]:  # has an answer
                return
        time.sleep(0.005)
    raise NotReady(f"{process.args!r} does not answer")


@contextmanager
def running(port: int, command: list[str]) -> Iterator[None]:
    """A server that answers, ended afterwards."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until_answering(process, port)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def stock_dnslib() -> Iterator[int]:
    """Its port."""
    port = free_port()
    with running(port, [sys.executable, "-m", "benchmarks.stock_dnslib", str(port)]):
        yield port


@contextmanager
def knot(directory: Path) -> Iterator[int]:
    """Its port. Knot as Debian ships it: as many UDP workers as there are cores."""
    port = free_port()
    (directory / "shop.test.zone").write_text(_ZONE)
    (directory / "knot.conf").write_text(_KNOT.format(directory=directory, port=port))
    with running(port, ["knotd", "-c", str(directory / "knot.conf")]):
        yield port


class Health:
    """An HTTP endpoint that says what `status` is, for as long as the process lives."""

    def __init__(self) -> None:
        self.status = b"200 OK"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.at: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 0\r\n\r\n")


class Ours:
    """Our name server as a lab starts it, but on 127.0.0.1; its events go to a file."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        path, self._events = directory / "dns.json", directory / "events.jsonl"
        path.write_text(json.dumps(config))
        self.port: int = config["port"]
        with self._events.open("wb") as events:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "emulator.node.dns", str(path)],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[events.fileno()],
                env={**os.environ, "NETEMU_EVENTS": str(events.fileno())},
            )

    def events(self) -> list[Event]:
        """All so far."""
        whole = self._events.read_bytes().rpartition(b"\n")[0].splitlines()
        return [event for line in whole if (event := typed(json.loads(line)))]

    def wait_for_generation(self, count: int = 1) -> None:
        """Until so many were live. Raises NotReady."""
        until = time.monotonic() + READY_S
        while sum(isinstance(event, Generation) for event in self.events()) < count:
            if time.monotonic() > until or self.process.poll() is not None:
                raise NotReady("our name server does not become ready")
            time.sleep(0.02)

    def checks(self, since_ns: int) -> list[Check]:
        return [e for e in self.events() if isinstance(e, Check) and e.t >= since_ns]

    def send(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None  # noqa: S101
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def memory_mb(self) -> float:
        """What it holds of the machine's memory now (resident)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


@contextmanager
def ours(directory: Path, config: dict[str, Any]) -> Iterator[Ours]:
    """Killed afterwards."""
    server = Ours(directory, config)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def latency_routed(directory: Path, us_east: Health, eu_west: Health) -> dict[str, Any]:
    """A configuration: two regions, both near, checked every INTERVAL_S; 127.0.0.1 is nearer to
    us-east."""
    regions = {
        "us-east": {"address": US_EAST, "health": us_east.at},
        "eu-west": {"address": EU_WEST, "health": eu_west.at},
    }
    return config_of(
        directory, [service("www", [NAME], regions)], {"us-east": 9.0, "eu-west": 76.0}
    )


def service(name: str, fqdns: list[str], regions: dict[str, Any]) -> dict[str, Any]:
    check = {
        "kind": "http",
        "interval_s": INTERVAL_S,
        "timeout_s": INTERVAL_S,
        "fall": 1,
        "rise": 1,
    }
    policy = {"kind": "latency", "members": list(regions)}
    return {"name": name, "fqdns": fqdns, "ttl_s": 5, "policy": policy, "check": check,
            "regions": regions}  # fmt: skip


def config_of(
    directory: Path, services: list[dict[str, Any]], rtt_ms: dict[str, float]
) -> dict[str, Any]:
    near = {"name": "here", "prefixes": ["127.0.0.0/8"], "rtt_ms": rtt_ms, "distance_km": rtt_ms}
    return {
        "server": "ns1",
        "zone": "shop.test",
        "listen": ["127.0.0.1"],
        "port": free_port(),
        "admin": ["127.0.0.1", free_port()],
        "name_servers": {"ns1": ["198.18.5.53"]},
        "services": services,
        "sites": [near],
        "tcp_idle_s": 120.0,
        "state_file": str(directory / "forced.json"),
    }
