"""What is left of a recording: its directory, what was measured, what was decided."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from emulator.analysis.figures import show_figure
from emulator.analysis.headline import headline_of
from emulator.analysis.measurements import Measurements
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, exit_code
from emulator.errors import Exit
from emulator.report.terminal import render_report

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Result:
    """One recording or scenario, measured and judged. Its history is in `directory`."""

    scenario: Path  # the file that does it again
    directory: Path
    history: History
    measured: Measurements
    verdicts: tuple[Verdict, ...]

    @property
    def exit_code(self) -> Exit:
        """PASSED, MISSED or INCONCLUSIVE."""
        return exit_code(self.measured, self.verdicts)

    @property
    def headline(self) -> str:
        """What happened, in one line."""
        return headline_of(self.measured.rows(), self.history)

    def why(self, verdict: Verdict) -> str:
        """What an objective was instead, in one line: `recovery_s.p100 <= 3 s: 4.32 s; paris
        recovered after 4.3 s: ...`."""
        was = "" if verdict.measured is None else show_figure(verdict.figure, verdict.measured)
        return f"{verdict.text}: {'; '.join(filter(None, (was, verdict.reason or self.headline)))}"

    def said(self) -> list[str]:
        """A line for each objective that was missed; else, why nothing can be said."""
        if missed := [self.why(v) for v in self.verdicts if v.outcome == "failed"]:
            return missed
        undecided = [v for v in self.verdicts if v.outcome == "inconclusive"]
        own = [f"{v.text}: {v.reason}" for v in undecided] if not self.measured.inconclusive else []
        return [f"inconclusive: {reason}" for reason in (*self.measured.inconclusive, *own)]

    @property
    def command(self) -> str:
        """What does it again."""
        seed = self.history.run.seed if self.history.run else 0
        return f"netemu run {shown(self.scenario)} --seed {seed}"

    def report(self) -> str:
        """The report as the terminal shows it, and how to do it again."""
        text = io.StringIO()
        console = Console(file=text, highlight=False, width=_WIDTH, no_color=True)
        render_report(self.measured, self.history, console, saved=shown(self.directory))
        return f"{text.getvalue()}to do it again: {self.command}\n"


def shown(path: Path) -> str:
    """As short as it can be said from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
