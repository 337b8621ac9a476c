"""A client of the user's is a kind of client: its lines are requests, and the report says why it
took as long as it did."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.analysis.agreement import agreement
from emulator.analysis.explain import explain
from emulator.analysis.headline import headline
from emulator.analysis.lateness import schedule_quality
from emulator.analysis.measurements import Row
from emulator.analysis.moments import moments
from emulator.analysis.recovery import measure, settled
from emulator.analysis.series import columns_of
from emulator.analysis.steady import kept, problems
from emulator.analysis.timeline import Client, History
from emulator.analysis.verdict import Verdict, verdicts
from emulator.analysis.words import loss_lines, loss_name
from emulator.events import Own, Request
from emulator.scenario.model import Expectation, SteadyState
from tests.builders import ADDRESSES, CLIENT_ADDRESSES, Story, ns

OWN = Client("new-york", "own")
US, EU = ADDRESSES["us-east"], ADDRESSES["eu-west"]
VAIN: dict[str, Any] = {"ok": False, "ms": 1000, "server": "", "error": "connect timeout"}


def requests(story: Story) -> list[Request]:
    return story.history().requests[OWN]


def one(**told: Any) -> Request:
    """What a line at 5 s is as a request."""
    [request] = requests(Story().own(5, **told))
    return request


def holding(**told: Any) -> Story:
    """us-east loses power at 10 s; the resolver has eu-west's address at 18 s. A client of the
    user's asks us-east's until 31 s, eu-west's from 31.25 s on. Its lines say `told` besides."""
    story = Story().fault(10, healed=60).down(13.4).answer(8, "us-east").answer(18, "eu-west")
    story.requests(0, 10).dead(10, 18).requests(18, 60, region="eu-west")
    story.attempts(0, 10, "us-east", **told)
    story.attempts(10.25, 31.25, "us-east", rate=0.8, **(VAIN | told))
    return story.attempts(31.5, 50, "eu-west", **told).handshakes()


def on_the_wire(story: Story) -> Story:
    """The packets of the attempts of `holding`: first SYNs, answered in eu-west."""
    for index in range(17):
        syn(story, 10.25 + index / 0.8, US, 50_000 + index)
    for index in range(74):
        t, port = 31.5 + index / 4, 51_000 + index
        syn(story, t, EU, port)
        story.packet(
            t, "synack", "eu-west", "new-york", out=ns(t + 0.08), src=f"{EU}:80", dst=ours(port)
        )
    return story


def syn(story: Story, at: float, address: str, port: int) -> Story:
    region = next(name for name, a in ADDRESSES.items() if a == address)
    return story.packet(at, "syn", "new-york", region, src=ours(port), dst=f"{address}:80")


def ours(port: int) -> str:
    return f"{CLIENT_ADDRESSES['new-york']}:{port}"


def row_of(history: History) -> Row:
    [fault] = measure(history).faults
    return next(row for row in fault.rows if row.client == OWN)


def why(story: Story) -> str:
    history = story.history()
    [paragraph] = explain(measure(history), history)
    return paragraph


def judged(story: Story, **objective: Any) -> Verdict:
    history = story.history()
    assert history.run
    history.run.objectives[:] = [{"text": "x", "statistic": "", "client": "own"} | objective]
    return verdicts(measure(history), history)[0]


def test_a_line_with_ok_is_a_request_that_began_as_long_ago_as_it_took():
    request = one(ok=True, ms=250, address=EU, server="eu-west/www-1", port=4711)
    assert (request.t, request.end, request.planned) == (ns(4.75), ns(5), ns(4.75))
    assert (request.outcome, request.region, request.server) == ("ok", "eu-west", "eu-west/www-1")
    assert (request.address, request.port) == (EU, 4711)


def test_a_line_without_ok_is_none():
    """Figures of its own, a summary, anything."""
    assert requests(Story().own(5, queue=7).own(6, ok="yes").own(7, ok=1).own(8, ok=None)) == []


@pytest.mark.parametrize(
    ("told", "region"),
    [
        ({"region": "us-east", "server": "eu-west/www-1", "address": EU}, "us-east"),
        ({"server": "us-east/www-2", "address": EU}, "us-east"),
        ({"address": EU}, "eu-west"),
        ({"region": "mars", "address": EU}, "eu-west"),
        ({"address": "192.0.2.1"}, ""),
        ({}, ""),
    ],
    ids=["as told", "its server's", "its address's", "none of the lab", "a stranger's", "untold"],
)
def test_who_answered_is_as_told_else_whose_address_was_asked(told, region):
    assert one(ok=True, **told).region == region


