"""What the tables of a report hold, as text: the same on a terminal and on a page."""

from __future__ import annotations

from itertools import pairwise

from emulator.analysis.measurements import Agreement, Disagreement, Row
from emulator.analysis.timeline import History
from emulator.analysis.words import kind_name, loss_lines, plural
from emulator.clock import NS_PER_S

_COLUMNS = ("detection", "publish", "cache", "client", "connect", "resume")


def round_trips(history: History) -> dict[tuple[str, str], tuple[float, float | None]]:
    """Round trips in ms by pair of sites: set, measured (None: not measured)."""
    ways = {(p["source"], p["target"]): p for p in (history.run.paths if history.run else [])}
    found: dict[tuple[str, str], tuple[float, float | None]] = {}
    for (source, target), there in ways.items():
        back = ways.get((target, source))
        if back is None:
            continue
        out, home = there.get("measured_ms"), back.get("measured_ms")
        measured = out + home if out and home else None  # 0: this netemu did not probe
        found[source, target] = (there["one_way_ms"] + back["one_way_ms"], measured)
    return found


def path_rows(history: History) -> list[tuple[str, str, str]]:
    """Each city to each of its regions, nearest first."""
    rtts = round_trips(history)
    preferred = history.run.preferred if history.run else {}
    rows = []
    for city, regions in preferred.items():
        for region in regions:
            if (city, region) in rtts:
                meant, measured = rtts[city, region]
                seen = f"{measured:.1f} ms" if measured is not None else "-"
                rows.append((f"{city}..{region}", f"{meant:.1f} ms", seen))
    return rows


def city_rows(history: History) -> list[tuple[str, str, str]]:
    """Each city, where DNS sends it, and why: the round trips, or another policy in words."""
    rtts = round_trips(history)
    rows = []
    sent_to = history.run.sent_to if history.run else {}
    for city, regions in (history.run.preferred if history.run else {}).items():
        sent = sent_to.get(city, {})
        if sent.get("because"):
            rows.append((city, ", ".join(sent["regions"]), sent["because"]))
            continue
        known = [rtts[city, region][0] for region in regions[:2] if (city, region) in rtts]
        because = " against ".join(f"{rtt:.0f} ms" for rtt in known)
        rows.append((city, regions[0] if regions else "-", because))
    return rows


def part_headings() -> list[str]:
    """The columns after `recovery`, read as a sum."""
    return [("= " if index == 0 else "+ ") + name for index, name in enumerate(_COLUMNS)]


def recovery_cells(row: Row) -> list[str]:
    """Kind, recovery, its parts, bound."""
    bound = f"{row.bound_s:.1f} s" if row.bound_s is not None else "-"
    name = f"  {kind_name(row.client.kind)}"
    if row.recovery_s is None:
        return [
            name,
            "never" if row.state == "not_recovered" else "unclear",
            *[""] * len(_COLUMNS),
            bound,
        ]
    # Rounded at the borders, so that the shown parts sum to the shown recovery.
    borders = [round((t - row.began) / NS_PER_S, 2) for t in row.borders()]
    spans = [f"{end - start:.2f}" for start, end in pairwise(borders)]
    applies = [instant is not None for instant in row.milestones.instants()] + [True]
    parts = [span if real else "-" for span, real in zip(spans, applies, strict=True)]
    return [name, f"{borders[-1]:.2f} s", *parts, bound]


def loss_cells(row: Row) -> list[str]:
    """Kind, outage, requests lost and to what, what became of open connections, after the heal."""
    ended = "\n".join(loss_lines(row.losses))
    lost = f"{row.requests_lost} of {row.requests}" + (f"\n{ended}" if ended else "")
    fates = "\n".join(f"{count} {fate}" for fate, count in row.fates.items()) or "-"
    outage = f"{row.outage_s:.2f} s" + (f"\n{_relapses(row)}" if row.relapses else "")
    return [f"  {kind_name(row.client.kind)}", outage, lost, fates, _after_heal(row)]


def _relapses(row: Row) -> str:
    return plural(row.relapses, "relapse")


def _after_heal(row: Row) -> str:
    told = []
    if row.reversion is not None:
        back = row.reversion.seconds
        region = row.reversion.region
        stays = f"stays on {region}" if region else "unclear"
        told.append(stays if back is None else f"{region} after {back:.1f} s")
    if row.lost_after_heal:
        told.append(f"{row.lost_after_heal} lost")
    return "\n".join(told) or "-"


def agreement_line(agreed: Agreement) -> str:
    """How near the clients' record and the wire's lie; empty when nothing could be compared."""
    if not agreed.syn.count:
        return ""
    count = "1 handshake" if agreed.syn.count == 1 else f"{agreed.syn.count:,} handshakes"
    said = (
        f"Clients and wire agree on {count}: SYN within"
        f" {agreed.syn.p99_ms:.2f} ms, SYN-ACK within {agreed.synack.p99_ms:.2f} ms at p99"
        f" (at most {max(agreed.syn.max_ms, agreed.synack.max_ms):.2f} ms)"
    )
    return (
        f"{said}; they contradict each other nowhere." if not agreed.disagreements else f"{said}."
    )


def disagreement_rows(agreed: Agreement, history: History) -> list[tuple[str, str, str, str]]:
    """What clients and wire tell differently, the most frequent first: how often, what the client
    says, what the wire says, and the first such connection."""
    alike: dict[tuple[str, str], list[Disagreement]] = {}
    for one in agreed.disagreements:
        alike.setdefault((one.told, one.seen), []).append(one)
    groups = sorted(alike.items(), key=lambda group: -len(group[1]))
    return [
        (f"{len(some):,}", told, seen, connection_words(some[0], history))
        for (told, seen), some in groups
    ]


def connection_words(one: Disagreement, history: History) -> str:
    """`12.31 s, new-york http, port 41234 to 198.18.1.1`."""
    client = f"{one.client.city} {one.client.kind}".rstrip()
    return f"{history.seconds(one.t):.2f} s, {client}, port {one.port} to {one.address}"
