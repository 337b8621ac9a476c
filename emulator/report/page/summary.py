"""The top of the page: the verdict, the figures that matter most, objectives, faults in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from emulator.analysis.explain import explain
from emulator.analysis.figures import show_figure
from emulator.analysis.headline import headline_of
from emulator.analysis.lateness import lateness
from emulator.analysis.measurements import FaultMeasured, Row
from emulator.analysis.repeated import Repeated, repeated_exit_code
from emulator.analysis.verdict import Outcome, Verdict, exit_code
from emulator.analysis.words import client_name, plural
from emulator.errors import Exit
from emulator.report.page.markup import Child, Html, el, join, table
from emulator.report.page.recoveries import affected_of
from emulator.report.page.sheet import Sheet

_WORDS: dict[str, str] = {
    "passed": "Passed",
    "failed": "Missed",
    "inconclusive": "Inconclusive",
    "measured": "Measured",
}
_SIGNS = {
    "passed": '<path d="M11 19.5l5.5 5.5L27.5 13.5"/>',
    "failed": '<path d="M13 13l12 12M25 13L13 25"/>',
    "inconclusive": '<path d="M14.5 15.2a4.6 4.6 0 1 1 6.5 4.2c-1.5.7-2 1.5-2 3.100M19 27v.2"/>',
    "measured": '<path d="M12 26v-6M19 26V12M26 26v-9"/>',
}


def outcome_of(sheet: Sheet) -> str:
    """passed, failed, inconclusive; measured: nothing was asked of the run."""
    repeated = sheet.repeated
    code = repeated_exit_code(repeated) if repeated else exit_code(sheet.measured, sheet.verdicts)
    if code is Exit.PASSED:
        return "passed" if sheet.verdicts else "measured"
    return "failed" if code is Exit.MISSED else "inconclusive"


def banner(sheet: Sheet) -> Html:
    """The verdict in one word and one sentence."""
    outcome = outcome_of(sheet)
    sign = (
        '<svg class="sign" viewBox="0 0 38 38" fill="none" stroke="currentColor" stroke-width="3"'
        ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        f'<circle cx="19" cy="19" r="16.5"/>{_SIGNS[outcome]}</svg>'
    )
    said = [el("p", _sentence(sheet, outcome)), _list(_reasons(sheet, outcome))]
    words = el("div", el("strong", _WORDS[outcome]), *said)
    return el("div", Html(sign), words, class_=f"banner {outcome}")


def _reasons(sheet: Sheet, outcome: str) -> list[str]:
    if sheet.repeated:
        return []
    alone = sheet.measured.inconclusive if outcome == "inconclusive" else ()
    return [*alone, *filter(None, [lateness(sheet.measured)])]


def _list(reasons: Sequence[str]) -> Html | None:
    return el("ul", *(el("li", reason) for reason in reasons)) if reasons else None


def _sentence(sheet: Sheet, outcome: str) -> str:
    counts = Counter(verdict.outcome for verdict in sheet.verdicts)
    total = len(sheet.verdicts)
    over = f" over {plural(len(sheet.repeated.results), 'run')}" if sheet.repeated else ""
    if outcome == "failed":
        return f"{counts['failed']} of {plural(total, 'objective')} missed{over}."
    if outcome == "passed":
        held = "the objective was met" if total == 1 else f"all {total} objectives were met"
        return f"{_upper(held)}{over}."
    if outcome == "measured":
        return "No objective was set for this run; below is what was measured."
    doubted = sheet.measured.inconclusive or not total
    if doubted and not sheet.repeated:
        return "This run proves nothing, neither good nor bad:"
    unclear = plural(counts["inconclusive"], "objective")
    return f"{unclear} of {total} could not be decided{over}."


def tiles(sheet: Sheet) -> Html:
    """The four figures that everybody asks for first."""
    if sheet.repeated and sheet.repeated.results:
        return _tiles_of_runs(sheet.repeated)
    measured = sheet.measured
    rows = [row for row in measured.rows() if row.state != "unaffected"]
    ok = sum(pair[0] for pair in measured.availability.values())
    failed = sum(pair[1] for pair in measured.availability.values())
    share = f"{ok / (ok + failed):.2%}" if ok + failed else "-"
    resets = sum(row.reset for row in rows)
    cities = {row.client.city for row in rows}
    among = (
        f"in {plural(len(cities), 'city').replace('citys', 'cities')}"
        if cities
        else "nobody was affected"
    )
    lost = sum(row.requests_lost for row in rows)
    return el(
        "dl",
        _tile("Slowest recovery", *_slowest(sheet)),
        _tile("Requests lost", f"{lost:,}", among),
        _tile("Availability", share, f"{ok:,} of {ok + failed:,} answered"),
        _tile("Connections reset", f"{resets:,}", "by RST, seen by clients"),
        class_="tiles",
    )


def _tiles_of_runs(repeated: Repeated) -> Html:
    every = [result.measured for result in repeated.results]
    unclear = sum(bool(measured.inconclusive) for measured in every)
    clear = [measured for measured in every if not measured.inconclusive] or every
    lost = sorted(sum(row.requests_lost for row in measured.rows()) for measured in clear)
    resets = max((sum(row.reset for row in measured.rows()) for measured in clear), default=0)
    spread = f"{lost[0]:,} to {lost[-1]:,}" if lost and lost[0] != lost[-1] else f"{lost[0]:,}"
    note = f"{unclear} of them inconclusive" if unclear else "none inconclusive"
    slowest, of_whom = _slowest_of([row for measured in clear for row in measured.rows()])
    return el(
        "dl",
        _tile("Runs", str(len(every)), note),
        _tile("Slowest recovery", slowest, of_whom),
        _tile("Requests lost in a run", spread, "over all cities"),
        _tile("Connections reset", f"{resets:,}", "the most in a run"),
        class_="tiles",
    )


def _slowest(sheet: Sheet) -> tuple[str, str]:
    rows = sheet.measured.rows()
    if not rows:
        return "-", "no fault was injected" if not sheet.measured.faults else "no client was there"
    return _slowest_of(rows)


def _slowest_of(rows: Sequence[Row]) -> tuple[str, str]:
    if gone := [row for row in rows if row.state == "not_recovered"]:
        return "never", client_name(gone[0].client)
    timed = [(row.recovery_s, row) for row in rows if row.recovery_s is not None]
    if timed:
        seconds, row = max(timed, key=lambda pair: pair[0])
        bound = f", bound {row.bound_s:.1f} s" if row.bound_s is not None else ""
        return f"{seconds:.2f} s", f"{client_name(row.client)}{bound}"
    if any(row.state == "inconclusive" for row in rows):
        return "unclear", "too little was seen to tell"
    return "none", "no request failed"


def _tile(name: str, value: str, note: str) -> Html:
    told = el("dd", el("span", value, class_="value"), el("span", note, class_="note"))
    return el("div", el("dt", name), told, class_="tile")


def objectives(sheet: Sheet) -> Html | None:
    """Every objective with its verdict, what was measured, and why."""
    if not sheet.verdicts:
        return None
    said = sheet.measured.inconclusive and not sheet.repeated
    rows = [
        (
            pill(verdict.outcome),
            el("code", verdict.text),
            _measured(verdict),
            verdict.reason if verdict.reason and not said else "",
        )
        for verdict in sheet.verdicts
    ]
    headings = ("verdict", "objective", "measured", "why")[: 4 if any(r[3] for r in rows) else 3]
    return el(
        "section",
        el("h2", "Objectives"),
        table(headings, [row[: len(headings)] for row in rows], "llrl"),
        id="objectives",
    )


def pill(outcome: Outcome) -> Html:
    """A verdict as a word with its colour."""
    sign = {"passed": "✓", "failed": "✗", "inconclusive": "?"}[outcome]
    return el(
        "span", f"{sign} {'missed' if outcome == 'failed' else outcome}", class_=f"pill {outcome}"
    )


def _measured(verdict: Verdict) -> str:
    if verdict.measured is None:
        return "-"
    return show_figure(verdict.figure, verdict.measured)


def faults(sheet: Sheet) -> Html:
    """What was broken, what came of it, and why it took that long."""
    why = explain(sheet.measured, sheet.history)
    cards = [
        _fault(sheet, fault, paragraph)
        for fault, paragraph in zip(sheet.measured.faults, why, strict=True)
    ]
    if not cards:
        cards = [el("p", "No fault took effect in this run.", class_="quiet")]
    if sheet.repeated:
        cards.insert(0, el("p", *_one_of_many(sheet), class_="lead"))
    return el("section", el("h2", "What happened"), *cards, id="faults")


def _one_of_many(sheet: Sheet) -> tuple[Child, ...]:
    count = len(sheet.repeated.results) if sheet.repeated else 1
    lies = el("code", sheet.directory) if sheet.directory else None
    return f"From here on, one of the {count} runs in detail", ": " if lies else ".", lies


def _fault(sheet: Sheet, fault: FaultMeasured, why: str) -> Html:
    life = fault.life
    healed = (
        f", healed at {sheet.origin(life.healed)}" if life.healed is not None else ", not healed"
    )
    when = el("span", f"  at {sheet.origin(life.began)}{healed}", class_="when")
    affected = affected_of(fault)
    said = headline_of(affected, sheet.history) if affected else "no client was affected"
    told = [el("p", said, class_="headline"), el("p", why, class_="why")]
    return el("div", el("h3", life.name, when), *told, class_="fault")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def show_wall(wall: str) -> str:
    """`2026-11-22 16:31:46 UTC` for the header's ISO 8601."""
    return wall.replace("T", " ").replace("+00:00", " UTC")


def heading(sheet: Sheet) -> Html:
    """What ran, where, when."""
    run = sheet.history.run
    if run is None:
        title, under = "A run without a header", "no paths, bounds or objectives are known"
    else:
        sites = Counter(str(site.get("kind", "")) for site in run.sites)
        cities = "1 city" if sites["client"] == 1 else f"{sites['client']} cities"
        title = run.scenario or run.command or run.lab
        under = (
            f"{run.lab}: {plural(sites['region'], 'region')}, {cities},"
            f" {plural(sites['dns'], 'name server')}; {show_wall(run.wall)}"
        )
    return join([
        el("p", "netemu report", class_="kicker"), el("h1", title), el("p", under, class_="quiet"),
    ])  # fmt: skip
