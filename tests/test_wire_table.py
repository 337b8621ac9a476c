"""The path table: what one process sets, another obeys at once."""

from __future__ import annotations

import os

import pytest

from emulator.impairment import Impairment
from emulator.node.wan import table as words_of
from emulator.node.wan.table import Counters, PathTable, path_words


@pytest.fixture
def table():
    table = PathTable.create()
    yield table
    table.close()


@pytest.fixture
def other(table):
    """The same memory, mapped again as another process would."""
    other = PathTable.attach(os.dup(table.fd))
    yield other
    other.close()


def test_settings_are_seen_by_the_other_side(table, other):
    table.set(
        3, 63, Impairment(40_000_000, 2_000_000, loss=0.25, rate_bps=10**9, queue_ns=5_000_000)
    )
    cell = path_words(3, 63)
    words = {
        words_of.DELAY: 40_000_000, words_of.JITTER: 2_000_000, words_of.LOSS: 2**30,
        words_of.RATE: 10**9, words_of.QUEUE: 5_000_000, words_of.CUT: 0, words_of.SPECIAL: 1,
    }  # fmt: skip
    assert {word: other.words[cell + word] for word in words} == words


def test_only_the_path_that_was_set_changes(table, other):
    table.set(1, 2, Impairment(7, burst_loss=0))
    set_ = [i for i, word in enumerate(other.words) if word not in (0, 1)]
    cell = path_words(1, 2)
    assert set_ == [cell + words_of.DELAY, cell + words_of.QUEUE]


def test_a_path_that_was_never_set_is_cut(other):
    assert other.words[path_words(5, 6) + words_of.CUT] == 1


def test_cut_and_mend_leave_the_other_values(table, other):
    table.set(1, 2, Impairment(7))
    cell = path_words(1, 2)
    table.cut(1, 2)
    assert (other.words[cell + words_of.CUT], other.words[cell]) == (1, 7)
    table.mend(1, 2)
    assert (other.words[cell + words_of.CUT], other.words[cell]) == (0, 7)


def test_certain_loss_is_above_every_random_number(table):
    table.set(1, 2, Impairment(0, loss=1.0))
    assert table.words[path_words(1, 2) + words_of.LOSS] > 2**32 - 1


def test_counters_and_state_are_read_by_name(table, other):
    cell = path_words(2, 1)
    for offset in range(words_of.PACKETS, words_of.FREE_AT + 1):
        other.words[cell + offset] = offset
    assert table.counters(2, 1) == Counters(*range(24, 36))
    other.words[words_of.LAG_MAX] = 5
    assert table.take_state().lag_max_ns == 5
    assert table.state().lag_max_ns == 0


@pytest.mark.parametrize(("source", "target"), [(0, 1), (1, 0), (1, 64), (2, 2), (-1, 1)])
def test_there_is_no_path_but_between_two_sites(table, source, target):
    with pytest.raises(ValueError, match="not a path"):
        table.set(source, target, Impairment(0))
