"""The section about data: acknowledged writes that a failover has lost."""

from __future__ import annotations

from emulator.analysis.measurements import WriteCount
from emulator.analysis.writes import (
    lost_s,
    runs_sentence,
    writes_of_runs,
    writes_sentence,
)
from emulator.report.page.markup import Html, el, table
from emulator.report.page.sheet import Sheet

_HEADINGS = (
    "counted at", "host", "acknowledged", "lost", "rpo", "last fault", "first lost", "last lost",
)  # fmt: skip


def writes(sheet: Sheet) -> Html | None:
    """What each count found, in a sentence and in figures; over many runs, what they say."""
    counts = sheet.measured.writes
    together = sheet.repeated and writes_of_runs(r.measured for r in sheet.repeated.results)
    if not counts and not together:
        return None
    over = [el("p", f"{_upper(runs_sentence(together))}.")] if together else []
    told = [el("p", writes_sentence(count)) for count in counts]
    figures = table(_HEADINGS, [_cells(count, sheet) for count in counts], "rlrrrlrr")
    return el("section", el("h2", "Written data"), *over, *told, figures, id="writes")


def _cells(count: WriteCount, sheet: Sheet) -> tuple[str, ...]:
    span = "-" if count.rpo_s is None else f"{count.rpo_s:.2f} s"
    away = [f"{seconds:+.2f} s" for seconds in lost_s(count) or ()] or ["-", "-"]
    return (
        sheet.origin(count.t), count.host, str(count.count), str(len(count.lost)), span,
        count.fault or "-", *away,
    )  # fmt: skip


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
