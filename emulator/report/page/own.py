"""The section about clients of the user's."""

from __future__ import annotations

from emulator.report.own import own_tables
from emulator.report.page.markup import Html, el, table
from emulator.report.page.sheet import Sheet


def own_clients(sheet: Sheet) -> Html | None:
    """How they ended, and the figures that they tell beside their attempts; None without one."""
    tables = own_tables(sheet.history)
    shown = [table(one.headings, one.rows, one.kinds) for one in tables]
    return el("section", el("h2", "Own clients"), *shown, id="own") if shown else None
