"""Who saw what of a region: checks, balancer, clients and the wire, each on its own path."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from emulator.analysis.divergence import divergence
from emulator.analysis.measurements import FaultMeasured
from emulator.analysis.recovery import measure
from emulator.analysis.timeline import History
from emulator.analysis.views import RegionViews, views
from emulator.events import Check, Fault, Health, Proxy
from emulator.report.json import report_json
from emulator.report.views import sights, view_rows, wire_rows
from tests.builders import ADDRESSES, FQDN, Story, ns

SERVERS = {"us-east": ["us-east/www-1", "us-east/www-2"]}
SERVICE: dict[str, Any] = {
    "name": "www", "fqdn": FQDN, "port": 80, "addresses": ADDRESSES, "ttl_s": 5, "timeout_s": 1.0,
    "fall": 3, "servers": SERVERS,
}  # fmt: skip


def world(**header: Any) -> Story:
    """A lab whose balancers' servers are known."""
    return Story(services=[SERVICE], **header)


def checks(
    story: Story, start: float, end: float, server: str, *, ok: bool = True, takes: float = 0.01
) -> None:
    """A check of us-east every second."""
    for index in range(round(end - start)):
        t = start + index
        story.events.append(
            Check(t=ns(t), end=ns(t + takes), server=server, service="www", region="us-east", ok=ok)
        )


def marked(story: Story, at: float, server: str, state: str = "DOWN") -> None:
    story.events.append(
        Health(t=ns(at), server=server, service="www", region="us-east", state=state)
    )


def shaken(story: Story, site: str, start: float, end: float, **lost: str) -> None:
    """A handshake of a site with us-east every second; `there` or `back`: why that way drops."""
    for index in range(round(end - start)):
        t = start + index
        there = {"out": None, "dropped": lost["there"]} if "there" in lost else {}
        story.packet(t, "syn", site, "us-east", **there)
        back = {"out": None, "dropped": lost["back"]} if "back" in lost else {}
        if not there:
            story.packet(t + 0.02, "synack", "us-east", site, **back)


def cut(story: Story, *peers: str) -> Story:
    """us-east cut off from its peers between 10 and 30 s."""
    story.fault(10, healed=30, how="partition")
    story.events = [
        dataclasses.replace(event, peers=list(peers)) if isinstance(event, Fault) else event
        for event in story.events
    ]
    return story


def seen(story: Story) -> tuple[RegionViews, FaultMeasured, History]:
    """The only region of the only fault."""
    history = story.history()
    measured = measure(history)
    ((only,),) = views(measured, history)
    return only, measured.faults[0], history


def gray() -> Story:
    """New York's SYNs arrive, nothing comes back to it; both name servers are served."""
    story = cut(world(), "new-york").requests(0, 10).dead(10, 27).requests(27, 40)
    for server in ("ns1", "ns2"):
        checks(story, 0, 40, server)
        shaken(story, server, 0, 40)
    shaken(story, "new-york", 0, 10)
    shaken(story, "new-york", 10, 30, back="cut")
    return story


def test_a_gray_failure_is_green_to_checks_and_dead_to_clients():
    """Each row says what that observer saw; the sentence, which way it was lost."""
    region, fault, history = seen(gray())
    assert [view_rows(region)[n][0] for n in (0, 2, 3)] == [
        "ns1: checks", "us-east: balancer", "new-york: clients",
    ]  # fmt: skip
    ns1, _, balancer, city = view_rows(region)
    assert ns1[1:] == ("100.0 %", "10.0 ms", "20 of 20", "10.0 ms", "10.0 ms", "UP throughout")
    assert balancer[-1] == "2 servers UP throughout"
    assert city[1:4] == ("100.0 %", "30.0 ms", "60 of 400")
    assert city[-1] == "340 silence, no handshake"
    (said,) = divergence(region, fault, history)
    assert said == (
        "new-york's clients suffered while ns1 and ns2 saw us-east UP throughout and its balancer"
        " all of its servers: nobody who decides acted on it. The requests of new-york reach"
        " us-east and the answers are lost (0 of 20 SYN-ACK came back). The checks take other"
        " paths, which are whole."
    )


def test_the_wire_says_which_way_and_by_what():
    """Handshakes that entered and arrived, losses by cause, of those who speak with the region."""
    region, _, _ = seen(gray())
    assert wire_rows(region)[0] == (
        "new-york .. us-east", "20 of 20 arrived", "0 of 20 arrived", "-", "20 (cut)",
    )  # fmt: skip
    assert [row[0].split()[0] for row in wire_rows(region)] == ["new-york", "ns1", "ns2"]


def test_a_cut_on_the_way_there_is_told_from_one_on_the_way_back():
    """Nothing arrives: said so."""
    story = cut(world(), "new-york").requests(0, 10).dead(10, 30)
    checks(story, 0, 40, "ns1")
    shaken(story, "new-york", 10, 30, there="cut")
    (said,) = divergence(*seen(story))
    assert "The requests of new-york do not reach us-east (0 of 20 SYN arrived)." in said


def test_red_checks_and_served_clients_are_the_converse():
    """The region was given up while it served: which checks got lost is named."""
    story = cut(world(), "ns1", "ns2").requests(0, 40)
    for server, after in (("ns1", 13.4), ("ns2", 13.9)):
        checks(story, 0, 10, server)
        checks(story, 10, 30, server, ok=False, takes=1.0)
        marked(story, after, server)
        shaken(story, server, 10, 30, there="cut")
    region, fault, history = seen(story)
    assert view_rows(region)[1][-1] == "DOWN after 3.90 s"
    (said,) = divergence(region, fault, history)
    assert said.startswith(
        "ns1 and ns2 held us-east for DOWN after 3.40 s while it served new-york as before (400"
        " requests in that time). The checks of ns1 do not reach us-east (0 of 20 SYN arrived)."
    )


