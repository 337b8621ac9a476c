"""Clients and wire, joined by 5-tuple: what one says and the other does not is listed."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.analysis.agreement import agreement
from emulator.analysis.measurements import Disagreement
from emulator.analysis.recovery import measure
from emulator.events import Connection, Flow, Lost, Packet, Wire
from emulator.report.json import report_json
from tests.builders import ADDRESSES, CLIENT_ADDRESSES, Story, ns

PORT = 7
HERE, THERE = f"{CLIENT_ADDRESSES['new-york']}:{PORT}", f"{ADDRESSES['us-east']}:80"
OUT: dict[str, Any] = {"source": "new-york", "target": "us-east", "src": HERE, "dst": THERE}
BACK: dict[str, Any] = {"source": "us-east", "target": "new-york", "src": THERE, "dst": HERE}


def early() -> Story:
    """Both records are there from the first second on."""
    return Story().packet(-0.5, "syn", "ns1", "us-east", src="198.18.5.53:5", dst="198.18.1.254:9")


def one(**fields: Any) -> Story:
    """A request at 1 s: SYN handed over 2 ms later, done 10 ms after that, answered at 1.03 s."""
    return early().requests(1, 1.05, port=PORT, **fields)


def found(story: Story) -> tuple[Disagreement, ...]:
    return agreement(story.history()).disagreements


def said(story: Story) -> list[tuple[str, str]]:
    return [(one.told, one.seen) for one in found(story)]


def stream(story: Story, *events: tuple[float, str, dict[str, Any]]) -> Story:
    """A stream that opens at 1 s, with its handshake on the wire, and then this."""
    story.connection(0.9, "attempt", 1, address="").packet(0.95, "syn", **OUT)
    story.packet(0.96, "synack", **BACK, out=ns(0.98)).connection(1, "open", 1, port=PORT)
    for at, phase, fields in events:
        story.connection(at, phase, 1, port=PORT, **fields)
    return story.requests(1, 5, kind="udp")


def test_a_connection_of_which_both_tell_the_same_is_no_disagreement():
    """Done and answered, in vain, refused, reset, closed: each with the packets it takes."""
    assert said(one().packet(1.003, "syn", **OUT).packet(1, "synack", **BACK, out=ns(1.01))) == []
    in_vain = one(outcome="timeout", detail="connect")
    assert said(in_vain.packet(1.003, "syn", **OUT, out=None, dropped="cut")) == []
    refused = one(outcome="error", detail="ECONNREFUSED", connected=None)
    refused.packet(1.003, "syn", **OUT).packet(1.01, "rst", **BACK)
    assert said(refused) == []
    reset = stream(early(), (3.0, "close", {"closed_by": "peer-rst", "detail": "ECONNRESET"}))
    assert said(reset.packet(2.98, "rst", **BACK, out=ns(2.999))) == []
    closed = stream(early(), (3.0, "close", {"closed_by": "peer-fin", "detail": "idle"}))
    assert said(closed.packet(2.98, "again", **BACK, out=ns(2.999))) == []


def test_connected_without_a_syn_ack_is_listed_with_its_five_tuple():
    """Time, client, port, address, and what each says."""
    story = one().packet(1.003, "syn", **OUT)
    story.packet(1.004, "synack", **BACK, out=None, dropped="cut")
    (only,) = found(story)
    assert (only.t, tuple(only.client), only.port) == (ns(1.012), ("new-york", "http"), PORT)
    assert (only.address, only.told) == (ADDRESSES["us-east"], "it was connected")
    assert only.seen == "saw no SYN-ACK reach it"


def answered_by(first: int | None, began: float = 1.004) -> Story:
    """An answered request, and the wire's summary of what its peer sent."""
    story = one().packet(1.003, "syn", **OUT).packet(1.004, "synack", **BACK, out=ns(1.01))
    story.events.append(
        Flow(
            t=ns(3), protocol="tcp", **BACK, began=ns(began), first=first, last=first,
            seen=ns(1.04), segments=0, bytes=0, again=0, silence_ns=0, ended=True,
        )
    )  # fmt: skip
    return story


def test_answered_without_data_is_listed():
    """Not where data came, nor where the wire knows only the end of the connection."""
    assert said(answered_by(None)) == [("it was answered", "saw no data come for it")]
    assert said(answered_by(ns(1.02))) == []
    assert said(answered_by(None, began=1.04)) == []


def test_a_syn_ack_that_came_after_the_client_was_connected_does_not_count():
    """Nobody is connected before."""
    story = one().packet(1.003, "syn", **OUT).packet(1.01, "synack", **BACK, out=ns(1.02))
    assert said(story) == [("it was connected", "saw no SYN-ACK reach it")]


