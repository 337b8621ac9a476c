"""`netemu run` as CI uses it: many runs, several scenarios, files for people and programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from emulator.errors import Exit
from tests.cli import ROOT, netemu

pytestmark = pytest.mark.docker

JUDGED = {Exit.PASSED, Exit.INCONCLUSIVE}  # a busy machine may make a run prove nothing
TOPOLOGY = """\
netemu: 1
name: runs
zone: shop.test
regions:
  us-east: {location: aws:us-east-1, servers: 1}
  eu-west: {location: aws:eu-west-1, servers: 1}
clients:
  new-york: {location: city:New York}
dns: {ttl: 1s, policy: latency, health_check: {interval: 500ms, timeout: 500ms, fall: 2, rise: 2}}
services:
  www: {port: 80, balance: l7}
"""
SCENARIO = """\
netemu: 1
name: {name}
topology: runs.yaml
traffic: {{http: 40/s}}
steps:
  - {{at: 3s, kill: us-east}}
  - {{wait_until: recovered, within: 15s}}
end: +1s
objectives:
  - {objective}
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "runs.yaml").write_text(TOPOLOGY)
    return tmp_path


def scenario(work: Path, name: str, objective: str = "recovery_s.p100 <= 9 s") -> Path:
    file = work / f"{name}.yaml"
    file.write_text(SCENARIO.format(name=name, objective=objective))
    return file


def test_many_runs_are_one_report_and_each_can_be_done_again(image, work):
    """Each at another phase; the page, the file for CI and the JSON speak of both; a run is
    struck again at its own phase, from its own directory."""
    outputs = ["--html", "page.html", "--junit", "runs.xml", "--json", "runs.json"]
    file = scenario(work, "twice")
    said = netemu("run", file, "--runs", 2, *outputs, cwd=work)
    assert said.code in JUDGED, said
    assert "with 95 % confidence" in said.out or "no run tells" in said.out
    told = json.loads((work / "runs.json").read_text())
    phases = [run["phase"] for run in told["runs"]]
    assert len(phases) == 2 and phases[0] != phases[1]
    assert '<testsuite name="twice"' in (work / "runs.xml").read_text()
    assert (work / "page.html").read_text().startswith("<!DOCTYPE html>")
    (directory,) = (work / "runs" / "twice").iterdir()
    assert netemu("report", directory, cwd=work).code == said.code
    assert netemu("compare", directory / "run-01", directory / "run-02").code == Exit.PASSED

    first = directory / "run-01"
    again = netemu(
        "run", first / "scenario.yaml", "--phase-of", first, "--json", "1.json", cwd=work
    )
    assert again.code in JUDGED, again
    header = json.loads(Path(_history(again.out, work)).read_text().partition("\n")[0])
    assert header["phase"] == phases[0]


def _history(said: str, work: Path) -> Path:
    (*_, place) = re.findall(r"history: (\S+)", said)
    return work / str(place) / "history.jsonl"


def test_several_scenarios_end_in_the_worst_of_their_verdicts(image, work):
    """One line each at the end, one file for CI; a mistake in the last stops before the first."""
    good, bad = scenario(work, "good"), scenario(work, "missed", "recovery_s.p100 <= 10 ms")
    said = netemu("run", good, bad, "--junit", "all.xml", cwd=work)
    assert said.code in {Exit.MISSED, Exit.INCONCLUSIVE}, said
    lines = said.out.splitlines()[-2:]
    assert [line.split()[1] for line in lines] == ["good", "missed"]
    assert (work / "all.xml").read_text().count("<testsuite ") == 2
    bad.write_text(bad.read_text().replace("us-east", "us-eest"))
    said = netemu("run", good, bad, "--junit", "none.xml", cwd=work)
    assert said.code == Exit.USAGE
    assert "us-eest" in said.err and not (work / "none.xml").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--html", "no/such/page.html"), "cannot write"),
        (("--runs", "2", "--phase-of", "runs"), "--phase-of is one run"),
        (("--phase-of", "nowhere"), "holds no history.jsonl"),
        (("--runs", "0"), "--runs"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_started(work, words, told):
    """Exit 2, with what to do; no engine is asked."""
    said = netemu(
        "run", scenario(work, "one"), *words, cwd=work, env={"DOCKER_HOST": "tcp://127.0.0.1:1"}
    )
    assert said.code == Exit.USAGE
    assert told in said.err


def test_the_page_of_several_scenarios_is_refused(work):
    """One page is of one scenario."""
    library = sorted((ROOT / "topologies" / "scenarios").glob("region-*.yaml"))
    said = netemu("run", *library, "--html", "page.html", cwd=work)
    assert said.code == Exit.USAGE
    assert "one scenario" in said.err


COMMANDS = """\
netemu: 1
name: commands
topology: runs.yaml
traffic: {http: 5/s}
steps:
  - {at: 1s, exec: new-york, command: "curl -sf -m 2 http://www.shop.test/"}
  - {at: +0s, exec: us-east/www-1, command: [sh, -c, "cat; echo not here >&2; exit 3"]}
  - {at: +1s, kill: us-east}
end: +1s
"""


def test_a_program_that_fails_ends_a_run_and_says_why(image, work):
    """Each runs in the lab, with nothing on its stdin; what the last one said is in the verdict,
    and the kill after it never comes."""
    (work / "commands.yaml").write_text(COMMANDS)
    said = netemu("run", "commands.yaml", "--json", "report.json", cwd=work)
    assert said.code == Exit.MISSED, said
    report = json.loads((work / "report.json").read_text())
    asked, failed = report["objectives"]
    assert asked["text"] == "exec new-york: curl -sf -m 2 http://www.shop.test/"
    assert (asked["outcome"], failed["outcome"]) == ("passed", "failed")
    assert failed["reason"] == ("it ended with 3, so the steps after it were not taken: not here")
    assert report["faults"] == []
    assert "FAILED (exit 3" in said.out
