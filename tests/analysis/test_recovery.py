"""The definitions of recovery, held on invented histories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.analysis.measurements import Measurements, Row
from emulator.analysis.recovery import measure, settled, standing
from emulator.analysis.timeline import Client, History
from emulator.events import Fault
from tests.analysis.stories import region_loss
from tests.builders import ADDRESSES, Story, ns


def row_of(
    measured: Measurements, fault: int = 0, kind: str = "http", city: str = "new-york"
) -> Row:
    return next(r for r in measured.faults[fault].rows if r.client == Client(city, kind))


def only_row(story: Story) -> Row:
    return row_of(measure(story.history()))


def moved() -> Story:
    """new-york's new connections: dead from 10 s, on eu-west from 18.5 s."""
    story = Story().fault(10).down(13.42).answer(12.6, "us-east").answer(18.22, "eu-west")
    return story.requests(0, 10).dead(10, 18.5).requests(18.5, 40, region="eu-west")


def test_recovery_is_the_start_of_the_first_window_without_a_failure():
    """3 s and 10 requests, all ok, after the first failure; its parts sum to it."""
    row = only_row(moved())
    assert [row.state, row.recovery_s] == ["recovered", pytest.approx(8.5)]
    assert row.parts() == pytest.approx(
        {
            "detection_s": 3.42,
            "publish_s": 0.01,
            "cache_s": 4.79,
            "client_s": 0.281,
            "connect_s": 0.0,
            "resume_s": 0.0,
        },
        abs=0.002,
    )
    assert sum(row.parts().values()) == pytest.approx(row.recovery_s, abs=1e-9)
    assert (row.from_region, row.to_region, row.milestones.server) == ("us-east", "eu-west", "ns1")
    assert [row.requests_lost, row.outage_s] == [170, pytest.approx(8.45)]


def test_milestones_never_go_back_nor_past_the_recovery():
    """A handshake finished after the start of the window is clipped to it."""
    row = only_row(moved())
    borders = row.borders()
    assert list(borders) == sorted(borders)
    assert row.milestones.connected is not None
    assert row.milestones.connected > (row.recovered or 0) == borders[5]


def test_nothing_failed_has_no_figure():
    """Unaffected: no recovery, no parts, nothing lost."""
    row = only_row(Story().fault(10).requests(0, 40))
    assert (row.state, row.recovery_s, row.parts()) == ("unaffected", None, {})
    assert (row.requests_lost, row.outage_s) == (0, 0.0)


def test_a_region_that_a_city_never_used_leaves_it_unaffected():
    """Also when the name servers give that region up."""
    story = Story().fault(10).down(13.4).answer(3, "eu-west", city="paris")
    story.requests(0, 40, city="paris", region="eu-west")
    row = row_of(measure(story.history()), city="paris")
    assert (row.state, row.bound_s, row.milestones.server) == ("unaffected", None, "")


def test_the_loss_of_a_regions_edge_has_the_regions_bound():
    """Nobody reaches a region but through it; under its own name in the header."""
    bounds = [{"city": "new-york", "client": "http", "total_s": 9.9}]
    story = Story(bounds={"crash us-east/edge": bounds})
    story.fault(10, "us-east/edge", "crash", hosts=("us-east/edge",))
    row = only_row(story.requests(0, 10).dead(10, 18.5).requests(18.5, 40, region="eu-west"))
    assert row.recovery_s == pytest.approx(8.5)
    assert row.bound_s == 9.9


def test_a_bound_speaks_of_one_region_lost_to_everybody():
    """Where only some cannot reach it, nothing was predicted."""
    story = Story().fault(10).requests(0, 10).dead(10, 18.5).requests(18.5, 40, region="eu-west")
    assert only_row(story).bound_s == 10.3
    bounds = [{"city": "new-york", "client": "http", "total_s": 9.9}]
    some = Story(bounds={"partition us-east": bounds}).fault(10, how="partition")
    some.events = [replace(e, peers=["paris"]) if isinstance(e, Fault) else e for e in some.events]
    some.requests(0, 10).dead(10, 18.5).requests(18.5, 40, region="eu-west")
    assert only_row(some).bound_s is None


