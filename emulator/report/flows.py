"""Flows as a table for a terminal and as plain values: the telling ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from emulator.analysis.flows import Conversation, Flows
from emulator.analysis.lookups import Asked
from emulator.analysis.words import amount, plural
from emulator.clock import NS_PER_S
from emulator.report.layout import table_of

STATES = ("opening", "unanswered", "open", "silent", "closing", "closed", "refused", "reset")
_COLOURS = {"unanswered": "yellow", "silent": "yellow", "refused": "red", "reset": "red"}
_SHOWN_NS = {  # how long after its last frame a flow that is over, or nearly, is still shown
    "closed": 5 * NS_PER_S,
    "unanswered": 10 * NS_PER_S,
    "closing": 60 * NS_PER_S,
    "refused": 60 * NS_PER_S,
    "reset": 60 * NS_PER_S,
}
_RANKS = {"opening": 2, "open": 2, "unanswered": 3, "closing": 3, "silent": 4}
_SLOW_NS = NS_PER_S  # a handshake that takes longer has lost something
_STRANGER = "*"
_DNS_NS = 60 * NS_PER_S

Paths = Collection[tuple[str, str]]


def picked(flows: Iterable[Conversation], paths: Paths) -> list[Conversation]:
    """Those between the sites of any of these paths."""
    wanted = {frozenset(pair) for pair in paths}
    return [f for f in flows if frozenset((f.client.site, f.server.site)) in wanted]


def ranked(flows: Iterable[Conversation], now: int, *, is_all: bool = False) -> list[Conversation]:
    """Trouble first, then what is open, then silence and ends; the newest of each first. Without
    `is_all` what ended long ago is left out."""
    shown = [
        flow
        for flow in flows
        if is_all or now - flow.seen <= _SHOWN_NS.get(flow.state(now), now - flow.seen)
    ]
    return sorted(shown, key=lambda flow: (_rank(flow, now), -flow.began))


def _rank(flow: Conversation, now: int) -> int:
    state = flow.state(now)
    if state == "reset" or flow.mute:
        return 0
    if state == "refused" or (state == "opening" and now - flow.began > _SLOW_NS):
        return 1
    return _RANKS.get(state, 5)


def flow_table(
    title: str, flows: Flows, paths: Paths, now: int, rows: int | None, *, is_all: bool = False
) -> RenderableType:
    """At most `rows` of the flows, what DNS was asked in the last minute, and the totals."""
    mine = picked(flows, paths)
    chosen = ranked(mine, now, is_all=is_all)
    shown = chosen[:rows]
    headings = ("client", "server", "state", "age", "again", "sent", "got", "quiet")
    table = table_of(*headings, right=(3, 4, 5, 6, 7), gap=1)
    table.columns[1].no_wrap = True  # so that only the state gives way, see `_row`
    for flow in shown:
        table.add_row(*_row(flow, now))
    lines = [Text(line) for line in (_totals(mine, now), _dns(flows, paths, now)) if line]
    if len(chosen) > len(shown):
        lines.insert(0, Text(f"and {plural(len(chosen) - len(shown), 'more flow')}", "dim"))
    if any(_is_stranger(flow) for flow in shown):
        lines.append(Text(f"{_STRANGER} whose host never spoke on that connection"))
    return Group(Text(title, "bold"), *([table] if shown else []), *lines)


def _row(flow: Conversation, now: int) -> Iterable[RenderableType]:
    state = flow.state(now)
    mute_ns = now - flow.mute.seen if flow.mute else 0
    longest = max(*(side.silence_ns for side in flow.sides), flow.silent_ns(now), mute_ns)
    server = f"{flow.server.site} {flow.server.end}"
    return (
        f"{flow.client.site} {flow.client.end}",
        server if flow.protocol == "tcp" else f"{server} {flow.protocol}",
        Text(
            state_words(flow, now),
            "yellow" if flow.mute else _COLOURS.get(state, ""),
            no_wrap=True,
            overflow="ellipsis",
        ),
        _seconds(now - flow.began),
        str(flow.again or "-"),
        amount(flow.client.bytes),
        amount(flow.server.bytes),
        _seconds(longest) if longest >= NS_PER_S // 10 else "-",
    )


def state_words(flow: Conversation, now: int) -> str:
    """`reset by us-east`, `us-east mute 12 s`, `closed by paris`."""
    state = flow.state(now)
    if flow.reset is not None:
        return f"{state} by {flow.reset.site}{_STRANGER if _is_stranger(flow) else ''}"
    if flow.mute is not None:
        return f"{flow.mute.site} mute {_seconds(now - flow.mute.seen)}"
    if state == "silent":
        return f"silent {_seconds(flow.silent_ns(now))}"
    if state in ("closing", "closed"):
        first = min((s for s in flow.sides if s.fin is not None), key=lambda side: side.fin or 0)
        return f"{state} by {first.site}"
    return state


def _is_stranger(flow: Conversation) -> bool:
    """Reset by a host that never had the connection; one that refuses a SYN never has."""
    return flow.reset is not None and not flow.reset.had and not flow.is_refused


def _seconds(ns: int) -> str:
    seconds = max(0, ns) / NS_PER_S
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def _totals(flows: Iterable[Conversation], now: int) -> str:
    flows = list(flows)
    counts = Counter(flow.state(now) for flow in flows)
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    strangers = sum(map(_is_stranger, flows))
    resets = f" ({strangers} by a host that never had it)" if strangers else ""
    again = sum(flow.again for flow in flows)
    return f"{plural(len(flows), 'flow')}: {told or 'none yet'}{resets}; {again} sent again"


def _dns(flows: Flows, paths: Paths, now: int) -> str:
    asked = [
        a
        for a in flows.lookups.between(now - _DNS_NS, now + 1)
        if (a.asker, a.server) in paths or (a.server, a.asker) in paths
    ]
    return f"DNS, last {_DNS_NS // NS_PER_S} s: {dns_words(asked, now)}" if asked else ""


def dns_words(asked: Collection[Asked], now: int) -> str:
    """`34 questions, 3 of them without an answer (2 dropped on their way)`."""
    lost = [one for one in asked if one.is_lost(now)]
    dropped = sum(bool(one.dropped) for one in lost)
    told = plural(len(asked), "question")
    if not lost:
        return f"{told}, none without an answer"
    detail = f" ({dropped} dropped on their way)" if dropped else ""
    return f"{told}, {len(lost)} of them without an answer{detail}"


def flows_json(flows: Flows, paths: Paths, now: int, *, is_all: bool = False) -> dict[str, Any]:
    """For scripts; instants are ns of the lab's clock, which `now` stands on, null: not yet."""
    return {
        "now": now,
        "flows": [_flow_json(f, now) for f in ranked(picked(flows, paths), now, is_all=is_all)],
        "questions": [
            asdict(asked) | {"lost": asked.is_lost(now)}
            for asked in flows.lookups.asked
            if (asked.asker, asked.server) in paths or (asked.server, asked.asker) in paths
        ],
    }


def _flow_json(flow: Conversation, now: int) -> dict[str, Any]:
    shown = ("site", "end", "bytes", "segments", "again", "first", "last", "seen", "silence_ns",
             "fin")  # fmt: skip
    sides = {
        name: {key: getattr(side, key) for key in shown}
        for name, side in zip(("client", "server"), flow.sides, strict=True)
    }
    return {
        "protocol": flow.protocol,
        "state": flow.state(now),
        "began": flow.began,
        "accepted": flow.accepted,
        "silent_ns": flow.silent_ns(now),
        "mute": flow.mute.site if flow.mute else None,
        "resets": [asdict(reset) for reset in flow.resets],
        **sides,
    }
