"""The HTML report: what it says, in which order, to whom; what may never be in it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from plotly import graph_objects as plotly

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult, gather
from emulator.analysis.timeline import History
from emulator.analysis.verdict import verdicts
from emulator.errors import Exit
from emulator.events import Lost
from emulator.report.html import render_html
from emulator.report.page.marks import COLUMNS, choose, failure_of
from emulator.report.page.palette import DARK
from tests.analysis.stories import OBJECTIVES, region_loss
from tests.builders import Story, ns
from tests.cli import caller


def page(story: Story, **more: Any) -> str:
    history = story.history()
    return render_html(measure(history), history, **more)


def told(html: str, name: str = "told") -> str:
    """What a packed script of the page holds."""
    found = re.search(rf'id="{name}">([^<]+)<', html)
    assert found
    return gzip.decompress(base64.b64decode(found[1])).decode()


def figures(html: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(told(html))["figures"]
    return found


def unpacked(html: str) -> str:
    """The page without what is packed in it: what a reader without JavaScript has."""
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


@pytest.fixture(scope="module")
def main_job() -> str:
    """The page of the main job's story, with a prediction."""
    history = region_loss().history()
    assert history.run
    seconds = [{"city": "new-york", "client": "http", "seconds": [3.0, 5.0, 9.0]}]
    history.run = replace(history.run, predicted={"power us-east": seconds})
    return render_html(measure(history), history, directory="runs/region-loss/1")


def repeated_page(count: int = 20) -> str:
    history = region_loss().history()
    measured = measure(history)
    result = RunResult("runs/1", history.run, measured, verdicts(measured, history))
    return render_html(measured, history, gather([result] * count), "runs/1")


