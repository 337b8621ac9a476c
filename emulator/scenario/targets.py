"""A scenario's words held against a lab's names: do they exist, and which sites do they mean?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from emulator.errors import Problem, UsageError, suggest
from emulator.events import OWN_CLIENT
from emulator.impairment import Impairment
from emulator.pathentries import named_paths
from emulator.pathvalues import misfit
from emulator.scenario.commandsteps import OWN
from emulator.scenario.model import (
    ClearPath,
    Exec,
    Heal,
    Kill,
    Load,
    Objective,
    Scenario,
    SetPath,
    Step,
    Traffic,
    WaitUntil,
)
from emulator.scenario.objectives import EXIT_CODE, WRITES, parse_objective
from emulator.scenario.steps import SITE_FAULTS, instead, read_targets, written_steps
from emulator.yamlfile import Document, Entry

Kind = Literal["region", "client", "dns", "host"]
KINDS: dict[Kind, str] = {
    "region": "region",
    "client": "city",
    "dns": "name server",
    "host": "host",
}
REGION_FAULTS = {
    "drain": "only regions have a balancer to drain",
    "force": "name servers answer with regions, and nothing else can be forced",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What a scenario can speak of in a lab."""

    kinds: Mapping[str, Kind]  # every site and host: "us-east", "us-east/www-1", "ns1"
    tags: Mapping[str, tuple[str, ...]]  # "edge" -> sites that have this tag
    services: tuple[str, ...] = ()
    paths: Mapping[tuple[str, str], Impairment] = field(default_factory=dict)  # as planned
    own_clients: tuple[str, ...] = ()  # cities with a client of the user's
    own: tuple[str, ...] = ()  # hosts with a container of the user's

    def members(self, word: str, groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """The sites and hosts that `word` means: its own name, a group's, a tag's. (): none."""
        if word.startswith("tag:"):
            return self.tags.get(word.removeprefix("tag:"), ())
        if word in self.kinds:
            return (word,)
        return tuple(dict.fromkeys(m for w in groups.get(word, ()) for m in self.members(w, {})))

    def of_kind(self, kind: Kind) -> list[str]:
        return [name for name, other in self.kinds.items() if other == kind]


def resolve_targets(scenario: Scenario, names: Names) -> Scenario:
    """The scenario with sites and hosts in the place of groups and tags; a load's group means the
    cities in it. UsageError for a word that means nothing in this lab."""

    def mean(words: Iterable[str]) -> tuple[str, ...]:
        return _meaning(words, names, scenario.groups)

    def step_of(step: Step) -> Step:
        if isinstance(step, Kill):
            peers = mean(step.peers) if step.how == "partition" else step.peers
            return replace(step, target=mean(step.target), peers=peers)
        return replace(step, target=mean(step.target)) if isinstance(step, Heal) else step

    def load_of(load: Load) -> Load:
        cities = tuple(name for name in mean(load.cities) if names.kinds[name] == "client")
        if load.cities and not cities:
            raise UsageError(
                f"{', '.join(load.cities)}: no city among them; traffic is from cities"
            )
        return replace(load, cities=cities)

    return replace(
        scenario,
        steps=tuple(step_of(step) for step in scenario.steps),
        traffic=Traffic(tuple(load_of(load) for load in scenario.traffic.loads)),
    )


def _meaning(
    words: Iterable[str], names: Names, groups: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    found: list[str] = []
    for word in words:
        if not (members := names.members(word, groups)):
            raise UsageError(f"{word!r} is not in the lab; {_advice(word, names, groups)}")
        found += members
    return tuple(dict.fromkeys(found))


def check_targets(scenario: Scenario, names: Names) -> list[Problem]:
    """A problem for every word of the scenario's text that means nothing in this lab, or something
    of the wrong kind, with the line that it stands on."""
    document = Document("")
    top = document.root(scenario.source).named()
    check = _Check(names, scenario.groups, _breaks(scenario, names))
    for name, entry in top["groups"].named().items() if "groups" in top else ():
        check.group(entry, name)
    for written in written_steps(top["steps"]):
        for step in written.steps[:1]:  # repeated, it means the same
            check.step(written.entry, step)
    traffic = top.get("traffic")
    for load in traffic.items() if traffic and traffic.is_list() else ():
        if cities := load.named().get("from"):
            check.traffic(cities)
    for entry in _objectives(top):
        if objective := entry.value(parse_objective, None):
            check.objective(entry, objective)
    return document.problems


def _objectives(top: Mapping[str, Entry]) -> list[Entry]:
    """Every objective of the file, those of its steady state too."""
    steady = top.get("steady_state")
    held = steady.named().get("hold") if steady and steady.is_mapping() else steady
    lists = [top.get("objectives"), held]
    return [entry for written in lists if written for entry in written.items()]


def _breaks(scenario: Scenario, names: Names) -> list[dict[str, None]]:
    """The sites and hosts of each side of each fault, in the order in which they are named."""
    kills = [step for step in scenario.steps if isinstance(step, Kill)]
    sides = [side for kill in kills for side in kill.sides]
    return [
        dict.fromkeys(m for word in side for m in names.members(word, scenario.groups))
        for side in sides
    ]


@dataclass(frozen=True, slots=True)
class _Check:
    """Each method notes what is wrong with one part of the file."""

    names: Names
    groups: Mapping[str, tuple[str, ...]]
    breaks: list[dict[str, None]]  # what each fault is on; of a partition, each side
    # What earlier steps have set.
    set_now: dict[tuple[str, str], Impairment] = field(default_factory=dict)

    def group(self, entry: Entry, name: str) -> None:
        if name in self.names.kinds:
            what = f"{name!r} is a {KINDS[self.names.kinds[name]]} of the lab too"
            entry.problem(what, "give the group a name of its own")
        for word in self.groups[name]:
            if word in self.groups:
                entry.problem(f"{word!r} is a group itself", "name the members of both")
            else:
                self._exists(entry, word)

    def step(self, entry: Entry, step: Step) -> None:
        if isinstance(step, WaitUntil):
            self._condition(entry, step)
            return
        if isinstance(step, SetPath | ClearPath):
            self._path(entry, step)
            return
        if isinstance(step, Exec):
            self._container(entry, step.host)
            return
        for word in step.target:
            if self._exists(entry, word) and isinstance(step, Kill):
                self._suits(entry, word, step)
        if isinstance(step, Heal):
            self._heal(entry, step)
        elif step.how == "force":
            self._services(entry, step.peers)
        else:
            self._peers(entry, step)

    def _condition(self, entry: Entry, step: WaitUntil) -> None:
        condition = step.condition
        if condition.kind == "served":
            self._is(entry, condition.subject, "client")
            self._is(entry, condition.region, "region")
        elif condition.subject:
            self._is(entry, condition.subject, "region")

    def _container(self, entry: Entry, name: str) -> None:
        """One host; a city means its client, any other site its first host."""
        host = name.removesuffix(OWN)
        if host not in self.names.kinds:
            known = self.names.own if name != host else self.names.kinds
            advice = suggest(host, known) or _advice(host, self.names, {})
            entry.problem(f"{host!r} is not in the lab", advice)
        elif name != host and host not in self.names.own:
            here = ", ".join(f"{other}{OWN}" for other in self.names.own) or "none here"
            hint = f"containers of yours: {here}; without {OWN} it is ours"
            entry.problem(f"no container of yours is on {host!r}", hint)

    def _path(self, entry: Entry, step: SetPath | ClearPath) -> None:
        """Its sites exist, and what is set goes with what the path is then."""
        sites = [name for name, kind in self.names.kinds.items() if kind != "host"]
        try:
            paths = named_paths(step.path, sites) if step.path else tuple(self.names.paths)
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            entry.problem(what, hint)
            return
        for path in paths:
            planned = self.names.paths.get(path)
            if planned is not None:
                self._set(entry, step, path, planned)

    def _set(
        self, entry: Entry, step: SetPath | ClearPath, path: tuple[str, str], planned: Impairment
    ) -> None:
        if isinstance(step, ClearPath):
            self.set_now.pop(path, None)
            return
        now = self.set_now.get(path, planned)
        for values in (step.values, *(v for _, v in (step.trace.steps if step.trace else ()))):
            now = replace(now, **values)
            if wrong := misfit(now):
                what, _, hint = wrong.partition("; ")
                entry.problem(f"{'->'.join(path)}: {what}", hint)
                return
        if step.for_s is None:
            self.set_now[path] = now

    def _peers(self, entry: Entry, step: Kill) -> None:
        peers = step.peers
        sides = [{m for w in side for m in self.names.members(w, self.groups)}
                 for side in (step.target, peers)]  # fmt: skip
        if both := sorted(sides[0] & sides[1]):
            what = f"{', '.join(both)} is on both sides"
            entry.problem(what, "a partition is between different sites; keep it on one")
        for word in peers:
            if self._exists(entry, word) and self._kinds(word) & {"host"}:
                hint = "name a region, a city or a name server"
                entry.problem(f"a partition is between sites, and {word!r} is a host", hint)

    def _services(self, entry: Entry, services: Iterable[str]) -> None:
        there = self.names.services
        for name in services:
            if name not in there:
                advice = suggest(name, there) or f"services here: {', '.join(there)}"
                entry.problem(f"no service of the lab is called {name!r}", advice)

    def traffic(self, entry: Entry) -> None:
        for word in read_targets(entry):
            if self._exists(entry, word) and "client" not in self._kinds(word):
                cities = ", ".join(self.names.of_kind("client"))
                entry.problem(f"{word!r} is no city", f"traffic is from cities: {cities}")

    def objective(self, entry: Entry, objective: Objective) -> None:
        if objective.city is not None:
            self._is(entry, objective.city, "client")
        if objective.client == OWN_CLIENT or objective.figure in (EXIT_CODE, *WRITES):
            self._own_client(entry, objective.city)
        if objective.region is not None:
            self._is(entry, objective.region, "region")
        target = objective.period.target
        broken = {name for side in self.breaks for name in side}
        if target in self.names.kinds and not {target, target.partition("/")[0]} & broken:
            entry.problem(f"no step breaks {target!r}", self._broken_things())
        elif target and target not in self.names.kinds:
            what = f"no site or host of the lab is called {target!r}"
            entry.problem(what, _advice(target, self.names, {}))

    def _own_client(self, entry: Entry, city: str | None) -> None:
        there = self.names.own_clients
        if not there:
            hint = "give one to a city: {paris: {image: my/client}}"
            entry.problem("no city of the lab has a client of yours", hint)
        elif city in self.names.of_kind("client") and city not in there:
            what = f"no client of yours is in {city!r}"
            entry.problem(what, f"there is one in {', '.join(there)}")

    def _heal(self, entry: Entry, step: Heal) -> None:
        members = {m for word in step.target for m in self.names.members(word, self.groups)}
        if members and members not in [side.keys() for side in self.breaks]:
            what = f"heals nothing: no step breaks just {', '.join(step.target)}"
            entry.problem(what, self._broken_things())

    def _broken_things(self) -> str:
        things = dict.fromkeys(" and ".join(side) for side in self.breaks)
        return f"steps break {'; '.join(things)}" if things else "no step breaks anything"

    def _exists(self, entry: Entry, word: str) -> bool:
        if self.names.members(word, self.groups):
            return True
        if word not in self.groups:  # whose members have been told of
            entry.problem(f"{word!r} is not in the lab", _advice(word, self.names, self.groups))
        return False

    def _is(self, entry: Entry, name: str, kind: Kind) -> None:
        if self.names.kinds.get(name) != kind:
            there = self.names.of_kind(kind)
            plural = {"client": "cities", "region": "regions"}.get(kind, f"{kind}s")
            advice = suggest(name, there) or f"{plural} here: {', '.join(there)}"
            entry.problem(f"no {KINDS[kind]} of the lab is called {name!r}", advice)

    def _kinds(self, word: str) -> set[Kind]:
        return {self.names.kinds[name] for name in self.names.members(word, self.groups)}

    def _suits(self, entry: Entry, word: str, kill: Kill) -> None:
        kinds = self._kinds(word)
        if kill.how in REGION_FAULTS and kinds != {"region"}:
            entry.problem(f"{word!r} is no region", REGION_FAULTS[kill.how])
        elif kill.how in SITE_FAULTS and "host" in kinds:
            what = f"{kill.how} is for whole sites, and {word!r} has hosts in it"
            entry.problem(what, instead(kill.how))


def _advice(word: str, names: Names, groups: Mapping[str, tuple[str, ...]]) -> str:
    if word.startswith("tag:"):
        tags = [f"tag:{tag}" for tag in names.tags]
        here = f"tags here: {', '.join(tags)}" if tags else "no site of the lab has a tag"
        return suggest(word, tags) or here
    sites = [name for name, kind in names.kinds.items() if kind != "host"]
    known = names.kinds if "/" in word else [*sites, *groups]
    return suggest(word, known) or f"sites here: {', '.join(sites)}"
