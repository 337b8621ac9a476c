"""What holds for every tree of policies, whatever the regions' state."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.node.dns.explain import explain
from emulator.node.dns.policy import choose, reachable
from emulator.node.dns.values import Asker, RegionState
from emulator.steering import Policy
from tests.dns.policies import PARIS, REGIONS, STRANGER, region, repeatable, service, state_of

KINDS = ("latency", "geo", "weighted", "failover", "multivalue", "sticky", "round-robin")
STATES = st.fixed_dictionaries(
    {
        name: st.builds(
            region,
            st.sampled_from(["UP", "UP", "DOWN", "UNKNOWN"]),
            st.sampled_from([None, None, "up", "down", "drain"]),
            st.sampled_from([1.0, 1.0, 0.0, 0.5]),
        )
        for name in REGIONS
    }
)
ASKERS = st.sampled_from([PARIS, STRANGER])
ALL_DOWN = st.sampled_from(["all", "primary", "refuse", "empty"])
SEEDS = st.integers(0, 99)


@st.composite
def policies(draw: st.DrawFn, depth: int = 3, kinds: tuple[str, ...] = KINDS) -> Policy:
    """A tree of at most `depth` levels."""
    member: st.SearchStrategy[Any] = st.sampled_from(REGIONS)
    if depth > 1:
        member = member | policies(depth - 1, kinds)
    members = tuple(draw(st.lists(member, min_size=1, max_size=4, unique_by=repr)))
    kind: Any = draw(st.sampled_from(kinds))
    indices = st.lists(st.sampled_from(range(len(members))), unique=True).map(tuple)
    areas = draw(st.dictionaries(st.sampled_from(["paris", ""]), indices)) if kind == "geo" else {}
    weights: tuple[int, ...] = ()
    if draw(st.booleans()):
        size = len(members)
        weights = tuple(draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
    return Policy(kind, members, weights, draw(st.integers(1, 4)), areas)


def classes(regions: Mapping[str, RegionState]) -> list[set[str]]:
    """What may be named, by the order in which it is turned to."""
    offered = {name for name, state in regions.items() if state.is_offered}
    drained = {n for n, s in regions.items() if s.forced == "drain" and s.health != "DOWN"}
    return [offered, drained]


@repeatable
@given(policies(), STATES, ASKERS, ALL_DOWN, SEEDS)
def test_nothing_worse_is_named_while_anything_better_is_within_reach(
    policy: Policy, regions: dict[str, RegionState], asker: Asker, all_down: Any, seed: int
) -> None:
    """Offered before drained before what all_down says; nothing but what the policy allows the
    asker; no region twice."""
    served = service(policy, all_down=all_down)
    choice = choose(served, state_of(regions), asker, Random(seed).random)
    within = set(reachable(policy, asker))
    named = set(choice.regions)
    assert named <= within
    assert len(named) == len(choice.regions)
    best = next((some & within for some in classes(regions) if some & within), None)
    if best is not None:
        assert named
        assert named <= best
        assert not choice.is_refused
    elif within:
        assert choice.is_refused == (all_down == "refuse")
        assert bool(named) == (all_down in ("all", "primary"))
    else:
        assert (choice.regions, choice.is_refused) == ((), False)


@repeatable
@given(policies(), STATES, ASKERS, SEEDS)
def test_an_answer_without_a_draw_is_the_same_for_ever(
    policy: Policy, regions: dict[str, RegionState], asker: Asker, seed: int
) -> None:
    """What is not drawn may be kept; what is follows from the seed alone."""
    served, now = service(policy), state_of(regions)
    one, again, other = (choose(served, now, asker, Random(s).random) for s in (seed, seed, -1))
    assert one == again
    if not one.is_drawn:
        assert one == other


# How near a nested policy is depends on its nearest region, whichever it names: latency is flat.
FIXED = policies(1, ("latency", "geo", "failover", "sticky")) | policies(3, ("failover", "sticky"))


@repeatable
@given(FIXED, STATES, ASKERS, st.sampled_from(REGIONS))
def test_losing_a_region_moves_only_those_who_were_sent_there(
    policy: Policy, regions: dict[str, RegionState], asker: Asker, lost: str
) -> None:
    """As long as anything was on offer at all."""
    steady = {name: RegionState(state.health, state.forced) for name, state in regions.items()}
    before = choose(service(policy), state_of(steady), asker, Random(0).random)
    after = choose(
        service(policy),
        state_of({**steady, lost: RegionState("DOWN")}),
        asker,
        Random(0).random,
    )
    if classes(steady)[0].intersection(before.regions) and lost not in before.regions:
        assert after == before


@repeatable
@given(st.permutations(REGIONS), STATES, ASKERS)
def test_latency_names_the_least_round_trip_on_offer(
    members: list[str], regions: dict[str, RegionState], asker: Asker
) -> None:
    steady = {name: RegionState(state.health, state.forced) for name, state in regions.items()}
    named = choose(
        service(Policy("latency", tuple(members))), state_of(steady), asker, Random(0).random
    ).regions
    far = [(asker.rtt_ms.get(name, 1e9), name) for name in classes(steady)[0]]
    if far:
        assert named == (min(far)[1],)


@repeatable
@given(policies(), STATES, ASKERS, ALL_DOWN)
def test_an_explanation_tells_what_a_draw_from_the_middle_chooses(
    policy: Policy, regions: dict[str, RegionState], asker: Asker, all_down: Any
) -> None:
    """The words belong to the decision: the members called chosen lead to the regions named."""
    served, now = service(policy, all_down=all_down), state_of(regions)
    told, chosen = explain(served, now, asker), choose(served, now, asker, lambda: 0.5)
    assert (told.regions, told.is_drawn, told.is_refused) == (
        chosen.regions,
        chosen.is_drawn,
        chosen.is_refused,
    )
    leaves = {
        candidate.name
        for weighing in told.weighings
        for candidate in weighing.candidates
        if candidate.verdict.startswith("chosen") and candidate.name in REGIONS
    }
    failed_open = any("all_down: all" in words for words in told.overrides)
    assert failed_open or set(told.regions) <= leaves
    assert told.weighings[0].depth == 0
