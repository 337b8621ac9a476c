"""What a failover did to data: acknowledged writes held against what is there afterwards."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import pytest
from rich.console import Console

from emulator.analysis.compare import RunSeen, Side, compare
from emulator.analysis.measurements import Measurements
from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult, gather
from emulator.analysis.sweep import Sweep, Tried
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, exit_code, verdicts
from emulator.analysis.writes import writes_sentence
from emulator.cli.outputs import one_line
from emulator.errors import Exit
from emulator.events import Command, Fault, Held, Lost, Own
from emulator.report.compare import compare_json, render_compare
from emulator.report.html import render_html
from emulator.report.json import report_json
from emulator.report.junit import junit_xml, suite_of_run, suite_of_runs
from emulator.report.live import Narrator
from emulator.report.repeated import render_repeated
from emulator.report.repeated_json import repeated_json
from emulator.report.sweep import render_sweep
from emulator.report.sweep_json import sweep_json
from emulator.report.terminal import render_report
from emulator.scenario.objectives import parse_objective
from tests.builders import Story, ns
from tests.plan.worlds import two_region

DB = "eu-west/db-1:image"
BOTH = ("writes_lost == 0", "rpo_s <= 1 s")


class Ledger(Story):
    """A story with writes. us-east loses its power at 10 s."""

    def __init__(self, *objectives: str, **header: Any) -> None:
        wanted = [asdict(parse_objective(text)) for text in objectives]
        super().__init__(objectives=wanted, **header)
        self.requests(0, 10).dead(10, 14).requests(14, 30, region="eu-west")

    def power(self, at: float = 10.0) -> Ledger:
        self.fault(at)
        return self

    def wrote(self, at: float, what: Any, city: str = "new-york") -> Ledger:
        self.events.append(Own(t=ns(at), city=city, told={"wrote": what}))
        return self

    def holds(self, at: float, *ids: str) -> Ledger:
        self.events.append(Held(t=ns(at), host=DB, ids=list(ids)))
        return self

    def ran(self, at: float, code: int | None, said: str = "") -> Ledger:
        argv = ["pg_ctl", "promote"]
        event = Command(
            t=ns(at), began=ns(at - 0.5), verb="exec", host=DB, argv=argv, code=code, said=said
        )
        self.events.append(event)
        return self


def decided(story: Story) -> dict[str, Verdict]:
    history = story.history()
    return {v.text: v for v in verdicts(measure(history), history)}


def sentence(story: Story) -> str:
    return writes_sentence(measure(story.history()).writes[-1])


def lossy(*objectives: str) -> Ledger:
    """Of five acknowledged writes two are gone: one of 1.2 s before the blow, one of 0.1 s."""
    story = Ledger(*objectives).power().wrote(3.0, "a").wrote(8.8, "b").wrote(9.5, "c")
    return story.wrote(9.9, "d").wrote(14.0, "e").holds(13.0, "a", "c", "x").wrote(13.5, "f")


def whole(*objectives: str) -> Ledger:
    return Ledger(*objectives).power().wrote(3.0, "a").holds(13.0, "a")


def test_a_write_that_was_acknowledged_before_the_count_and_is_not_held_is_lost():
    """Later ones are not of it, nor is what others wrote. The span is the oldest's, back from the
    blow."""
    found = decided(lossy(*BOTH, "writes_lost <= 2", "rpo_s <= 1.3 s"))
    lost, span, few, long = found.values()
    assert (lost.outcome, span.outcome) == ("failed", "failed")
    assert [lost.measured, span.measured] == pytest.approx([2, 1.2])
    assert (few.outcome, long.outcome) == ("passed", "passed")
    assert sentence(lossy()) == (
        f"2 of 4 acknowledged writes were lost when {DB} was counted: the first had been"
        " acknowledged 1.20 s before, the last 100.0 ms before power us-east (rpo 1.20 s)."
    )


def test_where_nothing_is_lost_the_span_is_nothing():
    """Also without a fault."""
    lost, span = decided(whole(*BOTH)).values()
    assert [(v.outcome, v.measured) for v in (lost, span)] == [("passed", 0), ("passed", 0.0)]
    assert sentence(whole()) == f"0 of 1 acknowledged writes were lost when {DB} was counted."
    calm = Ledger(*BOTH).wrote(3.0, "a").holds(13.0, "a")
    assert {v.outcome for v in decided(calm).values()} == {"passed"}


def test_one_lost_write_is_told_as_one():
    story = Ledger().power().wrote(9.0, "a").holds(13.0)
    assert sentence(story).endswith(
        "counted: it had been acknowledged 1.00 s before power us-east (rpo 1.00 s)."
    )


def test_writes_of_a_side_that_was_given_up_are_lost_as_well():
    """A split brain: they were acknowledged after the regions lost sight of each other, so the span
    goes on to the last of them."""
    story = Ledger(*BOTH).wrote(3.0, "a").wrote(10.5, "b").wrote(12.0, "c").holds(13.0, "a")
    story.fault(10.0, how="partition")
    lost, span = decided(story).values()
    assert [lost.measured, span.measured] == pytest.approx([2, 2.0])
    assert "acknowledged 500.0 ms after, the last 2.00 s after partition us-east" in sentence(story)


def test_the_blow_is_the_last_fault_before_the_count():
    """A partition kept the write from leaving, the loss of power made it final; what came after the
    count, or what only name servers were told, is no blow."""
    story = Ledger(*BOTH).power(10.0).wrote(8.5, "a").holds(13.0)
    for at, how in ((7.0, "partition"), (11.0, "force"), (14.0, "crash")):
        story.events.append(
            Fault(t=ns(at), id=how, how=how, phase="inject_began", target=["us-east"], sites=[],
                  hosts=[])
        )  # fmt: skip
    assert decided(story)["rpo_s <= 1 s"].measured == pytest.approx(1.5)
    assert "before power us-east" in sentence(story)


@pytest.mark.parametrize(
    ("wrote", "lost"),
    [
        ("a", 0),
        (["a", "b", "c"], 2),
        (17, 1),
        ([17, 18], 2),
        (" a ", 0),
        (True, None),
        ({"id": "a"}, None),
        (None, None),
        ([], None),
        (1.5, None),
    ],
)
def test_an_id_is_a_text_a_number_or_several(wrote, lost):
    """Anything else names no write, and a run without any proves nothing."""
    story = Ledger("writes_lost >= 0", "writes_lost == 0").power().wrote(5.0, wrote)
    assert decided(story.holds(13.0, "a"))["writes_lost == 0"].measured == lost


def test_an_id_that_is_told_twice_is_one_write():
    """Acknowledged when it was told first."""
    story = Ledger(*BOTH).power().wrote(9.5, "a").wrote(9.0, "a", "paris").holds(13.0)
    lost, span = decided(story).values()
    assert [lost.measured, span.measured] == pytest.approx([1, 1.0])


def test_an_objective_may_speak_of_one_city():
    """Whose clients wrote elsewhere, or nothing."""
    texts = [f"writes_lost == 0 from {city}" for city in ("new-york", "paris", "london")]
    story = Ledger(*texts).power().wrote(9.5, "a").wrote(9.6, "b", "paris").holds(13.0, "b")
    new_york, paris, london = decided(story).values()
    assert (new_york.outcome, paris.outcome, london.outcome) == ("failed", "passed", "inconclusive")
    assert london.reason == "no client of your own in london told of a write before the count"


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (
            Ledger(*BOTH).power().wrote(3.0, "a"),
            "nothing was counted; a step of the scenario: count",
        ),
        (
            Ledger(*BOTH).power().holds(13.0, "a").wrote(13.5, "a"),
            "no client of your own told of a write before the count",
        ),
    ],
)  # fmt: skip
def test_without_a_count_or_a_write_nobody_can_tell(story, reason):
    """Rather than no loss."""
    found = decided(story).values()
    assert [(v.outcome, v.measured, v.reason) for v in found] == [
        ("inconclusive", None, reason)
    ] * 2


def test_a_loss_without_a_fault_has_no_span():
    """It has a number all the same."""
    lost, span = decided(Ledger(*BOTH).wrote(3.0, "a").holds(13.0)).values()
    assert (lost.outcome, lost.measured) == ("failed", 1)
    assert (span.outcome, span.measured) == ("inconclusive", None)
    assert span.reason == "writes are lost, and no fault came before the count"


def test_the_last_count_decides():
    """What was missing and came later was not lost for good; each is told."""
    story = Ledger("writes_lost == 0").power().wrote(9.0, "a").holds(20.0, "a").holds(13.0)
    assert decided(story)["writes_lost == 0"].outcome == "passed"
    history = story.history()
    told = report_json(measure(history), history)["writes"]
    assert [(one["at"], one["lost"]) for one in told] == [(13.0, 1), (20.0, 0)]


def test_a_run_that_lost_events_proves_nothing_of_writes():
    """Their acknowledgements may be among what is missing."""
    story = whole(*BOTH)
    story.events.append(Lost(t=ns(5), count=3, where="the client of the user's in paris"))
    assert {v.outcome for v in decided(story).values()} == {"inconclusive"}


def test_a_busy_machine_leaves_the_span_open_and_the_count_not():
    """The span is between instants, which its delays may have moved."""
    story = lossy("writes_lost <= 2", "rpo_s <= 1.3 s", "rpo_s <= 60 s")
    story.requests(0, 30, city="paris", late=0.1)
    lost, near, far = decided(story).values()
    assert (lost.outcome, near.outcome, far.outcome) == ("passed", "inconclusive", "passed")


@pytest.mark.parametrize(
    ("code", "late", "outcome"),
    [(0, 0.0, "passed"), (1, 0.0, "failed"), (None, 0.0, "failed"), (1, 0.1, "failed"),
     (None, 0.1, "inconclusive")],
)  # fmt: skip
def test_a_command_is_judged_like_a_wait(code, late, outcome):
    """A busy machine makes one late; it does not make it fail."""
    story = Ledger().power().ran(12.0, code, "no such file")
    story.requests(0, 30, city="paris", late=late)
    history = story.history()
    measured = measure(history)
    (verdict,) = verdicts(measured, history)
    assert (verdict.text, verdict.outcome) == (f"exec {DB}: pg_ctl promote", outcome)
    assert verdict.measured == (0.5 if code == 0 else None)
    assert (exit_code(measured, [verdict]) is Exit.MISSED) == (outcome == "failed")
    if code:
        assert verdict.reason == (
            "it ended with 1, so the steps after it were not taken: no such file"
        )


def looked_at(story: Story) -> tuple[Measurements, History]:
    history = story.history()
    return measure(history), history


def printed(show, *arguments: Any) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    show(*arguments, console)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def test_every_report_of_a_run_tells_of_its_writes():
    """In words and in figures."""
    measured, history = looked_at(lossy(*BOTH).ran(12.0, 0))
    told = sentence(lossy())
    text = printed(render_report, measured, history)
    assert f"Writes: {told}" in text
    assert f"12.0 s exec {DB}: pg_ctl promote (0.5 s)" in text
    assert "failed: rpo_s <= 1 s (1.20 s)" in text
    page = render_html(measured, history)
    assert told in page
    assert "Written data" in page
    suite = junit_xml([suite_of_run(measured, history)])
    assert told in suite
    assert "measured writes_lost == 0" in suite
    (count,) = json.loads(json.dumps(report_json(measured, history)))["writes"]
    assert (count["acknowledged"], count["held"], count["lost"]) == (4, 3, 2)
    assert count["lost_ids"] == ["b", "d"]
    spans = [count[name] for name in ("rpo_s", "first_lost_s", "last_lost_s")]
    assert spans == pytest.approx([1.2, -1.2, -0.1])
    assert (count["fault"], count["host"]) == ("power us-east", DB)


def result(story: Story, directory: str = "runs/1") -> RunResult:
    measured, history = looked_at(story)
    return RunResult(directory, history.run, measured, verdicts(measured, history))


def test_many_runs_tell_what_each_lost():
    """The worst decides of the number; the span has a statistic over all of them."""
    texts = ("writes_lost == 0", "rpo_s.p100 <= 1 s", "rpo_s.p50 <= 1 s")
    runs = gather([result(whole(*texts)), result(whole(*texts)), result(lossy(*texts))])
    lost, worst, middle = runs.verdicts
    assert (lost.outcome, worst.outcome, middle.outcome) == ("failed", "failed", "passed")
    assert [lost.measured, worst.measured, middle.measured] == pytest.approx([2, 1.2, 0])
    said = "acknowledged writes lost in 3 runs: 0 to 2; rpo 0.00 to 1.20 s"
    assert said in printed(render_repeated, runs)
    assert said in junit_xml([suite_of_runs(runs, 3.0)])
    measured, history = looked_at(lossy())
    assert "Acknowledged writes lost in 3 runs: 0 to 2" in render_html(measured, history, runs)
    assert one_line(result(lossy(*texts))).startswith(
        "1  failed  slowest recovery 4.00 s  2 writes lost"
    )
    told = json.loads(json.dumps(repeated_json(runs)))["runs"]
    assert [run["writes"]["lost"] for run in told] == [0, 0, 2]


def test_a_run_without_a_count_among_many_is_unclear():
    """It might have lost anything."""
    runs = gather([result(whole(*BOTH)), result(Ledger(*BOTH).power())])
    assert {v.outcome for v in runs.verdicts} == {"inconclusive"}


def test_values_of_a_setting_are_told_apart_by_what_they_lose():
    """In the table's words, and for programs."""
    tried = [
        Tried(value, f"runs/{value}", (result(story),))
        for value, story in (("async", lossy()), ("sync", whole()))
    ]
    sweep = Sweep("x", "runs", "services.db.env.COMMIT", tuple(tried))
    text = printed(render_sweep, sweep)
    assert "COMMIT async: acknowledged writes lost in 1 run: 2; rpo 1.20 s" in text
    assert "COMMIT sync: acknowledged writes lost in 1 run: 0" in text
    lost = [value["writes_lost"] for value in sweep_json(sweep)["values"]]
    assert lost == [[2], [0]]


