"""What reports on a terminal are laid out with: tables, paragraphs, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from emulator.analysis.figures import show_figure
from emulator.analysis.verdict import Verdict

WIDTH = 100
_COLOURS = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


def fitted(console: Console) -> int:
    """The columns that a report may fill: 100 at most, and 100 where it is not a terminal."""
    if not console.is_terminal:
        console.width = WIDTH
    return min(console.width, WIDTH)


def table_of(*headings: str, right: Sequence[int] = (), gap: int = 2) -> Table:
    """An empty table without lines; columns whose numbers are in `right` hold figures."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(
            heading,
            justify="right" if index in right else "left",
            no_wrap=index in right or index == 0,
        )
    return table


def indented(console: Console, table: Table) -> None:
    """Print a table two columns in."""
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def paragraph(console: Console, text: str, width: int, style: str = "", indent: int = 0) -> None:
    """Print a paragraph, wrapped at words."""
    left = " " * indent
    wrapped = fill(text, width, initial_indent=left, subsequent_indent=left, break_on_hyphens=False)
    console.print(Text(wrapped, style=style), soft_wrap=True)


def verdict_line(verdict: Verdict, console: Console, width: int) -> None:
    """Print `passed: recovery_s.p100 <= 15 s (10.94 s)`, with the reason where there is one."""
    known = verdict.measured is not None
    figure = f" ({show_figure(verdict.figure, verdict.measured or 0.0)})" if known else ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    text = f"{verdict.outcome}: {verdict.text}{figure}{reason}"
    paragraph(console, text, width, _COLOURS[verdict.outcome])
