"""A real lab for tests: short timings, watched from the wire, calm before every story."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from emulator.clock import NS_PER_MS
from emulator.controller.inject import heal_everything
from emulator.controller.lab import Lab, bring_up, remove_lab
from emulator.controller.ready import wait_until_ready
from emulator.controller.traffic import (
    cities,
    even_traffic,
    flush_caches,
    start_traffic,
    stop_traffic,
    wait_until_idle,
)
from emulator.engine.base import Engine
from emulator.engine.build import ensure_images
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.plan.own import builds
from emulator.topology.model import CLIENT_KINDS
from emulator.topology.parse import load_topology, parse_topology
from emulator.wan.base import Event, FaultRecord
from emulator.wan.remote import RemoteWan
from tests.capture import PATIENCE_S, Capture, wait_until
from tests.stalls import Stalls

# Short timings, so that a failover takes seconds; otherwise what topologies/two-region.yaml says.
TWO_REGIONS = """\
netemu: 1
name: faults
zone: shop.test
regions:
  us-east: {location: aws:us-east-1, servers: 2}
  eu-west: {location: aws:eu-west-1, servers: 2}
clients:
  new-york: {location: city:New York}
  paris: {location: city:Paris/FR}
dns: {ttl: 2s, policy: latency, health_check: {interval: 500ms, timeout: 500ms, fall: 3, rise: 2}}
services:
  www: {port: 80, balance: l7, drain_timeout: 3s}
"""
HOME = {"new-york": "us-east", "paris": "eu-west"}
SITE = {"us-east": 1, "eu-west": 2, "new-york": 3, "paris": 4, "ns1": 5, "ns2": 6}
US_EAST, EU_WEST = "198.18.1.1", "198.18.2.1"  # the service's addresses
NEW_YORK_CLIENT = "10.3.0.2"
LIGHT = {**dict.fromkeys(CLIENT_KINDS, 5.0), "stream": 20.0}  # 4 streams: 2 on each server
# A frame that is due leaves later when the machine is busy; an instant is known this well, not
# counting what `stalls` saw.
SLACK_NS = 20 * NS_PER_MS

# Connects, says so, sends every line it is told, says what comes; in a host of the lab.
_HOLDER = """
import socket, sys, threading, time
def say(*words): print(*words, flush=True)
def listen():
    try:
        while data := connection.recv(65536): say("data", data.decode().strip())
        say("fin")
    except OSError as error: say("error", error.errno)
try: connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
except OSError as error: say("error", error.errno); sys.exit()
connection.settimeout(None)
say("open", connection.getsockname()[1])
threading.Thread(target=listen, daemon=True).start()
for line in sys.stdin:
    try: connection.send(line.encode())
    except OSError as error: say("error", error.errno)
"""

# Until a line or the end of the lines comes; the resolver and the name are the host's own.
_CURL = """
while true; do
    curl -s -o /dev/null -m 5 -w '%{http_code} %{exitcode}\\n' "$1"
    read -r -t 0.05
    [ $? -gt 128 ] || exit