def test_a_cache_of_the_clients_own_does_not_hide_who_told_it():
    """Most requests look nothing up; the first that does and is given the new region counts."""
    story = Story().fault(10).down(13.42).answer(12.6, "us-east").answer(18.22, "eu-west")
    story.requests(0, 10, lookup=None).dead(10, 20, lookup=None)
    story.requests(20, 20.05, region="eu-west").requests(20.05, 40, region="eu-west", lookup=None)
    row = only_row(story)
    assert row.milestones.lookup == ns(20.001)
    assert row.parts()["client_s"] == pytest.approx(1.78, abs=0.01)


def test_a_warm_pool_is_told_before_a_request_is():
    """Its replacements look up by themselves; the first that comes to the new region counts."""
    warm = {"new-york": {"keepalive": {"rate": 20, "connections": 5, "cache_s": 0}}}
    story = Story(loads=warm).fault(10).down(13.42).answer(12.6, "us-east")
    story.answer(18.22, "eu-west").requests(0, 10, kind="keepalive", lookup=None)
    story.connection(18.3, "attempt", 9, client="keepalive", address="")
    story.connection(18.4, "open", 9, client="keepalive", address=ADDRESSES["eu-west"])
    story.dead(10, 19, kind="keepalive", lookup=None)
    story.requests(19, 19.05, kind="keepalive", region="eu-west")
    story.requests(19.05, 40, kind="keepalive", region="eu-west", lookup=None)
    row = row_of(measure(story.history()), kind="keepalive")
    assert (row.milestones.lookup, row.milestones.connected) == (ns(18.3), ns(18.4))


def test_one_request_every_5_s_is_too_few_to_tell():
    """A window needs 10 requests: 50 s at this rate; a shorter history says nothing."""
    few = Story().fault(10).requests(0, 10, rate=0.2).dead(10, 20, rate=0.2)
    row = only_row(few.requests(20, 60, rate=0.2, region="eu-west"))
    assert row.state == "inconclusive"
    assert "only 8 requests" in row.reason


def test_one_request_every_5_s_recovers_in_a_long_history():
    """With 10 requests after the last failure the window is there."""
    few = Story().fault(10).requests(0, 10, rate=0.2).dead(10, 20, rate=0.2)
    row = only_row(few.requests(20, 80, rate=0.2, region="eu-west"))
    assert [row.state, row.recovery_s] == ["recovered", pytest.approx(10.0)]


def test_a_relapse_is_counted_and_the_last_recovery_is_the_one():
    """A failure after a proven window and before the heal."""
    story = moved().dead(40, 41).requests(41, 60, region="eu-west")
    row = only_row(story)
    assert [row.relapses, row.recovery_s] == [1, pytest.approx(31.0)]
    assert sum(row.parts().values()) == pytest.approx(31.0)


def test_a_broken_window_is_no_relapse():
    """Less than 3 s without a failure were no recovery."""
    story = Story().fault(10).requests(0, 10).dead(10, 12).requests(12, 14).dead(14, 15)
    row = only_row(story.requests(15, 40))
    assert [row.relapses, row.recovery_s] == [0, pytest.approx(5.0)]


def test_name_servers_that_disagree_are_named():
    """m1 to m3 are the server's whose answer moved the city; the slower one's old answer shows."""
    story = Story().fault(10).down(13.4).down(15.0, "ns2").answer(12, "us-east")
    story.answer(13.5, "eu-west").answer(14.6, "us-east", "ns2").answer(19.7, "eu-west", "ns2")
    story.requests(0, 10).dead(10, 13.6).requests(13.6, 14.7, region="eu-west")
    row = only_row(story.dead(14.7, 19.8).requests(19.8, 40, region="eu-west"))
    assert row.milestones.server == "ns1"
    assert row.milestones.answer == ns(13.5)
    (other,) = row.milestones.others
    assert (other.server, other.down, other.old_answer) == ("ns2", ns(15.0), ns(14.6))


def test_name_servers_that_agree_within_100_ms_are_not():
    """Checks on two schedules are never quite simultaneous."""
    story = moved().down(13.5, "ns2")
    assert only_row(story).milestones.others == ()


def test_a_stream_that_gives_up_late_has_its_own_part():
    """DNS had moved at 18.2 s; the stream's attempt to the dead address lasted until 20.9 s."""
    row = row_of(measure(region_loss().history()), kind="stream")
    parts = row.parts()
    assert row.recovery_s == pytest.approx(11.1)
    assert parts["client_s"] == pytest.approx(2.78)
    assert parts["connect_s"] == pytest.approx(0.08)
    assert row.fates == {"silent": 1}


