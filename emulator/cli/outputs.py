"""What a run leaves beside its history: words on the terminal, files for people and programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from rich.console import Console
from rich.text import Text

from emulator.analysis.lateness import lateness
from emulator.analysis.repeated import Repeated, RunResult, gather, repeated_exit_code
from emulator.analysis.sweep import Sweep, Tried, sweep_exit_code
from emulator.analysis.timeline import History, read_history
from emulator.analysis.verdict import Verdict, exit_code
from emulator.analysis.words import plural
from emulator.analysis.writes import last_count
from emulator.errors import Exit, UsageError
from emulator.report.html import render_html
from emulator.report.json import OUTCOMES, report_json
from emulator.report.junit import junit_xml, suite_of_error, suite_of_run, suite_of_runs
from emulator.report.repeated import render_repeated
from emulator.report.repeated_json import repeated_json
from emulator.report.sweep import render_sweep
from emulator.report.sweep_json import sweep_json
from emulator.report.terminal import render_report


@dataclass(frozen=True, slots=True)
class Finished:
    """A scenario that was run, once or many times."""

    name: str
    directory: Path
    results: tuple[RunResult, ...]
    seconds: float
    history: History | None = None  # of a single run, where it is still in memory

    @property
    def repeated(self) -> Repeated | None:
        """All runs as one; None for a single one."""
        return gather(self.results) if len(self.results) > 1 else None

    def shown(self) -> tuple[RunResult, History]:
        """The run to look at: of many the slowest to recover, unclear ones last."""
        result = max(self.results, key=_slowness)
        return result, self.history or read_history(Path(result.directory) / "history.jsonl")


Done = Finished | Sweep


def without_history(done: Done) -> Done:
    """What is left to say of it when its report has been shown."""
    return done if isinstance(done, Sweep) else replace(done, history=None)


def exit_of(finished: Done) -> Exit:
    """What a scenario ends in."""
    if isinstance(finished, Sweep):
        return sweep_exit_code(finished)
    if repeated := finished.repeated:
        return repeated_exit_code(repeated)
    (result,) = finished.results
    return exit_code(result.measured, result.verdicts)


def worst(codes: Sequence[Exit]) -> Exit:
    """Of several scenarios: one that could not be run, a missed objective, one that proves
    nothing."""
    order = (Exit.PASSED, Exit.INCONCLUSIVE, Exit.MISSED, Exit.ENVIRONMENT)
    return max(codes, key=order.index)


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files that were asked for."""

    json: Path | None = None
    html: Path | None = None
    junit: Path | None = None

    def check(self, scenarios: int) -> None:
        """Now, rather than after a minute of traffic. Raises UsageError."""
        for file in (self.json, self.html, self.junit):
            if file and (file.is_dir() or not file.parent.is_dir()):
                raise UsageError(f"cannot write {file}: give a file in a directory that exists")
        if scenarios > 1 and (self.json or self.html):
            raise UsageError(
                "--json and --html are of one scenario; of several, each run's directory has its"
                " report.json, and netemu report DIRECTORY --html FILE makes its page"
            )

    def write(self, done: Done) -> None:
        """A scenario's report, where it was asked for; of a sweep a page a value, beside FILE."""
        if self.json:
            write_file(self.json, report_text(done))
        if self.html and isinstance(done, Sweep):
            for one in done.tried:
                if one.results:
                    Outputs(html=_page(self.html, one)).write(_finished(done, one))
        elif self.html and not isinstance(done, Sweep):
            result, history = done.shown()
            page = render_html(result.measured, history, done.repeated, result.directory)
            write_file(self.html, page)

    def write_junit(self, finished: Sequence[Done]) -> None:
        """The verdicts of all scenarios in one file."""
        if self.junit and finished:
            write_file(self.junit, junit_xml([s for done in finished for s in _suites(done)]))

    def say_pages(self, done: Done, console: Console) -> None:
        """Where the pages of a sweep's values are: not in the file that was asked for."""
        if self.html and isinstance(done, Sweep):
            for one in (one for one in done.tried if one.results):
                page = _page(self.html, one)
                console.print(f"page of {done.setting} = {one.value}: {page}", soft_wrap=True)


