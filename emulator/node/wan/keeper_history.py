"""The lab's history: a ring of event lines with sequence numbers, and the last of each state."""

from __future__ import annotations

import json
import time
from typing import Any

RING_BYTES = 16 << 20  # some minutes of a two-region lab; the recorder reads along anyway

# What `status` wants to know: for each kind, the fields that name the thing whose state it is.
STATES = {
    "health": ("server", "service", "region"),
    "generation": ("server", "service"),
    "forced": ("server", "service", "region"),
    "proxy": ("region", "service", "server"),
    "lookup": ("city",),
    "daemon": ("host", "name"),
    "schedule": ("city",),
}


class History:
    """Encoded events, oldest dropped first once they take more than `limit` bytes."""

    def __init__(self, limit: int = RING_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        # By number less `_base`; those before `_first` are empty. A dict that is filled at one end
        # and emptied at the other grows by megabytes whenever its table is made anew.
        self._lines: list[bytes] = []
        self._base = self._first = 0
        self._latest: dict[tuple[str, ...], bytes] = {}
        self.next_seq = 0

    def add(self, event: dict[str, Any]) -> None:
        """Append; `t` is now unless given."""
        event = {"t": time.monotonic_ns(), **event, "seq": self.next_seq}
        self._append(event, json.dumps(event, separators=(",", ":")).encode())

    def add_line(self, line: bytes, where: str) -> None:
        """Append an event as a program in the lab wrote it. What is not one counts as lost."""
        try:
            event = json.loads(line)
            well_formed = isinstance(event["kind"], str) and isinstance(event["t"], int)
        except (ValueError, KeyError, TypeError):
            well_formed = False
        if not well_formed:
            self.add({"kind": "lost", "count": 1, "where": f"{where}: not an event"})
        elif "seq" in event:
            self.add(event)
        else:
            self._append(event, line.rstrip()[:-1] + b',"seq":%d}' % self.next_seq)

    def _append(self, event: dict[str, Any], line: bytes) -> None:
        self._lines.append(line)
        self.next_seq += 1
        self._bytes += len(line)
        while self._bytes > self._limit and self._first < self.next_seq - 1:
            self._drop_first()
        if event["kind"] in STATES:
            fields = STATES[event["kind"]]
            self._latest[event["kind"], *(str(event.get(field)) for field in fields)] = line

    def _drop_first(self) -> None:
        self._bytes -= len(self._lines[self._first - self._base])
        self._lines[self._first - self._base] = b""
        self._first += 1
        if 2 * (self._first - self._base) > len(self._lines):
            del self._lines[: self._first - self._base]
            self._base = self._first

    def since(self, seq: int, limit: int) -> tuple[int, list[bytes]]:
        """How many events from `seq` on are no longer here, and about `limit` bytes of lines."""
        lines: list[bytes] = []
        size = 0
        for number in range(max(seq, self._first), self.next_seq):
            if size > limit:
                break
            lines.append(self._lines[number - self._base])
            size += len(lines[-1])
        return max(0, self._first - seq), lines

    def latest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._latest.values()]
