"""Whatever happens in whatever order, the routing is what the states and the clock make it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.clock import NS_PER_S
from emulator.events import Generation
from emulator.steering import ForcedState
from tests.dns.test_routing import Scene

REGIONS = st.sampled_from(["us-east", "eu-west"])
CHECKERS = ("paris", "ns2")
STATES: list[ForcedState | None] = ["down", "up", "drain", None]
STEPS = st.one_of(
    st.tuples(st.just("check"), REGIONS, st.sampled_from("+-"), st.sampled_from(CHECKERS)),
    st.tuples(st.just("wait"), st.floats(0.01, 12)),
    st.tuples(st.just("force"), REGIONS, st.sampled_from(STATES), st.none() | st.floats(0.1, 9)),
)
SERVICES = st.fixed_dictionaries(
    {
        "checkers": st.sampled_from([[], list(CHECKERS)]),
        "clear": st.sampled_from([None, 2]),
        "hold_down_s": st.sampled_from([0, 3.5]),
        "ramp_s": st.sampled_from([0, 4]),
        "degraded_ttl_s": st.sampled_from([None, 1]),
        "quorum": st.sampled_from([0.18, 0.5]),
    }
)


def take_step(scene: Scene, step: tuple[Any, ...]) -> None:
    what, *arguments = step
    if what == "check":
        region, sign, checker = arguments
        scene.check(region, sign, checker if scene.service.checkers else "")
    elif what == "wait":
        scene.wait(arguments[0])
    else:
        region, state, for_s = arguments
        until = None if for_s is None else scene.clock.now_ns() + round(for_s * NS_PER_S)
        scene.live.force(region, None, state, until)


@settings(max_examples=60, deadline=None)
@given(SERVICES, st.lists(STEPS, max_size=40))
def test_no_change_is_missed_and_none_is_made_up(
    changes: dict[str, Any], steps: list[tuple[Any, ...]]
) -> None:
    """After every step answers follow exactly the present states; each change had its own serial;
    and the last generation told is the one that is live."""
    scene = Scene(**changes)
    for step in steps:
        before = scene.live.routing
        take_step(scene, step)
        after = scene.live.routing
        now = scene.clock.now_ns()
        assert scene.state() == scene.live._state_of(scene.service, now)
        assert (after is before) == (after.serial == before.serial)
        assert after.serial >= before.serial
        due = scene.live.next_change_ns()
        assert due is None or due > now
    told = [event for event in scene.events if isinstance(event, Generation)]
    assert [g.serial for g in told] == sorted({g.serial for g in told})
    if told:
        regions = scene.state().regions
        assert told[-1].serial == scene.live.routing.serial
        assert told[-1].up == [name for name, state in regions.items() if state.is_offered]
        assert told[-1].ttl == scene.state().ttl_s
