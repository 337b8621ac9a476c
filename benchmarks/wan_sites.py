"""Row of `wan`: fifty sites that all talk to each other, and one of their paths changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

from benchmarks.host import taken_since, ticks
from benchmarks.table import Say, at_most, information
from benchmarks.wan_delay import Round, error_lines, late_ms, percentile
from benchmarks.wan_effort import Effort, Row
from benchmarks.wan_world import Job, World, address, world_of
from emulator.clock import NS_PER_MS

CORES, CHANGE_MS = 1.0, 10.0  # bounds
PACKETS_PER_S = 20_000  # echoes and their answers, over all paths
_ROUND_TRIPS_MS = (5, 20, 40, 100, 300)
_EDGE_S = 1.0  # at both ends of a measurement: programs start and end one after the other
_PROBES_PER_S = 5000
_STEP_NS = 10 * NS_PER_MS  # what each change adds
_PAUSE_S = 0.12
_BUSY_LEAST_MS = 1000


def sites(effort: Effort, say: Say) -> Row:
    """Every site pings every other one in turn; then one path changes, busy and quiet."""
    with world_of(effort.sites, _one_way_ns) as world:
        paths = effort.sites * (effort.sites - 1)
        say(f"{effort.sites} sites, {paths} paths")
        found = _talks(world, effort, say)
        with _talking(world, effort):
            busy = _changes_ms(world, effort)
        quiet = _changes_ms(world, effort)
    say(f"a change takes effect in up to {max(quiet):.2f} ms, {max(busy):.2f} ms while all talk")
    what = f"one path of {paths:,} changed"
    lines = [
        *found.lines,
        at_most(what, quiet, CHANGE_MS, "ms"),
        at_most("  while all talk", busy, CHANGE_MS, "ms"),
    ]
    return Row(lines, {**found.figures, "change_ms": quiet, "change_busy_ms": busy})


def _one_way_ns(source: int, target: int) -> int:
    return _ROUND_TRIPS_MS[(source + target) % len(_ROUND_TRIPS_MS)] * NS_PER_MS // 2


def _pings(effort: Effort, length_ms: int) -> list[Job]:
    """Half of the packets are answers. Each site begins elsewhere in the round of the others."""
    interval_us = effort.sites * 2_000_000 // PACKETS_PER_S
    count = length_ms * 1000 // interval_us
    jobs = []
    for site in range(1, effort.sites + 1):
        others = [(site + step - 1) % effort.sites + 1 for step in range(1, effort.sites)]
        targets = " ".join(f"{address(other)}/{2 * _one_way_ns(site, other)}" for other in others)
        jobs.append((f"s{site}", f"ping {interval_us} {count} {targets}"))
    return jobs


class Talk(NamedTuple):
    """A while in which all talk."""

    round: Round
    per_s: float  # packets
    cores: dict[str, float]  # of keeper and wire


def _talks(world: World, effort: Effort, say: Say) -> Row:
    talks = [_talk(world, effort, say) for _ in range(effort.mesh_rounds)]
    engine = [sum(talk.cores.values()) for talk in talks]
    lines = [
        *error_lines(f"{effort.sites} sites talk: RTT error", [[talk.round for talk in talks]]),
        information("  packets", [talk.per_s for talk in talks], "/s"),
        at_most("  the engine (wire and keeper)", engine, CORES, "cores"),
        information("  the wire alone", [talk.cores["wire"] for talk in talks], "cores"),
    ]
    names = Talk._fields
    return Row(lines, {name: [getattr(talk, name) for talk in talks] for name in names})


def _talk(world: World, effort: Effort, say: Say) -> Talk:
    length_ms = round(effort.mesh_ms + 2000 * _EDGE_S)
    with ThreadPoolExecutor(1) as pool:
        host = ticks()
        talking = pool.submit(world.run, [], _pings(effort, length_ms))
        time.sleep(_EDGE_S)
        before, began = world.cpu_s(), time.monotonic()
        time.sleep(effort.mesh_ms / 1000)
        after, lasted_s = world.cpu_s(), time.monotonic() - began
        said = talking.result()
        taken = taken_since(host)
    late = sorted(ms for one in said for ms in late_ms(one))
    per_s = 1000 * sum(one["sent"] + len(one["late_us"]) for one in said) / length_ms
    cores = {name: (after[name] - before[name]) / lasted_s for name in after}
    found = Round(percentile(late, 0.5), percentile(late, 0.99), taken)
    told = ", ".join(f"{name} {value:.2f}" for name, value in cores.items())
    say(f"{per_s:,.0f} packets/s; p99 {found.p99:.3f} ms late, host {taken:.1%}; cores: {told}")
    return Talk(found, per_s, cores)


@contextmanager
def _talking(world: World, effort: Effort) -> Iterator[None]:
    length_ms = round(1000 * _changing_s(effort)) + _BUSY_LEAST_MS
    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(world.run, [], _pings(effort, length_ms))
        time.sleep(_EDGE_S / 2)
        yield
        talking.result()


def _changing_s(effort: Effort) -> float:
    return 1.0 + effort.changes * (_PAUSE_S + 0.03)


def _changes_ms(world: World, effort: Effort) -> list[float]:
    """From before the call to the first packet of a steady stream, by when it was sent, from
    which on all of them are delayed anew."""
    length_ms = round(1000 * _changing_s(effort))
    called = []
    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(
            world.run,
            [("s2", "sink 9000 500 log")],
            [("s1", f"send {address(2)} 9000 {_PROBES_PER_S} {length_ms} 36 1")],
        )
        time.sleep(0.5)
        for number in range(1, effort.changes + 1):
            called.append(time.time_ns())  # the clock of flood's stamps
            world.set((1, 2), delay_ns=_one_way_ns(1, 2) + number * _STEP_NS)
            time.sleep(_PAUSE_S)
        log = probing.result()[0]["log"]
    world.clear()
    base_us = _one_way_ns(1, 2) / 1000
    found = []
    for number, (began, until) in enumerate(pairwise([*called, called[-1] + 10**8]), start=1):
        wanted_us = base_us + (number - 0.5) * _STEP_NS / 1000
        last_old = max(sent for sent, us in log if sent < until and us < wanted_us)
        first_new = min(sent for sent, _ in log if sent > last_old)
        found.append(max(0.0, (first_new - began) / 1e6))
    return found
