"""A real name server in a process of its own, and the event lines it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.query

from emulator.analysis.lines import typed
from emulator.events import Event
from tests.dns.examples import config_json

DEADLINE_S = 20.0  # far above what anything here takes; only a broken server meets it
PORT, ADMIN_PORT = 5300, 9153


def own_address(number: int) -> str:
    """An address of 127.0.0.0/8 that other test runs on this machine hardly use."""
    pid = os.getpid()
    return f"127.{100 + (pid >> 8) % 100}.{pid % 256}.{number}"


class Server:
    """The process; its events so far are in `events`, which `wait_for` extends."""

    def __init__(self, config: Path, address: str) -> None:
        self.address = address
        self.events: list[Event] = []
        self._reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emulator.node.dns", str(config)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[writer],
            env={**os.environ, "NETEMU_EVENTS": str(writer)},
        )
        os.close(writer)
        self._lines = os.fdopen(self._reader, "rb")

    def wait_for(self, wanted: Callable[[Event], bool]) -> Event:
        """The next event that is wanted. Fails when the server ends or the deadline passes."""
        watchdog = threading.Timer(DEADLINE_S, self.process.kill)
        watchdog.start()
        try:
            for line in self._lines:
                event = typed(json.loads(line))
                assert event is not None
                self.events.append(event)
                if wanted(event):
                    return event
        finally:
            watchdog.cancel()
        raise AssertionError(f"the server ended before the event came; it sent {self.events}")

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(
        self, name: str = "www.shop.test", source: str = "127.0.0.1", qtype: str = "A"
    ) -> dns.message.Message:
        query = dns.message.make_query(name, qtype)
        return dns.query.udp(query, self.address, DEADLINE_S, PORT, source=source)

    def addresses(self, source: str = "127.0.0.1") -> list[str]:
        """Sorted addresses of the service, as a resolver at `source` is told."""
        answer = self.ask(source=source).answer
        return sorted(record.to_text() for rrset in answer for record in rrset)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_S)
        for stream in (self._lines, self.process.stdin, self.process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def name_server(
    directory: Path, *services: dict[str, Any], address: str, **changes: Any
) -> Iterator[Server]:
    """A server of `services` at `address`; 127.3/16 is New York's, 127.4/16 is Paris's."""
    sites = [
        {
            "name": "new-york",
            "prefixes": ["127.3.0.0/16"],
            "rtt_ms": {"us-east": 9.0, "eu-west": 76.0},
            "distance_km": {"us-east": 330, "eu-west": 5100},
        },
        {
            "name": "paris",
            "prefixes": ["127.4.0.0/16"],
            "rtt_ms": {"eu-west": 7.0, "us-east": 79.0},
            "distance_km": {"eu-west": 780, "us-east": 6200},
        },
    ]
    settings = {
        "listen": [address],
        "port": PORT,
        "admin": [address, ADMIN_PORT],
        "state_file": str(directory / "forced.json"),
        "sites": sites,
    }
    path = directory / "dns.json"
    path.write_text(json.dumps(config_json(*services, **settings | changes)))
    server = Server(path, address)
    try:
        yield server
    finally:
        server.stop()