def _page(file: Path, one: Tried) -> Path:
    return file.with_name(f"{file.stem}-{Path(one.directory).name}{file.suffix}")


def _finished(sweep: Sweep, one: Tried) -> Finished:
    return Finished(sweep.name, Path(one.directory), one.results, one.seconds)


def show(finished: Done, console: Console) -> None:
    """The report on the terminal."""
    console.print()
    if isinstance(finished, Sweep):
        render_sweep(finished, console)
        return
    if repeated := finished.repeated:
        render_repeated(repeated, console, saved=str(finished.directory))
        return
    result, history = finished.shown()
    render_report(result.measured, history, console, saved=str(finished.directory))


def show_overview(finished: Sequence[Done], console: Console) -> None:
    """One line a scenario, when there were several."""
    console.print()
    width = max(len(done.name) for done in finished)
    for done in finished:
        outcome = OUTCOMES.get(exit_of(done), "error")
        why = next((v.text for v in _verdicts(done) if v.outcome == outcome != "passed"), "")
        line = f"{outcome:12} {done.name:{width}}  {done.seconds:4.0f} s  {done.directory}"
        console.print(Text(line + (f"  ({why})" if why else "")), soft_wrap=True)


def one_line(result: RunResult) -> str:
    """How one of many runs went: `run-07  passed  slowest recovery 9.31 s  54 writes lost`."""
    outcome = OUTCOMES[exit_code(result.measured, result.verdicts)]
    rows = [row for row in result.measured.rows() if row.state != "unaffected"]
    told = [row.recovery_s for row in rows if row.recovery_s is not None]
    took = f"  slowest recovery {max(told):.2f} s" if told and len(told) == len(rows) else ""
    doubts = "; ".join(result.measured.inconclusive) or lateness(result.measured)
    why = doubts if not took or outcome != "passed" else ""
    missed = next((v.text for v in result.verdicts if v.outcome == "failed"), "")
    count = last_count(result.measured)
    lost = f"  {plural(len(count.lost), 'write')} lost" if count else ""
    return f"{Path(result.directory).name}  {outcome}{took}{lost}" + "".join(
        f"  ({words})" for words in (missed or why,) if words
    )


def _slowness(result: RunResult) -> tuple[bool, float]:
    rows = [row for row in result.measured.rows() if row.state != "unaffected"]
    slowest = max((float("inf") if r.recovery_s is None else r.recovery_s for r in rows), default=0)
    return not result.measured.inconclusive, slowest


def _verdicts(finished: Done) -> tuple[Verdict, ...]:
    if isinstance(finished, Sweep):
        return tuple(v for one in finished.tried for v in one.together.verdicts)
    repeated = finished.repeated
    return repeated.verdicts if repeated else finished.results[0].verdicts


def report_text(finished: Done) -> str:
    """The report for programs, as JSON."""
    if isinstance(finished, Sweep):
        return json.dumps(sweep_json(finished), indent=2)
    if repeated := finished.repeated:
        return json.dumps(repeated_json(repeated), indent=2)
    result, history = finished.shown()
    return json.dumps(report_json(result.measured, history), indent=2)


def _suites(finished: Done) -> list[Element]:
    """One; of a sweep one a value."""
    if isinstance(finished, Sweep):
        return [_suite_of_value(finished, one) for one in finished.tried]
    if repeated := finished.repeated:
        return [suite_of_runs(repeated, finished.seconds)]
    result, history = finished.shown()
    return [suite_of_run(result.measured, history)]


def _suite_of_value(sweep: Sweep, one: Tried) -> Element:
    name = f"{sweep.name}, {sweep.setting} = {one.value}"
    if one.error or not one.results:
        return suite_of_error(name, one.error or "it has no run", one.seconds)
    return suite_of_runs(one.together, one.seconds, name)


def write_file(file: Path, text: str) -> None:
    """Raises UsageError where the file cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
