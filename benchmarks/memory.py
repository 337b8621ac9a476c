"""Memory of the whole two-region lab under load: its containers and their shims."""

from __future__ import annotations

import re
import time
from pathlib import Path

from benchmarks.labs import RATES, fresh_lab
from benchmarks.table import Line, Say, at_most, information
from emulator.controller.lab import Lab
from emulator.controller.traffic import even_traffic, start_traffic

TOTAL_MB = 500.0
SAMPLES = 5
APART_S = 2.0
_SHIM_ID = re.compile(rb"containerd-shim[^\0]*\0.*?-id\0([0-9a-f]{64})\0", re.DOTALL)
_ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)


def measure(say: Say) -> list[Line]:
    """Five samples under 200 requests/s a city."""
    inside, shims = [], []
    with fresh_lab() as lab:
        start_traffic(lab, even_traffic(RATES))
        for _ in range(SAMPLES):
            time.sleep(APART_S)
            by_host = lab.engine.memory_bytes(lab.name)
            inside.append(sum(by_host.values()) / 1e6)
            shims.append(_shims_mb(lab))
    largest = sorted(by_host, key=lambda host: -by_host[host])[:3]
    say("largest: " + ", ".join(f"{host} {by_host[host] / 1e6:.0f} MB" for host in largest))
    totals = [a + b for a, b in zip(inside, shims, strict=True)]
    return [
        at_most("memory of the whole lab", totals, TOTAL_MB, "MB"),
        information("  containers", inside, "MB"),
        information("  containerd's shims", shims, "MB"),
    ]


def _shims_mb(lab: Lab) -> float:
    """Anonymous memory of the shims; 0 where the engine runs on another machine."""
    ours = {container.id.encode() for container in lab.engine.containers(lab.name)}
    total_kb = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            shim = _SHIM_ID.search((process / "cmdline").read_bytes())
            anonymous = _ANONYMOUS.search((process / "status").read_text())
        except OSError:
            continue  # it ended while we looked
        if shim and anonymous and shim[1] in ours:
            total_kb += int(anonymous[1])
    return total_kb * 1024 / 1e6
