"""Measurements that a machine's host disturbs: they are made again, in a calmer minute."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

TOO_BUSY = "this machine was too busy"  # how a run says that it was disturbed too much to tell
_TRIES = 3
# While it takes a quarter of the processors a fifth of 400 requests/s starts late, while it takes
# one in a hundred of them one in a hundred (schedule benchmark, 2 cores).
_CALM_SHARE = 0.01
_PATIENCE_S = 300.0  # in all
_PROBE_S = 1.0


def until_undisturbed(measure: Callable[[], str]) -> str:
    """What `measure` said, of the first of three times that was not disturbed, or of the last. In
    between the host is given five minutes in all to leave the processors alone."""
    until = time.monotonic() + _PATIENCE_S
    said = measure()
    for _ in range(_TRIES - 1):
        if TOO_BUSY not in said:
            break
        while _taken_of_all() > _CALM_SHARE and time.monotonic() < until:
            time.sleep(5)
        said = measure()
    return said


def _taken_of_all() -> float:
    """By the host, of a second in which both processors are busy: of an idle one nothing is."""
    before = _ticks()
    until = time.monotonic() + _PROBE_S
    spinners = [threading.Thread(target=_spin, args=(until,)) for _ in range(2)]
    for each in spinners:
        each.start()
    for each in spinners:
        each.join()
    return _taken(before)


def _taken(before: list[int]) -> float:
    """The share of the processors' time since then that the host gave to others: "steal"."""
    passed = [after - earlier for earlier, after in zip(before, _ticks(), strict=True)]
    return passed[7] / max(1, sum(passed))


def _spin(until: float) -> None:
    block = bytes(1 << 20)
    while time.monotonic() < until:
        hashlib.sha256(block).digest()  # without the interpreter's lock


def _ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal of all processors: proc(5)."""
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