done
"""

# One query for A of a name, over UDP to port 53 (RFC 1035, 4.1): says what came of it in 1 s.
_QUERY = """
import socket, sys
question = b"".join(bytes([len(label)]) + label.encode() for label in sys.argv[2].split("."))
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(1)
asking.connect((sys.argv[1], 53))
try:
    asking.send(bytes([7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + question + bytes([0, 0, 1, 0, 1]))
    print("answer", asking.recv(512)[3] & 15)
except TimeoutError: print("silence")
except OSError as error: print("error", error.errno)
"""


class Holder:
    """One TCP connection held open by a small program in a host; what it saw, in words."""

    def __init__(self, engine: Engine, lab: str, host: str, address: str, port: int) -> None:
        argv = ("python3", "-c", _HOLDER, address, str(port), "5")
        self._stream = engine.stream(lab, host, argv)
        self._said: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.opened = self.wait_for(("open", "error"))
        self.port = int(self.opened.split()[1])

    def __enter__(self) -> Holder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def _read(self) -> None:
        unread = b""
        while chunk := self._stream.read(4096):
            *lines, unread = (unread + chunk).split(b"\n")
            with self._news:
                self._said += [line.decode() for line in lines]
                self._news.notify_all()

    @property
    def said(self) -> list[str]:
        """`open PORT`, `data TEXT`, `fin`, `error ERRNO`, in the order in which they happened."""
        with self._news:
            return list(self._said)

    def wait_for(self, begins: str | tuple[str, ...], patience_s: float = PATIENCE_S) -> str:
        """The first word that begins so."""

        def found() -> list[str]:
            return [line for line in self._said if line.startswith(begins)]

        with self._news:
            assert self._news.wait_for(found, patience_s), f"no {begins}; it said {self._said}"
            return found()[0]

    def send(self, text: str) -> None:
        """Send one line over the connection."""
        self._stream.write(text.encode() + b"\n")


@dataclass
class World:
    """A running lab, and how to look at it."""

    lab: Lab
    engine: Engine
    stalls: Stalls

    def calm(self, rates: Mapping[str, float] = LIGHT) -> None:
        """No fault, caches empty, the load started anew and every city served by its region."""
        heal_everything(self.lab)
        stop_traffic(self.lab)
        wait_until_idle(self.lab)
        wait_until_ready(self.lab.plan, self.lab.wan)
        flush_caches(self.lab)
        since = self.seq()
        start_traffic(self.lab, even_traffic(rates))
        wanted = {(city, kind) for city in cities(self.lab) for kind in rates if rates[kind]}
        wait_until(lambda: wanted <= self._served(since), "every city is served by its region")

    def _served(self, since: int) -> set[tuple[str, str]]:
        return {
            (e["city"], e["client"])
            for e in self.requests(since)
            if e["outcome"] == "ok" and e["region"] == HOME[e["city"]]
        }

    def seq(self) -> int:
        """The number of the next event."""
        return int(self.lab.wan.stats()["seq"]) + 1

    def events(self, since: int) -> list[Event]:
        """Every event from this number until now."""
        last = int(self.lab.wan.stats()["seq"])
        found: list[Event] = []
        if since > last:
            return found
        reader: Any = self.lab.wan.events(since)
        for event in reader:
            if event is not None:
                found.append(event)
                if event["seq"] >= last:
                    break
        reader.close()
        return found

    def requests(self, since: int, **fields: object) -> list[Event]:
        """The load's requests that ended since then, and have these values."""
        return [
            e
            for e in self.events(since)
            if e["kind"] == "request" and all(e[key] == value for key, value in fields.items())
        ]

    def stalled(self, since: int, count: int) -> set[int]:
        """Waits for the stalls of so many of new-york's streams; their ports there."""
        ports: set[int] = set()

        def found() -> bool:
            requests = self.requests(since, client="stream", city="new-york", detail="stalled")
            ports.update(e["port"] for e in requests)
            return len(ports) >= count

        wait_until(found, f"{count} streams stall")
        return ports

    def instant(self, fault: FaultRecord, phase: str, since: int) -> int:
        """When a fault came to this phase, on the lab's clock."""
        return next(
            int(e["t"])
            for e in self.events(since)
            if e["kind"] == "fault" and e["id"] == fault.id and e["phase"] == phase
        )

    def after(self, instant: int, slack_ns: int = SLACK_NS) -> int:
        """When what happened at this instant has had its effect, however busy the machine is."""
        return self.stalls.deadline(instant, slack_ns)

    def capture(self, site: str) -> Capture:
        """What crosses a site's port to the WAN."""
        return Capture(self.engine, self.lab.name, f"w{SITE[site]}")

    def hold(self, host: str, address: str, port: int = 7) -> Holder:
        """A TCP connection from a host; to the echo, unless said otherwise."""
        return Holder(self.engine, self.lab.name, host, address, port)

    def run(self, host: str, *argv: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """A program in a host: rc, out, err."""
        asked = {host: ("run", {"argv": list(argv), "timeout_s": timeout_s})}
        return self.lab.wan.hosts(asked, timeout_s + 2)[host]

    def query(self, city: str, server: str) -> str:
        """A query straight from a city's client to a name server: `answer RCODE`, `silence` or
        `error ERRNO`."""
        address = f"198.18.{SITE[server]}.53"
        fqdn = self.lab.plan.services[0].fqdn
        said = self.run(f"{city}/client", "python3", "-c", _QUERY, address, fqdn)
        return str(said["out"]).strip()

    def lookup(self, city: str) -> list[str]:
        """What a city's resolver answers to a client now: addresses; empty where it does not."""
        asked = self.lab.wan.now_ns()
        line = json.dumps({"op": "lookup"})
        self.lab.wan.host(f"{city}/client", "send", daemon="client", line=line)
        found: list[Event] = []

        def answered() -> bool:
            found[:] = [
                e
                for e in self.lab.wan.latest()
                if e["kind"] == "lookup" and e["city"] == city and e["t"] >= asked
            ]
            return bool(found)

        wait_until(answered, f"{city}'s client said what its resolver answers")
        return list(found[0]["addresses"])

    def one_way_ns(self, source: str, target: str) -> int:
        """A path's delay, as the plan says."""
        return next(
            path.impairment.delay_ns
            for path in self.lab.plan.paths
            if (path.source, path.target) == (source, target)
        )

    @contextmanager
    def pinging(self, host: str, address: str) -> Iterator[Callable[[], object]]:
        """A ping every 2 ms for the length of the block, at most 30 s; what it yields waits until
        one is answered."""
        until_told = 'ping -n -i 0.002 -w 30 "$1" & read -r; kill $!'
        argv = ("bash", "-c", until_told, "ping", address)
        stream = self.engine.stream(self.lab.name, host, argv)

        def wait_for_an_answer() -> None:
            said = b""
            while b"time=" not in said:
                part = stream.read(4096)
                assert part, f"ping ended: {said!r}"
                said += part

        try:
            yield wait_for_an_answer
        finally:
            stream.close()

    @contextmanager
    def curl(self, host: str, url: str) -> Iterator[list[str]]:
        """curl again and again, a new connection each time; when the block ends the
        list holds what each saw: `<HTTP status> <curl's exit code>`."""
        argv = ("bash", "-c", _CURL, "curl", url)
        stream = self.engine.stream(self.lab.name, host, argv)
        seen: list[str] = []
        try:
            yield seen
        finally:
            stream.write(b"\n")
            said = b"".join(iter(lambda: stream.read(65536), b""))
            stream.close()
            seen += said.decode().splitlines()


@contextmanager
def running(engine: Engine, image: str, text: str = TWO_REGIONS) -> Iterator[World]:
    """A lab with a name of its own; removed whatever happens."""
    with running_plan(
        engine, image, make_plan(parse_topology(text, "a test"), new_name())
    ) as world:
        yield world


def new_name() -> str:
    """Of a lab that cannot be anybody's."""
    return f"test-{uuid.uuid4().hex[:8]}"


@contextmanager
def running_plan(engine: Engine, image: str, plan: Plan) -> Iterator[World]:
    """The lab of a plan; removed whatever happens."""
    lab = bring_up(plan, engine, RemoteWan, image, lambda _stage, _done: None)
    try:
        with Stalls() as stalls:
            yield World(lab, engine, stalls)
    finally:
        lab.wan.close()
        remove_lab(engine, plan.lab)


@contextmanager
def running_example(engine: Engine, file: Path) -> Iterator[World]:
    """A lab of a shipped topology, whose images are built first."""
    plan = make_plan(load_topology(file), new_name())
    image = ensure_images(builds(plan), lambda _stage, _done: None)
    with running_plan(engine, image, plan) as world:
        yield world


@pytest.fixture(scope="session")
def world(engine: Engine, image: str) -> Iterator[World]:
    """One lab for every proof of a fault; each calms it before it begins."""
    with running(engine, image) as made:
        yield made


def every(events: list[Event], holds: Callable[[Event], bool]) -> bool:
    """All of them, and at least one."""
    return bool(events) and all(holds(event) for event in events)