@pytest.mark.parametrize(
    ("told", "outcome", "words"),
    [
        ({"error": "refused"}, "error", "refused"),
        ({"error": "503"}, "error", "HTTP status 503"),
        ({}, "error", "failed"),
        ({"error": "SocketTimeoutException"}, "timeout", "SocketTimeoutException"),
        ({"error": "Read timed out"}, "timeout", "Read timed out"),
        ({"error": "late", "timeout": True}, "timeout", "late"),
        ({"timeout": True}, "timeout", "no answer in time"),
    ],
)
def test_what_it_met_is_told_in_its_own_words(told, outcome, words):
    story = Story().fault(4.5).attempts(0, 4, "us-east").own(5, ok=False, **told)
    [loss] = row_of(story.attempts(6, 12, "eu-west").history()).losses
    assert (loss.outcome, loss_name(loss)) == (outcome, words)


@pytest.mark.parametrize("ms", [-1, "12", True, None, [], 1e300, 10**400])
def test_a_time_that_is_none_is_not_believed(ms):
    """It is as if none were told: when it began is not known, nor how long it took."""
    request = one(ok=True, ms=ms, port=70_000, address=5, error={})
    assert (request.t, request.end, request.port, request.address) == (ns(5), None, 0, "")


def test_lines_that_come_before_the_header_are_not_lost():
    """Events may come in any order."""
    story, history = holding(), History()
    for event in reversed(story.ordered()):
        history.feed(event)
    assert sorted(r.t for r in history.requests[OWN]) == [r.t for r in requests(story)]
    assert {r.region for r in history.requests[OWN]} == {"us-east", "eu-west", ""}


def test_its_recovery_is_taken_apart_at_its_first_attempt_elsewhere():
    """Until the resolver has the answer it is the name server's and the cache's time, then its
    own; the handshake is seen on the wire."""
    row = row_of(on_the_wire(holding()).history())
    assert row.state == "recovered"
    assert (row.from_region, row.to_region, row.bound_s) == ("us-east", "eu-west", None)
    parts = {name: round(span, 2) for name, span in row.parts().items()}
    assert parts == {
        "detection_s": 3.4, "publish_s": 0.01, "cache_s": 4.59, "client_s": 13.5,
        "connect_s": 0.0, "resume_s": 0.0,
    }  # fmt: skip
    assert row.recovery_s == pytest.approx(21.5)
    assert row.milestones.connected == ns(31.58)


def test_where_its_lines_tell_no_address_its_first_syn_elsewhere_stands_for_it():
    """One that no built-in client of the city tells of; what they tell late is theirs too."""
    story = on_the_wire(holding(address=""))
    story.connection(24, "attempt", 9, address="").connection(27, "failed", 9, address=EU, port=9)
    syn(story, 24, EU, 9)
    row = row_of(story.history())
    assert row.milestones.lookup == ns(31.5)


def test_the_report_says_that_it_kept_the_address_itself():
    said = (
        "new-york's own client took 21.50 s: it went on asking us-east's address for 13.50 s after"
        " new-york's resolver had eu-west's (10 attempts); whoever asked the resolver by then was"
        " told the new one, so it kept the old one itself."
    )
    assert said in why(holding())
    history = holding().history()
    assert headline(row_of(history), history) == (
        "new-york over own recovered after 21.50 s: it kept us-east's address itself for 13.50 s"
    )


def test_the_wire_says_the_same_of_one_that_tells_no_address():
    words = "for 13.50 s after new-york's resolver had eu-west's (10 attempts)"
    assert words in why(on_the_wire(holding(address="")))
    for line in (story := on_the_wire(holding())).events:
        if isinstance(line, Own) and not line.told["ok"]:
            line.told["address"] = ""  # known only to those that get through
    assert words in why(story)


def test_it_is_not_said_where_the_resolver_may_have_given_the_old_address_again():
    """Another name server still did."""
    told = holding().answer(24, "us-east", "ns2")
    assert "went on asking us-east's address" in why(told)
    assert "itself" not in why(told)


def test_nor_of_one_that_was_only_waiting_for_an_attempt():
    """In flight while its resolver got the answer: it asked nowhere in vain after that."""
    story = Story().fault(10, healed=60).down(13.4).answer(8, "us-east").answer(18, "eu-west")
    story.attempts(0, 10, "us-east").attempts(10.9, 18.5, "us-east", rate=1, **VAIN)
    said = why(story.attempts(18.9, 50, "eu-west"))
    assert "0.90 s went by before it asked elsewhere" in said.replace("900.0 ms", "0.90 s")
    assert "went on" not in said


def test_its_connections_are_not_nobodys():
    """In a city without one they would be: there every connection is a built-in client's."""
    story = Story().requests(0, 12).handshakes()
    syn(story, 5, US, 7)
    assert len(agreement(story.history()).disagreements) == 1
    assert agreement(story.own(6, n=1).history()).disagreements == ()
    silent = Story(own_clients={"new-york": "my/client"}).requests(0, 12).handshakes()
    assert agreement(syn(silent, 5, US, 7).history()).disagreements == ()


