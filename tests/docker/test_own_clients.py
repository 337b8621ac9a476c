"""The example of clients in Java and in Go: the same kill, two recoveries, and why they differ."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.analysis.measurements import Row
from emulator.analysis.recovery import measure
from emulator.analysis.timeline import Client, History, read_history
from emulator.clock import NS_PER_S
from emulator.errors import Exit
from emulator.scenario.objectives import CLIENTS
from tests.capture import Capture, Captured
from tests.cli import ROOT, Said, netemu
from tests.docker.lab import EU_WEST, US_EAST, running_example

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]  # the images are built first

EXAMPLE = ROOT / "topologies/examples/clients/clients.yaml"
PAGE = ROOT / "docs/own-service.md"
JAVA, GO = Client("new-york-java", "own"), Client("new-york-go", "own")
SITE = {JAVA: 3, GO: 4}
JAVA_CACHE_S = 30.0  # networkaddress.cache.ttl, where nobody sets it
ATTEMPT_S = 1.0  # both give up a handshake then
PAUSE_S = 0.25
TARDY_S = 2.0  # that a busy machine may add


@dataclass(frozen=True)
class Seen:
    """One run of the line on the page: what it said, its history, and the packets of each city."""

    said: Said
    report: dict[str, Any]
    history: History
    packets: dict[Client, list[Captured]]

    def row(self, client: Client) -> Row:
        [fault] = measure(self.history).faults
        return next(row for row in fault.rows if row.client == client)

    def syns_of_its_own(self, client: Client, address: str) -> list[int]:
        """When it began to connect there, once its resolver had the new answer: by packets, and
        apart from the built-in clients, which tell of their ports."""
        answer, told = self.row(client).milestones.answer, self.history
        built_in = [Client(client.city, kind) for kind in CLIENTS]
        ports = {r.port for c in built_in for r in told.requests[c]}
        ports |= {opened.port for c in built_in for opened in told.connections[c]}
        first: dict[int, int] = {}
        for packet in self.packets[client]:
            if packet.is_syn and packet.dst == address and packet.sport not in ports:
                first.setdefault(packet.sport, packet.t)
        return sorted(t for t in first.values() if answer is not None and t > answer)


@pytest.fixture(scope="module")
def seen(engine, tmp_path_factory) -> Iterator[Seen]:
    work: Path = tmp_path_factory.mktemp("clients")
    [line] = re.findall(r"`(netemu run own-clients\.yaml)`", PAGE.read_text())
    _, *words = shlex.split(line)
    with running_example(engine, EXAMPLE) as world:
        name = world.lab.name
        with Capture(engine, name, "w3") as java, Capture(engine, name, "w4") as go:
            said = netemu(*words, "--lab", name, "--json", "report.json", cwd=work)
            packets = {JAVA: java.catch_up(), GO: go.catch_up()}
    [history] = work.glob("runs/own-clients/*/history.jsonl")
    report = json.loads((work / "report.json").read_text())
    yield Seen(said, report, read_history(history), packets)


def test_the_line_on_the_page_passes(seen: Seen) -> None:
    assert seen.said.code == 0, seen.said.out + seen.said.err
    assert seen.report["inconclusive"] == []


def test_go_recovers_by_dns_and_java_when_its_cache_lets_it_go(seen: Seen) -> None:
    """Java's first attempt elsewhere comes 30 s after its first lookup, and an attempt in vain."""
    java, go = seen.row(JAVA), seen.row(GO)
    assert java.recovery_s is not None and go.recovery_s is not None
    assert go.parts()["client_s"] <= 2 * ATTEMPT_S + TARDY_S
    assert java.recovery_s > go.recovery_s + 5
    first, moved = seen.history.requests[JAVA][0].t, java.milestones.lookup
    assert moved is not None
    held_s = (moved - first) / NS_PER_S
    assert JAVA_CACHE_S <= held_s <= JAVA_CACHE_S + ATTEMPT_S + PAUSE_S + TARDY_S


