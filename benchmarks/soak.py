"""Ten minutes under traffic with a path changed every 100 ms: nothing drifts, nothing leaks."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.host import taken_since, ticks
from benchmarks.labs import RATES, fresh_lab, recorded
from benchmarks.table import Line, Say, at_least, at_most, information
from emulator.controller.lab import Lab
from emulator.controller.ready import wait_until_paths_fit
from emulator.controller.traffic import even_traffic, start_traffic, stop_traffic, wait_until_idle
from emulator.events import Wire
from emulator.impairment import Pair

SECONDS = 600.0
EVERY_S = 0.1
DRIFT_MS = 0.2
# From the middle to the end: by then the ring of events and the table of flows are full.
GROWTH_MB, DESCRIPTORS = 2.0, 0
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)
_PARENT = re.compile(r"^PPid:\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds."""

    megabytes: float
    descriptors: int


@dataclass(frozen=True, slots=True)
class Soak:
    """What was seen."""

    changes: int
    effects_ms: Sequence[float]  # each change: from the call to its effect
    drift_ms: float  # of any path's measured delay, between start and end
    middle: dict[str, Footprint]  # of wire and keeper
    end: dict[str, Footprint]
    seconds: Sequence[Wire]


def measure(say: Say) -> list[Line]:
    """NETEMU_SOAK_S shortens it; what is read off the middle then says less."""
    length = float(os.environ.get("NETEMU_SOAK_S", SECONDS))
    before = ticks()
    with fresh_lab() as lab:
        seen = soak(lab, length)
    taken = taken_since(before)
    say(f"{seen.changes} changes in {length:g} s")
    late = [second.lag_ms_max for second in seen.seconds]
    lines = [
        at_most("drift of any path's delay", [seen.drift_ms], DRIFT_MS, "ms"),
        information("latest frame of each second", late, "ms"),
        information("  what the machine's host took", [100 * taken], "%"),
        at_most("packets dropped by overload", [sum(s.dropped for s in seen.seconds)], 0, ""),
        at_least("packets moved in a second", [min(s.packets for s in seen.seconds)], 1, ""),
        information("  a change, from call to effect", seen.effects_ms, "ms"),
    ]
    for name, end in seen.end.items():
        middle = seen.middle[name]
        grown = [end.megabytes - middle.megabytes]
        more = [end.descriptors - middle.descriptors]
        lines += [
            at_most(f"{name}: memory grown since the middle", grown, GROWTH_MB, "MB"),
            information("  at the end", [end.megabytes], "MB"),
            at_most(f"{name}: more descriptors", more, DESCRIPTORS, ""),
        ]
    return lines


def soak(lab: Lab, length_s: float) -> Soak:
    """Traffic in every city, and one path after the other slower by a millisecond and as before
    again."""
    before = wait_until_paths_fit(lab.plan, lab.wan)
    with recorded(lab, RATES) as history:
        start_traffic(lab, even_traffic(RATES))
        first = _change_for(lab, length_s / 2)
        middle = footprints(lab)
        second = _change_for(lab, length_s / 2)
        end = footprints(lab)
        stop_traffic(lab)
        wait_until_idle(lab)
    lab.wan.clear(_pairs(lab))
    after = wait_until_paths_fit(lab.plan, lab.wan)
    drift_ms = max(abs(after[path] - before[path]) for path in before) / 1e6
    effects = [*first, *second]
    return Soak(len(effects), effects, drift_ms, middle, end, history.wire)


def _pairs(lab: Lab) -> list[Pair]:
    numbers = {site.name: site.number for site in lab.plan.sites}
    return [(numbers[p.source], numbers[p.target]) for p in lab.plan.paths]


def _change_for(lab: Lab, seconds: float) -> list[float]:
    """How long each change took to take effect, ms."""
    pairs = _pairs(lab)
    delays = [path.impairment.delay_ns for path in lab.plan.paths]
    took = []
    begun = time.monotonic()
    for number in range(round(seconds / EVERY_S)):
        time.sleep(max(0.0, begun + number * EVERY_S - time.monotonic()))
        at = number // 2 % len(pairs)
        asked = lab.wan.now_ns()
        slower_ns = 1_000_000 if number % 2 == 0 else 0
        effect = lab.wan.change([pairs[at]], {"delay_ns": delays[at] + slower_ns})
        took.append((effect - asked) / 1e6)
    return took


def footprints(lab: Lab) -> dict[str, Footprint]:
    """Of wire and keeper; the engine must run on this machine."""
    wire = int(lab.wan.stats()["wire"]["pid"])
    keeper = int(_status(wire, _PARENT))
    return {name: _footprint(pid) for name, pid in (("wire", wire), ("keeper", keeper))}


def _footprint(pid: int) -> Footprint:
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Footprint(int(_status(pid, _RSS)) * 1024 / 1e6, descriptors)


def _status(pid: int, field: re.Pattern[str]) -> str:
    found = field.search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None  # noqa: S101 - the kernel says it of every process
    return found[1]
