"""Every value runs, whatever became of the one before; the directory can be read and run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.analysis.sweep import Sweep
from emulator.controller.prepare import prepare, variants
from emulator.controller.sweep import run_sweep, value_names, vary_in
from emulator.errors import EngineError
from emulator.scenario.model import Vary
from tests.analysis.test_repeated import result, story

SCENARIO = """
netemu: 1
name: x
topology: lab.yaml
vary: {dns.ttl: [1s, 5s, 30s]}
steps: [{at: 1s, kill: a}]
end: +1s
"""
TOPOLOGY = """
netemu: 1
name: lab
regions: {a: {location: tokyo}, b: {location: aws:eu-west-1}}
clients: {paris: {location: city:Paris/FR}}
"""


def swept(folder: Path, run_value) -> Sweep:
    (folder / "lab.yaml").write_text(TOPOLOGY)
    file = folder / "x.yaml"
    file.write_text(SCENARIO)
    scenario, topology = prepare(file)
    found = variants(scenario, topology, file)
    return run_sweep(scenario, topology, found, folder / "runs" / "now", run_value)


def test_a_value_that_fails_loses_nothing_of_the_others(tmp_path: Path) -> None:
    """Nor of itself: what was told before stays, with the error beside it."""

    def run_value(variant, directory, told) -> None:
        told(result(story(4.5), str(directory / "run-01")))
        if variant.value == "5s":
            raise EngineError("no room")

    one, two, three = swept(tmp_path, run_value).tried
    assert [len(t.results) for t in (one, two, three)] == [1, 1, 1]
    assert [t.error for t in (one, two, three)] == ["", "no room", ""]
    assert Path(two.directory) == tmp_path / "runs" / "now" / "ttl-5s"


def test_an_interrupt_is_no_value_that_failed(tmp_path: Path) -> None:
    """It ends all of it."""

    def run_value(variant, directory, told) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, run_value)


def test_its_directory_says_what_varied_and_can_be_run_again(tmp_path: Path) -> None:
    """By the copies of the scenario and its topology."""
    swept(tmp_path, lambda *_: None)
    place = tmp_path / "runs" / "now"
    assert vary_in(place) == Vary("dns.ttl", ("1s", "5s", "30s"))
    assert prepare(place / "scenario.yaml")[0].vary == vary_in(place)
    assert vary_in(tmp_path) is None


def test_values_have_directories_of_their_own() -> None:
    """Named as written, as far as a path can be."""
    vary = Vary("services.www.dns.policy", ("latency", "a b", "a/b", "50%", "50"))
    assert value_names(vary) == (
        "policy-latency", "policy-a-b", "policy-a-b.2", "policy-50", "policy-50.2",
    )  # fmt: skip
