"""The reports: one for people, held as a golden text; one for programs."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from emulator.analysis.recovery import measure
from emulator.report.json import report_json
from emulator.report.strip import Scale, initials
from emulator.report.terminal import render_report
from tests.analysis.stories import region_loss
from tests.builders import Story

GOLDEN = Path(__file__).parent.parent / "golden" / "report.txt"


def printed(story: Story, saved: str = "") -> str:
    console = Console(file=io.StringIO(), width=100)
    history = story.history()
    render_report(measure(history), history, console, saved)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def test_the_whole_report_of_the_main_job():
    """Word by word; a change of the text is a change of tests/golden/report.txt."""
    assert printed(region_loss(), "runs/region-loss/2026-01-31T12-00-00") == GOLDEN.read_text()


def test_the_report_fits_100_columns_without_colour_codes():
    """Where it is not a terminal it is plain."""
    text = printed(region_loss())
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_the_shown_parts_sum_to_the_shown_recovery():
    """Rounding must not make the reader doubt."""
    rows = re.findall(r"([\d.]+) s +((?:[\d.-]+ +){6})[\d.]+ s$", GOLDEN.read_text(), re.MULTILINE)
    assert len(rows) == 4
    for recovery, parts in rows:
        shown = [float(part) for part in parts.split() if part != "-"]
        assert sum(shown) == pytest.approx(float(recovery))


def test_rows_without_a_recovery_have_no_number():
    """Never, or unclear, with the reason below."""
    story = Story().fault(10).requests(0, 10).dead(10, 40)
    text = printed(story.requests(0, 10, kind="udp").dead(10, 15, kind="udp"))
    assert re.search(r"http, new connections +never", text)
    assert re.search(r"udp +unclear", text)
    assert "new-york, http, new connections: not recovered: no 3 s without a failure" in text


def test_a_report_without_faults_or_header_is_readable():
    """A history cut off at its start still tells what it has."""
    story = Story().requests(0, 20)
    assert "u" * 20 in printed(story)
    story.events.pop(0)
    story.events.insert(0, story.events[0])
    assert "no header" in printed(story)


def test_letters_are_distinct():
    """us-east and us-west share an initial; only one can have it."""
    assert initials(["us-east", "us-west", "s"]) == {"us-east": "u", "us-west": "s", "s": "0"}


def test_the_strip_shows_silence_failures_and_the_majority():
    """`-` where nothing was asked, `.` where most failed, else the region of most answers."""
    story = Story().requests(0, 1).dead(1, 2).requests(2, 2.2).dead(2.2, 2.3)
    history = story.requests(4, 5, region="eu-west").history()
    scale = Scale.fit(history, 100)
    (requests,) = history.requests.values()
    assert scale.letters(requests, {"us-east": "u", "eu-west": "e"}) == "u.u-e"


def test_a_long_run_has_several_seconds_a_letter():
    """It stays within the width."""
    scale = Scale.fit(Story().requests(0, 300, rate=1).history(), 100)
    assert (scale.seconds, scale.columns) == (5, 60)


def test_json_is_versioned_and_its_parts_sum():
    """For every client that recovered."""
    history = region_loss().history()
    report = json.loads(json.dumps(report_json(measure(history), history)))
    assert (report["schema"], report["outcome"]) == (1, "failed")
    (fault,) = report["faults"]
    recovered = [row for row in fault["clients"] if row["state"] == "recovered"]
    assert len(recovered) == 4
    for row in recovered:
        parts = [part for part in row["parts"].values() if part is not None]
        assert sum(parts) == pytest.approx(row["recovery_s"], abs=1e-9)
    udp = next(row for row in recovered if row["client"] == "udp")
    assert (udp["parts"]["connect_s"], udp["milestones"]["m5"]) == (None, None)
    assert fault["began"] == pytest.approx(10.0)
    assert [o["outcome"] for o in report["objectives"]] == ["passed", "failed"]


def test_json_documents_every_key():
    """Each name that the report has is told of in the module's docstring."""
    from emulator.report import json as module  # noqa: PLC0415

    history = region_loss().history()
    report = report_json(measure(history), history)
    told = module.__doc__ or ""
    keys = {*report, *report["faults"][0], *report["faults"][0]["clients"][0]}
    keys |= {*report["faults"][0]["wire"], *report["agreement"], *report["schedule"][0]}
    assert sorted(key for key in keys if key not in told) == []
