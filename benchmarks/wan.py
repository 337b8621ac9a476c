"""The WAN against its bounds, a plain kernel bridge beside it: delay, throughput, loss, rate.

Sender, receiver and engine are containers of a lab and share the machine. Needs gcc
(`compose/setup.sh bench`): what sends and receives must be cheap, and is compiled here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.flood import compiled
from benchmarks.host import taken_since, ticks
from benchmarks.table import Line, Say, information, machine
from benchmarks.wan_bulk import packets, rate, tcp
from benchmarks.wan_capture import capture
from benchmarks.wan_chart import draw
from benchmarks.wan_delay import delay
from benchmarks.wan_effort import FULL, QUICK, Bench, Effort, Row
from benchmarks.wan_loss import loss
from benchmarks.wan_sites import sites
from benchmarks.wan_world import world_of
from emulator.errors import UsageError

SMALL: dict[str, Callable[[Bench], Row]] = {
    "delay": delay, "tcp": tcp, "packets": packets, "loss": loss, "rate": rate,
}  # fmt: skip
LARGE: dict[str, Callable[[Effort, Say], Row]] = {"sites": sites, "capture": capture}
ROWS = (*SMALL, *LARGE)
EFFORT = QUICK if os.environ.get("NETEMU_WAN_QUICK") else FULL
CHOSEN = os.environ.get("NETEMU_WAN_ROWS", ",".join(ROWS)).split(",")
DIRECTORY = Path(os.environ.get("NETEMU_WAN_OUT", Path(__file__).parent))


def measure(say: Say) -> list[Line]:
    """The rows that are chosen, most of them with four sites; then the plot and all figures."""
    if unknown := set(CHOSEN) - set(ROWS):
        raise UsageError(
            f"NETEMU_WAN_ROWS names {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}"
        )
    compiled()
    before = ticks()
    found: dict[str, Row] = {}
    mover = ""
    with ExitStack() as stack:
        if any(name in SMALL for name in CHOSEN):
            bench = Bench(stack.enter_context(world_of(4)), EFFORT, say)
            mover = bench.world.mover
            say(f"frames are moved by: {mover}")
        for name in (name for name in SMALL if name in CHOSEN):
            say(f"{name} …")
            found[name] = SMALL[name](bench)
    for name in (name for name in LARGE if name in CHOSEN):
        say(f"{name} …")
        found[name] = LARGE[name](EFFORT, say)
    _write(found, mover, say)
    taken = [100.0 * taken_since(before)]
    lines = [line for row in found.values() for line in row.lines]
    return [*lines, information("processor time that the machine's host took", taken, "%")]


def _write(found: dict[str, Row], mover: str, say: Say) -> None:
    figures: dict[str, Any] = {name: row.figures for name, row in found.items()}
    told = {
        "machine": machine(),
        "mover": mover,
        "lines": [asdict(line) for row in found.values() for line in row.lines],
        "figures": figures,
    }
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=1)
    (DIRECTORY / "wan.json").write_text(text + "\n", encoding="utf-8")
    say(f"figures: {DIRECTORY / 'wan.json'}")
    if drawing := draw(json.loads(text)["figures"]):
        (DIRECTORY / "wan.svg").write_text(drawing, encoding="utf-8")
        say(f"plot: {DIRECTORY / 'wan.svg'}")
