"""What every benchmark reports: a bound, what was measured, and whether it was kept."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from emulator.engine.probe import engine_report

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Line:
    """One row. A line without a bound explains another; it is always kept."""

    what: str
    bound: str
    median: str
    spread: str
    n: int
    kept: bool = True


def at_most(what: str, values: Sequence[float], bound: float, unit: str) -> Line:
    """Every value must be at most `bound`."""
    kept = max(values) <= bound
    return Line(what, f"≤ {bound:g} {unit}", *_figures(values, unit), n=len(values), kept=kept)


def at_least(what: str, values: Sequence[float], bound: float, unit: str) -> Line:
    """Every value must be at least `bound`."""
    kept = min(values) >= bound
    return Line(what, f"≥ {bound:g} {unit}", *_figures(values, unit), n=len(values), kept=kept)


def median_at_least(what: str, values: Sequence[float], bound: float, unit: str) -> Line:
    """For what scatters on any machine: the median must be at least `bound`."""
    kept = median(values) >= bound
    return Line(what, f"≥ {bound:g} {unit}", *_figures(values, unit), n=len(values), kept=kept)


def median_at_most(what: str, values: Sequence[float], bound: float, unit: str) -> Line:
    """For what scatters on any machine: the median must be at most `bound`."""
    kept = median(values) <= bound
    return Line(what, f"≤ {bound:g} {unit}", *_figures(values, unit), n=len(values), kept=kept)


def within(what: str, values: Sequence[float], target: float, percent: float, unit: str) -> Line:
    """Every value must be within so many percent of `target`."""
    kept = all(abs(value - target) <= target * percent / 100 for value in values)
    bound = f"{target:g} {unit} ± {percent:g} %"
    return Line(what, bound, *_figures(values, unit), n=len(values), kept=kept)


def information(what: str, values: Sequence[float], unit: str) -> Line:
    """Figures that no promise was made about."""
    return Line(what, "", *_figures(values, unit), n=len(values))


def _figures(values: Sequence[float], unit: str) -> tuple[str, str]:
    return f"{median(values):.4g} {unit}", f"{min(values):.4g} to {max(values):.4g}"


def machine() -> str:
    """Cores, kernel, engine, and how busy the machine is before anything was started."""
    report = engine_report()
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, Docker {report.version}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def render(lines: Sequence[Line], out: Console) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("what")
    table.add_column("bound", justify="right")
    table.add_column("median", justify="right")
    table.add_column("spread", justify="right")
    table.add_column("n", justify="right")
    table.add_column("kept")
    for line in lines:
        kept = ("yes" if line.kept else "[red]NO[/red]") if line.bound else ""
        table.add_row(line.what, line.bound, line.median, line.spread, str(line.n), kept)
    out.print(table)
