"""Time of `up` and `down` with the image present, where it goes, and what stays behind."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

from benchmarks.labs import fresh_plan, silent
from benchmarks.table import Line, Say, at_most, information
from emulator.controller.lab import bring_up, remove_lab
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.wan.remote import RemoteWan

RUNS = 5
UP_S = 4.0
DOWN_S = 3.0


class Stopwatch:
    """A progress call that notes how long each stage lasted."""

    def __init__(self) -> None:
        self.stages: defaultdict[str, float] = defaultdict(float)
        self._stage = ""
        self._since = time.monotonic()

    def __call__(self, stage: str, _done: float | None) -> None:
        now = time.monotonic()
        if self._stage:
            self.stages[self._stage] += now - self._since
        self._stage, self._since = stage, now


def measure(say: Say) -> list[Line]:
    """Five labs, one after the other."""
    engine = DockerEngine()
    image = ensure_node_image(silent)
    ready, gone, left = [], [], []
    stages: defaultdict[str, list[float]] = defaultdict(list)
    for run in range(RUNS):
        before = _veths(), _namespaces()
        plan, watch, began = fresh_plan(), Stopwatch(), time.monotonic()
        try:
            bring_up(plan, engine, RemoteWan, image, watch).wan.close()
            ready.append(time.monotonic() - began)
        finally:
            began = time.monotonic()
            remove_lab(engine, plan.lab)
            gone.append(time.monotonic() - began)
        left.append(float(_left(engine, plan.lab, before)))
        for stage, seconds in watch.stages.items():
            stages[stage].append(seconds)
        say(f"run {run + 1}: up {ready[-1]:.2f} s, down {gone[-1]:.2f} s")
    engine.close()
    return [
        at_most("up of two-region until ready", ready, UP_S, "s"),
        *(information(f"  {stage}", seconds, "s") for stage, seconds in stages.items()),
        at_most("down", gone, DOWN_S, "s"),
        at_most("containers, veths, namespaces left", left, 0, ""),
    ]


def _left(engine: DockerEngine, lab: str, before: tuple[set[str], set[str]]) -> int:
    """What this lab made and is still there. Others' labs may come and go meanwhile, so new
    things count only if they stay after a moment (the kernel frees a namespace asynchronously)."""
    until = time.monotonic() + 2.0
    while True:
        stayed = len(_veths() - before[0]) + len(_namespaces() - before[1])
        count = len(engine.containers(lab)) + stayed
        if not count or time.monotonic() > until:
            return count
        time.sleep(0.05)


def _veths() -> set[str]:
    return {path.name for path in Path("/sys/class/net").glob("veth*")}


def _namespaces() -> set[str]:
    """The engine's handles of network namespaces, where it keeps them on this machine."""
    return {path.name for path in Path("/var/run/docker/netns").glob("*")}