def test_a_failure_that_l7_hid_has_no_dns_milestones():
    """One server died; the region stayed: the whole time is the balancer's and the client's."""
    story = Story().fault(10, "us-east/www-1", "crash", hosts=("us-east/www-1",))
    story.requests(0, 10).requests(10, 10.1, outcome="error", detail="502").requests(10.1, 30)
    row = only_row(story)
    assert row.milestones.instants() == (None,) * 5
    assert row.parts()["resume_s"] == pytest.approx(row.recovery_s) == pytest.approx(0.1)


def test_unknown_outcomes_neither_break_nor_fill_a_window():
    """One among many ok requests changes nothing; only ok requests are counted."""
    story = Story().fault(10).requests(0, 10).dead(10, 12).requests(12, 13)
    story.requests(13, 13.05, outcome="unknown", detail="EMFILE").requests(13.05, 30)
    row = only_row(story)
    assert [row.state, row.unknown, row.recovery_s] == ["recovered", 1, pytest.approx(2.0)]


def test_many_unknown_outcomes_make_it_inconclusive():
    """More than 1 % of the requests: they might have failed."""
    story = Story().fault(10).requests(0, 10).dead(10, 12).requests(12, 13)
    story.requests(13, 14, outcome="unknown", detail="late").requests(14, 30)
    row = only_row(story)
    assert (row.state, row.reason) == ("inconclusive", "20 requests have no known outcome")


def test_a_request_that_never_told_its_end_is_unknown():
    """Its number is missing, and its patience is long over."""
    story = Story().fault(10).requests(0, 10).requests(10, 12).skip(50).requests(14.5, 40)
    assert only_row(story).unknown == 50


def test_a_second_kill_does_not_belong_to_the_first():
    """us-east was recovered from when eu-west died: each has its own time."""
    story = moved().fault(40, "eu-west", name="f2").down(43.4, region="eu-west")
    story.answer(38, "eu-west").answer(44, "ap-south")
    story.dead(40, 45, region="eu-west").requests(45, 70, region="ap-south")
    measured = measure(story.history())
    first, second = row_of(measured, 0), row_of(measured, 1)
    assert [first.recovery_s, first.relapses] == [pytest.approx(8.5), 0]
    assert [second.recovery_s, second.from_region] == [pytest.approx(5.0), "eu-west"]
    assert second.to_region == "ap-south"


def test_a_second_kill_before_the_first_was_recovered_from_is_noted():
    """Nobody can divide the time between them."""
    story = Story().fault(10).fault(14, "eu-west", name="f2").requests(0, 10).dead(10, 30)
    measured = measure(story.requests(30, 50, region="ap-south").history())
    first, second = row_of(measured, 0), row_of(measured, 1)
    assert [first.recovery_s, second.recovery_s] == [pytest.approx(20), pytest.approx(16)]
    assert first.notes == (
        "power eu-west began 4.0 s after it; what failed from then on may be its doing",
    )
    assert second.baseline is not None
    assert second.baseline < 1


def test_a_history_cut_short_says_nothing():
    """It ends 5 s after the fault, all failing, before the bound of 10.3 s."""
    row = only_row(Story().fault(10).requests(0, 10).dead(10, 15))
    assert row.state == "inconclusive"
    assert "before the bound of 10.3 s" in row.reason


def test_a_fault_without_heal_that_nobody_recovers_from():
    """Failing well past the bound, to the end: not recovered, never a number."""
    row = only_row(Story().fault(10).requests(0, 10).dead(10, 40))
    assert (row.state, row.recovery_s, row.reversion) == ("not_recovered", None, None)


def test_never_3_s_without_a_failure_is_not_recovered():
    """Ok runs of 1 s between failures do not add up, also not when the last one just ends."""
    story = Story().fault(10, how="brownout").requests(0, 10)
    for second in range(10, 40, 2):
        story.dead(second, second + 1).requests(second + 1, second + 2)
    assert only_row(story).state == "not_recovered"


def test_requests_that_may_still_be_in_flight_are_not_judged():
    """The quick answers are known first: after the first gap nothing counts."""
    story = Story().fault(10).requests(0, 10).skip(20).requests(11, 12)
    row = only_row(story)
    assert (row.state, row.reason) == ("inconclusive", "only 0 requests after the fault")


def test_traffic_that_was_stopped_before_the_fault_has_no_row():
    """Nobody was there to be hurt."""
    assert measure(Story().requests(0, 10).fault(60).history()).faults[0].rows == ()


