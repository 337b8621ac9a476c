"""Runs the client as its host's init does, and reads the events it writes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.analysis.lines import typed
from emulator.events import Connection, Event, Request
from tests.client.servers import REGIONS

PATIENCE_S = 10.0  # far above any timeout used here: only a broken client takes that long

SLACK_S = 0.2  # how late a process may be on two busy cores: 25 ms were seen, 200 ms never


def takes_about(seconds: float, ns: int) -> bool:
    """Whether a duration is a timeout of ours: never early, late by no more than the machine."""
    return seconds * 1e9 <= ns < (seconds + SLACK_S) * 1e9


class Running:
    """A client process: `events` grows while it lives."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.events: list[Event] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                return  # killed in the middle of a write
            event = typed(json.loads(line))
            assert event is not None, line
            with self._more:
                self.events.append(event)
                self._more.notify_all()

    def until(self, found: Callable[[Running], Any], what: str = "") -> Any:
        """The first true value of `found(self)`, looked at after every event."""
        result: list[Any] = []

        def look() -> bool:
            result[:] = [found(self)]
            return bool(result[0])

        with self._more:
            if not self._more.wait_for(look, PATIENCE_S):
                raise AssertionError(f"never happened: {what or found}; saw {self.events[-5:]}")
        return result[0]

    def of(self, cls: type[Event], **wanted: Any) -> list[Any]:
        """The events of a kind whose fields are as wanted."""
        return [
            event
            for event in list(self.events)
            if isinstance(event, cls)
            and all(getattr(event, name) == value for name, value in wanted.items())
        ]

    def requests(self, count: int = 1, **wanted: Any) -> list[Request]:
        """The first `count` requests with such fields."""
        found = self.until(
            lambda run: len(run.of(Request, **wanted)) >= count and run.of(Request, **wanted),
            f"{count} requests with {wanted}",
        )
        return list(found[:count])

    def connection(self, **wanted: Any) -> Connection:
        """The first connection event with such fields."""
        found = self.until(lambda run: run.of(Connection, **wanted), f"connection with {wanted}")
        return found[0]  # type: ignore[no-any-return]

    def send(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        """SIGTERM, and read to the end."""
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0
        self.read_to_the_end()

    def read_to_the_end(self) -> None:
        """Of a process that has ended: its pipe may not be closed under the reader."""
        self._reader.join(PATIENCE_S)


def loads(**kinds: float | Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What a client is told to do: a rate alone, or all that there is to say of a kind."""
    return {kind: {"rate": x} if isinstance(x, int | float) else x for kind, x in kinds.items()}


def config(
    dns_port: int, port: int, echo_port: int, kinds: Mapping[str, float | Mapping[str, Any]]
) -> dict[str, Any]:
    """A client.json with timeouts short enough for a test."""
    return {
        "city": "paris",
        "asks": [["127.0.0.1", dns_port]],
        "service": {
            "name": "www",
            "fqdn": "www.shop.test",
            "port": port,
            "path": "/",
            "echo_port": echo_port,
        },
        "regions": REGIONS,
        "timeouts": {"lookup_s": 0.3, "connect_s": 0.3, "response_s": 0.3},
        "loads": loads(**kinds),
        "udp_port": _free_ports(),
    }


def _free_ports() -> int:
    """The first of eight UDP ports in a row, below the ephemeral ones; another for every caller."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return 10_000 + port % 2500 * 8


@contextmanager
def running(tmp_path: Path, settings: Mapping[str, Any]) -> Iterator[Running]:
    """The client under these settings, ended on the way out."""
    path = tmp_path / "client.json"
    path.write_text(json.dumps(settings))
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator.node.client", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        run = Running(process)
        try:
            yield run
        finally:
            process.kill()
            run.read_to_the_end()
