"""Name servers in words: what they hold regions for, why they answer so, what they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from emulator.analysis.words import forced_words, listed, show_span
from emulator.report.layout import fitted, indented, paragraph, table_of
from emulator.steering import Explanation, Weighing

NS_PER_S = 1_000_000_000
_NOTHING = {
    "NXDOMAIN": "there is no such name",
    "REFUSED": "the server refuses to answer",
    "NOERROR": "the name is there, but not with an address",
}
COLUMN_MIN = 20  # holds nearly every value: a table that moves every second cannot be read


def region_words(region: Mapping[str, Any], now_ns: int) -> tuple[str, str]:
    """What its checks say of a region, and in spite of it: `UP`, `drained, 9 min 58 s left`."""
    told = []
    if region["forced"]:
        told.append(forced_words(region["forced"]) + _left(region.get("until"), now_ns))
    if (region.get("held_until") or 0) > now_ns:
        told.append(f"stays DOWN for {_span(region['held_until'], now_ns)} at least")
    if (share := region.get("share", 1.0)) < 1:
        told.append(f"ramping up, {share:.0%} of the draws")
    return region["health"] + _votes(region), "; ".join(told)


def _votes(region: Mapping[str, Any]) -> str:
    """Of vantage sites, when there are any: ` (2 of 3 vantages)`."""
    opinions = region.get("opinions", {})
    if len(opinions) < 2:
        return ""
    agree = sum(opinion["health"] == region["health"] for opinion in opinions.values())
    return f" ({agree} of {len(opinions)} vantages)"


def _left(until_ns: int | None, now_ns: int) -> str:
    return ", until told otherwise" if until_ns is None else f", {_span(until_ns, now_ns)} left"


def _span(until_ns: int, now_ns: int) -> str:
    return show_span(max(0, until_ns - now_ns) / NS_PER_S)


def region_rows(states: Mapping[str, Any], now_ns: int) -> Iterator[tuple[str, str, str, str, str]]:
    """Name server, service, region, what its checks say, what overrides them."""
    for server, state in states.items():
        for service, held in state.get("services", {}).items():
            for region, values in held["regions"].items():
                yield server, service, region, *region_words(values, now_ns)


def server_lines(state: Mapping[str, Any], now_ns: int) -> Iterator[str]:
    """What one name server says of itself: its services' regions, TTLs, what it was asked."""
    if "error" in state:
        yield f"nothing: {state['error']}"
    for service, held in state.get("services", {}).items():
        regions = [(name, *region_words(r, now_ns)) for name, r in held["regions"].items()]
        plain = ", ".join(f"{name} {health}" for name, health, instead in regions if not instead)
        because = f", {held['ttl_because']}" if held.get("ttl_because") else ""
        yield f"{service}: {plain}{'; ' * bool(plain)}TTL {held['ttl']} s{because}"
        for name, health, instead in regions:
            if instead:
                yield f"{service}: {name} {instead}; its checks say {health}"
    yield _asked(state["asked"])


def _asked(asked: Mapping[str, Any]) -> str:
    if "error" in asked:
        return f"what it was asked is not known: {asked['error']}"
    named = [f"{region} {n}" for region, n in sorted(asked["regions"].items())]
    answers = f", answers named {', '.join(named)}" if named else ""
    return f"{asked['queries']} queries since its start{answers}"


def render_forced(held: Mapping[str, Any], console: Console) -> None:
    """What was done, what each name server holds now beside what its checks say, how to undo it."""
    width = fitted(console)
    region, state = held["region"], held["state"]
    lasts = "until told otherwise" if held["for_s"] is None else f"for {show_span(held['for_s'])}"
    done = f"{forced_words(state)} {lasts}" if state != "auto" else "answered as its checks say"
    paragraph(console, f"{region} is {done} ({', '.join(held['services'])})", width)
    table = table_of("name server", "service", "checks say", "held as")
    for server, service, name, health, forced in region_rows(held["states"], held["now_ns"]):
        if name == region and service in held["services"]:
            table.add_row(server, service, _health(health), forced or "as checked")
    indented(console, table)
    for server, why in held["deaf"].items():
        paragraph(console, f"{server} was not told: {why}", width, "yellow", indent=2)
    for server in (s for s in held["states"] if s not in held["deaf"]):
        if why := held["states"][server].get("error"):
            later = f"{server} does not say what it holds: {why}. It hears of it when it wakes."
            paragraph(console, later, width, "yellow", indent=2)
    if state != "auto":
        only = f" --service {held['service']}" if held["service"] else ""
        undo = f"netemu dns force {region} auto{only} --lab {held['lab']}"
        paragraph(console, f"undo it: {undo}", width, indent=2)


def _health(health: str) -> Text:
    return Text(health, style="red" if health.startswith("DOWN") else "")