def test_a_history_that_ends_right_after_the_heal_leaves_the_way_back_open():
    """Neither back nor staying: nobody can tell."""
    story = Story().fault(10, healed=40).requests(0, 10).dead(10, 12)
    reversion = only_row(story.requests(12, 41, region="eu-west")).reversion
    assert reversion is not None
    assert (reversion.seconds, reversion.region) == (None, "")


def test_a_request_in_flight_at_the_fault_belongs_to_it():
    """It started before and failed after: lost, and the steady state stays clean."""
    story = Story().requests(0, 9.95).dead(9.95, 10, region="us-east").fault(10)
    row = only_row(story.requests(10, 30))
    assert (row.state, row.requests_lost, row.baseline) == ("recovered", 1, 1.0)
    assert row.recovery_s == pytest.approx(0.0)


def test_failures_before_the_fault_are_told_and_not_counted():
    """The steady state did not hold."""
    story = Story().requests(0, 5).requests(5, 6, outcome="error", detail="503").requests(6, 10)
    row = only_row(story.fault(10).requests(10, 30))
    assert (row.state, row.requests_lost) == ("unaffected", 0)
    assert row.baseline == pytest.approx(0.9)


def test_failures_after_the_heal_are_counted_apart():
    """They are the way back's, not the fault's."""
    story = Story().fault(10, healed=40).requests(0, 10).dead(10, 12)
    story.requests(12, 45, region="eu-west").dead(45, 45.5).requests(45.5, 60)
    row = only_row(story)
    assert (row.requests_lost, row.lost_after_heal, row.relapses) == (40, 10, 0)
    assert row.reversion is not None
    assert [row.reversion.seconds, row.reversion.region] == [pytest.approx(5.5), "us-east"]


def test_recovery_only_by_the_heal_is_said():
    """A window after the heal is still a window."""
    story = Story().fault(10, healed=30).requests(0, 10).dead(10, 32).requests(32, 50)
    row = only_row(story)
    assert [row.recovery_s, row.with_heal] == [pytest.approx(22.0), True]
    assert row.reason == "only once the fault was healed"


def test_a_request_that_waited_for_the_heal_recovered_with_it():
    """It started before, and its SYN was sent again until somebody was there."""
    story = Story().fault(10, healed=30).requests(0, 10).dead(10, 29)
    story.requests(29, 30, takes=1.5).requests(30, 40)
    (row,) = measure(story.history()).faults[0].rows
    assert [row.recovery_s, row.with_heal] == [pytest.approx(19.0), True]


def test_where_a_draw_decides_nobody_goes_home():
    """A city that is sent to several regions has none that it could return to."""
    sent_to = {"new-york": {"regions": ["us-east", "eu-west"], "because": "by weight"}}
    story = Story(sent_to=sent_to).fault(10, healed=40).requests(0, 10).dead(10, 12)
    assert only_row(story.requests(12, 60, region="eu-west")).reversion is None


def test_lasting_connections_stay_where_they_are():
    """Nothing moves an open connection back."""
    row = row_of(measure(region_loss().history()), kind="keepalive")
    assert row.reversion is not None
    assert (row.reversion.seconds, row.reversion.region) == (None, "eu-west")
    assert row.fates == {"silent": 4}


def test_losses_name_the_sender_of_the_rst():
    """The wire's RST towards the client's port, while its request was open."""
    story = Story().fault(10, how="crash").requests(0, 10)
    story.requests(
        10, 10.05, outcome="error", detail="ECONNRESET", closed_by="peer-rst", port=777, takes=0.02
    )
    story.packet(10.01, "rst", "us-east", "new-york", dst="10.4.0.2:777", out=ns(10.015))
    row = only_row(story.requests(10.05, 30, region="eu-west"))
    (loss,) = row.losses
    assert (loss.sender, loss.detail, loss.count, row.reset) == ("us-east", "ECONNRESET", 1, 1)


def test_open_connections_meet_their_fates():
    """Reset, closed by the peer, silent, closed by us, survived; later ones are not counted."""
    story = Story().fault(10, how="crash").requests(0, 40, kind="stream")
    for conn in range(5):
        story.connection(1, "open", conn)
    story.connection(10.1, "close", 0, closed_by="peer-rst", detail="ECONNRESET")
    story.connection(10.1, "close", 1, closed_by="peer-fin", detail="EOF")
    story.connection(13.1, "close", 2, closed_by="us", detail="stalled")
    story.connection(20, "close", 3, closed_by="us", detail="drained")
    story.connection(20, "open", 9, address=ADDRESSES["eu-west"])
    row = row_of(measure(story.history()), kind="stream")
    fates = ("reset", "closed by peer", "silent", "closed by us", "survived")
    assert row.fates == dict.fromkeys(fates, 1)
    assert row.reset == 1


