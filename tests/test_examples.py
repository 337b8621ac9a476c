"""The examples are the first thing that people try: all of them work."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.scenario.model import FAULT_KINDS, Kill
from emulator.scenario.parse import load_scenario
from emulator.scenario.targets import check_targets
from emulator.topology.model import Topology
from emulator.topology.parse import load_topology

EXAMPLES = Path(__file__).parent.parent / "topologies"
TOPOLOGIES = sorted(EXAMPLES.glob("*.yaml"))
SCENARIOS = sorted((EXAMPLES / "scenarios").glob("*.yaml"))


def names(topology: Topology) -> list[str]:
    """The sites, and the servers that scenarios may name."""
    groups = (topology.regions, topology.cities, topology.name_servers)
    sites = [site.name for group in groups for site in group]
    servers = [
        f"{region.name}/{service}-{number + 1}"
        for region in topology.regions
        for service, count in region.servers.items()
        for number in range(count)
    ]
    return sites + servers


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_every_example_topology_is_read(path: Path) -> None:
    """And is called like its file, which is how people will look for it."""
    assert load_topology(path).name == path.stem


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_example_scenario_fits_its_topology(path: Path) -> None:
    """It is called like its file, its topology is there, and so are all its targets."""
    scenario = load_scenario(path)
    topology = load_topology(Path(scenario.topology_file))
    assert scenario.name == path.stem
    assert check_targets(scenario, names(topology)) == []
    assert scenario.objectives


def test_every_fault_has_an_example() -> None:
    """Nobody has to guess how a fault is written."""
    steps = [step for path in SCENARIOS for step in load_scenario(path).steps]
    assert {step.how for step in steps if isinstance(step, Kill)} == set(FAULT_KINDS)
