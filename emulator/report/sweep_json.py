"""The report of a sweep for programs.

`sweep_json` returns, in seconds; null: does not apply, or never:

    schema       1; a change that breaks readers makes it 2
    scenario     its name
    setting      what varies, as a path in the topology file
    outcome      passed | failed | inconclusive: the worst of its values; error: one was not run
    recovery_of  fault, client, cities[]: whose recovery `values[]` tells
    values[]     value (as written), directory, error (why it has no runs, or fewer; "": all is
                 well), runs (how many), clear (of them, those that the recovery speaks of),
                 measured, predicted (each min, median, p90, max; null: nothing known), lost (share
                 of all requests), dns_queries_per_s (at the name servers, of all cities),
                 writes_lost[], rpo_s[] (of each run that counted, in order of size),
                 report (as emulator/report/repeated_json.py says, also of a single run)
"""

from __future__ import annotations

from typing import Any

from emulator.analysis.sweep import Line, Sweep, Tried, sweep_exit_code, trade
from emulator.report.json import OUTCOMES
from emulator.report.repeated_json import repeated_json, spread

SCHEMA = 1


def sweep_json(sweep: Sweep) -> dict[str, Any]:
    """The whole report as plain values; the module says what they mean."""
    found = trade(sweep)
    return {
        "schema": SCHEMA,
        "scenario": sweep.name,
        "setting": sweep.setting,
        "outcome": OUTCOMES.get(sweep_exit_code(sweep), "error"),
        "recovery_of": {
            "fault": found.fault,
            "client": found.kind,
            "cities": list(found.cities),
        },
        "values": [_value(one, line) for one, line in zip(sweep.tried, found.lines, strict=True)],
    }


def _value(one: Tried, line: Line) -> dict[str, Any]:
    return {
        "value": one.value,
        "directory": one.directory,
        "error": one.error,
        "runs": line.runs,
        "clear": line.clear,
        "measured": spread(line.seconds),
        "predicted": spread(line.predicted),
        "lost": line.lost,
        "dns_queries_per_s": line.queries_per_s,
        "writes_lost": list(line.writes.lost) if line.writes else [],
        "rpo_s": list(line.writes.rpo_s) if line.writes else [],
        "report": repeated_json(one.together) if one.results else None,
    }