def test_a_connection_older_than_the_history_has_a_fate_too():
    """A history that begins while a lab is running has not seen it open."""
    story = Story().fault(10).requests(0, 40, kind="stream")
    story.connection(13.1, "close", 5, closed_by="us", detail="stalled")
    assert row_of(measure(story.history()), kind="stream").fates == {"silent": 1}


def test_settled_waits_for_the_proof_of_recovery():
    """Not while requests are failing, not before the window is full; then yes."""
    story = moved()
    early = Story().fault(10).requests(0, 10).dead(10, 18.5).history()
    assert not settled(early, "f1", ns(18.5))
    assert settled(story.history(), "f1", ns(40))


def test_settled_waits_for_those_who_look_unaffected():
    """Right after the fault nobody has failed yet: the first requests still hang."""
    story = Story().fault(10).requests(0, 10)
    assert not settled(story.history(), "f1", ns(10.2))
    assert settled(story.requests(10, 14).history(), "f1", ns(14))


def test_settled_gives_up_after_twice_the_bound():
    """And patience: 2 x 10.3 s + 8 s. A failed fault and an unknown one need no waiting."""
    history = Story().fault(10).requests(0, 10).dead(10, 45).history()
    assert not settled(history, "f1", ns(38))
    assert settled(history, "f1", ns(39))
    assert settled(history, "another", ns(10))


def hurried(story: Story, every: int = 40) -> tuple[Measurements, Measurements]:
    """A story measured again and again while it is told, and at once."""
    history = History()
    for index, event in enumerate(story.ordered()):
        history.feed(event)
        if index % every == 0:
            measure(history)
            settled(history, "f1", history.last_ns)
    return measure(history), measure(story.history())


def test_a_history_that_grows_is_measured_as_if_it_were_whole():
    """What was followed before goes on from there: a heal, a relapse, a second fault come later."""
    story = moved().fault(45, "eu-west", name="f2").dead(40, 41)
    story.requests(41, 45, region="eu-west").dead(45, 50, region="eu-west")
    story.requests(50, 70, region="ap-south")
    for kind in ("keepalive", "udp"):
        story.requests(0, 10, kind=kind).dead(10, 19, kind=kind, detail="response")
        story.requests(19, 70, kind=kind, region="eu-west")
    growing, whole = hurried(story)
    assert growing == whole


def test_standing_is_what_the_rows_say():
    """The same states and reasons, without all the figures."""
    history = moved().fault(30, name="f2").requests(0, 12, city="paris").history()
    for fault in measure(history).faults:
        rows = {row.client: (row.state, row.reason) for row in fault.rows}
        assert standing(history, fault.life) == rows


def test_a_request_told_of_after_it_was_given_up_counts_after_all():
    """A minute in flight: missing while it lasted, and then a failure like any other."""
    story = Story().fault(10).requests(0, 10).requests(10, 10.05, outcome="timeout", takes=60.0)
    growing, whole = hurried(story.requests(10.05, 90))
    assert growing == whole
    assert (only_row(story).unknown, only_row(story).requests_lost) == (0, 1)


def test_a_request_that_starts_late_is_counted_where_it_started():
    """Another that was planned later had started before, and had been followed already."""
    story = Story().fault(10).requests(0, 10)
    for second in range(10, 30):
        story.requests(second, second + 0.05, late=0.12, takes=0.3)
        story.requests(second + 0.05, second + 0.1, outcome="error", detail="503", takes=0.001)
        story.requests(second + 0.1, second + 1)
    growing, whole = hurried(story, every=1)
    assert growing == whole


def test_a_resolver_that_was_told_another_region_before_has_no_cache_part():
    """An open connection on eu-west died; DNS had named us-east all along."""
    story = Story().fault(10, "eu-west").down(13.4, region="eu-west").answer(8, "us-east")
    story.answer(14, "us-east").requests(0, 10, kind="stream", region="eu-west")
    story.dead(10, 13, kind="stream").requests(13, 30, kind="stream")
    row = row_of(measure(story.history()), kind="stream")
    assert row.milestones.instants()[:3] == (None, None, None)
    assert row.milestones.lookup is not None
