"""Quantities are read with their units or refused with advice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.units import (
    parse_duration,
    parse_frequency,
    parse_rate,
    parse_share,
    show_duration,
    show_rate,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("38ms", 0.038), ("1.5s", 1.5), ("2m", 120), ("1 h", 3600), ("5us", 5e-6)]
)
def test_durations_are_seconds(text: str, seconds: float):
    """Any usual unit of time."""
    assert parse_duration(text) == pytest.approx(seconds)


def test_rates_shares_and_frequencies_have_units():
    """Each has its own unit, and none is guessed."""
    assert parse_rate("100mbit") == 100_000_000
    assert parse_rate("1Gbps") == 1_000_000_000
    assert parse_share("0.1%") == pytest.approx(0.001)
    assert parse_frequency("30/min") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("parse", "text", "advice"),
    [
        (parse_duration, "38", "38ms or 38s"),
        (parse_duration, "3 parsecs", "unit of time"),
        (parse_duration, "-5s", "duration"),
        (parse_rate, "10", "kbit, mbit or gbit"),
        (parse_share, "0.1", "write 0.1%"),
        (parse_share, "130%", "more than 100%"),
        (parse_frequency, "200", "write 200/s"),
    ],
)
def test_a_missing_or_wrong_unit_is_refused_with_advice(
    parse: Callable[[str], float], text: str, advice: str
):
    """The message says what to write instead."""
    with pytest.raises(ValueError, match=advice):
        parse(text)


def test_what_is_shown_has_a_unit_that_reads_well():
    """A newcomer decodes nothing."""
    assert [show_duration(s) for s in (0.009, 3.4, 120)] == ["9.0 ms", "3.40 s", "120 s"]
    assert [show_rate(bps) for bps in (10**9, 15 * 10**5, 300)] == [
        "1 Gbit/s",
        "1.5 Mbit/s",
        "300 bit/s",
    ]
