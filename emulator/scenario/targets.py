"""Whether a scenario fits a lab: every name it speaks of must be there."""

from __future__ import annotations

from collections.abc import Collection

from emulator.errors import Problem, suggest
from emulator.scenario.model import Kill, Scenario, WaitUntil
from emulator.yamlfile import Document


def check_targets(scenario: Scenario, known: Collection[str]) -> list[Problem]:
    """A problem for every target, peer or city that is not among `known`, the names of the lab's
    sites and hosts (`us-east`, `us-east/www-1`, `ns1`), with the line that names it."""
    problems = []
    lines = _lines(scenario.source, "steps", len(scenario.steps))
    for i, step in enumerate(scenario.steps):
        if isinstance(step, WaitUntil):
            continue
        names = step.target + (step.peers if isinstance(step, Kill) else ())
        problems += [
            Problem(lines[i], f"steps[{i}]", f"{name!r} is not in the lab", _advice(name, known))
            for name in names
            if name not in known
        ]
    lines = _lines(scenario.source, "objectives", len(scenario.objectives))
    for i, objective in enumerate(scenario.objectives):
        city = objective.city
        if city is not None and city not in known:
            what = f"no city of the lab is called {city!r}"
            problems.append(Problem(lines[i], f"objectives[{i}]", what, _advice(city, known)))
    return problems


def _advice(name: str, known: Collection[str]) -> str:
    sites = [other for other in known if "/" not in other]
    return suggest(name, known if "/" in name else sites) or f"sites here: {', '.join(sites)}"


def _lines(source: str, key: str, count: int) -> list[int]:
    """The lines of a list's members; all 1 for a scenario that was not read from a file."""
    if not source:
        return [1] * count
    members = Document("").root(source).named()
    return [member.line for member in members[key].items()] if key in members else []