def test_attempts_side_by_side_leave_no_gap():
    """They are told of in the order of their ends."""
    story = Story().fault(10)
    for n in range(120):
        story.own(n / 4 + 2.5 * (n % 2), ok=True, ms=2500 * (n % 2), address=US)
    row = row_of(story.history())
    assert (row.state, row.unknown) == ("unaffected", 0)


def test_its_failures_break_the_steady_state_and_its_silence_does_not():
    """It asks when it likes."""
    header: dict[str, Any] = {"loads": {"new-york": {"http": {"rate": 20}}}}
    calm = Story(**header).requests(0, 20).attempts(0, 5, "us-east").history()
    assert problems(calm, SteadyState(), ns(12)) == ()
    story = Story(**header).requests(0, 20).fault(4).attempts(11, 12, "us-east", **VAIN)
    told = story.history()
    assert problems(told, SteadyState(), ns(12.5)) == ("new-york over own: 4 of 4 requests failed",)
    found = kept(told, SteadyState(), Expectation("isolation"), columns_of(told))
    assert found.outcome == "failed"


def test_its_schedule_is_its_own_business():
    story = Story().requests(0, 5, late=0.01).attempts(0, 5, "us-east")
    [city] = schedule_quality(story.history())
    assert (city.requests, city.on_time) == (100, 0.0)


def test_one_that_had_ended_before_the_fault_is_not_waited_for():
    story = Story().requests(0, 30).attempts(0, 2, "us-east").fault(20, how="brownout")
    assert settled(story.history(), "f1", ns(30))


def test_objectives_speak_of_it():
    verdict = judged(holding(), figure="recovery_s", statistic="p100", comparison="<=", bound=20.0)
    assert verdict.outcome == "failed"
    assert verdict.measured == pytest.approx(21.5)
    lost = judged(holding(), figure="requests_lost", comparison="<=", bound=20.0)
    assert (lost.outcome, lost.measured) == ("passed", 17)


def test_what_it_does_not_tell_decides_nothing():
    """Neither a latency of nothing nor a share of no region."""
    story = Story().fault(10).attempts(0, 12, "us-east", address="")
    for n in range(5):
        story.own(14 + n, ok=True)
    share = judged(story, figure="region_share", region="us-east", comparison=">=", bound=0.99)
    assert (share.outcome, share.measured) == ("inconclusive", 1.0)
    quick = judged(story, figure="latency_ms", statistic="p0", comparison=">=", bound=29.0)
    assert quick.outcome == "passed"
    assert quick.measured == pytest.approx(30)


def test_a_reset_that_the_wire_saw_come_for_it_is_named():
    """Where its line tells its local port."""
    story = Story().fault(4.5, how="crash").attempts(0, 4, "us-east")
    story.packet(4.98, "rst", "us-east", "new-york", out=ns(4.99), src=f"{US}:80", dst=ours(50_123))
    story.own(5, ok=False, ms=30, address=US, port=50_123, error="connection reset")
    [loss] = row_of(story.attempts(6, 12, "eu-west").history()).losses
    assert loss_name(loss) == "connection reset by us-east"


def test_the_report_begins_with_who_has_one():
    """Beside the traffic, of which it is no part."""
    history = Story().requests(0, 12).attempts(0, 12, "us-east").history()
    first = moments(measure(history), history)[0]
    assert first.text == (
        "traffic from 1 city, 1 kind, 20 requests/s a city, and own clients in new-york"
    )


def test_failures_that_are_called_otherwise_each_time_do_not_flood_the_tables():
    """A program may put a port or a time into each."""
    story = Story().fault(4.5).attempts(0, 4, "us-east")
    for n in range(30):
        story.own(5 + n / 4, ok=False, error=f"port {40_000 + max(0, n - 9)} refused")
    losses = row_of(story.attempts(13, 20, "eu-west").history()).losses
    lines = loss_lines(losses)
    assert (lines[0], lines[-1]) == ("10 port 40000 refused", "13 otherwise")
    assert len(lines) == 9


def test_it_is_not_held_against_a_prediction_of_others():
    """What is predicted is predicted for the built-in clients."""
    foreseen = {"power us-east": [{"city": "new-york", "client": "http", "seconds": [8.0, 9.0]}]}
    story = holding()
    header = story.history().run
    assert header
    header.predicted.update(foreseen)
    against = {"figure": "recovery_s", "statistic": "p100", "comparison": "<=", "bound": 0.0}
    against["bound_predicted"] = "p100"
    verdict = judged(story, client=None, **against)
    assert (verdict.outcome, verdict.measured) == ("passed", 8.0)
    assert judged(story, **against).reason == "nothing is predicted for what it speaks of"
