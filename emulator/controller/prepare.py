"""A scenario file made ready to run: read, held against its topology, groups and tags resolved."""

from __future__ import annotations

from pathlib import Path

from emulator.errors import FileProblems
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.scenario.model import Scenario
from emulator.scenario.parse import load_scenario
from emulator.scenario.targets import Kind, Names, check_targets, resolve_targets
from emulator.topology.model import City, NameServer, Region, Topology
from emulator.topology.parse import load_topology


def prepare(file: Path) -> tuple[Scenario, Topology]:
    """The scenario, its targets names of sites and hosts, and the topology that it is for.
    FileProblems for the scenario, its topology, or words that mean nothing there; UsageError for
    files that cannot be read."""
    scenario = load_scenario(file)
    topology = load_topology(Path(scenario.topology_file))
    names = names_of(make_plan(topology, topology.name))
    if problems := check_targets(scenario, names):
        raise FileProblems(str(file), problems)
    return resolve_targets(scenario, names), topology


def names_of(plan: Plan) -> Names:
    """Everything in a lab that a scenario can speak of."""
    kinds: dict[str, Kind] = {site.name: site.kind for site in plan.sites}
    hosts: dict[str, Kind] = {host.name: "host" for host in plan.hosts if host.name not in kinds}
    tags: dict[str, tuple[str, ...]] = {}
    topology = plan.topology
    sites: tuple[Region | City | NameServer, ...]
    sites = (*topology.regions, *topology.cities, *topology.name_servers)
    for site in sites:
        for tag in site.tags:
            tags[tag] = (*tags.get(tag, ()), site.name)
    return Names(kinds | hosts, tags)
