"""Requests in columns: in the order of their starts, with what nobody told of."""

from __future__ import annotations

import pytest

from emulator.analysis.series import UNKNOWN, Sample, Series, columns_of
from emulator.analysis.timeline import Client
from tests.builders import Story, ns


def columns(story: Story) -> Series:
    return columns_of(story.history())[Client("new-york", "http")]


def test_requests_stand_in_the_order_of_their_starts():
    """A late one after those that were planned behind it and started on time."""
    told = columns(Story().requests(0, 1).requests(1, 1.05, late=0.2).requests(1.05, 2))
    assert list(told.starts) == sorted(told.starts)
    assert told.starts[20:26].index(ns(1.2)) == 3


def test_requests_that_never_told_their_end_are_unknown():
    """They stand where the next one started."""
    told = columns(Story().requests(0, 1).skip(3).requests(1.15, 2))
    assert [t for t, span in zip(told.starts, told.took_ns, strict=True) if span == UNKNOWN] == (
        [ns(1.15)] * 3
    )


def test_while_a_run_goes_on_a_gap_may_still_fill():
    """Nothing from it on is known."""
    story = Story().requests(0, 30).skip(3).dead(30.15, 32, takes=0.1)
    story.is_cut_short = True
    assert len(columns(story).starts) == 600
    story.is_cut_short = False
    assert len(columns(story).starts) == 640


def test_a_sample_holds_what_started_in_its_intervals():
    """From the first instant to before the second."""
    told = columns(Story().requests(0, 5).dead(5, 6, closed_by="peer-rst").requests(6, 10, takes=2))
    sample = Sample.of([told], [(ns(4), ns(5.5)), (ns(8), ns(9))])
    assert (sample.count, sample.failed, sample.unknown, sample.resets) == (50, 10, 0, 10)
    assert sample.answered()["us-east"] == 40
    assert sample.latencies_ms() == pytest.approx([30.0] * 20 + [2000.0] * 20)
