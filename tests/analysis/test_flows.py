"""Flows as the wire tells of them: a table of them, and what they add to a fault's story."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from emulator.analysis.flows import Conversation, Flows
from emulator.analysis.recovery import measure
from emulator.analysis.words import amount, flow_log_words
from emulator.events import Answer, Event, Flow, Packet, Question
from emulator.report.flows import dns_words, flow_table, flows_json, ranked, state_words
from emulator.report.json import report_json
from tests.builders import Story, ns

CITY, REGION = "new-york", "us-east"
CLIENT, SERVER = "10.4.0.2:41234", "198.18.1.1:80"
PATHS = {(CITY, REGION), (REGION, CITY)}


def packet(at: float, what: str, *, back: bool = False, **fields: Any) -> Packet:
    """A telling segment of the one connection, delivered after 10 ms unless told otherwise."""
    known: dict[str, Any] = {"out": ns(at + 0.01)} | fields
    near, far = ((REGION, SERVER), (CITY, CLIENT))[:: 1 if back else -1]
    ends = {"source": near[0], "src": near[1], "target": far[0], "dst": far[1]}
    return Packet(t=ns(at), what=what, **{**ends, **known})


def flow(at: float, seen: float, *, back: bool = False, **fields: Any) -> Flow:
    """What the wire tells of one direction at an instant."""
    known: dict[str, Any] = {
        "protocol": "tcp", "began": ns(0.02 if back else 0), "first": ns(0.1), "last": ns(seen),
        "segments": 10, "bytes": 1000, "again": 0, "silence_ns": 0, "ended": False,
    }  # fmt: skip
    known |= {"src": SERVER, "dst": CLIENT} if back else {"src": CLIENT, "dst": SERVER}
    sites = (REGION, CITY) if back else (CITY, REGION)
    return Flow(t=ns(at), seen=ns(seen), source=sites[0], target=sites[1], **{**known, **fields})


OPENED = [packet(0, "syn"), packet(0.02, "synack", back=True), packet(0.1, "data")]


def folded(*events: Event) -> Flows:
    flows = Flows()
    for event in events:
        flows.feed(event)
    return flows


def one(*events: Event) -> Conversation:
    (found,) = folded(*events)
    return found


def test_both_directions_are_one_flow_and_who_opened_it_is_its_client():
    """SYN from the city, SYN-ACK from the region, data both ways."""
    told = one(*OPENED, flow(5, 5), flow(5, 5, back=True, bytes=50_000))
    assert (told.client.site, told.client.end) == (CITY, CLIENT)
    assert (told.server.site, told.server.end) == (REGION, SERVER)
    assert (told.client.bytes, told.server.bytes) == (1000, 50_000)
    assert told.state(ns(5.5)) == "open"


@pytest.mark.parametrize("back", [False, True])
def test_a_flow_whose_opening_was_not_seen_has_its_client_at_the_higher_port(back):
    """Whichever direction is told first."""
    told = one(flow(5, 5, back=back))
    assert (told.client.end, told.server.end, told.state(ns(5.5))) == (CLIENT, SERVER, "open")


@pytest.mark.parametrize(
    ("events", "at", "state", "words"),
    [
        ([packet(0, "syn")], 0.5, "opening", "opening"),
        ([packet(0, "syn"), packet(0.02, "synack", back=True, out=None)], 1, "opening", "opening"),
        (
            [packet(0, "syn"), packet(1, "syn-again"), packet(3, "syn-again")],
            7, "opening", "opening",
        ),
        ([packet(0, "syn"), packet(1, "syn-again")], 4.5, "unanswered", "unanswered"),
        (OPENED, 0.5, "open", "open"),
        ([*OPENED, flow(2, 0.9), flow(2, 0.9, back=True)], 9.9, "silent", "silent 9.0 s"),
        ([*OPENED, packet(1, "fin")], 1.1, "closing", "closing by new-york"),
        (
            [*OPENED, packet(1, "fin", back=True), packet(1.1, "fin")],
            1.2, "closed", "closed by us-east",
        ),
        ([packet(0, "syn"), packet(0.02, "rst", back=True, had=False)], 1,
         "refused", "refused by us-east"),
        ([*OPENED, packet(3, "rst", back=True)], 4, "reset", "reset by us-east"),
        ([*OPENED, packet(3, "rst", back=True, had=False)], 4, "reset", "reset by us-east*"),
        ([*OPENED, packet(3, "rst", back=True, out=None, dropped="cut")], 3.5, "open", "open"),
    ],
)  # fmt: skip
def test_a_flow_has_one_state_in_words(events, at, state, words):
    """What each story has come to at an instant."""
    told = one(*events)
    assert (told.state(ns(at)), state_words(told, ns(at))) == (state, words)


def test_a_side_that_falls_silent_while_the_other_goes_on_is_named():
    """The server's last frame at 10 s, the client sends again at 13 s; the wire told the server's
    direction once more after its first second of silence."""
    told = one(
        *OPENED,
        flow(11.1, 10.0, back=True),
        packet(10.3, "again"),
        packet(13.0, "again", out=None, dropped="cut"),
    )
    assert told.mute is told.server
    assert state_words(told, ns(14)) == "us-east mute 4.0 s"
    assert told.again == 2


def test_the_same_ports_again_are_another_connection():
    """A new SYN begins anew; what is told late of the old one does not touch it."""
    flows = folded(*OPENED, packet(60, "syn"), flow(60.5, 0.5, bytes=9_999))
    (told,) = flows
    assert (told.began, told.client.bytes, told.state(ns(61))) == (ns(60), 0, "opening")


def test_quic_is_known_from_its_first_to_its_last_packet():
    """No SYN and no FIN: open while it moves, then silent."""
    told = one(flow(5, 4.9, protocol="quic"), flow(5, 4.9, back=True, protocol="quic"))
    assert (told.protocol, told.state(ns(5.1)), told.state(ns(30))) == ("quic", "open", "silent")


def test_flows_that_ended_longest_ago_are_forgotten_first():
    """The limit holds; an open connection outlives thousands of others."""
    flows = Flows(limit=100)
    for event in OPENED:
        flows.feed(event)
    for number in range(1000):
        src = f"10.4.0.2:{number + 2000}"
        flows.feed(packet(number, "syn", src=src))
        flows.feed(packet(number + 0.1, "rst", src=SERVER, dst=src, source=REGION))
    assert len(flows) <= 100
    assert CLIENT in {told.client.end for told in flows}


def question(at: float, **fields: Any) -> Question:
    known: dict[str, Any] = {"source": CITY, "target": "ns1", "name": "www.shop.test", "qtype": "A"}
    return Question(t=ns(at), **{**known, **fields})


def answer(at: float, qtype: str = "A") -> Answer:
    return Answer(t=ns(at), source="ns1", target=CITY, name="www.shop.test", qtype=qtype,
                  rcode="NOERROR", addresses=[], ttl=5)  # fmt: skip


def test_an_answer_belongs_to_the_newest_question_that_asks_the_same():
    """The first was lost and asked again: two questions, one answer; another type is another."""
    asked = folded(question(0), question(0.4), question(0.4, qtype="AAAA"), answer(0.5)).lookups
    assert [one.answered for one in asked.asked] == [None, ns(0.5), None]
    assert [one.is_lost(ns(3)) for one in asked.asked] == [False, False, False]
    assert [one.is_lost(ns(6)) for one in asked.asked] == [True, False, True]


def test_lost_questions_are_counted_in_words():
    """With those that the WAN dropped; and nothing lost is said as well."""
    lost = folded(question(0), answer(0.1), question(1, dropped="cut"), question(2)).lookups.asked
    words = "3 questions, 2 of them without an answer (1 dropped on their way)"
    assert dns_words(lost, ns(20)) == words
    assert dns_words(lost[:1], ns(20)) == "1 question, none without an answer"


def test_trouble_stands_first_and_what_ended_long_ago_is_left_out():
    """A reset before open ones, newest first; a close of a minute ago only on request."""
    others = [packet(second, "syn", src=f"10.4.0.2:{port}") for port, second in
              ((50001, 60.9), (50002, 61.0))]  # fmt: skip
    ended = "10.4.0.2:50000"
    flows = folded(
        packet(1, "syn", src=ended), packet(2, "fin", src=ended),
        packet(2, "fin", src=SERVER, dst=ended, source=REGION, target=CITY),
        *others, *OPENED, packet(58, "rst", back=True, had=False),
    )  # fmt: skip
    shown = [told.client.end.partition(":")[2] for told in ranked(flows, ns(61.5))]
    assert shown == ["41234", "50002", "50001"]
    assert len(ranked(flows, ns(61.5), is_all=True)) == 4


def test_the_table_fits_100_columns_and_says_what_the_star_means():
    """With totals and DNS; what does not fit the screen is counted."""
    many = [packet(3, "syn", src=f"10.4.0.2:{port}") for port in range(5000, 5050)]
    flows = folded(*OPENED, packet(3, "rst", back=True, had=False), question(3), *many)
    printed = io.StringIO()
    console = Console(width=100, no_color=True, file=printed)
    console.print(flow_table("lab", flows, PATHS | {(CITY, "ns1")}, ns(4), 10))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[2].split()[:7] == [CITY, CLIENT, REGION, SERVER, "reset", "by", "us-east*"]
    assert "and 41 more flows" in lines
    assert "51 flows: 50 opening, 1 reset (1 by a host that never had it); 0 sent again" in lines
    assert "DNS, last 60 s: 1 question, none without an answer" in lines
    assert lines[-1] == "* whose host never spoke on that connection"


def test_the_values_for_scripts_are_plain():
    """State, both sides, resets and questions, as JSON can hold them."""
    flows = folded(*OPENED, packet(3, "rst", back=True, had=False))
    told = json.loads(json.dumps(flows_json(flows, PATHS, ns(4))))
    (shown,) = told["flows"]
    assert (shown["state"], shown["client"]["site"], told["now"]) == ("reset", CITY, ns(4))
    assert shown["resets"] == [{"t": ns(3), "site": REGION, "had": False, "arrived": True}]
    assert flows_json(flows, {("paris", REGION)}, ns(4))["flows"] == []


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (13_800, "14 kB"), (123_456, "123 kB"),
     (4.1e6, "4.1 MB"), (2.5e9, "2.5 GB"), (999_600, "1.0 MB")],
)  # fmt: skip
def test_amounts_have_a_unit(octets, text):
    """Three digits at most, six characters in all."""
    assert amount(octets) == text


def loss() -> Story:
    """Power at 10 s, healed at 45 s; a stream whose server says nothing from 9.9 s on, whose client
    sends until 12.8 s, and which the rebooted kernel resets at 41 s."""
    story = Story().requests(0, 50).fault(10, healed=45)
    story.events += [
        *OPENED,
        flow(5, 5, back=True), flow(11, 9.9, back=True), flow(5, 5), flow(12.9, 12.8),
        packet(41, "rst", back=True, had=False),
        question(9), answer(9.1), question(12, dropped="cut"), question(13), question(13.4),
        answer(13.5),
    ]  # fmt: skip
    return story


def test_a_fault_says_who_fell_silent_whose_rst_was_a_strangers_and_what_dns_did_not_answer():
    """All three in words and in JSON."""
    history = loss().history()
    measured = measure(history)
    log = measured.faults[0].flows
    assert (log.strangers, log.questions, log.unanswered, log.silent) == ({REGION: 1}, 3, 2, 1)
    assert log.longest is not None
    assert (log.longest.site, log.longest.peer_end) == (REGION, CLIENT)
    assert log.longest.seconds == pytest.approx(2.8)
    words = flow_log_words(log)
    assert words.startswith("On 1 connection us-east gave no answer while the other side went on")
    assert "for up to 2.8 s (198.18.1.1:80 to new-york's 10.4.0.2:41234)." in words
    assert "RST from hosts that never had the connection: us-east 1." in words
    assert words.endswith("2 of 3 DNS questions found no answer.")
    assert report_json(measured, history)["faults"][0]["flows"]["strangers"] == {REGION: 1}


def test_a_refusal_is_no_strangers_reset():
    """A RST right after the SYN arrived: that host never has what it refuses."""
    story = Story().requests(0, 30).fault(10, healed=20, how="crash")
    story.events += [packet(12, "syn"), packet(12.011, "rst", back=True, had=False)]
    assert measure(story.history()).faults[0].flows.strangers == {}


def test_an_idle_connection_is_not_one_that_fell_silent():
    """Neither side sends for 15 s; then it is used again."""
    story = Story().requests(0, 50).fault(10, healed=40)
    idle = 15 * 10**9
    story.events += [
        *OPENED, flow(11, 9.9, back=True), flow(11, 9.91),
        flow(26, 24.95, back=True, silence_ns=idle), flow(26, 24.92, silence_ns=idle),
    ]  # fmt: skip
    assert measure(story.history()).faults[0].flows.silent == 0


def test_a_connection_that_was_idle_and_then_used_in_vain_counts_from_the_fault():
    """The server's last frame came long before; the client sends at 12 s and until 16 s."""
    story = Story().requests(0, 50).fault(10, healed=40)
    story.events += [
        *OPENED, flow(6, 4.9, back=True), flow(6, 4.91), flow(13, 12.0), flow(17, 16.0, again=4),
    ]  # fmt: skip
    log = measure(story.history()).faults[0].flows
    assert log.longest is not None
    assert log.silent == 1
    assert log.longest.seconds == pytest.approx(6.0)


def test_a_history_of_before_has_nothing_to_add():
    """No flow, no question, no RST of a stranger: no words."""
    measured = measure(Story().requests(0, 30).fault(10, healed=20).history())
    assert flow_log_words(measured.faults[0].flows) == ""
