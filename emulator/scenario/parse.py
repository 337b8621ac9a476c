"""The scenario file, read into a `Scenario`. Every problem of the file is reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emulator.examples import found
from emulator.scalars import duration, is_label, label, whole
from emulator.scenario.model import Expectation, Objective, Period, Scenario, SteadyState, Vary
from emulator.scenario.objectives import FAULT_FIGURES, RUN_FIGURES, parse_objective
from emulator.scenario.order import Latest, latest
from emulator.scenario.steps import read_steps, read_targets
from emulator.scenario.times import Moment, read_instant
from emulator.scenario.traffic import default_traffic, read_traffic
from emulator.yamlfile import Document, Entry, Fields, read_text

TOP_KEYS = (
    "netemu", "name", "topology", "vary", "seed", "runs", "groups", "traffic", "steady_state",
    "steps", "end", "expect", "objectives",
)  # fmt: skip
STEADY_KEYS = ("over", "hold")
LATER_TOP = ("repeat", "profile", "matrix", "network")
RUNS_MAX = 1000
VALUES = range(2, 21)  # of what varies: each is a lab of its own
SETTING = r"[A-Za-z0-9_:-]+(\.[A-Za-z0-9_:-]+)*"  # a path in the topology: keys, between them dots
_EXPECTATION = re.compile(r"recovery within (\S.*)")


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file, or the example of that bare name. UsageError if it cannot be read,
    FileProblems if it is wrong."""
    path = found(path)
    return parse_scenario(read_text(path), str(path))


def parse_scenario(text: str, file: str) -> Scenario:
    """The scenario that `text` describes; `file` is what messages call it, and what the path of
    the topology is relative to. FileProblems lists everything that is wrong with it."""
    document = Document(file)
    top = document.root(text).fields(TOP_KEYS, LATER_TOP)
    scenario = _read_scenario(top, Path(file).parent)
    scenario = replace(scenario, source=document.self_contained(text))
    document.raise_problems()
    return scenario


def _read_scenario(top: Fields, folder: Path) -> Scenario:
    top.check_version()
    name = top.required("name", "name: region-loss")
    topology = top.required("topology", "topology: ../two-region.yaml")
    traffic, objectives, groups = (top.get(key) for key in ("traffic", "objectives", "groups"))
    steady_state, vary = top.get("steady_state"), top.get("vary")
    written = top.required("steps", "steps: [{at: 10s, kill: us-east}]")
    steps = read_steps(written) if written else ()
    last = latest(steps)
    end = _read_end(top.required("end", "end: 60s"), last)
    scenario = Scenario(
        name=name.value(label, "") if name else "",
        topology_file=topology.value(lambda path: str(folder / path), "") if topology else "",
        traffic=read_traffic(traffic) if traffic else default_traffic(),
        steps=steps,
        end_s=end.at_s,
        end_is_after=end.is_after,
        objectives=_read_objectives(objectives, parse_objective) if objectives else (),
        steady_state=_read_steady_state(steady_state) if steady_state else SteadyState(),
        expect=top.value("expect", _expectation, None),
        groups=_read_groups(groups) if groups else {},
        runs=top.value("runs", whole(1, RUNS_MAX), 1),
        vary=_read_vary(vary) if vary else None,
        seed=top.value("seed", whole(0, 2**32 - 1), None),
    )
    _check_long_enough(top.get("expect"), scenario, last)
    return scenario


def _read_end(entry: Entry | None, last: Latest) -> Moment:
    end = entry.value(read_instant, Moment(0.0)) if entry else Moment(0.0)
    ends_s = _ends_s(end, last)
    if entry and not end.is_after and 0 < ends_s <= last.step_s:
        what = f"the run ends before its last step is over ({last.step_s:g} s at the latest)"
        entry.problem(what, "make it end later, or write a time like +10s")
    elif entry and 0 < ends_s <= last.healed_s:
        healed = f"before its last fault is healed ({last.healed_s:g} s)"
        entry.problem(f"the run ends at {ends_s:g} s, {healed}", "make it end later")
    return end