def side(name: str, *stories: Story) -> Side:
    seen = []
    for story in stories:
        measured, history = looked_at(story)
        assert history.run is not None
        seen.append(RunSeen(history.run, measured, {}))
    return Side(name, tuple(seen))


def test_two_sides_are_held_against_each_other_by_what_they_lost():
    """By the medians of their runs; not where one of them counted nothing."""
    found = compare(side("a", lossy()), side("b", whole()))
    assert "acknowledged writes lost: 2 -> 0; rpo 1.20 s -> 0.00 s" in printed(
        render_compare, found
    )
    assert compare_json(found)["writes"]["writes_lost"] == {"a": 2, "b": 0, "p": None}
    uncounted = compare(side("a", lossy()), side("b", Ledger().power()))
    assert uncounted.writes is None
    assert compare_json(uncounted)["writes"] is None


def test_a_command_is_told_as_it_happens():
    """With what it said where it failed; of what a count found, only that it was."""
    console = Console(file=io.StringIO(), width=200, highlight=False)
    narrator = Narrator(console, two_region("lab"))
    for event in lossy().ran(12.0, 0).ran(13.0, 3, "no").ran(14.0, None, "late").events[-4:]:
        narrator.feed(event.to_json())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "pg_ctl promote (0.5 s)" in text
    assert "pg_ctl promote FAILED (exit 3, 0.5 s): no" in text
    assert "pg_ctl promote FAILED (no end, 0.5 s): late" in text
