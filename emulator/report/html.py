"""The report of a run as one HTML file: to look at, to print, to pass on. Needs no network.

Text and tables stand in the page itself; charts are drawn by the library that travels inside it.
"""

from __future__ import annotations

from emulator.analysis.measurements import Measurements
from emulator.analysis.repeated import Repeated
from emulator.analysis.timeline import History
from emulator.analysis.verdict import verdicts
from emulator.report.page import network, overruns, own, sections, setup, summary, views, writes
from emulator.report.page.bundle import program, style
from emulator.report.page.markup import Html, el, join
from emulator.report.page.sheet import Sheet

_LINKS = {
    "objectives": "Objectives",
    "runs": "Over runs",
    "faults": "What happened",
    "writes": "Written data",
    "timeline": "Timeline",
    "recovery": "Recovery",
    "views": "Who saw what",
    "own": "Own clients",
    "times": "Response times",
    "wire": "On the wire",
    "outcomes": "Requests and connections",
    "setup": "Setup",
}


def render_html(
    measured: Measurements,
    history: History,
    repeated: Repeated | None = None,
    directory: str = "",
) -> str:
    """A whole page. `measured` and `history` are of the run that it shows in detail; `repeated`,
    where there were many, what they show together; `directory` is where the history lies."""
    decided = repeated.verdicts if repeated else verdicts(measured, history)
    sheet = Sheet(measured, history, repeated, directory, decided)
    body = {
        "objectives": summary.objectives(sheet),
        "runs": overruns.runs(sheet),
        "faults": summary.faults(sheet),
        "writes": writes.writes(sheet),
        "timeline": sections.timeline(sheet),
        "recovery": sections.recovery(sheet),
        "views": views.views(sheet),
        "own": own.own_clients(sheet),
        "times": network.response_times(sheet),
        "wire": network.wire(sheet),
        "outcomes": sections.outcomes(sheet),
        "setup": setup.setup(sheet),
    }
    links = [el("a", _LINKS[name], href=f"#{name}") for name, part in body.items() if part]
    top = join([
        el("header", summary.heading(sheet), el("nav", *links)),
        summary.banner(sheet),
        summary.tiles(sheet),
    ])  # fmt: skip
    return _document(_title(history), join([top, *body.values()]), program(sheet.figures))


def _title(history: History) -> str:
    run = history.run
    return f"{run.scenario or run.lab} - netemu report" if run else "netemu report"


def _document(title: str, body: Html, script: Html) -> str:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        style(),
    )
    page = el("html", head, el("body", body, script), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"
