"""Row of `wan`: what seeing the packets costs the wire, in the most small packets that it moves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from statistics import median

from benchmarks.table import Line, Say, information
from benchmarks.wan_effort import Effort, Row
from benchmarks.wan_world import World, address, world_of
from emulator.controller.lab import WAN

PERCENT = 15.0  # bound
_OFFERED_PER_S = 600_000  # more than the wire takes, as much as the sender gives
NO_FLOW_LOG = {"NETEMU_FLOWLOG": "off"}  # of the wire; it is on else
_BEGINS_S = 1.0  # until a capture listens
Switch = Callable[[World], AbstractContextManager[object]]


@contextmanager
def pcap(world: World) -> Iterator[None]:
    """A capture of all paths as pcapng, read to its end in the WAN container and thrown away."""
    sites = {site.number: site.name for site in world.lab.plan.sites}
    paths = ",".join(f"{a}-{b}" for a in sites for b in sites if a != b)
    options = f"--lab {world.lab.name} --sites '{json.dumps(sites)}' --paths {paths}"
    tap = ("sh", "-c", f"python3 -m emulator.node.wan.tap {options} > /dev/null")
    with closing(world.lab.engine.stream(world.lab.name, WAN, tap)) as stream:
        time.sleep(_BEGINS_S)
        yield
        stream.write(b"\n")  # ends it
        stream.read(1)


def capture(
    effort: Effort, say: Say, watched: Switch = pcap, unwatched: Mapping[str, str] = NO_FLOW_LOG
) -> Row:
    """Two WANs in turn: one with `unwatched` as its environment, which turns off what is always on;
    and one as it is, with what `watched` switches on while packets flow."""
    plain: list[float] = []
    seen: list[float] = []
    for number in range(effort.sweep_rounds):
        with world_of(2, environment=unwatched) as world:
            plain.append(_saturated_per_s(world, effort))
        with world_of(2) as world, watched(world):
            seen.append(_saturated_per_s(world, effort))
        say(f"round {number + 1}: {plain[-1]:,.0f}/s, watched {seen[-1]:,.0f}/s")
    cost = 100.0 * (1 - median(seen) / median(plain))
    bound = Line("flow log and pcap: cost in packet rate", f"≤ {PERCENT:g} %", f"{cost:.3g} %",
                 "of medians", len(seen), kept=cost <= PERCENT)  # fmt: skip
    lines = [
        bound,
        information("  packets through without them", plain, "/s"),
        information("  with them", seen, "/s"),
    ]
    return Row(lines, {"without": plain, "with": seen})


def _saturated_per_s(world: World, effort: Effort) -> float:
    got, _ = world.run(
        [("s2", "sink 9000 500")],
        [("s1", f"send {address(2)} 9000 {_OFFERED_PER_S} {effort.burst_ms} 36 1")],
    )
    return float(got["received"] / got["seconds"])
