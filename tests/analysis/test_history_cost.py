"""What a history costs: the small form of the promise that a million requests are no burden."""

from __future__ import annotations

import json
import time
import tracemalloc
from itertools import islice

import pytest

from benchmarks.histories import write_history
from emulator.analysis.recovery import measure, settled
from emulator.analysis.timeline import History, read_history

# 0.75 to 0.85 of it, alone and beside neighbours that keep both cores busy; 4 times it when every
# line became an object by Python's own hands. A million requests are 3.5 million lines: 13 s.
TIMES_JSON = 1.2
# 710 bytes of a short history: a Request of 22 fields (216), six or seven instants (210), its
# number and its place in a list (40), the columns of its packets (70), and the text of its port,
# which comes again and again in a long one: there it is 570, and a million are 570 MB of 1 GB.
BYTES_A_REQUEST = 780
# A run asks every 0.2 to 0.5 s, beside the WAN on the same cores. 0.5 ms here.
ASKING_MS = 5.0


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """25,000 requests of four cities: 87,000 events, 21 MB."""
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    write_history(path, 25_000)
    return path


def cpu_s(work) -> float:
    """The least of two tries, in seconds of a core."""
    tries = []
    for _ in range(2):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


def test_reading_and_measuring_take_little_more_than_decoding(long_run):
    """As much as the standard library needs for the lines alone, and no more than a fifth on it."""
    lines = long_run.read_bytes().splitlines()
    decoding = cpu_s(lambda: [json.loads(line) for line in lines] and None)
    ours = cpu_s(lambda: measure(read_history(long_run)))
    assert ours <= TIMES_JSON * decoding


def test_a_request_takes_few_bytes(long_run, tmp_path):
    """With its packets and all else that is kept: of the first 10 s."""
    path = tmp_path / "history.jsonl"
    with long_run.open("rb") as lines:
        path.write_bytes(b"".join(islice(lines, 28_000)))
    tracemalloc.start()
    history = read_history(path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / sum(map(len, history.requests.values())) <= BYTES_A_REQUEST


def test_asking_whether_a_fault_is_settled_costs_what_happened_since(long_run):
    """At 800 requests/s, asked every half second: under 5 ms, and at last the answer is yes."""
    events = [json.loads(line) for line in long_run.read_bytes().splitlines()]
    history, costs, answers = History(), [], []
    for index, event in enumerate(events):
        history.feed(event)
        if history.injected() and index % 1500 == 0:  # half a second
            began = time.process_time()
            answers.append(settled(history, "power:us-east#1", event["t"]))
            costs.append((time.process_time() - began) * 1000)
    assert sorted(costs)[len(costs) // 2] < ASKING_MS
    assert (answers[0], answers[-1]) == (False, True)