def test_name_servers_that_differ_are_said_to():
    """One is cut off, the other is not."""
    story = cut(world(), "ns2").requests(0, 40)
    checks(story, 0, 40, "ns1")
    checks(story, 0, 10, "ns2")
    checks(story, 10, 30, "ns2", ok=False)
    marked(story, 13.5, "ns2")
    said = divergence(*seen(story))
    assert said[-1].startswith(
        "The name servers disagree: ns2 gave it up after 3.50 s, while ns1 held us-east for UP"
    )


def test_a_brown_out_is_slow_to_clients_and_well_to_checks():
    """What a check tolerates stands beside what requests took."""
    story = world().fault(10, healed=30, how="brownout").requests(0, 10)
    story.requests(10, 30, takes=0.4).requests(30, 40)
    checks(story, 0, 10, "ns1")
    checks(story, 10, 29, "ns1", takes=0.41)
    checks(story, 29, 30, "ns1", ok=False)
    (said,) = divergence(*seen(story))
    assert said.endswith(
        "A check is one small exchange, good if it ends within 1 s: it took 410 ms at the slowest"
        " checker's median; 1 of 20 failed, and DOWN needs 3 in a row. new-york's requests took"
        " 400 ms at the median, 30 ms before."
    )


def test_where_all_see_the_same_nothing_is_said():
    """A loss of power: checks, balancer and clients are of one mind."""
    story = world().fault(10, healed=30).requests(0, 10).dead(10, 14)
    story.requests(14, 40, region="eu-west")
    checks(story, 0, 10, "ns1")
    checks(story, 10, 30, "ns1", ok=False)
    marked(story, 13.4, "ns1")
    region, fault, history = seen(story)
    assert divergence(region, fault, history) == ()
    assert view_rows(region)[1][-1] == "without power"
    assert view_rows(region)[2][3] == "0 of 80"


def test_a_fault_that_was_over_too_soon_is_not_called_unseen():
    """Checks failed as well, only not often enough."""
    story = world().fault(10, healed=12).requests(0, 10).dead(10, 12).requests(12, 20)
    checks(story, 0, 10, "ns1")
    checks(story, 10, 12, "ns1", ok=False)
    (said,) = divergence(*seen(story))
    assert said == (
        "new-york's clients suffered and 2 of 2 checks failed, but it was over before ns1 had"
        " enough in a row to give us-east up."
    )


def test_a_server_the_balancer_gave_up_is_named():
    """The balancer's own checks, from its changes of mind; and that it acted."""
    story = world().requests(0, 10).dead(10, 11).requests(11, 40)
    story.fault(10, "us-east/www-1", "crash", hosts=("us-east/www-1",), healed=30)
    checks(story, 0, 40, "ns1")
    for at, state in ((11.2, "DOWN"), (31.0, "UP")):
        story.events.append(
            Proxy(t=ns(at), region="us-east", service="www", server="us-east/www-1", state=state)
        )
    region, fault, history = seen(story)
    said = {row[0]: row[-1] for row in view_rows(region)}
    (only,) = divergence(region, fault, history)
    assert only == (
        "new-york's clients suffered while ns1 saw us-east UP throughout, and its balancer gave"
        " us-east/www-1 up after 1.20 s. A check is answered by the balancer, not by the servers"
        " behind it."
    )
    assert said["us-east: balancer"] == "www-1 DOWN after 1.20 s\nwww-2 UP throughout"


def test_a_second_fault_is_not_the_first_ones_before():
    """Before is what lies between the step before the fault and it."""
    story = world().fault(10, healed=15).requests(0, 10).dead(10, 15).requests(15, 30)
    story.fault(20, name="f2", healed=25)
    history = story.history()
    (first,), (second,) = views(measure(history), history)
    assert (first.cities[0].before.count, second.cities[0].before.count) == (200, 100)
    assert second.cities[0].before.share == 1.0


def test_name_servers_alone_concern_every_region():
    """A fault on a dns site changes how all regions look to it."""
    story = world().fault(10, "ns1", healed=30).requests(0, 40)
    history = story.history()
    (regions,) = views(measure(history), history)
    assert [region.region for region in regions] == ["us-east", "eu-west"]


def test_a_history_without_checks_packets_or_header_has_views_all_the_same():
    """Old ones, and those that were cut short: what is there is shown."""
    story = Story().fault(10, healed=20).requests(0, 30)
    history = story.history()
    history.run = None
    assert sights(measure(history), history) == []
    history = story.history()
    (sight,) = sights(measure(history), history)
    assert [row[0] for row in view_rows(sight.seen)] == ["new-york: clients"]
    assert wire_rows(sight.seen) == []


def test_of_many_faults_those_with_nothing_to_tell_are_left_out():
    """The first stands for all that are like it."""
    story = world().requests(0, 100)
    for index in range(5):
        story.fault(10 + 10 * index, healed=15 + 10 * index, name=f"f{index}")
    history = story.history()
    assert len(sights(measure(history), history)) == 1


def test_programs_get_the_same_views():
    """Seconds, shares and sentences as in the tables."""
    history = gray().history()
    (region,) = report_json(measure(history), history)["faults"][0]["views"]
    assert region["region"] == "us-east"
    assert region["checks"][0]["states"] == [{"after": 0.0, "state": "UP"}]
    assert region["cities"][0]["during"]["ok"] == 60
    assert region["cities"][0]["met"] == [{"outcome": "timeout", "detail": "connect", "count": 340}]
    assert region["wire"][0]["lost_back"] == {"cut": 20}
    assert len(region["differ"]) == 1
    assert region["checks"][0]["during"]["p50_ms"] == pytest.approx(10.0)
