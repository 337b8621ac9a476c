"""Values of a path in words, and words as values."""

from __future__ import annotations

import pytest

from emulator.errors import Problem
from emulator.impairment import Impairment, Trace
from emulator.pathvalues import (
    READ,
    WORD_OF,
    describe,
    make_trace,
    read_steps,
    read_table,
    told,
    told_trace,
)

MS = 1_000_000


def test_every_value_of_a_path_has_a_word_and_every_word_sets_values():
    """Nothing that the wire can do is out of reach, and no word sets what there is not."""
    fields = set(Impairment(0).to_json()) - {"cut"}
    assert set(WORD_OF) == fields
    texts = {"one_way": "1ms", "rtt": "1ms", "jitter": "1ms", "loss": "1% burst 8",
             "rate": "1mbit", "queue": "1ms", "aqm": "codel", "mtu": "1400"}  # fmt: skip
    reached = {name for word, read in READ.items() for name in read(texts.get(word, "1%"))}
    assert reached == fields


@pytest.mark.parametrize(
    ("word", "text", "values"),
    [
        ("jitter", "2 ms normal", {"jitter_ns": 2 * MS, "distribution": "normal"}),
        ("jitter", "none", {"jitter_ns": 0, "distribution": "uniform"}),
        ("rtt", "80ms", {"delay_ns": 40 * MS}),
        ("loss", "2%", {"loss": 0.02, "burst_enter": 0.0}),
        ("loss", "none", {"loss": 0.0, "burst_enter": 0.0}),
        ("loss", "2% burst 1", {"loss": 0.02, "burst_enter": 0.0}),
        ("queue", "64kB", {"queue_ns": 60_000 * MS, "queue_bytes": 64_000}),
        ("queue", "64 KiB", {"queue_ns": 60_000 * MS, "queue_bytes": 65_536}),
        ("queue", "50ms", {"queue_ns": 50 * MS, "queue_bytes": 0}),
        ("rate", "none", {"rate_bps": 0}),
        ("aqm", "none", {"aqm": ""}),
        ("mtu", "none", {"mtu": 0}),
    ],
)
def test_words_become_values(word, text, values):
    """Those that the word names, and no others."""
    assert READ[word](text) == values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"delay_ns": 40 * MS}, "40 ms"),
        ({"delay_ns": 1500 * MS}, "1.5 s"),
        ({"jitter_ns": 2 * MS, "distribution": "pareto"}, "jitter +-2 ms (pareto)"),
        ({"delay_ns": 40 * MS, "jitter_ns": 0}, "40 ms, no jitter"),
        (READ["loss"]("2% burst 8"), "loss 2 % in bursts of 8"),
        ({"loss": 0.01, "burst_enter": 0.01, "burst_leave": 0.1, "burst_loss": 0.5},
         "loss 5.45 % (50 % in bursts of 10, 1 % between them)"),
        ({"rate_bps": 0}, "no limit of the rate"),
        ({"queue_bytes": 64_000, "queue_ns": 60_000 * MS}, "queue 64 kB"),
        ({"aqm": "", "mtu": 0}, "no aqm, no limit of the mtu"),
    ],
)  # fmt: skip
def test_values_are_said_in_words(values, words):
    """Short, each with its unit."""
    assert told(values) == words


def test_a_path_is_described_without_what_is_as_ever():
    """Defaults go without saying; a cut does not."""
    path = Impairment(40 * MS, jitter_ns=2 * MS, loss=0.02, rate_bps=10_000_000, reorder=0.01)
    said = "40 ms +-2 ms, loss 2 %, reorder 1 %, 10 Mbit/s"
    assert describe(path.to_json()) == said
    assert describe(path.to_json() | {"cut": True}) == f"cut ({said} without)"


def test_a_trace_is_steps_in_the_order_of_time():
    """As one writes it by hand, and in words again."""
    trace = make_trace(read_steps("0s 40ms, 10s 200ms, 20s 40ms"), 30.0)
    assert trace == Trace(
        tuple((at * 1000 * MS, {"delay_ns": ms * MS}) for at, ms in ((0, 40), (10, 200), (20, 40))),
        30_000 * MS,
    )
    assert told_trace(trace) == "a trace of 3 steps in 20 s, again every 30 s"
    for steps, repeat_s in ((), None), (read_steps("1s 1ms, 1s 2ms"), None), (trace.steps, 20.0):
        with pytest.raises(ValueError, match="; "):
            make_trace(steps, repeat_s)


def test_a_table_names_what_changes_and_leaves_the_rest():
    """An empty cell says nothing; comments and empty lines are no rows."""
    found: list[Problem] = []
    text = "# seconds\nat, one_way, loss\n\n0s, 40ms, \n# tunnel\n10s,, 2%\n"
    steps = read_table(text, ("one_way", "loss"), found)
    assert (found, steps) == (
        [],
        ((0, {"delay_ns": 40 * MS}), (10_000 * MS, {"loss": 0.02, "burst_enter": 0.0})),
    )


def test_a_row_that_names_no_value_is_refused():
    """Somebody forgot one."""
    found: list[Problem] = []
    read_table("at,loss\n0s,1%\n1s,\n", ("loss",), found)
    assert [(problem.line, problem.what) for problem in found] == [(3, "changes nothing")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "one_way\n40ms\n", "at\n0s\n", "at,at\n0s,1s"])
def test_a_table_without_columns_is_refused(text):
    """With what its first line must be."""
    found: list[Problem] = []
    read_table(text, ("one_way",), found)
    assert len(found) == 1