def _ends_s(end: Moment, last: Latest) -> float:
    return last.step_s + end.at_s if end.is_after else end.at_s


def _check_long_enough(entry: Entry | None, scenario: Scenario, last: Latest) -> None:
    """A promise about the time after the last fault needs that time."""
    expect, end = scenario.expect, Moment(scenario.end_s, scenario.end_is_after)
    if entry is None or expect is None or not last.fault_s:
        return
    has_s, over_s = _ends_s(end, last) - last.fault_s, scenario.steady_state.over_s
    if 0 < has_s < expect.within_s + over_s:
        what = f"the run ends {has_s:g} s after its last fault, too soon to tell"
        needs = f"{expect.within_s:g} s and the {over_s:g} s of the steady state"
        entry.problem(what, f"make it end later: it takes {needs}")


def _read_objectives(entry: Entry, convert: Callable[[str], Objective]) -> tuple[Objective, ...]:
    read = [objective.value(convert, None) for objective in entry.items()]
    return tuple(objective for objective in read if objective is not None)


def _read_steady_state(entry: Entry) -> SteadyState:
    """How long what must hold; a plain list is what must hold."""
    if entry.is_list():
        return SteadyState(hold=_read_objectives(entry, _normal))
    fields = entry.fields(STEADY_KEYS)
    hold = fields.get("hold")
    return SteadyState(
        over_s=fields.value("over", duration("500ms", "5m"), SteadyState().over_s),
        hold=_read_objectives(hold, _normal) if hold else (),
    )


def _normal(text: str) -> Objective:
    """An objective that can be held against a stretch of time in which nothing is broken."""
    objective = parse_objective(text)
    if objective.figure in FAULT_FIGURES:
        what = f"{objective.figure} is of a fault, and nothing is broken yet"
        raise ValueError(f"{what}; write for example availability >= 99.9 %")
    if objective.figure in RUN_FIGURES:
        raise ValueError(f"{objective.figure} is of a run, not of a window; make it an objective")
    if objective.period != Period():
        raise ValueError(f"{text!r} names a period; the steady state has its own, leave it out")
    return objective


def _expectation(text: str) -> Expectation:
    said = " ".join(text.split())
    if said == "isolation":
        return Expectation("isolation")
    within = _EXPECTATION.fullmatch(said)
    if within is None:
        raise ValueError(f"{text!r} cannot be expected; write isolation or recovery within 15s")
    return Expectation("recovery", duration("1ms", "24h")(within[1]))


def _read_vary(entry: Entry) -> Vary | None:
    """One setting of the topology and its values. What they mean there its own parser knows."""
    settings = entry.named()
    if len(settings) != 1:
        if entry.is_mapping():
            what = f"{len(settings)} settings vary" if settings else "names no setting"
            entry.problem(what, "vary one, for example {dns.ttl: [1s, 30s]}")
        return None
    ((setting, written),) = settings.items()
    if not re.fullmatch(SETTING, setting):
        hint = "write its keys with dots between, for example dns.ttl"
        written.problem(f"{setting!r} is no path in a topology", hint)
    values: list[str] = []
    for value in written.items():
        text = value.text()
        if text is not None and text in values:
            value.problem(f"{text!r} is given twice", "keep one")
        values += [text] if text is not None else []
    if written.is_list() and len(written.items()) not in VALUES:
        what = f"{len(written.items())} are not {VALUES[0]} to {VALUES[-1]} values"
        written.problem(what, "each is a lab of its own; write for example [1s, 30s]")
    return Vary(setting, tuple(values))


def _read_groups(entry: Entry) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for name, members in entry.named().items():
        if not is_label(name):
            members.problem(f"{name!r} is no name for a group", "use 1 to 20 of a-z, 0-9 and -")
        groups[name] = read_targets(members)
    return groups