def test_java_really_went_on_sending_to_the_dead_region(seen: Seen) -> None:
    """By tcpdump at its city: a SYN about every second, from the new answer to the end of its
    cache; Go sent none once an attempt of before was over."""
    row = seen.row(JAVA)
    vain = seen.syns_of_its_own(JAVA, US_EAST)
    assert row.milestones.lookup is not None
    assert len(vain) >= row.parts()["client_s"] / (ATTEMPT_S + PAUSE_S) - 2
    assert max(vain) < row.milestones.lookup
    assert row.milestones.lookup - max(vain) < (ATTEMPT_S + PAUSE_S + TARDY_S) * NS_PER_S
    after = seen.syns_of_its_own(GO, US_EAST)
    answer = seen.row(GO).milestones.answer or 0
    assert all(t < answer + (ATTEMPT_S + TARDY_S) * NS_PER_S for t in after)
    first = min(seen.syns_of_its_own(JAVA, EU_WEST))
    assert abs(first - row.milestones.lookup) < TARDY_S * NS_PER_S


def test_the_report_says_why(seen: Seen) -> None:
    """On the terminal and for programs: Java kept the address; nothing of the kind of Go."""
    [why] = [fault["why"] for fault in seen.report["faults"]]
    told = {city: part for city in (JAVA.city, GO.city) for part in [_about(city, why)]}
    assert "own client took" in told[JAVA.city]
    assert "it went on asking us-east's address for" in told[JAVA.city]
    assert "so it kept the old one itself" in told[JAVA.city]
    assert "kept the old one" not in told[GO.city]
    assert "so it kept the old one itself" in " ".join(seen.said.out.split())


def _about(city: str, why: str) -> str:
    """What of the paragraph is about one city."""
    return why.partition(f"For {city}:")[2].partition("For new-york-")[0]


def test_the_wire_contradicts_nobody(seen: Seen) -> None:
    """The connections that only own clients know of are taken for theirs."""
    assert seen.report["agreement"]["disagreements"] == []


# A job that is done after twelve questions, and says how much is left. In its first life it has
# nothing to do: one that fails at once is no lab's.
_JOB = """
import json, os, sys, time, urllib.request
if not os.path.exists("/tmp/lived"): sys.exit(open("/tmp/lived", "w").close())
for left in reversed(range(12)):
    began = time.monotonic()
    answer = urllib.request.urlopen("http://www.shop.test/", timeout=2)
    ms = (time.monotonic() - began) * 1e3
    server = answer.headers["X-Netemu-Server"]
    print(json.dumps({"ok": True, "ms": ms, "server": server, "left": left}), flush=True)
sys.exit(3)
"""
_TOPOLOGY = """\
netemu: 1
name: job
zone: shop.test
regions:
  us-east: {{location: aws:us-east-1}}
clients:
  new-york: {{location: city:New York, image: {image}, command: {command}}}
"""
_SCENARIO = """\
netemu: 1
name: job
topology: job.yaml
traffic: {http: 5/s}
steps: []
end: 6s
objectives:
  - exit_code == 3 from new-york
  - exit_code == 0
  - availability == 100 % over own
"""


def test_a_job_is_judged_by_its_exit_code(image: str, tmp_path: Path) -> None:
    """And what it told is counted."""
    command = json.dumps(["python3", "-c", _JOB])
    (tmp_path / "job.yaml").write_text(_TOPOLOGY.format(image=json.dumps(image), command=command))
    (tmp_path / "run.yaml").write_text(_SCENARIO)
    said = netemu("run", "run.yaml", "--json", "report.json", cwd=tmp_path)
    assert said.code == Exit.MISSED, said.out + said.err
    report = json.loads((tmp_path / "report.json").read_text())
    outcomes = [(one["outcome"], one["measured"]) for one in report["objectives"]]
    assert outcomes == [("passed", 3), ("failed", 3), ("passed", 1)]
    [own] = report["own_clients"]
    assert (own["end"], own["attempts"], own["failed"]) == ("exit 3", 12, 0)
    assert [(f["name"], f["count"], f["before"]) for f in own["figures"]] == [("left", 12, 5.5)]
    assert re.search(r"new-york +\S+ +exit 3 +12 +0\n", said.out)
