"""When checks are made: on a schedule that nothing but a command shifts."""

from __future__ import annotations

import asyncio

import pytest

from emulator.node.dns.schedules import SPREAD_OF_ALL_S, SPREAD_S, Anchor, first_offset, next_due
from tests.dns.test_checker import WAKE_UP_EARLY_MS, WAKE_UP_LATE_MS


def test_the_next_check_is_an_interval_on_however_long_the_last_took() -> None:
    """A check that used up its whole interval does not skip the one that is due."""
    assert next_due(10.0, 1.0, last=14.0, now=14.1) == 15.0
    assert next_due(10.0, 1.0, last=14.0, now=15.001) == 15.0


def test_checks_slept_through_are_skipped() -> None:
    """After a pause of the whole process there is no burst of old checks."""
    assert next_due(10.0, 1.0, last=14.0, now=25.3) == 25.0


@pytest.mark.parametrize("first", [3.0, 10.2, 10.5, 10.7, 10.95, 999.3])
def test_a_moved_schedule_neither_bursts_nor_leaves_a_gap(first: float) -> None:
    """From the last check of the old one it is half an interval at least, and one and a half at
    most; then the new schedule goes on, wherever it was counted from."""
    due = next_due(first, 1.0, last=10.0, now=10.1)
    assert 10.5 <= due <= 11.5
    assert (due - first) % 1.0 == pytest.approx(0, abs=1e-6) or (due - first) % 1.0 > 1 - 1e-6
    assert next_due(first, 1.0, last=due, now=due + 0.1) == pytest.approx(due + 1.0)


def test_rounding_does_not_skip_a_check() -> None:
    """Also where the interval is no binary fraction, and after days of an uptime."""
    first, interval, last = 1_000_000.123, 0.3, 1_000_000.123
    for _ in range(10_000):
        due = next_due(first, interval, last, now=last + 0.05)
        assert due - last == pytest.approx(interval, abs=1e-6)
        last = due


def test_who_waits_for_a_check_follows_a_move() -> None:
    """The wait ends at the instant that the moved start gives."""

    async def moved() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        anchor = Anchor(began + 100)
        waiting = asyncio.create_task(anchor.wait_until(lambda start: start + 0.02))
        await asyncio.sleep(0)
        anchor.move(began)
        return await waiting - began, loop.time() - began

    due_s, ended_s = asyncio.run(moved())
    assert due_s == pytest.approx(0.02)
    assert -WAKE_UP_EARLY_MS <= (ended_s - due_s) * 1000 <= WAKE_UP_LATE_MS


def test_schedules_are_spread_and_stay_within_the_interval() -> None:
    """Deterministic, all different; near enough that first checks decide soon."""
    assert [first_offset(n, 3, 1.0) for n in range(3)] == [0.0, SPREAD_S, 2 * SPREAD_S]
    many = [first_offset(n, 100, 1.0) for n in range(100)]
    assert many == sorted(set(many))
    assert many[-1] < SPREAD_OF_ALL_S
    assert first_offset(99, 100, 0.1) < 0.1
