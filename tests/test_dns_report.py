"""What a person reads of name servers: every line, at a terminal's width."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from emulator.analysis.words import show_span
from emulator.report.dns import render_explanations, render_forced, server_lines, top_table
from emulator.steering import Candidate, Explanation, Weighing

S = 1_000_000_000
NOW = 1000 * S
UP: dict[str, Any] = {"health": "UP", "forced": None, "until": None, "share": 1.0}
DRAINED = UP | {"forced": "drain", "until": NOW + 598 * S}
EXPLAINED = Explanation(
    server="ns1",
    name="www.shop.test",
    source="10.4.0.1",
    by="resolver",
    network="10.4.0.0/24",
    site="paris",
    weighings=(
        Weighing(
            "latency",
            0,
            (Candidate("eu-west", "9.1 ms", "chosen"), Candidate("us-east", "82.0 ms", "farther")),
        ),
    ),
    overrides=(),
    regions=("eu-west",),
    addresses=("198.18.2.1",),
    ttl_s=5,
    ttl_because="",
    rcode="NOERROR",
    serial=12,
)


@pytest.fixture
def out() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True,
                   highlight=False, color_system=None)  # fmt: skip


def lines(out: Console) -> list[str]:
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_servers_that_agree_are_one_answer(out):
    """Their serials differ, which explains nothing."""
    told = {"ns1": EXPLAINED, "ns2": replace(EXPLAINED, server="ns2", serial=99)}
    render_explanations("www.shop.test, asked by paris", told, {}, out)
    assert lines(out) == [
        "www.shop.test, asked by paris",
        "ns1 and ns2 answer: 198.18.2.1 of eu-west",
        "  TTL 5 s",
        "  asked for 10.4.0.0/24, which is paris: taken from the resolver's address",
        "  latency:",
        "    eu-west  9.1 ms   chosen",
        "    us-east  82.0 ms  farther",
    ]


def test_servers_that_differ_are_told_first_and_the_mute_last(out):
    """Each with its own reasons."""
    other = replace(
        EXPLAINED, regions=("us-east",), addresses=("198.18.1.1",), ttl_because="while degraded",
        overrides=("eu-west is forced down (checks: UP)",), by="client subnet",
    )  # fmt: skip
    told = {"ns1": EXPLAINED, "ns2": other}
    render_explanations("www.shop.test", told, {"ns3": "it has no power"}, out)
    said = lines(out)
    differ = "the name servers differ: ns1: 198.18.2.1 of eu-west; ns2: 198.18.1.1 of us-east"
    assert said[1:3] == [differ, "ns1 answers: 198.18.2.1 of eu-west"]
    assert "  TTL 5 s, while degraded" in said
    assert "  asked for 10.4.0.0/24, which is paris: taken from the client subnet" in said
    assert "  overridden: eu-west is forced down (checks: UP)" in said
    assert said[-1] == "ns3: it has no power"


def test_an_answer_that_was_drawn_says_so(out):
    """The next may be another; what a policy had no choice about is not drawn."""
    weighted = Weighing("weighted", 1, (Candidate("us-east", "weight 3 of 4", "not drawn"),))
    drawn = replace(EXPLAINED, weighings=(*EXPLAINED.weighings, weighted))
    render_explanations("www.shop.test", {"ns1": drawn}, {}, out)
    said = lines(out)
    assert "  drawn anew for every question: the next answer may be another" in said
    assert said[-2:] == ["    weighted:", "      us-east  weight 3 of 4  not drawn"]


@pytest.mark.parametrize(
    ("rcode", "words"),
    [("NXDOMAIN", "there is no such name"), ("REFUSED", "the server refuses to answer")],
)
def test_an_answer_without_addresses_is_told_in_words(out, rcode, words):
    """A name that is not of the zone, or none of its names."""
    nothing = replace(EXPLAINED, rcode=rcode, weighings=(), regions=(), addresses=())
    render_explanations("nosuch.shop.test", {"ns1": nothing}, {}, out)
    assert lines(out)[1:] == [
        f"ns1 answers: {rcode}, {words}",
        "  resolvers may keep that for 5 s",
    ]


def test_a_forced_region_stands_beside_what_its_checks_say(out):
    """Who holds it, for how long, who was not told, how to undo it."""
    regions = {"us-east": DRAINED, "eu-west": UP}
    held = {
        "lab": "two", "region": "us-east", "state": "drain", "service": None, "services": ["www"],
        "for_s": 600.0, "now_ns": NOW, "deaf": {"ns2": "it has no power"},
        "states": {"ns1": {"services": {"www": {"regions": regions}}}, "ns2": {"error": "-"}},
    }  # fmt: skip
    render_forced(held, out)
    assert lines(out) == [
        "us-east is drained for 10 min (www)",
        "  name server  service  checks say  held as",
        "  ns1          www      UP          drained, 9 min 58 s left",
        "  ns2 was not told: it has no power",
        "  undo it: netemu dns force us-east auto --lab two",
    ]


def test_status_says_of_a_server_what_is_not_as_usual_on_lines_of_their_own():
    """Forced, held down, ramping; votes of vantages; its TTL and why; what it was asked."""
    opinions = {"paris": {"health": "DOWN"}, "ns1": {"health": "DOWN"}, "tokyo": {"health": "UP"}}
    regions = {
        "us-east": DRAINED,
        "us-west": UP | {"health": "DOWN", "held_until": NOW + 12 * S, "opinions": opinions},
        "eu-west": UP,
        "tokyo": UP | {"share": 0.25},
    }
    state = {
        "services": {"www": {"ttl": 2, "ttl_because": "while degraded", "regions": regions}},
        "asked": {"queries": 3, "regions": {"us-east": 1, "eu-west": 2}},
    }
    assert list(server_lines(state, NOW)) == [
        "www: eu-west UP; TTL 2 s, while degraded",
        "www: us-east drained, 9 min 58 s left; its checks say UP",
        "www: us-west stays DOWN for 12 s at least; its checks say DOWN (2 of 3 vantages)",
        "www: tokyo ramping up, 25% of the draws; its checks say UP",
        "3 queries since its start, answers named eu-west 2, us-east 1",
    ]


def test_a_silent_server_is_shown_as_such():
    """Its state and its counts."""
    state = {"error": "it did not answer within 1 s", "asked": {"error": "no answer"}}
    assert list(server_lines(state, NOW)) == [
        "nothing: it did not answer within 1 s",
        "what it was asked is not known: no answer",
    ]


def test_top_has_a_column_for_each_server(out):
    """Shares of what happened, and the server that is mute below."""
    row = {
        "queries": 12.0, "rcodes": {"NOERROR": 9.0, "NXDOMAIN": 3.0}, "types": {"A": 12.0},
        "transports": {"udp": 12.0}, "regions": {"us-east": 9.0}, "subnet_share": 0.5,
        "truncated": 0.0, "dropped": 0.0, "failing": ["www in eu-west: 2 of 2 (DOWN)"],
        "overrides": [], "generations": {"www": 3.0},
    }  # fmt: skip
    out.print(top_table("two", {"ns1": row, "ns2": {"error": "it is frozen"}}, 1.0))
    said = lines(out)
    assert said[:4] == [
        "two",
        "last 1 s        ns1                            ns2",
        "queries/s       12.0                           -",
        "rcode           NOERROR 75%                    -",
    ]
    assert "client subnet   50%                            -" in said
    assert said[-1] == "ns2: it is frozen"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (598, "9 min 58 s"), (7500, "2 h 5 min")],
)
def test_spans_are_said_as_people_say_them(seconds, words):
    """Two units at most."""
    assert show_span(seconds) == words
