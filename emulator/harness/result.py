"""What is left of a recording: its directory, what was measured, what was decided."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from emulator.analysis.figures import show_figure
from emulator.analysis.headline import headline_of
from emulator.analysis.lateness import lateness
from emulator.analysis.measurements import Measurements
from emulator.analysis.repeated import RunResult, gather, repeated_exit_code
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, exit_code
from emulator.errors import Exit
from emulator.report.repeated import render_repeated
from emulator.report.terminal import render_report

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Result:
    """A recording, or a scenario that was run once or many times, measured and judged. What was
    recorded is in `directory`."""

    scenario: Path  # the file that does it again
    seed: int
    directory: Path
    runs: tuple[RunResult, ...]
    history: History | None = None  # of a single run

    @property
    def measured(self) -> Measurements:
        """Of the last run."""
        return self.runs[-1].measured

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of many runs, what they say together."""
        return gather(self.runs).verdicts if len(self.runs) > 1 else self.runs[0].verdicts

    @property
    def exit_code(self) -> Exit:
        """PASSED, MISSED or INCONCLUSIVE."""
        if len(self.runs) > 1:
            return repeated_exit_code(gather(self.runs))
        return exit_code(self.measured, self.verdicts)

    @property
    def headline(self) -> str:
        """What happened, in one line; nothing of many runs."""
        return headline_of(self.measured.rows(), self.history) if self.history else ""

    def why(self, verdict: Verdict) -> str:
        """What an objective was instead, in one line: `recovery_s.p100 <= 3 s: 4.32 s; paris
        recovered after 4.3 s: ...`."""
        was = "" if verdict.measured is None else show_figure(verdict.figure, verdict.measured)
        because = verdict.reason or self.headline
        return f"{verdict.text}: {'; '.join(part for part in (was, because) if part)}"

    def said(self) -> list[str]:
        """A line for each objective that was missed; else, why nothing can be said."""
        if missed := [self.why(v) for v in self.verdicts if v.outcome == "failed"]:
            return missed
        doubts = [reason for run in self.runs for reason in run.measured.inconclusive]
        undecided = [v for v in self.verdicts if v.outcome == "inconclusive"]
        said = doubts or [f"{v.text}: {v.reason}" for v in undecided]
        said = said or [lateness(run.measured) for run in self.runs if run.measured.late]
        return [f"inconclusive: {reason}" for reason in dict.fromkeys(said)]

    @property
    def command(self) -> str:
        """What does it again."""
        return f"netemu run {shown(self.scenario)} --seed {self.seed}"

    def report(self) -> str:
        """The report as the terminal shows it, how to see more of it and how to do it again."""
        text = io.StringIO()
        console = Console(file=text, highlight=False, width=_WIDTH, no_color=True)
        saved = shown(self.directory)
        if self.history is None:
            render_repeated(gather(self.runs), console, saved=saved)
        else:
            render_report(self.measured, self.history, console, saved=saved)
        page = f"netemu report {shown(Path(self.runs[-1].directory))} --html report.html"
        return f"{text.getvalue()}as a page: {page}\nto do it again: {self.command}\n"


def shown(path: Path) -> str:
    """As short as it can be said from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
