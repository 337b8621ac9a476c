"""Events leave through a pipe whose reader may stand still."""

from __future__ import annotations

import json
import os
from typing import Any

from emulator.clock import ManualClock
from emulator.events import Note
from emulator.node.dns.pipe import EventPipe


def read_all(descriptor: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in os.read(descriptor, 1 << 20).splitlines()]


def test_a_reader_that_stands_still_costs_events_but_no_time() -> None:
    """What did not fit is counted, and the count stands where it is missing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    pipe = EventPipe(writer, "ns1", ManualClock(5))
    written = 3000  # more than any pipe of 64 KiB holds
    for number in range(written):
        pipe.emit(Note(t=number, text="x" * 100))
    events = read_all(reader)
    pipe.emit(Note(t=written, text="after"))
    events += read_all(reader)
    os.close(reader)
    os.close(writer)
    next_t = 0  # of the event that comes next when none is missing
    for event in events:
        if event["kind"] == "lost":
            next_t += event["count"]
        else:
            assert event["t"] == next_t
            next_t += 1
    assert events[-1]["text"] == "after"
    assert next_t == written + 1
