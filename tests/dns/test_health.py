"""Thresholds: the first check decides, then only runs of contrary checks do."""

import pytest

from emulator.node.dns.config import HealthCheck
from emulator.node.dns.health import HealthState


def fresh(fall: int = 3, rise: int = 2, clear: int | None = None) -> HealthState:
    return HealthState(HealthCheck("http", 1.0, 1.0, fall, rise, clear))


def states(checks: str, fall: int = 3, rise: int = 2, clear: int | None = None) -> list[str]:
    """The state after each check, nothing holding it; `+` is a good one, `-` a bad one."""
    state = fresh(fall, rise, clear)
    seen: list[str] = []
    for check in checks:
        state = state.after(ok=check == "+").risen()
        seen.append(state.state)
    return seen


@pytest.mark.parametrize(("check", "state"), [("+", "UP"), ("-", "DOWN")])
def test_first_check_decides_the_initial_state(check: str, state: str) -> None:
    """No run of checks is needed to leave UNKNOWN."""
    assert fresh().state == "UNKNOWN"
    assert states(check) == [state]


def test_fall_checks_in_a_row_make_down() -> None:
    """Not one check earlier, not one later."""
    assert states("+---") == ["UP", "UP", "UP", "DOWN"]


def test_rise_checks_in_a_row_make_up() -> None:
    """Also after a first check that decided DOWN."""
    assert states("-++") == ["DOWN", "DOWN", "UP"]


def test_a_good_check_starts_the_count_of_failures_anew() -> None:
    """Failures count only in a row."""
    assert set(states("+--+--+--")) == {"UP"}


def test_a_bad_check_starts_the_count_of_successes_anew() -> None:
    """Successes count only in a row."""
    assert set(states("-+-+-+-")) == {"DOWN"}


def test_thresholds_of_one_follow_every_check() -> None:
    """fall: 1 and rise: 1 mean no hysteresis."""
    assert states("+-+", fall=1, rise=1) == ["UP", "DOWN", "UP"]
