"""The steps of a run worth a line each, in order."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.analysis.changes import path_lines
from emulator.analysis.measurements import FaultMeasured, Measurements, Row
from emulator.analysis.timeline import FaultLife, History
from emulator.analysis.words import (
    KIND_NAMES,
    asker_name,
    command_line,
    forced_line,
    listed,
    plural,
    wait_line,
)
from emulator.clock import NS_PER_S
from emulator.events import OWN_CLIENT, Forced, Health, Run


@dataclass(frozen=True, slots=True)
class Moment:
    """Something happened at this instant (ns)."""

    t: int
    text: str


def moments(measured: Measurements, history: History) -> tuple[Moment, ...]:
    """What somebody who watched would have said, oldest first."""
    found = [_start(measured, history)] if history.requests else []
    begins = [fault.life.began for fault in measured.faults]
    for fault in measured.faults:
        life = fault.life
        until = min([fault.ends, *(t for t in begins if t > life.began)])
        found.append(Moment(life.began, life.name))
        found += _noticed(fault, history, until)
        found += [moment for city in _cities(fault) for moment in _city(city, history)]
        if life.healed is not None:
            beside = _beside(life, measured)
            what = life.name if beside else ", ".join(life.target)
            found.append(Moment(life.healed, f"heal {what}"))
            if not any(other.healed is None or other.healed > life.healed for other in beside):
                found += _back(fault, life.healed)
    found += _forced(history)
    found += [Moment(t, text) for t, text in path_lines(history.path_changes)]
    found += [Moment(wait.t, wait_line(wait)) for wait in history.waits]
    found += [Moment(command.t, command_line(command)) for command in history.commands]
    # Cities behind one resolver have its moments in common.
    return tuple(sorted(dict.fromkeys(found), key=lambda moment: moment.t))


def _beside(life: FaultLife, measured: Measurements) -> list[FaultLife]:
    """Other faults on the same target while this one lasted: a heal says which of them it ends, and
    who goes home goes when the last has."""
    return [
        other
        for other in (fault.life for fault in measured.faults)
        if other.id != life.id
        and other.target == life.target
        and (life.healed is None or other.began < life.healed)
        and (other.healed is None or other.healed > life.began)
    ]


def _start(measured: Measurements, history: History) -> Moment:
    own = sorted(client.city for client in history.requests if client.kind == OWN_CLIENT)
    planned = [client for client in history.requests if client.kind != OWN_CLIENT]
    cities = {client.city for client in planned}
    kinds = {client.kind for client in planned}
    rate = _rate(history.run) if history.run else ""
    begun = (
        f"traffic from {len(cities)} {'city' if len(cities) == 1 else 'cities'},"
        f" {plural(len(kinds), 'kind')}{rate}"
        + (f", and own clients in {listed(own)}" if own else "")
    )
    first = measured.faults[0].rows if measured.faults else ()
    steady = [row.baseline for row in first if row.baseline is not None]
    if steady:
        worst = min(steady)
        holds = "steady state holds"
        unsteady = f"NOT steady before the fault: {worst:.1%} answered in the worst row"
        begun += f"; {holds if worst == 1 else unsteady}"
    return Moment(history.origin_ns, begun)


def _rate(run: Run) -> str:
    """Of a city; from least to most where cities differ."""
    totals = {sum(load["rate"] for load in kinds.values()) for kinds in run.loads.values()}
    totals = totals or {sum(run.rates.values())}
    spread = " to ".join(f"{total:g}" for total in sorted({min(totals), max(totals)}))
    return f", {spread} requests/s a city" if max(totals) else ""


def _noticed(fault: FaultMeasured, history: History, until: int) -> list[Moment]:
    """Each region that the name servers gave up, one line: the first server, then the others."""
    downs: dict[str, dict[str, Health]] = {}
    for event in sorted(history.health, key=lambda h: h.t):
        if event.state == "DOWN" and fault.life.began <= event.t <= until:
            downs.setdefault(event.region, {}).setdefault(event.server, event)
    found = []
    for region, servers in downs.items():
        first, *others = servers.values()
        after = _after(first, fault.life.began, history)
        also = ", ".join(f"{h.server} at {history.seconds(h.t):.1f} s" for h in others)
        text = f"{first.server} marks {region} DOWN{after}" + (f" ({also})" if also else "")
        found.append(Moment(first.t, text))
    return found


def _after(event: Health, began: int, history: History) -> str:
    """What it took; of vantage sites their votes, as the server told them."""
    failed = [
        c
        for c in history.checks
        if not c.ok
        and (c.server, c.service, c.region) == (event.server, event.service, event.region)
        and began <= c.end <= event.t
    ]
    if any(check.checker for check in failed):
        return f": {event.reason}"
    return f" after {plural(len(failed), 'failed check')}" if failed else ""


def _forced(history: History) -> list[Moment]:
    """What name servers were told to hold, one line for all that were told in one second."""
    told: list[list[Forced]] = []
    for event in sorted(history.forced, key=lambda e: e.t):
        for group in told:
            first = group[0]
            if (event.region, event.service, event.state, event.reason) == (
                first.region, first.service, first.state, first.reason,
            ) and event.t - first.t < NS_PER_S:  # fmt: skip
                group.append(event)
                break
        else:
            told.append([event])
    many = len({event.service for event in history.forced}) > 1
    return [
        Moment(g[0].t, forced_line([e.server for e in g], g[0], with_service=many)) for g in told
    ]


def _cities(fault: FaultMeasured) -> list[list[Row]]:
    cities: dict[str, list[Row]] = {}
    for row in fault.rows:
        cities.setdefault(row.client.city, []).append(row)
    return list(cities.values())


def _city(rows: list[Row], history: History) -> list[Moment]:
    found = []
    city = rows[0].client.city
    answers = [(r.milestones.answer, r.to_region) for r in rows if r.milestones.answer]
    if answers:
        t, region = min((t, region) for t, region in answers if t is not None)
        found.append(
            Moment(t, f"{asker_name(history.run, city)} is given {region} for the first time")
        )
    # The first of them asked, and by that made the resolver ask: it was served after that.
    served = [
        (max(r.recovered, r.milestones.answer or 0), r.to_region)
        for r in rows
        if r.recovered is not None
    ]
    if served:
        t, region = min(served)
        by = f" by {region}" if region else ""
        found.append(Moment(t, f"{city} served{by} again"))
        t, _ = max(served)
        if len(served) > 1 and all(r.state in ("recovered", "unaffected") for r in rows):
            found.append(Moment(t, f"all of {city} has recovered"))
    return found


def _back(fault: FaultMeasured, healed: int) -> list[Moment]:
    found = []
    for rows in _cities(fault):
        city = rows[0].client.city
        kinds: dict[int, list[str]] = {}
        regions: dict[int, str] = {}
        for row in rows:
            if row.reversion and row.reversion.seconds is not None:
                t = healed + round(row.reversion.seconds * 10) * NS_PER_S // 10
                regions[t] = row.reversion.region
                kinds.setdefault(t, []).append(KIND_NAMES.get(row.client.kind, row.client.kind))
        for t, names in kinds.items():
            found.append(Moment(t, f"{city}: {listed(sorted(names))} back on {regions[t]}"))
    return found
