"""The scenario file, read into a `Scenario`. Every problem of the file is reported at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from emulator.scalars import choice, duration, frequency, is_label, label, rate, share, whole
from emulator.scenario.model import (
    FaultKind,
    Heal,
    Kill,
    Load,
    Objective,
    Scenario,
    Step,
    Traffic,
)
from emulator.scenario.objectives import CLIENTS, parse_objective
from emulator.yamlfile import Document, Entry, Fields, read_text

TOP_KEYS = ("netemu", "name", "topology", "seed", "traffic", "steps", "end", "objectives")
STEP_KEYS = ("at", "kill", "heal", "partition", "how", "from", "direction", "delay", "loss", "rate")
VERBS = ("kill", "heal", "partition")
TRAFFIC_KEYS = ("rate", *CLIENTS)
LATER_TOP = ("repeat", "profile", "matrix", "steady_state", "network")
# Which faults each setting of a step belongs to.
SETTINGS_OF = {
    "from": "partition",
    "direction": "partition",
    "delay": "brownout",
    "loss": "brownout",
    "rate": "brownout",
}
DIRECTIONS = {"both": 0.0, "out": 1.0, "in": -1.0}  # as Kill.settings says it
SHARES = {"http": 0.4, "keepalive": 0.4, "stream": 0.1, "udp": 0.1}  # of a city's total rate
DEFAULT_RATE = 200.0  # requests/s of a city
_HOW: Callable[[str], FaultKind] = choice(*get_args(FaultKind))
_AT = duration("0s", "24h")


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file. UsageError if it cannot be read, FileProblems if it is wrong."""
    return parse_scenario(read_text(path), str(path))


def parse_scenario(text: str, file: str) -> Scenario:
    """The scenario that `text` describes; `file` is what messages call it, and what the path of
    the topology is relative to. FileProblems lists everything that is wrong with it."""
    document = Document(file)
    top = document.root(text).fields(TOP_KEYS, LATER_TOP)
    scenario = _read_scenario(top, text, Path(file).parent)
    document.raise_problems()
    return scenario


def _read_scenario(top: Fields, text: str, folder: Path) -> Scenario:
    top.check_version()
    name = top.required("name", "name: region-loss")
    topology = top.required("topology", "topology: ../two-region.yaml")
    traffic, objectives = top.get("traffic"), top.get("objectives")
    steps = _read_steps(top.required("steps", "steps: [{at: 10s, kill: us-east}]"))
    return Scenario(
        name=name.value(label, "") if name else "",
        topology_file=topology.value(lambda path: str(folder / path), "") if topology else "",
        traffic=_read_traffic(traffic) if traffic else _split(DEFAULT_RATE),
        steps=steps,
        end_s=_read_end(top.required("end", "end: 60s"), steps),
        objectives=_read_objectives(objectives) if objectives else (),
        seed=top.value("seed", whole(0, 2**32 - 1), None),
        source=text,
    )


def _read_end(entry: Entry | None, steps: tuple[Step, ...]) -> float:
    end_s = entry.value(_AT, 0.0) if entry else 0.0
    last_s = steps[-1].at_s if steps else 0.0
    if entry and end_s and end_s <= last_s:
        entry.problem(f"the run ends before its last step ({last_s:g} s)", "make it end later")
    return end_s


def _read_traffic(entry: Entry) -> Traffic:
    """A city's total, split; or the rate of each kind by itself, 0 for those not named."""
    fields = entry.fields(TRAFFIC_KEYS)
    read = frequency("1/min", "10000/s")
    if "rate" in fields:
        if len(fields.members) > 1:
            entry.problem("rate is the total of all kinds", "give the total or the kinds")
        return _split(fields.value("rate", read, 0.0))
    if not fields.members and entry.is_mapping():
        entry.problem("names no traffic", "nothing could be measured; write {rate: 200/s}")
    return Traffic(tuple(Load(kind, fields.value(kind, read, 0.0)) for kind in CLIENTS))


