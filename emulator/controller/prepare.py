"""A scenario file made ready to run: read, held against its topology, groups and tags resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.errors import FileProblems, Problem
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.scenario.model import Scenario
from emulator.scenario.parse import load_scenario
from emulator.scenario.targets import Kind, Names, check_targets, resolve_targets
from emulator.topology.model import City, NameServer, Region, Topology
from emulator.topology.parse import load_topology, parse_topology
from emulator.yamledit import set_value, without


@dataclass(frozen=True, slots=True)
class Variant:
    """One value of what varies: a scenario and a topology that know nothing of the others."""

    value: str  # as written
    scenario: Scenario
    topology: Topology


def prepare(file: Path) -> tuple[Scenario, Topology]:
    """The scenario, its targets names of sites and hosts, and the topology that it is for, as its
    file has it. FileProblems for the scenario, its topology, a value of what varies, or words that
    mean nothing there; UsageError for files that cannot be read."""
    scenario = load_scenario(file)
    topology = load_topology(Path(scenario.topology_file))
    resolved = _resolved(scenario, topology, file)
    if scenario.vary:
        variants(resolved, topology, file)
    return resolved, topology


def variants(scenario: Scenario, topology: Topology, file: Path) -> tuple[Variant, ...]:
    """The scenario once for each value of what varies, with its topology so changed; (): nothing
    varies. FileProblems for every value that makes no valid topology, or not one for it."""
    if scenario.vary is None:
        return ()
    alone = replace(scenario, vary=None, source=without(scenario.source, "vary"))
    found: list[Variant] = []
    problems: list[Problem] = []
    for value in scenario.vary.values:
        try:
            varied = _varied(topology, scenario.vary.setting, value)
            found.append(Variant(value, _resolved(alone, varied, file), varied))
        except FileProblems as error:
            problems += _blamed(error.problems, scenario, value)
    if problems:
        raise FileProblems(str(file), problems)
    return tuple(found)


def _varied(topology: Topology, setting: str, value: str) -> Topology:
    try:
        text = set_value(topology.source, setting, value)
    except ValueError as error:
        raise FileProblems("", [Problem(1, "", str(error))]) from error
    return parse_topology(text, "")


def _blamed(problems: Sequence[Problem], scenario: Scenario, value: str) -> list[Problem]:
    """The problems of a changed topology, at the place that changed it."""
    setting = scenario.vary.setting if scenario.vary else ""
    lines = scenario.source.splitlines()
    line = next((n for n, text in enumerate(lines, 1) if text.startswith("vary")), 1)
    return [
        replace(found, line=line, path="vary", what=f"with {setting} = {value}: {_told(found)}")
        for found in problems
    ]


def _told(problem: Problem) -> str:
    return f"{problem.path}: {problem.what}" if problem.path else problem.what


def _resolved(scenario: Scenario, topology: Topology, file: Path) -> Scenario:
    names = names_of(make_plan(topology, topology.name))
    if problems := check_targets(scenario, names):
        raise FileProblems(str(file), problems)
    return resolve_targets(scenario, names)


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
    paths = {(path.source, path.target): path.impairment for path in plan.paths}
    services = tuple(service.name for service in topology.services)
    own_clients = tuple(city.name for city in topology.cities if city.image)
    own = tuple(host.name for host in plan.hosts if host.own is not None)
    return Names(kinds | hosts, tags, services, paths, own_clients, own)
