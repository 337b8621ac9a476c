"""Waiting for a condition, with a deadline, and what was missing when it passed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emulator.analysis.timeline import History
from emulator.clock import NS_PER_S
from emulator.controller.conditions import Scene, missing
from emulator.controller.lab import Lab
from emulator.scenario.model import Condition, Scenario, Traffic

POLL_S = 0.2
REST = 4  # rests this many times as long as a look took: looking must not starve the lab


def hold_until(
    condition: Condition, scene: Scene, within_s: float, check: Callable[[], None] | None = None
) -> tuple[str, ...]:
    """Wait until the condition is met; what is still missing after `within_s`, () if nothing is.
    `check` is called on the way: what it raises ends the wait."""
    lab = scene.lab
    began_ns, deadline = lab.wan.now_ns(), lab.clock.now_ns() + round(within_s * NS_PER_S)
    while True:
        looked_ns = lab.clock.now_ns()
        lacking = missing(condition, scene, began_ns)
        now_ns = lab.clock.now_ns()
        if not lacking or now_ns >= deadline:
            return lacking
        lab.clock.sleep(max(POLL_S, REST * (now_ns - looked_ns) / NS_PER_S))
        if check is not None:
            check()


def scene_without_traffic(lab: Lab) -> Scene:
    """For conditions that speak of regions and name servers only."""
    nothing = Scenario(name="", topology_file="", traffic=Traffic(()), steps=(), end_s=0.0)
    return Scene(lab, nothing, History(), threading.Lock(), [])