def _split(total: float) -> Traffic:
    return Traffic(tuple(Load(kind, total * part) for kind, part in SHARES.items()))


def _read_objectives(entry: Entry) -> tuple[Objective, ...]:
    read = [objective.value(parse_objective, None) for objective in entry.items()]
    return tuple(objective for objective in read if objective is not None)


def _read_steps(entry: Entry | None) -> tuple[Step, ...]:
    """In the file's order, which must be that of time: a file reads as it happens, and a slip in
    a time shows instead of moving a step elsewhere."""
    steps: list[Step] = []
    for written in entry.items() if entry else []:
        step = _read_step(written)
        if steps and step.at_s < steps[-1].at_s:
            what = f"happens at {step.at_s:g} s, before the step above it ({steps[-1].at_s:g} s)"
            written.problem(what, "write steps in the order of time")
        steps.append(step)
    return tuple(steps)


def _read_step(entry: Entry) -> Step:
    fields = entry.fields(STEP_KEYS)
    at = fields.required("at", "at: 10s")
    at_s = at.value(_AT, math.nan) if at else math.nan  # which is neither before nor after
    verbs = [verb for verb in VERBS if verb in fields]
    if len(verbs) != 1:
        if entry.is_mapping():
            entry.problem("a step does exactly one of kill, heal and partition", "split it")
        return Heal(at_s, ())
    if verbs == ["heal"]:
        _refuse(fields, ("how", *SETTINGS_OF), "heal undoes every fault of its target")
        return Heal(at_s, _read_targets(fields.members["heal"]))
    how: FaultKind = fields.value("how", _HOW, "power")
    if verbs == ["partition"]:
        _refuse(fields, ("how",), "the step says already that it is a partition")
        how = "partition"
    return _read_kill(fields, fields.members[verbs[0]], at_s, how)


def _read_kill(fields: Fields, targets: Entry, at_s: float, how: FaultKind) -> Kill:
    others = [key for key, fault in SETTINGS_OF.items() if fault != how]
    _refuse(fields, others, f"{how} has no such setting")
    peers = fields.get("from")
    target = _read_targets(targets)
    if how in {"drain", "partition", "brownout"}:
        for name in [name for name in target if "/" in name]:
            hint = "name a region or city, or use crash, freeze or power"
            targets.problem(f"{how} is for whole sites, and {name!r} is a host", hint)
    return Kill(
        at_s=at_s,
        target=target,
        how=how,
        peers=_read_targets(peers) if peers else (),
        settings=_read_settings(fields),
    )


def _read_settings(fields: Fields) -> dict[str, float]:
    """The numbers of a brown-out or partition that are said, by their names in `Kill`."""
    settings: dict[str, float] = {}
    if "delay" in fields:
        settings["delay_s"] = fields.value("delay", duration("0s", "10s"), 0.0)
    if "loss" in fields:
        settings["loss"] = fields.value("loss", share, 0.0)
    if "rate" in fields:
        settings["rate_bps"] = float(fields.value("rate", rate("1kbit", "100gbit"), 0))
    direction = fields.value("direction", choice(*DIRECTIONS), "both")
    if direction != "both":
        settings["direction"] = DIRECTIONS[direction]
    return settings


def _refuse(fields: Fields, keys: tuple[str, ...] | list[str], why: str) -> None:
    for key in keys:
        entry = fields.get(key)
        if entry is not None:
            belongs = SETTINGS_OF.get(key)
            entry.problem(why, f"{key} belongs to {belongs}" if belongs else f"leave {key} out")


def _read_targets(entry: Entry) -> tuple[str, ...]:
    """One name or a list of names, of sites or hosts."""
    written = entry.items() if entry.is_list() else [entry]
    if not written:
        entry.problem("names no target", "name a region, a city, a name server or a host")
    return tuple(target.value(_target, "") for target in written)


def _target(text: str) -> str:
    site, slash, host = text.partition("/")
    if not is_label(site) or (slash and not is_label(host)):
        raise ValueError(f"{text!r} names nothing; write a site like us-east or a host like ns1")
    return text
