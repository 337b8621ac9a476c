"""What a test did to its lab, written as the scenario that does it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emulator.scenario.model import (
    Heal,
    Kill,
    Load,
    Scenario,
    Step,
    Traffic,
    WaitUntil,
)
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
            f"end: {'+' if self.steps else ''}{_s(max(self.end_s, 0.1))}",
        ]
        if self.objectives:
            lines += ["objectives:", *(f"  - {text}" for text in self.objectives)]
        return "\n".join(lines) + "\n"


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
    return ", ".join([at, *_kill(step)])


def _kill(step: Kill) -> Iterable[str]:
    if step.how == "partition":
        yield f"partition: {_names(step.target)}"
    else:
        yield f"kill: {_names(step.target)}"
        yield f"how: {step.how}"
    if step.peers:
        yield f"from: {_names(step.peers)}"
    if direction := _DIRECTIONS.get(step.settings.get("direction", 0.0)):
        yield f"direction: {direction}"
    if "delay_s" in step.settings:
        yield f"delay: {_s(step.settings['delay_s'])}"
    if "loss" in step.settings:
        yield f"loss: {step.settings['loss'] * 100:.6g}%"
    if "rate_bps" in step.settings:
        yield f"rate: {step.settings['rate_bps'] / 1000:.6g}kbit"


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _s(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
