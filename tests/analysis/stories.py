"""The main job as a whole invented history: us-east loses power, new-york moves, and comes back."""

from __future__ import annotations

from typing import Any

from tests.builders import ADDRESSES, KINDS, NAME_SERVERS, Story

OBJECTIVES = [
    {
        "text": "recovery_s.p100 <= 15 s",
        "figure": "recovery_s",
        "statistic": "p100",
        "comparison": "<=",
        "bound": 15.0,
    },
    {
        "text": "requests_lost <= 100",
        "figure": "requests_lost",
        "statistic": "",
        "comparison": "<=",
        "bound": 100.0,
    },
]
# Fields of a request on a connection that was open already.
OPEN: dict[str, Any] = {"lookup": None, "connecting": None, "connected": None}


def region_loss() -> Story:
    """Power at 10 s; ns1 DOWN at 13.4 s, ns2 at 13.6 s; the new answer at 18.2 s; heal at 40 s."""
    story = Story(rates=dict.fromkeys(KINDS, 20.0), objectives=OBJECTIVES)
    story.fault(10.0, healed=40.0).down(13.42).down(13.61, "ns2")
    story.answer(8.0, "us-east").answer(12.6, "us-east", "ns2").answer(18.22, "eu-west")
    for server in NAME_SERVERS:
        story.answer(3.0, "eu-west", server, "paris")
    for kind, detail in (("http", "connect"), ("udp", "response")):
        story.requests(0, 10, kind=kind).dead(10, 18.5, kind=kind, detail=detail)
        story.requests(18.5, 46, kind=kind, region="eu-west").requests(46, 60, kind=kind)
    _keepalive(story)
    _stream(story)
    for kind in ("http", "keepalive", "stream", "udp"):
        story.requests(0, 60, city="paris", kind=kind, region="eu-west")
    for index in range(3):
        story.packet(10.5 + index, "syn-again", "new-york", "us-east", out=None, dropped="cut")
    story.packet(10.3, "again", "new-york", "us-east", out=None, dropped="cut")
    return story.handshakes()


def _keepalive(story: Story) -> None:
    for conn in range(4):
        story.connection(0.1, "open", conn, client="keepalive")
        story.connection(
            13.0 + conn / 20, "close", conn, client="keepalive", closed_by="us", detail="response"
        )
    story.requests(0, 10, kind="keepalive", **OPEN)
    story.requests(10, 10.2, kind="keepalive", outcome="timeout", detail="response", **OPEN)
    story.dead(10.2, 18.7, kind="keepalive")
    story.requests(18.7, 18.75, kind="keepalive", region="eu-west")
    story.requests(18.75, 60, kind="keepalive", region="eu-west", **OPEN)


def _stream(story: Story) -> None:
    story.connection(0.1, "open", 1)
    story.connection(13.0, "close", 1, closed_by="us", detail="stalled")
    story.connection(17.9, "attempt", 2, address="")
    story.connection(20.9, "failed", 2, closed_by="us", detail="connect")
    story.connection(21.0, "attempt", 3, address="")
    story.connection(21.08, "open", 3, address=ADDRESSES["eu-west"])
    story.requests(0, 10, kind="stream", **OPEN)
    story.requests(10, 13, kind="stream", outcome="error", detail="stalled", takes=3.0, **OPEN)
    story.requests(13, 21.1, kind="stream", outcome="error", detail="unconnected", takes=0, **OPEN)
    story.requests(21.1, 60, kind="stream", region="eu-west", **OPEN)
