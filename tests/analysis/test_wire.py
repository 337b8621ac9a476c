"""The wire's record, and whether a run may claim anything."""

from __future__ import annotations

import time

import pytest

from emulator.analysis.agreement import agreement
from emulator.analysis.recovery import measure
from emulator.events import Daemon, Lost, Wire
from tests.builders import Story, ns


def test_resets_and_fins_by_sender_within_the_episode():
    """What the target sent counts as its own; not what came before or after, or never arrived."""
    story = Story().fault(10, healed=20, how="crash").requests(0, 30)
    story.packet(9, "rst", "us-east", "new-york").packet(21, "rst", "us-east", "new-york")
    story.packet(10.1, "rst", "us-east", "new-york").packet(10.2, "fin", "eu-west", "paris")
    story.packet(10.1, "fin", "us-east", "new-york", out=None, dropped="cut")
    story.packet(11, "syn-again", "new-york", "us-east").packet(11, "again", "paris", "eu-west")
    wire = measure(story.history()).faults[0].wire
    assert (wire.resets, wire.fins) == ({"us-east": 1}, {"eu-west": 1})
    assert (wire.target_resets, wire.target_fins) == (1, 0)
    assert (wire.syns_again, wire.data_again) == (1, 1)


def test_client_and_wire_agree_by_port_and_address():
    """Every handshake finds its packets, 0.1 ms apart."""
    found = agreement(Story().requests(0, 5).handshakes().history())
    assert (found.syn.count, found.synack.count) == (100, 100)
    assert found.syn.p99_ms == pytest.approx(0.1)
    assert found.synack.max_ms == pytest.approx(0.1)
    assert (found.unmatched_client, found.unmatched_wire) == (0, 0)


def test_what_only_one_side_knows_is_counted():
    """A handshake without a SYN, and a SYN without a client; a health check is no client's."""
    story = Story().requests(0, 0.05).requests(0, 0.05, city="paris", kind="udp")
    story.packet(-0.5, "syn", "ns2", "eu-west", src="198.18.6.53:5", dst="198.18.2.254:9001")
    story.packet(3, "syn", "ns1", "eu-west", src="198.18.5.53:5", dst="198.18.2.254:9001")
    story.packet(3, "syn", "paris", "eu-west", src="10.5.0.2:5", dst="198.18.2.1:80")
    found = agreement(story.history())
    assert (found.unmatched_client, found.unmatched_wire) == (1, 1)


def test_a_port_used_again_is_another_connection():
    """The SYN of a minute before is not taken for it."""
    story = Story().requests(0, 0.05, port=7).handshakes().requests(60, 60.05, port=7)
    assert agreement(story.history()).unmatched_client == 1


def test_one_flow_used_by_everybody_is_matched_as_fast():
    """10,000 handshakes of one port: each finds its own packets, in 0.1 s of a core where looking
    at every pair would take 10 s."""
    story = Story().requests(0, 100, rate=100, port=7).handshakes()
    history, began = story.history(), time.process_time()
    found = agreement(history)
    assert time.process_time() - began < 1.0
    assert (found.syn.count, found.synack.count, found.unmatched_client) == (10_000, 10_000, 0)
    assert found.syn.max_ms == pytest.approx(0.1)


def test_overlapping_faults_each_have_their_packets():
    """What lies in both episodes counts for both."""
    story = Story().fault(10, healed=20).fault(15, "eu-west", healed=30, name="f2").requests(0, 40)
    for second in (9, 12, 17, 25, 31):
        story.packet(second, "rst", "us-east", "new-york")
    first, other = measure(story.history()).faults
    assert (first.wire.resets, other.wire.resets) == ({"us-east": 2}, {"us-east": 2})
    assert (first.wire.target_resets, other.wire.target_resets) == (2, 0)


def test_lost_events_and_an_overloaded_wan_make_the_run_inconclusive():
    """Both are named."""
    story = Story().requests(0, 5)
    story.events += [
        Lost(t=ns(2), count=3, where="keeper"),
        Wire(t=ns(3), packets=9, dropped=4, lag_ms_max=30.0),
    ]
    assert measure(story.history()).inconclusive == (
        "3 events were lost at keeper",
        (
            "the WAN was the bottleneck: more came than this machine could move, and it dropped"
            " 4 packets that no path asked it to drop"
        ),
    )


def wire_turns(*turns: tuple[float, str, str]) -> list[Daemon]:
    return [Daemon(t=ns(at), host="wan", name="wire", state=state, detail=detail)
            for at, state, detail in turns]  # fmt: skip


def test_a_wire_that_ended_or_stood_still_makes_the_run_inconclusive():
    """Even where it was there again within the same second; another daemon's end does not."""
    story = Story().requests(0, 5)
    story.events += wire_turns(
        (1, "ended", "signal 9"), (1.2, "started", "compiled"), (2, "ended", "exit 1"),
        (2.2, "started", "compiled"), (3, "stuck", "no sign of life for 1.1 s"), (4, "moving", ""),
    )  # fmt: skip
    story.events.append(Daemon(t=ns(1), host="us-east/www-1", name="app", state="ended"))
    assert measure(story.history()).inconclusive == (
        (
            "the WAN's wire ended 2 times (exit 1): what was on its way was lost, and nothing moved"
            " until it was started anew"
        ),
        "the WAN's wire stood still once for a second or more",
    )


@pytest.mark.parametrize("has_ended_before", [True, False])
def test_a_wire_that_was_given_up_makes_the_run_inconclusive(has_ended_before):
    """Also where all of that was before the run began: its seconds say so."""
    story = Story().requests(0, 5)
    if not has_ended_before:
        story.events += wire_turns((1, "ended", "signal 9"), (1, "given up", "ended 6 times"))
    trouble = "ended 6 times within 10 s; it is not started again: make the lab anew"
    story.events.append(Wire(t=ns(3), packets=0, dropped=0, lag_ms_max=0.0, trouble=trouble))
    assert measure(story.history()).inconclusive[-1] == f"the WAN's wire {trouble}"


def test_a_run_without_its_end_is_inconclusive():
    """Interrupted or killed: what was seen is shown, and nothing is claimed."""
    story = Story().requests(0, 10)
    assert measure(story.history()).inconclusive == ()
    story.is_cut_short = True
    (reason,) = measure(story.history()).inconclusive
    assert reason == "it was cut short 10 s after its start"