def render_explanations(
    question: str, told: Mapping[str, Explanation], mute: Mapping[str, str], console: Console
) -> None:
    """Each answer with its reasons, once for all servers that give it for the same ones."""
    width = fitted(console)
    paragraph(console, question, width, "bold")
    groups = _alike(told)
    if len({(e.rcode, e.regions) for e in told.values()}) > 1:
        paragraph(console, f"the name servers differ: {_differences(groups)}", width, "yellow")
    for servers, explanation in groups:
        _explanation(servers, explanation, console, width)
    for server, why in mute.items():
        paragraph(console, f"{server}: {why}", width, "red")


def _alike(told: Mapping[str, Explanation]) -> list[tuple[list[str], Explanation]]:
    """Serials differ from server to server and explain nothing."""
    groups: list[tuple[list[str], Explanation]] = []
    for server, explanation in told.items():
        same = replace(explanation, server="", serial=0)
        for servers, other in groups:
            if replace(other, server="", serial=0) == same:
                servers.append(server)
                break
        else:
            groups.append(([server], explanation))
    return groups


def _differences(groups: Sequence[tuple[list[str], Explanation]]) -> str:
    return "; ".join(f"{listed(servers)}: {_answer(e)}" for servers, e in groups)


def _answer(told: Explanation) -> str:
    if not told.addresses:
        return f"{told.rcode}, {_NOTHING.get(told.rcode, 'no answer')}"
    regions = f" of {listed(told.regions)}" if told.regions else ""
    return f"{' '.join(told.addresses)}{regions}"


def _explanation(servers: list[str], told: Explanation, console: Console, width: int) -> None:
    verb = "answers" if len(servers) == 1 else "answer"
    paragraph(console, f"{listed(servers)} {verb}: {_answer(told)}", width)
    for line in _facts(told):
        paragraph(console, line, width, indent=2)
    for weighing in told.weighings:
        _weighing(weighing, console)
    for override in told.overrides:
        paragraph(console, f"overridden: {override}", width, "yellow", indent=2)


def _facts(told: Explanation) -> Iterator[str]:
    because = f", {told.ttl_because}" if told.ttl_because else ""
    if told.addresses:
        yield f"TTL {told.ttl_s} s{because}"
    elif told.ttl_s:
        yield f"resolvers may keep that for {told.ttl_s} s"
    if told.weighings:
        place = told.site or "no place that the server knows"
        by = "client subnet" if told.by == "client subnet" else f"{told.by}'s address"
        yield f"asked for {told.network}, which is {place}: taken from the {by}"
    if any("draw" in candidate.verdict for w in told.weighings for candidate in w.candidates):
        yield "drawn anew for every question: the next answer may be another"


def _weighing(weighing: Weighing, console: Console) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    left = "  " * (weighing.depth + 1)
    console.print(f"{left}{weighing.kind}:", soft_wrap=True)
    for candidate in weighing.candidates:
        style = "green" if candidate.verdict.startswith("chosen") else ""
        table.add_row(f"{left}  {candidate.name}", candidate.value, Text(candidate.verdict, style))
    console.print(table)


def top_table(lab: str, rows: Mapping[str, Mapping[str, Any]], seconds: float) -> RenderableType:
    """One column a name server: what it was asked and what it said in the last interval."""
    table = table_of(f"last {seconds:g} s", *rows)
    for column in table.columns[1:]:
        column.min_width = COLUMN_MIN
    for heading, show in _TOP.items():
        table.add_row(heading, *("-" if "error" in row else show(row) for row in rows.values()))
    mute = [f"{server}: {row['error']}" for server, row in rows.items() if "error" in row]
    return Group(Text(lab, "bold"), table, *(Text(line, "yellow") for line in mute))


def _shares(name: str) -> Any:
    def show(row: Mapping[str, Any]) -> str:
        counts: Mapping[str, float] = row[name]
        total = sum(counts.values())
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return "\n".join(f"{what} {n / total:.0%}" for what, n in ordered if n) or "-"

    return show


_TOP = {
    "queries/s": lambda row: f"{row['queries']:.1f}",
    "rcode": _shares("rcodes"),
    "type": _shares("types"),
    "transport": _shares("transports"),
    "region": _shares("regions"),
    "client subnet": lambda row: f"{row['subnet_share']:.0%}",
    "truncated/s": lambda row: f"{row['truncated']:.1f}",
    "unanswered/s": lambda row: f"{row['dropped']:.1f}",
    "checks failing": lambda row: "\n".join(row["failing"]) or "none",
    "held by hand": lambda row: "\n".join(row["overrides"]) or "none",
    "generation": lambda row: "\n".join(f"{s} {n:g}" for s, n in row["generations"].items()),
}
