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


GDNSD = {"fall": 10, "rise": 20, "clear": 10}  # its defaults: down_thresh, up_thresh, ok_thresh


@pytest.mark.parametrize(
    ("checks", "last"),
    [
        ("+" + "-" * 9, "UP"),
        ("+" + "-" * 10, "DOWN"),
        ("+" + "-+" * 9, "UP"),
        ("+" + "-+" * 10, "DOWN"),  # every other check fails: they need not come in a row
        ("+" + ("-" + "+" * 9) * 10, "DOWN"),  # nine good ones between them clear nothing
        ("+" + ("-" + "+" * 10) * 30, "UP"),  # ten do
        ("+" + "-" * 9 + "+" * 10 + "-" * 9, "UP"),
        ("-" + "+" * 19, "DOWN"),
        ("-" + "+" * 20, "UP"),
        ("-" + "+" * 19 + "-" + "+" * 19, "DOWN"),
        ("-" + "+" * 20 + "-" * 9, "UP"),  # what was counted before a fall is forgotten
    ],
)
def test_counter_mode_is_gdnsds(checks: str, last: str) -> None:
    """gdnsd.config(5), service_types: failures over any length of time, unless `ok_thresh` good
    checks in a row cleared them."""
    assert states(checks, **GDNSD)[-1] == last


def test_without_clear_failures_count_only_in_a_row() -> None:
    """The same checks leave a region UP in one mode and not in the other."""
    flapping = "+" + "--+" * 3
    assert set(states(flapping)) == {"UP"}
    assert states(flapping, clear=2)[-1] == "DOWN"


def test_suspect_is_up_whose_latest_check_failed() -> None:
    """Also in counter mode a good check ends the suspicion, though not the count."""
    state = fresh(clear=10)
    seen = []
    for check in "+-+---":
        state = state.after(ok=check == "+")
        seen.append(state.is_suspect)
    assert state.state == "DOWN"
    assert seen == [False, True, False, True, False, False]


def test_a_complete_rise_waits_for_what_holds_it() -> None:
    """Until it is let rise a region stays DOWN and counts on; a bad check starts it anew."""
    state = fresh()
    for check in "-++++":
        state = state.after(ok=check == "+")
    assert (state.state, state.risen().state) == ("DOWN", "UP")
    fallen = state.after(ok=False).after(ok=True)
    assert fallen.risen().state == "DOWN"
