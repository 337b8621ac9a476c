"""One-way delay of every path, both directions: what was set against what is measured."""

from __future__ import annotations

from benchmarks.labs import fresh_lab
from benchmarks.table import Line, Say, at_most
from emulator.controller.ready import wait_until_paths_fit

WORST_MS = 0.5


def measure(say: Say) -> list[Line]:
    """The minimum of the probes of each ordered pair of sites."""
    with fresh_lab() as lab:
        measured = wait_until_paths_fit(lab.plan, lab.wan)
    errors = {
        f"{path.source}->{path.target}": abs(
            measured[path.source, path.target] - path.impairment.delay_ns
        )
        / 1e6
        for path in lab.plan.paths
    }
    worst = max(errors, key=lambda path: errors[path])
    say(f"worst: {worst}, {errors[worst]:.3f} ms")
    return [at_most("one-way delay, set against measured", list(errors.values()), WORST_MS, "ms")]