def test_what_a_reader_needs_comes_in_that_order(main_job):
    """The verdict first, the way to run it again last; every section is there."""
    text = unpacked(main_job)
    places = [
        text.index(words)
        for words in (
            'class="banner failed"', "Slowest recovery", ">Objectives</h2>", ">What happened</h2>",
            ">Timeline</h2>", ">Recovery</h2>", ">Response times</h2>", ">On the wire</h2>",
            ">What became of requests and connections</h2>", ">Setup</h2>",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    for words in ("new-york over stream recovered after", "us-east lost power", "netemu run", "7"):
        assert words in text


@pytest.mark.parametrize(
    ("bound", "lost", "word"),
    [(15.0, 0, "Passed"), (5.0, 0, "Missed"), (15.0, 1, "Inconclusive"), (None, 0, "Measured")],
)
def test_the_verdict_is_one_word(bound, lost, word):
    """Three-valued; a run that nothing was asked of is neither."""
    asked = [] if bound is None else [{**OBJECTIVES[0], "bound": bound}]
    story = Story(objectives=asked).fault(10).requests(0, 10).dead(10, 18)
    story.requests(18, 30, region="eu-west")
    story.events += [Lost(t=ns(20), count=3, where="the ring")] * lost
    found = re.search(r'class="banner \w+">.*?<strong>(\w+)</strong>', page(story))
    assert found and found[1] == word


def test_every_figure_is_one_that_plotly_takes(main_job):
    """No property that it does not know, no value of a wrong kind; also over many runs."""
    for figure in (*figures(main_job), *figures(repeated_page(3))):
        plotly.Figure(figure)


def test_every_colour_of_a_chart_has_a_dark_twin(main_job):
    """Or it would stand on a dark ground in a colour chosen for paper."""
    used = set(re.findall(r"#[0-9a-f]{6}\b", json.dumps(figures(main_job))))
    assert used and used <= set(DARK)
    assert json.loads(told(main_job))["dark"] == DARK


def test_the_page_asks_nobody_for_anything(main_job):
    """It works offline: nothing is loaded, no link leads out."""
    text = unpacked(main_job)
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', text)
    assert "@import" not in text and "url(" not in text
    assert "Plotly" in told(main_job, "plotly")


def test_names_from_files_are_never_markup():
    """Cities, scenarios, commands and directories are text, in the page and in its charts."""
    evil = "<img src=x onerror=alert(1)>"
    story = Story(scenario=evil, command=evil, lab=evil, preferred={evil: ["us-east"]})
    story.fault(10, target=evil).requests(0, 10, city=evil).dead(10, 15, city=evil, detail=evil)
    html = page(story.requests(15, 25, city=evil), directory=evil)
    assert "<img" not in html and "&lt;img" in html
    drawn = [without(trace, "meta") for figure in figures(html) for trace in figure["data"]]
    layouts = [figure["layout"] for figure in figures(html)]
    assert "<img" not in json.dumps([drawn, layouts])


def test_without_javascript_the_text_reads_on(main_job):
    """The letters of the terminal stand in for the timeline; tables are tables."""
    text = unpacked(main_job)
    assert re.search(r'<pre class="fallback">.*u{10}.*</pre>', text, re.DOTALL)
    assert "+ detection" not in text and "= detection" in text
    assert text.count("<table>") >= 4


@pytest.mark.parametrize("cut", ["header", "faults", "everything"])
def test_a_page_is_made_of_whatever_there_is(cut):
    """No header, no fault, not even a request: what is known is shown, the rest is said."""
    story = region_loss()
    kinds = {"header": ("run",), "faults": ("fault",), "everything": ("fault", "request", "packet")}
    story.events = [event for event in story.events if event.kind not in kinds[cut]]
    history = History()
    for event in story.events:
        history.feed(event)
    html = render_html(measure(history), history)
    said = {"header": "no header", "faults": "No fault took effect", "everything": "No fault took"}
    assert said[cut] in html
    assert (">Recovery</h2>" in html) == (cut == "header")


def test_an_unfinished_run_has_no_invented_number():
    """Who did not recover is said so, in words, in table and chart."""
    story = Story().fault(10).requests(0, 10).dead(10, 40)
    html = page(story)
    assert ">never<" in html and "not recovered" in html
    for figure in figures(html):
        plotly.Figure(figure)


def test_many_runs_are_shown_together_before_one_in_detail():
    """Distribution, table, and how sure that is."""
    html = repeated_page()
    text = unpacked(html)
    assert text.index(">Over 20 runs</h2>") < text.index(">What happened</h2>")
    assert "one of the 20 runs in detail" in text
    assert "95 % confidence" in text and "at least 86 %" in text
    (lines,) = [f for f in figures(html) if f["data"][0].get("line", {}).get("shape")]
    assert lines["data"][0]["y"][-1] == 1.0


def test_the_page_is_small(main_job):
    """5 MB at most, of which the charts' library takes 2."""
    assert len(main_job) < 3_000_000


def crowd(count: int, failed: int) -> History:
    """`count` requests of two kinds, of which `failed` fail in the middle."""
    fine = (count - failed) / 2 / 20
    story = Story().requests(0, fine, rate=20).dead(fine, fine + failed / 40, rate=40)
    return (
        story.requests(0, fine, rate=20, kind="udp").requests(9, 9.1, rate=10, takes=2.0).history()
    )


def test_few_requests_are_all_shown():
    """Thinning begins where it must."""
    marks = choose(crowd(300, 20), budget=400)
    assert marks.count == marks.total and marks.caption().startswith("All 301 requests")


def test_of_many_requests_failures_are_kept():
    """All of them, while they are no more than half of what can be shown; the caption counts."""
    marks = choose(crowd(600, 40), budget=200)
    assert marks.count <= 200 and marks.failed_shown == marks.failed == 40
    assert f"{marks.count} of 601 requests are shown: all 40 that failed" in marks.caption()
    kept = [r for own in marks.shown.values() for r in own]
    assert any((r.end or 0) - r.t == 2_000_000_000 for r in kept), "the slowest of its column"


def test_too_many_failures_are_thinned_as_well():
    """At most half of the picture; what was fine is still seen."""
    marks = choose(crowd(600, 400), budget=100)
    assert marks.failed_shown <= 50 < marks.failed == 400
    assert 0 < marks.count - marks.failed_shown <= 100
    assert "of 400 that failed" in marks.caption()


def test_thinning_is_even_over_time():
    """No part of the run looks quieter than another."""
    history = Story().requests(0, 50, rate=100).history()
    shown = [r.t for own in choose(history, budget=2 * COLUMNS).shown.values() for r in own]
    halves = [sum((t < ns(25)) == early for t in shown) for early in (True, False)]
    assert halves[0] == pytest.approx(halves[1], rel=0.05)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"outcome": "ok"}, ""),
        ({"outcome": "unknown"}, ""),
        ({"outcome": "timeout", "detail": "connect"}, "silence"),
        ({"outcome": "timeout", "detail": "lookup"}, "name"),
        ({"outcome": "error", "detail": "ECONNRESET", "closed_by": "peer-rst"}, "reset"),
        ({"outcome": "error", "detail": "EOF"}, "closed"),
        ({"outcome": "error", "detail": "ECONNREFUSED"}, "refused"),
        ({"outcome": "error", "detail": "stalled"}, "stream"),
        ({"outcome": "error", "detail": "503"}, "status"),
    ],
)
def test_every_kind_of_failure_has_a_mark_of_its_own(fields, kind):
    """By shape as well as by colour, for those who see few colours."""
    (request,) = next(iter(Story().requests(0, 0.05, **fields).history().requests.values()))
    assert failure_of(request) == kind


def test_report_writes_the_page_beside_what_it_prints(monkeypatch, capsys, tmp_path):
    """--html FILE; the exit code stays the run's; a file nobody can write is a usage error."""
    call = caller(monkeypatch, capsys)
    (tmp_path / "history.jsonl").write_text(region_loss().lines())
    said = call("report", tmp_path, "--html", tmp_path / "page.html")
    assert said.code == Exit.MISSED and "recovery from power us-east" in said.out
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    said = call("report", tmp_path, "--html", tmp_path / "no" / "page.html")
    assert said.code == Exit.USAGE and "cannot write" in said.err


def test_of_many_cities_the_untouched_stand_behind_a_line():
    """A dozen cities do not bury the one that was hit; all of them are in the page."""
    story = Story().fault(10).requests(0, 10).dead(10, 15).requests(15, 25, region="eu-west")
    for index in range(6):
        story.requests(0, 25, rate=2, city=f"town-{index}", region="eu-west")
    html = page(story)
    folded = re.findall(r"<details[^>]*><summary>unaffected: (.*?)</summary>", html)
    assert folded == ["town-0, town-1, town-2, town-3, town-4 and town-5"] * 2
    assert html.count('aria-label="timeline of ') == 7
