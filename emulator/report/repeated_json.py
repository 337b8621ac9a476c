"""The report of many runs for programs.

`repeated_json` returns, in seconds; null: does not apply, or never:

    schema            1; a change that breaks readers makes it 2
    scenario, lab     as in the runs' headers; null without one
    outcome           passed | failed | inconclusive: what the exit code says
    runs[]            directory, seed, phase (of the first fault in the cycles of checks and TTL),
                      inconclusive (why nothing may be claimed from it; []: all is well),
                      late (cities that did not keep their schedule), off_by_s (so much the
                      machine's delays may then have moved any time), writes (the count that
                      decides, as emulator/report/json.py says; null: none),
                      objectives[] (text, figure, outcome, measured, reason)
    distributions[]   fault, city, client, runs (that the figures speak of), unaffected (of them,
                      with 0 s), never (of them, slower than any), unclear (in none of the figures),
                      seconds[] (in order, without those that never recovered), measured, predicted
                      (each min, median, p90, max; null: nothing known), bound_s (the worst),
                      covered (share of all kills that recover, with a confidence of 95 %, no later
                      than the slowest seen)
    objectives[]      text, figure, outcome, measured, reason: over all runs
"""

from __future__ import annotations

import math
from typing import Any

from emulator.analysis.repeated import (
    Distribution,
    Repeated,
    RunResult,
    quantile,
    repeated_exit_code,
)
from emulator.analysis.writes import last_count
from emulator.report.json import OUTCOMES, objective_json, writes_json

SCHEMA = 1
_SHARES = {"min": 0.0, "median": 0.5, "p90": 0.9, "max": 1.0}


def repeated_json(repeated: Repeated) -> dict[str, Any]:
    """The whole report as plain values; the module says what they mean."""
    header = next((result.run for result in repeated.results if result.run), None)
    return {
        "schema": SCHEMA,
        "scenario": header.scenario if header else None,
        "lab": header.lab if header else None,
        "outcome": OUTCOMES[repeated_exit_code(repeated)],
        "runs": [_run(result) for result in repeated.results],
        "distributions": [_distribution(one) for one in repeated.distributions],
        "objectives": [objective_json(verdict) for verdict in repeated.verdicts],
    }


def _run(result: RunResult) -> dict[str, Any]:
    return {
        "directory": result.directory,
        "seed": result.run.seed if result.run else None,
        "phase": dict(result.run.phase) if result.run else {},
        "inconclusive": list(result.measured.inconclusive),
        "late": list(result.measured.late),
        "off_by_s": result.measured.off_by_s,
        "writes": (count := last_count(result.measured)) and writes_json(count),
        "objectives": [objective_json(verdict) for verdict in result.verdicts],
    }


def _distribution(one: Distribution) -> dict[str, Any]:
    return {
        "fault": one.fault,
        "city": one.client.city,
        "client": one.client.kind,
        "runs": one.runs,
        "unaffected": one.unaffected,
        "never": one.never,
        "unclear": one.unclear,
        "seconds": list(one.seconds),
        "measured": spread((*one.seconds, *[math.inf] * one.never)),
        "predicted": spread(one.predicted),
        "bound_s": one.bound_s,
        "covered": one.covered() if one.runs else None,
    }


def spread(ordered: tuple[float, ...]) -> dict[str, float | None] | None:
    """`min`, `median`, `p90` and `max` of seconds in order; None where there are none."""
    if not ordered:
        return None
    values = {name: quantile(ordered, share) for name, share in _SHARES.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
