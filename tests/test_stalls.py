"""Times at which the machine stood still are seen, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from emulator.clock import NS_PER_MS
from tests.stalls import Stalls, covered_ns

MS = NS_PER_MS
# Takes one processor away for 60 ms, as a hypervisor does; says when.
_THIEF = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
began = time.monotonic_ns()
while time.monotonic_ns() < began + 60_000_000: pass
print(began, time.monotonic_ns())
"""


@pytest.fixture
def stalls() -> Iterator[Stalls]:
    with Stalls() as watching:
        now = time.monotonic_ns()
        watching.away_ns(now, now)
        yield watching


@pytest.mark.netns
def test_a_processor_that_is_taken_away_moves_the_deadline(stalls: Stalls) -> None:
    cpu = str(min(os.sched_getaffinity(0)))
    thief = subprocess.run([sys.executable, "-c", _THIEF, cpu], stdout=subprocess.PIPE, check=True)
    began, ended = map(int, thief.stdout.split())
    assert stalls.away_ns(began, ended) > 50 * MS
    assert stalls.deadline(began, 20 * MS) > began + 70 * MS


def test_times_that_overlap_are_counted_once_and_only_in_between() -> None:
    times = [(5, 8), (1, 5), (2, 6), (12, 14)]
    assert covered_ns(times, 0, 20) == 9
    assert covered_ns(times, 3, 13) == 6
    assert covered_ns(times, 8, 12) == 0
    assert covered_ns([], 8, 12) == 0
