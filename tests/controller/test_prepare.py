"""A scenario file is read, held against its topology, and its groups and tags are resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.controller.prepare import prepare, variants
from emulator.errors import FileProblems, UsageError
from emulator.scenario.model import Kill

TOPOLOGY = """
netemu: 1
name: lab
regions: {a: {location: tokyo, tags: all}, b: {location: aws:eu-west-1, tags: all}}
clients: {paris: {location: city:Paris/FR}}
"""


def scenario(folder: Path, step: str) -> Path:
    """A scenario of one step beside its topology."""
    (folder / "lab.yaml").write_text(TOPOLOGY)
    file = folder / "x.yaml"
    file.write_text(f"netemu: 1\nname: x\ntopology: lab.yaml\nsteps: [{step}]\nend: +1s\n")
    return file


def test_what_can_run_names_sites_and_hosts_only(tmp_path: Path) -> None:
    """And comes with the topology that it was held against."""
    read, topology = prepare(scenario(tmp_path, "{at: 1s, kill: tag:all}"))
    (kill,) = read.steps
    assert isinstance(kill, Kill)
    assert kill.target == ("a", "b")
    assert topology.name == "lab"


def test_words_that_mean_nothing_there_are_problems_of_the_file(tmp_path: Path) -> None:
    """With the file's name and the line, as all its other problems."""
    file = scenario(tmp_path, "{at: 1s, kill: pariss}")
    with pytest.raises(FileProblems) as refused:
        prepare(file)
    assert str(refused.value) == (
        f"{file}:4: steps[0]: 'pariss' is not in the lab (did you mean paris?)"
    )


def test_a_topology_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what may have been meant."""
    file = scenario(tmp_path, "{at: 1s, kill: a}")
    file.write_text(file.read_text().replace("lab.yaml", "labb.yaml"))
    with pytest.raises(UsageError, match=r"labb.yaml: no such file; did you mean lab.yaml"):
        prepare(file)


def vary(folder: Path, setting: str, values: str) -> Path:
    file = scenario(folder, "{at: 1s, kill: a}")
    file.write_text(file.read_text() + f"vary: {{{setting}: {values}}}\n")
    return file


def test_every_value_has_a_topology_of_its_own(tmp_path: Path) -> None:
    """And a scenario in which nothing varies any more, so that it can be run from its copy."""
    file = vary(tmp_path, "dns.ttl", "[1s, 30s]")
    read, topology = prepare(file)
    found = variants(read, topology, file)
    assert [one.value for one in found] == ["1s", "30s"]
    assert [one.topology.services[0].dns.ttl_s for one in found] == [1, 30]
    assert topology.services[0].dns.ttl_s == 5
    for one in found:
        assert one.scenario.vary is None
        assert "vary" not in one.scenario.source
        assert one.scenario.steps == read.steps


def test_values_that_make_no_topology_are_refused_before_anything_runs(tmp_path: Path) -> None:
    """All of them at once, at the line that names them, in the topology's own words."""
    file = vary(tmp_path, "dns.ttl", "[1s, 0x, -5s]")
    with pytest.raises(FileProblems) as refused:
        prepare(file)
    first, second = sorted(str(refused.value).splitlines())
    assert first.startswith(f"{file}:6: vary: with dns.ttl = -5s: dns.ttl: ")
    assert second.startswith(f"{file}:6: vary: with dns.ttl = 0x: dns.ttl: ")


def test_a_value_must_leave_what_the_scenario_speaks_of(tmp_path: Path) -> None:
    """With one server less the step's host is gone."""
    file = vary(tmp_path, "regions.a.servers", "[1, 2]")
    file.write_text(file.read_text().replace("kill: a}", "kill: a/www-2}"))
    (tmp_path / "lab.yaml").write_text(TOPOLOGY.replace("tokyo,", "tokyo, servers: 2,"))
    with pytest.raises(FileProblems, match=r"with regions.a.servers = 1: .*a/www-2"):
        prepare(file)
