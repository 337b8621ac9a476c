"""Time of `up` and `down` with the image present, where it goes, and what stays behind."""

from __future__ import annotations

import re
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
        namespaces: set[int] = set()
        plan, watch, began = fresh_plan(), Stopwatch(), time.monotonic()
        try:
            bring_up(plan, engine, RemoteWan, image, watch).wan.close()
            ready.append(time.monotonic() - began)
            namespaces = _namespaces(engine, plan.lab)
        finally:
            began = time.monotonic()
            remove_lab(engine, plan.lab)
            gone.append(time.monotonic() - began)
        left.append(float(_left(engine, plan.lab, namespaces)))
        for stage, seconds in watch.stages.items():
            stages[stage].append(seconds)
        say(f"run {run + 1}: up {ready[-1]:.2f} s, down {gone[-1]:.2f} s")
    engine.close()
    return [
        at_most("up of two-region until ready", ready, UP_S, "s"),
        *(information(f"  {stage}", seconds, "s") for stage, seconds in stages.items()),
        at_most("down", gone, DOWN_S, "s"),
        at_most("containers and namespaces left", left, 0, ""),
    ]


def _namespaces(engine: DockerEngine, lab: str) -> set[int]:
    """Network namespaces (inodes) of a lab that runs. All of its links end in two of them."""
    pids = [container.pid for container in engine.containers(lab) if container.pid]
    return {Path(f"/proc/{pid}/ns/net").stat().st_ino for pid in pids}


def _left(engine: DockerEngine, lab: str, namespaces: set[int]) -> int:
    """How much of the lab is still there when the kernel has had a moment to free it."""
    until = time.monotonic() + 2.0
    while count := len(engine.containers(lab)) + len(namespaces & network_namespaces()):
        if time.monotonic() > until:
            return count
        time.sleep(0.05)
    return 0


def network_namespaces() -> set[int]:
    """Every network namespace that a process lives in or a mount holds."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    held = {int(inode) for inode in re.findall(r" net:\[(\d+)\] ", mounts)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held.add((process / "ns/net").stat().st_ino)
        except OSError:
            continue  # it ended while we looked
    return held