def test_refused_without_an_rst_is_listed():
    """Reset by a peer that sent nothing, too."""
    refused = one(outcome="error", detail="ECONNREFUSED", connected=None)
    assert said(refused.packet(1.003, "syn", **OUT)) == [
        ("it was reset or refused", "saw no RST reach it")
    ]
    reset = stream(early(), (3.0, "close", {"closed_by": "peer-rst"}))
    reset.packet(2.98, "rst", **BACK, out=None, dropped="cut")
    assert said(reset) == [("it was reset or refused", "saw no RST reach it")]


def test_closed_by_its_peer_without_a_fin_is_listed():
    """A FIN of before the connection is another one's."""
    story = stream(early(), (3.0, "close", {"closed_by": "peer-fin"}))
    story.packet(0.5, "fin", **BACK)
    assert said(story) == [("its peer closed it", "saw no FIN reach it")]


def test_an_rst_that_reached_a_client_which_does_not_tell_of_it_is_listed():
    """A stream that is still open, and one that stalled a second later; not one that it met in
    the moment of its own close."""
    still = stream(early()).packet(2, "rst", **BACK)
    assert said(still) == [("it is still connected", "saw a RST reach it")]
    stalled = stream(early(), (3.0, "close", {"closed_by": "us", "detail": "stalled"}))
    assert said(stalled.packet(2, "rst", **BACK)) == [("it ended otherwise", "saw a RST reach it")]
    crossed = stream(early(), (3.0, "close", {"closed_by": "us", "detail": "idle"}))
    assert said(crossed.packet(2.98, "rst", **BACK)) == []


def test_a_client_whose_own_city_lost_its_power_hears_nothing():
    """What reached a city without power reaches nobody in it."""
    story = stream(early().fault(1.5, "new-york", healed=4)).packet(2, "rst", **BACK)
    assert said(story) == []


def test_a_syn_that_no_client_tells_of_is_listed_once_it_must_have_been():
    """Of a run that is cut short the last requests may not have told of themselves yet."""
    story = early().requests(0, 5, kind="udp").packet(4.5, "syn", **OUT)
    assert said(story) == [("nothing of such a connection", "saw its SYN")]
    story.is_cut_short = True
    assert said(story) == []


def test_what_began_before_the_history_is_not_judged():
    """A lab has traffic before a history of it begins."""
    story = Story().requests(1, 1.05, port=PORT).packet(1.5, "syn", "ns1", "us-east", src="a:1")
    assert said(story) == []


@pytest.mark.parametrize(
    "gap",
    [
        Lost(t=ns(2), count=1, where="wire"),
        Wire(t=ns(2), packets=9, dropped=1, lag_ms_max=1.0),
    ],
    ids=["events lost", "frames lost to overload"],
)
def test_where_one_of_the_records_has_gaps_nothing_is_called_a_disagreement(gap):
    """The run is inconclusive, and says why."""
    story = one().packet(1.003, "syn", **OUT)
    story.events.append(gap)
    assert said(story) == []


def test_a_port_used_again_is_another_connection():
    """The SYN-ACK of a minute before is not this one's."""
    story = one().packet(1.003, "syn", **OUT).packet(1, "synack", **BACK, out=ns(1.01))
    story.requests(61, 61.05, port=PORT).packet(61.003, "syn", **OUT)
    (only,) = found(story)
    assert only.t == ns(61.012)


def test_an_open_that_no_request_tells_of_is_joined_as_well():
    """A pool's spare connection: its attempt and its opening are events of its own."""
    story = early().requests(1, 5, kind="udp")
    for at, phase, port in ((1.0, "attempt", 0), (1.1, "open", PORT)):
        story.events.append(
            Connection(
                t=ns(at), city="new-york", client="keepalive", conn=3, phase=phase, port=port,
                address=ADDRESSES["us-east"],
            )
        )  # fmt: skip
    assert said(story) == [("it began to connect", "saw no SYN of it")]
    story.events.append(Packet(t=ns(1.05), what="syn", **OUT))
    assert said(story) == [("it was connected", "saw no SYN-ACK reach it")]


def test_programs_get_every_disagreement_up_to_a_thousand():
    """And how many were left out."""
    story = early().requests(0, 60, rate=20)
    history = story.history()
    told = report_json(measure(history), history)["agreement"]
    assert (len(told["disagreements"]), told["left_out"]) == (1000, 200)
    assert told["disagreements"][0]["client_says"] == "it began to connect"
    assert told["disagreements"][0]["client"] == "http"
