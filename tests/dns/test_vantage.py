"""Vantage sites: what a name server believes of their reports, and the daemon as a process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.clock import NS_PER_S, ManualClock
from emulator.events import Check, Event, Generation, Health
from emulator.node.dns.config import Service
from emulator.node.dns.reports import DETAIL_MAX, SIZE_MAX, Reports, encode_report
from emulator.node.dns.values import Checked
from tests.dns.endpoint import Endpoint, endpoint
from tests.dns.examples import EU_WEST, US_EAST, service_json
from tests.dns.process import DEADLINE_S, Server, name_server, own_address

REPORTS_PORT = 9953
INTERVAL_S = 0.25

Heard = tuple[str, str, Checked, str]


class Ear:
    """The receiving end, and what it took."""

    def __init__(self) -> None:
        service = Service.from_json(service_json(checkers=["paris", "ns1"]))
        self.clock = ManualClock(100 * NS_PER_S)
        self.heard: list[Heard] = []
        self.reports = Reports([service], self.clock, self._take)

    def _take(self, service: Service, region: str, checked: Checked, checker: str) -> None:
        self.heard.append((service.name, region, checked, checker))

    def hear(self, data: bytes) -> str:
        """Why the datagram was dropped; "": it was taken."""
        before = dict(self.reports.dropped)
        self.reports.datagram_received(data, ("127.0.0.1", 9))
        new = [why for why, count in self.reports.dropped.items() if count != before.get(why, 0)]
        return new[0] if new else ""


def report(**changes: Any) -> bytes:
    """A report that is taken, with changes; None removes a field."""
    fields = {
        "checker": "paris",
        "service": "www",
        "region": "us-east",
        "ok": True,
        "start": 99 * NS_PER_S,
        "end": 99 * NS_PER_S + 5,
        "detail": "HTTP 200",
    } | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def test_what_a_vantage_encodes_is_what_the_server_takes() -> None:
    """Every field survives."""
    ear = Ear()
    checked = Checked(98 * NS_PER_S, 99 * NS_PER_S, False, "timed out connecting")
    assert ear.hear(encode_report("ns1", "www", "eu-west", checked)) == ""
    assert ear.heard == [("www", "eu-west", checked, "ns1")]


def test_a_long_detail_is_cut_by_the_sender() -> None:
    """So that every datagram fits, and every event line stays one write."""
    ear = Ear()
    checked = Checked(1, 2, False, "ä" * 10_000)
    assert ear.hear(encode_report("ns1", "www", "eu-west", checked)) == ""
    assert ear.heard[0][2].detail == "ä" * DETAIL_MAX


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * SIZE_MAX, "no JSON"),
        (b" " * (SIZE_MAX + 1), "too long"),
        (b"[]", "other fields"),
        (b"7", "other fields"),
        (report(detail=None), "other fields"),
        (report(more=1), "other fields"),
        (report(ok=1), "wrong types"),
        (report(start=True), "wrong types"),
        (report(start=1.5), "wrong types"),
        (report(checker=["paris"]), "wrong types"),
        (report(detail="x" * (DETAIL_MAX + 1)), "too long"),
        (report(checker="mars"), "unknown checker"),
        (report(checker=""), "unknown checker"),
        (report(service="ftp"), "unknown service"),
        (report(region="mars"), "unknown region"),
        (report(end=101 * NS_PER_S), "impossible times"),
        (report(end=98 * NS_PER_S), "impossible times"),
    ],
)
def test_what_is_no_report_is_dropped_and_counted(data: bytes, why: str) -> None:
    """Strictly: anybody can send a datagram."""
    ear = Ear()
    assert ear.hear(data) == why
    assert ear.heard == []
    assert ear.reports.dropped == {why: 1}


def test_a_check_is_taken_once_and_in_order() -> None:
    """By its start, for each checker, service and region by itself."""
    ear = Ear()
    assert ear.hear(report()) == ""
    assert ear.hear(report()) == "stale"
    assert ear.hear(report(start=98 * NS_PER_S)) == "stale"
    assert ear.hear(report(region="eu-west")) == ear.hear(report(checker="ns1")) == ""
    assert ear.hear(report(start=99 * NS_PER_S + 1)) == ""
    assert len(ear.heard) == 4


class Vantage:
    """The daemon in a process of its own."""

    def __init__(self, config: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emulator.node.dns.vantage", str(config)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ),
        )

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for_log(self, wanted: str) -> str:
        """The next line of its log that says so."""
        assert self.process.stderr is not None
        watchdog = threading.Timer(DEADLINE_S, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stderr:
                if wanted.encode() in line:
                    return line.decode()
        finally:
            watchdog.cancel()
        raise AssertionError(f"it never said {wanted!r}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_S)
        for stream in (self.process.stdin, self.process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def vantage(
    directory: Path, site: str, service: dict[str, Any], *to: tuple[str, int]
) -> Iterator[Vantage]:
    path = directory / f"{site}.json"
    path.write_text(json.dumps({"site": site, "services": [service], "report_to": to}))
    running = Vantage(path)
    try:
        yield running
    finally:
        running.stop()


def watched(us_east: Endpoint, eu_west: Endpoint, *checkers: str) -> dict[str, Any]:
    """A service that these sites check; fall 2, rise 1."""
    regions = {
        "us-east": {"address": US_EAST, "health": us_east.at},
        "eu-west": {"address": EU_WEST, "health": eu_west.at},
    }
    timing: dict[str, Any] = {
        "interval_s": INTERVAL_S,
        "timeout_s": INTERVAL_S,
        "fall": 2,
        "rise": 1,
    }
    return service_json(regions=regions, checkers=list(checkers), **timing)


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(DEADLINE_S)
        yield bound


def test_the_daemon_tells_every_check_on_its_schedule(tmp_path: Path, ear: socket.socket) -> None:
    """Regions in turn, an interval apart each; a server that is not there disturbs nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
    with endpoint() as good, endpoint(mode="bad") as bad:
        service = watched(good, bad, "paris")
        with vantage(tmp_path, "paris", service, nobody, ear.getsockname()):
            told = [json.loads(ear.recv(SIZE_MAX)) for _ in range(6)]
    assert {(r["checker"], r["service"]) for r in told} == {("paris", "www")}
    said = {r["region"]: (r["ok"], r["detail"]) for r in told}
    assert said == {"us-east": (True, "HTTP 200"), "eu-west": (False, "HTTP 503")}
    starts = [r["start"] for r in told if r["region"] == "us-east"]
    assert len(starts) == 3
    assert starts[2] - starts[0] > 1.5 * INTERVAL_S * NS_PER_S


