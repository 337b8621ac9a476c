"""A history of a million requests: read, measured and shown, with its page of charts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.histories import write_history
from benchmarks.table import Line, Say, at_most, information

RUNS = 3
REQUESTS = 1_000_000
REPORT_S, PEAK_MB, PAGE_MB = 20.0, 1000.0, 5.0
_PHASES = """
import json, sys, time
from emulator.analysis.recovery import measure
from emulator.analysis.timeline import read_history
began = time.process_time()
history = read_history(sys.argv[1])
read = time.process_time()
measure(history)
print(json.dumps([read - began, time.process_time() - read]))
"""
_NETEMU = "from emulator.cli import main; main()"


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a process took: seconds by the clock and of a processor, and memory at its peak."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(say: Say) -> list[Line]:
    """Three reports of one history, each by a process of its own."""
    with tempfile.TemporaryDirectory(prefix="netemu-history-") as directory:
        path, page = Path(directory) / "history.jsonl", Path(directory) / "report.html"
        write_history(path, REQUESTS)
        say(f"{path.stat().st_size / 1e6:.0f} MB of events")
        phases, analyses, reports = [], [], []
        for run in range(RUNS):
            analyses.append(_run(["-c", _PHASES, str(path)], Path(directory) / "phases"))
            phases.append(json.loads((Path(directory) / "phases").read_text()))
            report = ["-c", _NETEMU, "report", str(path), "--html", str(page)]
            reports.append(_run(report, Path(directory) / "report"))
            say(f"run {run + 1}: report {reports[-1].wall_s:.1f} s, {reports[-1].peak_mb:.0f} MB")
        page_mb = page.stat().st_size / 1e6
    return [
        information("a million requests read, measured", [c.wall_s for c in analyses], "s"),
        information("  processor: reading", [read for read, _ in phases], "s"),
        information("  processor: measuring", [measured for _, measured in phases], "s"),
        information("  memory at its peak", [c.peak_mb for c in analyses], "MB"),
        at_most("the same with report and page", [c.wall_s for c in reports], REPORT_S, "s"),
        information("  processor", [c.cpu_s for c in reports], "s"),
        at_most("  memory at its peak", [c.peak_mb for c in reports], PEAK_MB, "MB"),
        at_most("  the page", [page_mb], PAGE_MB, "MB"),
    ]


def _run(arguments: list[str], output: Path) -> _Cost:
    """Run our Python with these arguments. Raises CalledProcessError when it fails."""
    began = time.monotonic()
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, *arguments], stdout=file)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    wall_s = time.monotonic() - began
    return _Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
