"""The kernel's stamps on our clock."""

from __future__ import annotations

import time

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S, WallClock

AHEAD = 1000 * NS_PER_S  # of the wall clock


class Machine:
    """Both clocks, and how long the processor is away before the wall clock can be read again."""

    def __init__(self) -> None:
        self.now = NS_PER_S
        self.ahead = AHEAD
        self.away = 0

    def monotonic_ns(self) -> int:
        self.now += 100
        return self.now

    def time_ns(self) -> int:
        self.now += 100 + self.away
        return self.now + self.ahead


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(time, "monotonic_ns", machine.monotonic_ns)
    monkeypatch.setattr(time, "time_ns", machine.time_ns)
    return machine


def error_of(wall: WallClock, machine: Machine) -> int:
    return abs(wall.monotonic_ns(machine.now + machine.ahead) - machine.now)


def test_a_processor_that_was_taken_away_moves_no_stamp(machine):
    """5 ms between the two readings would put a stamp 2.5 ms off."""
    wall = WallClock()
    machine.away = 5 * NS_PER_MS
    wall.look()
    assert error_of(wall, machine) < 1000


def test_a_bad_beginning_is_mended(machine):
    """By the first closer reading."""
    machine.away = 5 * NS_PER_MS
    wall = WallClock()
    assert error_of(wall, machine) > NS_PER_MS
    machine.away = 0
    wall.look()
    assert error_of(wall, machine) < 1000


@pytest.mark.parametrize("step", [NS_PER_S, -NS_PER_S, 10 * NS_PER_MS])
def test_a_clock_that_is_set_is_followed(machine, step):
    """At the next look."""
    wall = WallClock()
    machine.ahead += step
    wall.look()
    assert error_of(wall, machine) < 1000