def test_the_daemon_places_its_checks(tmp_path: Path, ear: socket.socket) -> None:
    """On the instant that a command names, as a name server does; nonsense is logged."""
    with (
        endpoint() as good,
        vantage(tmp_path, "paris", watched(good, good, "paris"), ear.getsockname()) as running,
    ):
        first = json.loads(ear.recv(SIZE_MAX))["start"]
        running.send('{"op": "dance"}')
        assert "no command" in running.wait_for_log("dance")
        moved = first + round(100.5 * INTERVAL_S * NS_PER_S)  # half an interval off, far ahead
        running.send(json.dumps({"op": "phase", "t": moved, "region": "us-east"}))
        running.send('{"op": "ready?"}')
        running.wait_for_log("ready?")  # commands are obeyed in their order

        offs: list[float] = []
        while len(offs) < 8:
            told = json.loads(ear.recv(SIZE_MAX))
            if told["region"] == "us-east":
                offs.append((int(told["start"]) - moved) / NS_PER_S % INTERVAL_S)
    # Those of before the command are half an interval off; how late a check may be: 100 ms.
    assert min(offs[2:]) < 0.1


@pytest.mark.parametrize("text", ["{", "{}", '{"site": "paris", "services": 7, "report_to": []}'])
def test_a_configuration_that_makes_no_sense_ends_it_with_words(tmp_path: Path, text: str) -> None:
    """And the exit code of a usage error."""
    path = tmp_path / "vantage.json"
    path.write_text(text)
    running = Vantage(path)
    assert "the configuration" in running.wait_for_log("vantage.json")
    assert running.process.wait(DEADLINE_S) == 2
    running.stop()


def test_two_of_three_vantages_move_a_real_name_server(tmp_path: Path) -> None:
    """Reports over real sockets: one vantage alone changes nothing; two are a verdict, and every
    check is in the history under its maker's name."""
    address = own_address(91)
    sites = ("paris", "ns1", "us-west")
    with endpoint() as good, endpoint() as failing, endpoint() as cut:
        config = watched(good, good, *sites)
        config["regions"]["us-east"]["health"] = ("127.0.0.1", 1)  # nobody asks it: they do
        seen_by = dict(zip(sites, (failing, failing, good), strict=True))
        seen_by["paris"] = cut
        at = [address, REPORTS_PORT]
        with (
            name_server(tmp_path, config, address=address, reports=at) as server,
            _vantages(tmp_path, seen_by, good, at, sites),
        ):
            server.wait_for(lambda event: isinstance(event, Generation))
            cut.mode = "bad"
            _wait_for_checks(server, "paris", 3)
            assert not [e for e in server.events if isinstance(e, Health) and e.state == "DOWN"]
            failing.mode = "bad"
            down = server.wait_for(lambda e: isinstance(e, Health) and e.state == "DOWN")
            assert isinstance(down, Health)
            assert down.reason == "2 of 3 vantages say DOWN: paris, ns1; us-west says UP"
            live = server.wait_for(lambda event: isinstance(event, Generation))
            assert isinstance(live, Generation)
            assert live.down == ["us-east"]
            assert server.addresses() == [EU_WEST]
    assert {e.checker for e in server.events if isinstance(e, Check)} == set(sites)


@contextmanager
def _vantages(
    directory: Path,
    seen_by: dict[str, Endpoint],
    eu_west: Endpoint,
    at: list[Any],
    sites: tuple[str, ...],
) -> Iterator[None]:
    """A daemon for each site, whose us-east is the endpoint that it sees."""
    first, second, third = (
        vantage(directory, site, watched(seen_by[site], eu_west, *sites), (at[0], at[1]))
        for site in sites
    )
    with first, second, third:
        yield


def _wait_for_checks(server: Server, checker: str, failed: int) -> None:
    """Until so many failed checks of this vantage were heard."""
    seen = 0

    def is_last(event: Event) -> bool:
        nonlocal seen
        seen += isinstance(event, Check) and event.checker == checker and not event.ok
        return seen == failed

    server.wait_for(is_last)
