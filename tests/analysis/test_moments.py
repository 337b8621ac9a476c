"""What somebody who watched would have said of the name servers."""

from __future__ import annotations

from typing import Any

from emulator.analysis.explain import explain
from emulator.analysis.moments import moments
from emulator.analysis.recovery import measure
from emulator.events import Check, Forced, Generation, Health, PathChange
from tests.builders import Story, ns


def told(story: Story) -> list[str]:
    history = story.history()
    return [moment.text for moment in moments(measure(history), history)]


def forced(at: float, server: str, state: str = "drain", **fields: Any) -> Forced:
    known: dict[str, Any] = {"service": "www", "region": "us-east", "reason": "told"} | fields
    return Forced(t=ns(at), server=server, state=state, **known)


def test_servers_that_are_told_at_once_are_one_line():
    """How long it holds, and how it ended."""
    story = Story().requests(0, 30)
    story.events += [forced(5 + n / 100, f"ns{n}", until=ns(15)) for n in (1, 2)]
    story.events += [forced(15, f"ns{n}", "auto", reason="expired") for n in (1, 2)]
    story.events += [forced(20, "ns2", "up", reason="restored after a restart")]
    assert told(story)[1:] == [
        "ns1 and ns2 hold us-east drained for 10 s",
        "ns1 and ns2 follow the checks of us-east again (its time is over)",
        "ns2 holds us-east forced up, as before its restart",
    ]


def test_a_heal_says_which_of_two_faults_on_a_region_it_ends():
    """Where there is one, its target is enough."""
    alone = Story().fault(5, healed=10).fault(15, how="crash", healed=20, name="f2")
    both = Story().fault(5, how="force", healed=20).fault(10, healed=15, name="f2")
    heals = [[t for t in told(s.requests(0, 30)) if t.startswith("heal")] for s in (alone, both)]
    assert heals == [["heal us-east", "heal us-east"], ["heal power us-east", "heal force us-east"]]


def test_a_verdict_of_vantages_is_told_with_its_votes():
    """The failed checks of several places are not added up."""
    why = "2 of 3 vantages say DOWN: paris, ns1; us-east says UP"
    story = Story().fault(10).requests(0, 20).dead(20, 22)
    story.events += [
        Check(t=ns(11), end=ns(12), server="ns1", service="www", region="us-east", ok=False,
              checker=site)
        for site in ("paris", "ns1")
    ]  # fmt: skip
    story.events.append(
        Health(t=ns(13), server="ns1", service="www", region="us-east", state="DOWN", reason=why)
    )
    assert f"ns1 marks us-east DOWN: {why}" in told(story)


def test_the_failed_checks_of_other_services_are_not_counted_for_one():
    story = Story().fault(10).requests(0, 20).dead(20, 22)
    story.events += [
        Check(t=ns(11), end=ns(12), server="ns1", service=service, region="us-east", ok=False)
        for service in ("www", "api", "db")
    ]
    story.events.append(
        Health(t=ns(13), server="ns1", service="www", region="us-east", state="DOWN")
    )
    assert "ns1 marks us-east DOWN after 1 failed check" in told(story)


def test_a_state_held_by_hand_during_a_fault_is_part_of_the_explanation():
    """Also one that was there before; one that ended before is none."""
    story = Story().fault(10).down(13).answer(12, "us-east").answer(18, "eu-west")
    story.requests(0, 10).dead(10, 18).requests(18, 30, region="eu-west")
    live: dict[str, Any] = {"service": "www", "number": 1, "up": ["us-east"], "down": []}
    story.events += [
        Generation(t=ns(1), server="ns1", forced={"eu-west": "drain"}, **live),
        Generation(t=ns(2), server="ns2", forced={"us-east": "down"}, **live),
        Generation(t=ns(3), server="ns2", forced={}, **live),
    ]
    history = story.history()
    (said,) = explain(measure(history), history)
    assert "held by hand, whatever their checks said: eu-west drained (ns1)." in said
    assert "forced down" not in said


def changed(at: float, path: str, values: dict[str, Any], by: str = "hand") -> PathChange:
    source, target = path.split("->")
    return PathChange(t=ns(at), source=source, target=target, values=values, by=by)


def test_a_change_of_a_path_is_one_line_for_both_directions():
    """In words, and when it is as the file says again."""
    story, slow = Story().requests(0, 30), {"delay_ns": 100_000_000, "loss": 0.02}
    pair = ("us-east->paris", "paris->us-east")
    story.events += [changed(5, path, slow) for path in pair]
    story.events += [changed(9, "paris->ns1", {"rate_bps": 0})]
    story.events += [changed(12, path, {}, "clear") for path in (*pair, "paris->ns1")]
    assert told(story)[1:] == [
        "paris..us-east: 100 ms, loss 2 %",
        "paris->ns1: no limit of the rate",
        "paris..us-east and paris->ns1: as the file says again",
    ]


def test_a_trace_is_said_once_and_its_other_steps_are_counted():
    """Also where it plays on many paths."""
    story = Story().requests(0, 30)
    for city in ("a", "b", "c", "d"):
        for n in range(20):
            values = {"delay_ns": n * 1_000_000}
            story.events.append(changed(2 + n, f"us-east->{city}", values, "trace"))
    story.events.append(changed(4, "ns1->a", {"loss": 0.5}, "trace"))
    first, second = told(story)[1:]
    names = "us-east->a, us-east->b, us-east->c and 1 more paths"
    assert first == f"{names}: 0 ms (by its trace); 19 more steps in 19 s"
    assert second == "ns1->a: loss 50 % (by its trace)"
