"""The report of a run for programs.

`report_json` returns, in seconds unless a name says otherwise; instants are seconds since the
first planned request; null: does not apply or did not happen:

    schema          1; a change that breaks readers makes it 2
    run             lab, scenario, wall, seed, command, environment; null without a header
    outcome         passed | failed | inconclusive: what the exit code says
    inconclusive    why nothing may be claimed from the run; [] when all is well
    late            cities that did not keep their schedule, in words; [] when all did
    off_by_s        so much the machine's delays may then have moved any time
    faults[]        id, how, target, began, ended, healed, why (a paragraph), wire, flows,
                    clients[], views[]
      wire          resets, fins (by sending site), target_resets, target_fins, target_synacks,
                    syns_again, data_again
      flows         strangers (RST by site of hosts that never had the connection), questions
                    (DNS, over the WAN), unanswered, silent (connections on which the target said
                    nothing while the other side went on), longest (site, end, peer_site,
                    peer_end, seconds; null: none)
      clients[]     city, client, state (unaffected | recovered | not_recovered | inconclusive),
                    reason, recovery_s, parts (detection_s, publish_s, cache_s, client_s,
                    connect_s, resume_s: they sum to recovery_s; null: does not apply and has
                    length 0), milestones (m1 .. m6), name_server, disagreeing[], bound_s,
                    with_heal, relapses, outage_s, requests, unknown, requests_lost,
                    lost_after_heal, losses[] (outcome, detail, closed_by, sender, count),
                    connections (what became of those open at the fault, counted), resets,
                    from_region, to_region, baseline_availability, reversion (seconds | null:
                    stays; region, "": too soon to tell), notes[]
      views[]       who saw what of a region while the fault lasted: region, checks[] (server,
                    checker, service, before, during, states), balancer (servers[], lost),
                    cities[] (city, before, during, met[]: outcome, detail, count), wire[] (site,
                    syn, synack: entered, arrived; lost_there, lost_back: by cause), differ[]
                    (sentences); before, during: count, ok, p50_ms, p99_ms, max_ms of the good
                    ones; states[]: after (s), state
    writes[]        one a count, oldest first, of which the last decides: at, host (that was asked),
                    held (IDs there), acknowledged (writes, before it began), lost, rpo_s, fault
                    (the last before it), first_lost_s, last_lost_s (acknowledged so long after
                    the fault; negative: before), lost_ids[] (the first 100), why (a sentence)
    objectives[]    text, figure (also steady_s of `expect`, wait_s of a wait_until, exec_s of a
                    command), outcome, measured (null: no number; latencies in ms, shares 0 to 1),
                    reason
    availability[]  city, client, ok, failed: over the whole run
    schedule[]      city, requests, on_time, on_time_in_fault (shares), late_ms_max
    agreement       syn, synack (count, p50_ms, p99_ms, max_ms), unmatched_client, unmatched_wire,
                    disagreements[] (at, city, client, port, address, client_says, wire_says): the
                    first 1000, left_out: how many more
    own_clients[]   clients of the user's: city, image, end (null: it still runs), attempts, failed,
                    figures[] (name, count, medians of them: before, during, after faults)
    moments[]       at, text
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from emulator.analysis.divergence import divergence
from emulator.analysis.explain import explain
from emulator.analysis.measurements import (
    PARTS,
    Agreement,
    FaultMeasured,
    Measurements,
    Milestones,
    Row,
    WriteCount,
)
from emulator.analysis.moments import moments
from emulator.analysis.own_figures import OwnSeen, own_seen
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, exit_code, verdicts
from emulator.analysis.views import Course, RegionViews, views
from emulator.analysis.writes import lost_s, writes_sentence
from emulator.errors import Exit

SCHEMA = 1
_LISTED = 1000  # disagreements
_IDS = 100  # of lost writes
_MET = ("outcome", "detail", "count")
OUTCOMES = {Exit.PASSED: "passed", Exit.MISSED: "failed", Exit.INCONCLUSIVE: "inconclusive"}
_RUN = ("lab", "scenario", "wall", "seed", "command", "environment")


def report_json(measured: Measurements, history: History) -> dict[str, Any]:
    """The whole report as plain values; the module says what they mean."""
    decided = verdicts(measured, history)
    why = explain(measured, history)
    return {
        "schema": SCHEMA,
        "run": {name: getattr(history.run, name) for name in _RUN} if history.run else None,
        "outcome": OUTCOMES[exit_code(measured, decided)],
        "inconclusive": list(measured.inconclusive),
        "late": list(measured.late),
        "off_by_s": measured.off_by_s,
        "faults": [
            _fault(fault, paragraph, history) | {"views": [_seen(s, fault, history) for s in seen]}
            for fault, paragraph, seen in zip(
                measured.faults, why, views(measured, history), strict=True
            )
        ],
        "writes": [writes_json(count, history) for count in measured.writes],
        "objectives": [objective_json(verdict) for verdict in decided],
        "availability": [
            {"city": city, "client": kind, "ok": ok, "failed": failed}
            for (city, kind), (ok, failed) in measured.availability.items()
        ],
        "schedule": [asdict(city) for city in measured.schedule],
        "agreement": _agreement(measured.agreement, history),
        "own_clients": [_own(one) for one in own_seen(history)],
        "moments": [
            {"at": history.seconds(moment.t), "text": moment.text}
            for moment in moments(measured, history)
        ],
    }


def _own(one: OwnSeen) -> dict[str, Any]:
    return asdict(one) | {"image": one.image or None, "end": one.end or None}


def _fault(fault: FaultMeasured, why: str, history: History) -> dict[str, Any]:
    life = fault.life
    return {
        "id": life.id,
        "how": life.how,
        "target": list(life.target),
        "began": history.seconds(life.began),
        "ended": _at(life.inject_ended, history),
        "healed": _at(life.healed, history),
        "why": why,
        "wire": asdict(fault.wire),
        "flows": asdict(fault.flows),
        "clients": [_client(row, history) for row in fault.rows],
    }


def _client(row: Row, history: History) -> dict[str, Any]:
    return {
        "city": row.client.city,
        "client": row.client.kind,
        "state": row.state,
        "reason": row.reason,
        "recovery_s": row.recovery_s,
        "parts": _parts(row),
        "milestones": _milestones(row, history),
        "name_server": row.milestones.server or None,
        "disagreeing": _disagreeing(row.milestones, history),
        "bound_s": row.bound_s,
        "with_heal": row.with_heal,
        "relapses": row.relapses,
        "outage_s": row.outage_s,
        "requests": row.requests,
        "unknown": row.unknown,
        "requests_lost": row.requests_lost,
        "lost_after_heal": row.lost_after_heal,
        "losses": [asdict(loss) for loss in row.losses],
        "connections": dict(row.fates),
        "resets": row.reset,
        "from_region": row.from_region or None,
        "to_region": row.to_region or None,
        "baseline_availability": row.baseline,
        "reversion": asdict(row.reversion) if row.reversion else None,
        "notes": list(row.notes),
    }


def _seen(seen: RegionViews, fault: FaultMeasured, history: History) -> dict[str, Any]:
    balancer = seen.balancer
    return {
        "region": seen.region,
        "checks": [
            {
                "server": view.server,
                "checker": view.checker,
                "service": view.service,
                "before": asdict(view.before),
                "during": asdict(view.during),
                "states": _states(view.course),
            }
            for view in seen.checks
        ],
        "balancer": balancer
        and {
            "servers": [
                {"server": name, "states": _states(course)} for name, course in balancer.servers
            ],
            "lost": balancer.lost,
        },
        "cities": [
            {
                "city": city.city,
                "before": asdict(city.before),
                "during": asdict(city.during),
                "met": [dict(zip(_MET, how, strict=True)) for how in city.met],
            }
            for city in seen.cities
        ],
        "wire": [asdict(wire) for wire in seen.wire],
        "differ": list(divergence(seen, fault, history)),
    }


def _states(course: Course) -> list[dict[str, Any]]:
    return [{"after": after, "state": state} for after, state in course.states]


def _agreement(agreed: Agreement, history: History) -> dict[str, Any]:
    listed = agreed.disagreements[:_LISTED]
    return {
        "syn": asdict(agreed.syn),
        "synack": asdict(agreed.synack),
        "unmatched_client": agreed.unmatched_client,
        "unmatched_wire": agreed.unmatched_wire,
        "disagreements": [
            {
                "at": history.seconds(one.t),
                "city": one.client.city,
                "client": one.client.kind or None,
                "port": one.port,
                "address": one.address,
                "client_says": one.told,
                "wire_says": one.seen,
            }
            for one in listed
        ],
        "left_out": len(agreed.disagreements) - len(listed),
    }


def _parts(row: Row) -> dict[str, float | None] | None:
    if row.recovered is None:
        return None
    applies = dict(zip(PARTS, [*row.milestones.instants(), row.recovered], strict=True))
    return {name: span if applies[name] is not None else None for name, span in row.parts().items()}


def _milestones(row: Row, history: History) -> dict[str, float | None]:
    instants = (*row.milestones.instants(), row.recovered)
    return {f"m{index}": _at(t, history) for index, t in enumerate(instants, 1)}


def _disagreeing(path: Milestones, history: History) -> list[dict[str, Any]]:
    return [
        {
            "server": other.server,
            "down": _at(other.down, history),
            "live": _at(other.live, history),
            "old_answer": _at(other.old_answer, history),
        }
        for other in path.others
    ]


def writes_json(count: WriteCount, history: History | None = None) -> dict[str, Any]:
    """One count, as in `writes[]`; without a history it does not say when."""
    first, last = lost_s(count) or (None, None)
    return {
        "at": None if history is None else history.seconds(count.t),
        "host": count.host,
        "held": count.held,
        "acknowledged": count.count,
        "lost": len(count.lost),
        "rpo_s": count.rpo_s,
        "fault": count.fault or None,
        "first_lost_s": first,
        "last_lost_s": last,
        "lost_ids": [write.id for write in count.lost[:_IDS]],
        "why": writes_sentence(count),
    }


def objective_json(verdict: Verdict) -> dict[str, Any]:
    """One verdict, as in `objectives[]`."""
    return {
        "text": verdict.text,
        "figure": verdict.figure,
        "outcome": verdict.outcome,
        "measured": verdict.measured,
        "reason": verdict.reason,
    }


def _at(t: int | None, history: History) -> float | None:
    return None if t is None else history.seconds(t)
