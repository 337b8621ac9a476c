"""Who descends from whom, from /proc."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def family(roots: set[int]) -> set[int]:
    """Living processes that descend from one of `roots` or were left behind in its session:
    each root was started as the leader of a session of its own. Zombies do not count."""
    found = set(roots)
    living = {}
    grown = True
    table = list(_processes())
    while grown:
        grown = False
        for pid, parent, session, state in table:
            if pid not in living and (pid in roots or parent in found or session in roots):
                found.add(pid)
                living[pid] = state
                grown = True
    return {pid for pid, state in living.items() if state not in "ZX"}


def _processes() -> Iterable[tuple[int, int, int, str]]:
    """pid, parent, session, state of every process here."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            yield int(name), int(fields[1]), int(fields[3]), fields[0]
