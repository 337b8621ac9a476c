"""A scenario file is read, held against its topology, and its groups and tags are resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.controller.prepare import prepare
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
