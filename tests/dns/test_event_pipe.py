"""Events leave through a pipe whose reader may stand still."""

from __future__ import annotations

import json
import os

from emulator.clock import ManualClock
from emulator.events import Note
from emulator.node.dns.server import EventPipe


def read_all(descriptor: int) -> list[dict[str, object]]:
    return [json.loads(line) for line in os.read(descriptor, 1 << 20).splitlines()]


def test_a_reader_that_stands_still_costs_events_but_no_time() -> None:
    """What did not fit is counted, and the count precedes the next line that gets through."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    pipe = EventPipe(writer, "ns1", ManualClock(5))
    written = 3000  # more than any pipe of 64 KiB holds
    for number in range(written):
        pipe.emit(Note(t=number, text="x" * 100))
    first = read_all(reader)
    pipe.emit(Note(t=written, text="after"))
    lost, after = read_all(reader)
    os.close(reader)
    os.close(writer)
    assert [event["t"] for event in first] == list(range(len(first)))
    assert (lost["kind"], lost["count"]) == ("lost", written - len(first))
    assert (after["t"], after["text"]) == (written, "after")
