"""When the machine stood still, so that no promise is blamed for it.

A hypervisor takes processors away for tens of milliseconds, at times for hundreds. One process a
processor, above every other in priority, sleeps 2 ms again and again: where it wakes late, nothing
else ran there either. Where only root may have such a priority and we are not root, its ordinary
sleep counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from types import TracebackType

from emulator.clock import NS_PER_MS

PATIENCE_S = 10.0

# A line for each time away, begin and end on the monotonic clock in ns; and one every 50 ms.
_PROGRAM = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(98))
except PermissionError: pass
step = int(sys.argv[2])
told = last = time.monotonic_ns()
while True:
    time.sleep(step / 1e9)
    now = time.monotonic_ns()
    if now - last > 2 * step or now - told > 50_000_000:
        print(min(last + step, now), now, flush=True)
        told = now
    last = now
"""
_STEP_NS = 2 * NS_PER_MS


class Stalls:
    """Watches every processor this process may use; a context manager."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._away: list[tuple[int, int]] = []
        self._seen: dict[int, int] = {}
        self._watchers = [self._watch(cpu) for cpu in sorted(os.sched_getaffinity(0))]

    def _watch(self, cpu: int) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", _PROGRAM, str(cpu), str(_STEP_NS)]
        watcher = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(cpu, watcher), daemon=True).start()
        return watcher

    def _read(self, cpu: int, watcher: subprocess.Popen[str]) -> None:
        assert watcher.stdout is not None
        with watcher.stdout:
            for line in watcher.stdout:
                began, ended = map(int, line.split())
                with self._news:
                    self._seen[cpu] = ended
                    if ended - began > _STEP_NS:
                        self._away.append((began, ended))
                    self._news.notify_all()

    def __enter__(self) -> Stalls:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for watcher in self._watchers:
            watcher.kill()
            watcher.wait()

    def away_ns(self, began: int, ended: int) -> int:
        """For how long between these instants some processor did not run, ns. Both on the monotonic
        clock; an end that is to come is waited for."""

        def is_known() -> bool:
            return len(self._seen) == len(self._watchers) and min(self._seen.values()) >= ended

        with self._news:
            assert self._news.wait_for(is_known, PATIENCE_S), "nobody watched the processors"
            return covered_ns(self._away, began, ended)

    def deadline(self, began: int, ns: int) -> int:
        """When every processor has run for so long since `began`."""
        at, until = began, began + ns
        while at < until:
            at, until = until, began + ns + self.away_ns(began, until)
        return until


def covered_ns(times: Iterable[tuple[int, int]], began: int, ended: int) -> int:
    """How much of what lies between is covered by these times, which may overlap."""
    covered, at = 0, began
    for begin, end in sorted((a, b) for a, b in times if a < ended and b > began):
        covered += max(0, min(end, ended) - max(at, begin))
        at = max(at, end)
    return covered
