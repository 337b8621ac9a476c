"""What a test did to its lab, written as the scenario that does it again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emulator.harness.paths import written, written_trace
from emulator.scenario.model import (
    ClearPath,
    Count,
    Exec,
    Heal,
    Kill,
    Load,
    Scenario,
    SetPath,
    Step,
    Traffic,
    WaitUntil,
)
from emulator.scenario.pathsteps import EVERY_PATH
from emulator.scenario.traffic import CACHES

_DIRECTIONS = {1.0: "out", -1.0: "in"}


@dataclass(slots=True)
class Script:
    """A scenario file in the making. Steps after the first count from the end of the one before,
    as they did in the test, which may have waited for something in between."""

    name: str
    seed: int
    traffic: Traffic
    steps: list[Step] = field(default_factory=list)
    objectives: list[str] = field(default_factory=list)
    end_s: float = 0.0  # after the last step

    def scenario(self) -> Scenario:
        """What is known of it before its first step."""
        return Scenario(
            name=label_of(self.name),
            topology_file="topology.yaml",
            traffic=self.traffic,
            steps=(),
            end_s=0.0,
            seed=self.seed,
        )

    def render(self, topology: str) -> str:
        """The text of the file; `topology` is the topology's path, relative to it."""
        lines = [
            "# What a test did, as a scenario: netemu run does it again.",
            "netemu: 1",
            f"name: {label_of(self.name)}",
            f"topology: {topology}",
            f"seed: {self.seed}",
            "traffic:",
            *(f"  - {{{_load(load)}}}" for load in self.traffic.loads if load.rate > 0),
            "steps:" if self.steps else "steps: []",
            *(f"  - {{{_step(step)}}}" for step in self.steps),
            f"end: {'+' if self.steps else ''}{_s(max(self.end_s, self._flaps_s(), 0.1))}",
        ]
        if self.objectives:
            lines += ["objectives:", *(f"  - {text}" for text in self.objectives)]
        return "\n".join(lines) + "\n"

    def _flaps_s(self) -> float:
        """How long after the last step a flap may go on, and a little: a scenario sees it end."""
        left_s = since_s = 0.0
        for step in reversed(self.steps):
            if isinstance(step, Kill) and step.how == "flap":
                left_s = max(left_s, (step.for_s or 0.0) - since_s + 0.1)
            since_s += step.at_s
        return left_s


def label_of(name: str) -> str:
    """A name of any length as one that a scenario or lab may have."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[:20].strip("-") or "test"


def _load(load: Load) -> str:
    said = [f"over: {load.kind}", f"rate: {load.rate:.6g}/s"]
    if load.cities:
        said.insert(0, f"from: {_names(load.cities)}")
    if load.connections is not None:
        said.append(f"connections: {load.connections}")
    if (load.cache_s, load.negative_s) != CACHES["none"]:
        said.append(f"cache: {_cache(load)}")
    if load.lifetime_s is not None:
        said.append(f"lifetime: {_s(load.lifetime_s)}")
    return ", ".join(said)


def _cache(load: Load) -> str:
    names = {held: name for name, held in reversed(CACHES.items())}
    return names.get((load.cache_s, load.negative_s)) or _s(load.cache_s)


def _step(step: Step) -> str:
    at = f"at: {'+' if step.is_after else ''}{_s(step.at_s)}"
    if isinstance(step, WaitUntil):
        return f"{at}, wait_until: {step.condition.text}, within: {_s(step.within_s)}"
    if isinstance(step, Heal):
        return f"{at}, heal: {_names(step.target)}"
    if isinstance(step, ClearPath):
        return f"{at}, clear: {step.path or EVERY_PATH}"
    if isinstance(step, Exec):
        return ", ".join([at, *_command(step)])
    return ", ".join([at, *(_path(step) if isinstance(step, SetPath) else _kill(step))])


def _path(step: SetPath) -> Iterable[str]:
    yield f"path: {step.path}"
    yield from written(step.values)
    if step.trace is not None:
        yield written_trace(step.trace)


def _command(step: Exec) -> Iterable[str]:
    yield f"{'count' if isinstance(step, Count) else 'exec'}: {step.host}"
    yield f"command: {json.dumps(step.argv)}"  # a list of YAML's as well
    yield f"within: {_s(step.within_s)}"


def _kill(step: Kill) -> Iterable[str]:
    own = step.how in {"partition", "flap"}  # steps of their own
    yield f"{step.how if own else 'kill'}: {_names(step.target)}"
    if not own:
        yield f"how: {step.how}"
    if step.peers:
        yield f"from: {_names(step.peers)}"
    if direction := _DIRECTIONS.get(step.settings.get("direction", 0.0)):
        yield f"direction: {direction}"
    for word in ("delay", "jitter", "every", "down", "for"):
        if f"{word}_s" in step.settings:
            yield f"{word}: {_s(step.settings[f'{word}_s'])}"
    for word in ("loss", "duplicate", "corrupt", "reorder"):
        if word in step.settings:
            yield f"{word}: {step.settings[word] * 100:.6g}%"
    if "rate_bps" in step.settings:
        yield f"rate: {step.settings['rate_bps'] / 1000:.6g}kbit"


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _s(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
