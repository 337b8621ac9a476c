"""Slow ramp: how much of its share a region is given after it came back.

Ten steps stand for the straight line from nothing to all: the share of each is the line's at its
middle, 5 %, 15 % ... 95 %, so that a whole ramp gives half of what no ramp would have given.
"""

from __future__ import annotations

from emulator.clock import NS_PER_S

STEPS = 10


def share(began_ns: int, ramp_s: float, now_ns: int) -> float:
    """The share in (0, 1] of the draws that a region may be given."""
    step = (now_ns - began_ns) // _step_ns(ramp_s)
    return 1.0 if step >= STEPS else (2 * step + 1) / (2 * STEPS)


def next_step_ns(began_ns: int, ramp_s: float, now_ns: int) -> int | None:
    """When the share changes next; None: it is whole."""
    step = (now_ns - began_ns) // _step_ns(ramp_s)
    return None if step >= STEPS else began_ns + (step + 1) * _step_ns(ramp_s)


def _step_ns(ramp_s: float) -> int:
    return max(1, round(ramp_s * NS_PER_S / STEPS))
