"""Sweeps on the command line: what is refused at once, what is read again, where pages are."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.errors import Exit
from tests.analysis.test_repeated import story
from tests.cli import Netemu, caller

SCENARIO = """
netemu: 1
name: x
topology: topology.yaml
vary: {dns.ttl: [1s, 5s]}
steps: [{at: 1s, kill: a}]
end: +1s
"""
TOPOLOGY = """
netemu: 1
name: lab
regions: {a: {location: tokyo}, b: {location: aws:eu-west-1}}
clients: {paris: {location: city:Paris/FR}}
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Netemu:
    """With an engine that nobody may ask."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return caller(monkeypatch, capsys)


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """A sweep's directory, as a run leaves it: two values, one run of each."""
    place = tmp_path / "x" / "now"
    for name, took in (("ttl-1s", 4.5), ("ttl-5s", 8.5)):
        (place / name / "run-01").mkdir(parents=True)
        lines = story(took, "requests_lost <= 60").lines()
        (place / name / "run-01" / "history.jsonl").write_text(lines, encoding="utf-8")
    (place / "scenario.yaml").write_text(SCENARIO)
    (place / "topology.yaml").write_text(TOPOLOGY)
    return place


def test_a_sweep_is_reported_from_its_directory(call, swept, tmp_path):
    """The table, a page a value beside the file that was asked for, a suite a value."""
    page, junit = tmp_path / "p.html", tmp_path / "p.xml"
    said = call("report", swept, "--html", page, "--junit", junit)
    assert said.code == Exit.PASSED
    rows = [line.split()[:3] for line in said.out.splitlines()]
    assert ["1s", "1", "4.50"] in rows
    assert ["5s", "1", "8.50"] in rows
    pages = sorted(path.name for path in tmp_path.glob("*.html"))
    assert pages == ["p-ttl-1s.html", "p-ttl-5s.html"]
    assert all(name in said.out for name in pages)
    assert "x, dns.ttl = 5s" in junit.read_text()


def test_a_value_that_was_never_run_is_told_of(call, swept):
    """What is there is reported all the same."""
    (swept / "ttl-5s" / "run-01" / "history.jsonl").unlink()
    (swept / "ttl-5s" / "run-01").rmdir()
    said = call("report", swept)
    assert (said.code, "it has no run" in said.out) == (Exit.ENVIRONMENT, True)
    assert ["1s", "1", "4.50"] in [line.split()[:3] for line in said.out.splitlines()]


def test_values_are_compared_one_with_another(call, swept):
    """A sweep as a whole is no side; two of its values are."""
    said = call("compare", swept, swept)
    assert (said.code, str(swept / "ttl-1s") in said.err) == (Exit.USAGE, True)
    assert call("compare", swept / "ttl-1s", swept / "ttl-5s").code != Exit.USAGE


def test_a_sweep_makes_its_own_labs(call, swept):
    """A lab that runs has one value of what varies."""
    said = call("run", swept / "scenario.yaml", "--lab", "lab")
    assert (said.code, "leave --lab out" in said.err) == (Exit.USAGE, True)


def test_a_wrong_value_is_found_before_any_lab_is_made(call, swept):
    """By validate, and by run."""
    file = swept / "scenario.yaml"
    file.write_text(SCENARIO.replace("5s]", "5x]"))
    for command in ("validate", "run"):
        said = call(command, file)
        assert (said.code, "with dns.ttl = 5x: dns.ttl" in said.err) == (Exit.USAGE, True)
