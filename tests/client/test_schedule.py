"""The schedule is a grid that all kinds share."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from emulator.clock import NS_PER_S
from emulator.node.client.schedule import FOREVER, Schedule, aligned

FULL = {"http": 80, "keepalive": 80, "stream": 20, "udp": 20}


def take(schedule: Schedule, count: int) -> list[tuple[int, str]]:
    slots = []
    for _ in range(count):
        slots.append((schedule.due, schedule.kind))
        schedule.advance()
    return slots


def test_all_kinds_share_evenly_spaced_slots():
    """200 requests a second are 5 ms apart, whatever kind they are."""
    dues = [due for due, _ in take(Schedule(FULL, 7), 400)]
    assert {b - a for a, b in pairwise(dues)} == {5_000_000}


def test_every_kind_gets_its_rate_in_every_second():
    """A second's slots are divided exactly as the rates say."""
    schedule = Schedule(FULL, 0)
    for _ in range(5):
        assert Counter(kind for _, kind in take(schedule, 200)) == FULL


@pytest.mark.parametrize("rates", [FULL, dict.fromkeys(FULL, 5)])
def test_stream_messages_have_a_constant_period(rates):
    """Streams send every 200 ms: their slots come at equal distances."""
    dues = [due for due, kind in take(Schedule(rates, 0), 400) if kind == "stream"]
    assert {b - a for a, b in pairwise(dues)} == {NS_PER_S // rates["stream"]}


def test_a_kind_is_never_further_from_its_plan_than_one_turn_of_all():
    """Awkward rates wander by less than one request of each kind."""
    rates = {"http": 37, "keepalive": 11, "stream": 3, "udp": 0.5}
    slots = take(Schedule(rates, 0), 2000)
    seen: Counter[str] = Counter()
    for due, kind in slots:
        seen[kind] += 1
        for name, rate in rates.items():
            assert abs(seen[name] - rate * due / NS_PER_S) < 1.6


def test_nothing_is_ever_due_without_rates():
    """Kinds at rate 0 do not exist for the schedule."""
    assert Schedule({}, 0).due == FOREVER
    schedule = Schedule({"http": 0, "udp": 10}, 0)
    assert {kind for _, kind in take(schedule, 30)} == {"udp"}


def test_no_drift_after_hours():
    """Slots are counted from the origin, not from each other: rounding does not add up."""
    schedule = Schedule({"http": 3}, 0)
    take(schedule, 100_000)
    assert abs(schedule.due - round(100_000.5 * NS_PER_S / 3)) <= 1


def test_aligning_keeps_the_grid_of_the_origin():
    """An origin long ago gives the slots that its schedule would have now, and none of the past."""
    now = 3600 * NS_PER_S + 1234
    dues = [due for due, _ in take(aligned(FULL, 1000, now), 10)]
    assert {(due - 1000) % 5_000_000 for due in dues} == {2_500_000}
    assert now <= dues[0] < now + 10_000_000


def test_aligning_to_the_future_waits_for_it():
    """Nothing is due before the origin."""
    assert aligned(FULL, 5000, 0).due == 5000 + 2_500_000
    assert aligned({}, 0, 5).due == FOREVER
