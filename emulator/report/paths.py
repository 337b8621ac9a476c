"""`netemu path`: what every path is set to, measures, carries and drops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]
_HEADINGS = ("path", "set", ">measured", ">packets", ">size", "dropped", ">queue", "besides")


def render_paths(rows: Sequence[Row], console: Console) -> None:
    """A line a direction; a column that nothing stands in is left out."""
    tells: tuple[Callable[[Row], str], ...] = (
        lambda row: str(row["path"]),
        lambda row: str(row["set"]),
        _measured,
        lambda row: f"{row['packets']:,}",
        lambda row: _size(row["bytes"]),
        _dropped,
        lambda row: f"{row['queue_ms']:.1f} ms" if row["queue_ms"] else "",
        _besides,
    )
    columns = [[tell(row) for row in rows] for tell in tells]
    shown = [(h, column) for h, column in zip(_HEADINGS, columns, strict=True) if any(column)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading, _ in shown:
        is_figure = heading.startswith(">")
        table.add_column(
            heading.lstrip(">"),
            justify="right" if is_figure else "left",
            no_wrap=is_figure or heading == "path",
        )
    for cells in zip(*(column for _, column in shown), strict=True):
        table.add_row(*cells)
    console.print(table)


def _measured(row: Row) -> str:
    return "-" if row["measured_ms"] is None else f"{row['measured_ms']:.2f} ms"


def _size(count: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def _dropped(row: Row) -> str:
    """By cause; what arrived damaged, twice or too early is told with it."""
    dropped = {cause.replace("_", " "): n for cause, n in row["drops"].items() if n}
    others = {what: row.get(what, 0) for what in ("corrupted", "duplicated", "reordered")}
    return ", ".join(f"{cause} {n:,}" for cause, n in (dropped | others).items() if n)


def _besides(row: Row) -> str:
    """Why it is not as the file says."""
    hand = ["changed by hand"] if row["changed"] else []
    return ", ".join([*row["faults"], *hand, *(["trace plays"] if row["plays"] else [])])


def render_changed(changed: Sequence[Row], console: Console) -> None:
    """A line a direction: what was, what is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("path", "was", "is now"):
        table.add_column(heading, no_wrap=heading == "path")
    for path in changed:
        table.add_row(path["path"], path["was"], path["now"])
    console.print(table)
