"""Two sides of runs held against each other: more than noise, or not, or nobody can tell."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from emulator.analysis.compare import Comparison, RunSeen, Side, compare
from emulator.analysis.recovery import measure
from emulator.analysis.settings import setting_changes
from emulator.analysis.timeline import Client
from emulator.errors import Exit
from emulator.report.compare import compare_json, render_compare
from tests.analysis.sides import killed, predicted, written
from tests.builders import Story
from tests.cli import caller

HTTP = Client("new-york", "http")
PARIS = Client("paris", "http")
FORESEEN = predicted(3.5, 9.5)  # two random phases differ by 4.66 s at most, 95 % of the time


def seen(story: Story, p99_ms: float = 30.0) -> RunSeen:
    history = story.history()
    assert history.run is not None
    return RunSeen(history.run, measure(history), {HTTP: p99_ms})


def side(name: str, stories: Sequence[Story]) -> Side:
    return Side(name, tuple(seen(story) for story in stories))


def one(recovery_s: float | None, **header: Any) -> Side:
    return side("one", [killed(recovery_s, **header)])


def spread(low: float, high: float, seed: int) -> list[float]:
    """Six kills at random phases."""
    chance = random.Random(seed)
    return [round(chance.uniform(low, high), 2) for _ in range(6)]


def row(found: Comparison, client: Client = HTTP):
    return next(row for row in found.rows if row.client == client)


@pytest.fixture(scope="module")
def base() -> Side:
    return side("base", [killed(value) for value in spread(3.6, 9, seed=1)])


@pytest.fixture(scope="module")
def slow() -> Side:
    return side("slow", [killed(value, ttl=30) for value in spread(12, 33, seed=2)])


def test_one_run_each_within_the_phase_is_noise():
    """3 s more, where two random phases give up to 4.66 s."""
    found = row(compare(one(5.2, predicted=FORESEEN), one(8.2)))
    assert (found.outcome, found.evidence) == ("same", "phase")
    assert found.noise_s == pytest.approx(4.66, abs=0.1)
    assert found.difference_s == pytest.approx(3.0)
    assert "within noise of the phase" in found.because


@pytest.mark.parametrize(("a", "b", "outcome"), [(4.2, 9.2, "worse"), (9.2, 4.2, "better")])
def test_one_run_each_beyond_the_phase_is_a_change(a, b, outcome):
    """5 s either way."""
    found = row(compare(one(a, predicted=FORESEEN), one(b)))
    assert (found.outcome, found.evidence) == (outcome, "phase")
    assert "more than the phase explains" in found.because


def test_without_a_prediction_nobody_can_tell_from_one_run_each():
    """Old headers, or a fault that is not predicted: unclear, never a verdict."""
    found = compare(one(5.2), one(8.2))
    assert (row(found).outcome, row(found).evidence) == ("unclear", "none")
    assert row(found, PARIS).outcome == "same"
    assert found.outcome() == "unclear"


@pytest.mark.parametrize(
    ("a", "b", "outcome", "words"),
    [
        (5.2, None, "worse", "never recovers"),
        (None, 5.2, "better", "recovers now"),
        (0, 5.2, "worse", "was not affected"),
        (5.2, 0, "better", "is not affected"),
        (0, 0, "same", "no difference"),
        (None, None, "same", "no difference"),
    ],
)
def test_some_changes_need_no_statistics(a, b, outcome, words):
    """The phase makes a recovery longer or shorter; it does not make it endless or nothing."""
    found = row(compare(one(a), one(b)))
    assert (found.outcome, found.evidence) == (outcome, "state")
    assert words in found.because


def test_several_runs_of_the_same_are_noise(base):
    """Six and six runs at random phases of one system."""
    again = side("again", [killed(value) for value in spread(3.6, 9, seed=3)])
    found = row(compare(base, again))
    assert (found.outcome, found.evidence) == ("same", "test")
    assert found.p is not None and found.p > 0.05
    assert found.shift is not None and found.shift.low < 0 < found.shift.high


def test_several_runs_tell_a_longer_ttl(base, slow):
    """Worse, by so much, with an interval; the part that grew is the cache's; and why."""
    found = compare(base, slow)
    http = row(found)
    assert (http.outcome, http.evidence, found.outcome()) == ("worse", "test", "worse")
    assert http.p is not None and http.p < 0.01
    assert http.shift is not None and http.shift.low > 3
    assert max(http.parts, key=lambda name: http.parts[name]) == "cache_s"
    assert found.changes == ("www ttl 5 s -> 30 s",)
    assert row(found, PARIS).outcome == "same"


def test_losses_and_availability_come_with_their_chance(base, slow):
    """Medians of the runs on both sides."""
    found = compare(base, slow)
    lost = row(found).requests_lost
    assert lost.a is not None and lost.b is not None and lost.p is not None
    assert lost.a < lost.b and lost.p < 0.05
    figures = {figures.client: figures for figures in found.clients}[HTTP]
    availability = figures.availability
    assert availability.a is not None and availability.b is not None
    assert availability.a > availability.b
    assert (figures.p99_ms.a, figures.p99_ms.b, figures.p99_ms.p) == (30.0, 30.0, 1.0)


def test_runs_that_prove_nothing_are_left_out(base):
    """And said; a side of nothing else is judged by nobody."""
    doubtful = replace(
        seen(killed(60.0)), measured=replace(base.runs[0].measured, inconclusive=("late",))
    )
    mixed = Side("mixed", (*base.runs, doubtful))
    assert row(compare(base, mixed)).b == row(compare(base, base)).b
    assert mixed.doubts == ("late",)
    nothing = compare(base, Side("nothing", (doubtful,)))
    assert {found.outcome for found in nothing.rows} == {nothing.outcome()} == {"unclear"}
    assert "nothing is inconclusive" in row(nothing).because


def test_never_in_some_runs_is_later_than_all():
    """A side that mostly never recovers is worse, and has no shift."""
    a = side("a", [killed(value) for value in (5, 6, 7, 8, 9)])
    b = side("b", [killed(value) for value in (None, None, None, None, 30)])
    found = row(compare(a, b))
    assert (found.outcome, found.shift, found.difference_s) == ("worse", None, math.inf)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"scenario": "drain"}, "is a run of region-loss, one of drain"),
        ({"how": "crash"}, "no fault in common"),
        ({"city": "oslo"}, "no client in common"),
    ],
)
def test_nonsense_is_refused_in_words(other, words):
    """Another scenario, other faults, other clients."""
    story = killed(5.2, **{key: value for key, value in other.items() if key == "scenario"})
    changed: list[Any] = story.events
    if "how" in other:
        story.events = [
            replace(event, how=other["how"]) if hasattr(event, "how") else event
            for event in changed
        ]
    if "city" in other:
        story.events = [
            replace(event, city=f"{other['city']}-{event.city}")
            if hasattr(event, "city")
            else event
            for event in changed
        ]
    with pytest.raises(ValueError, match=words):
        compare(one(5.2), side("one", [story]))


def test_what_one_side_alone_has_is_named():
    """A client more is no reason to refuse, nor to keep quiet."""
    more = killed(5.2).requests(0, 20, city="paris", kind="udp", region="eu-west")
    assert compare(one(5.2), side("B", [more])).unmatched == ("paris udp: only in B",)


def test_settings_are_told_as_they_were_written():
    """Services, loads, timeouts, paths, versions; what an old header lacks is no difference."""
    a, b = killed(5.2).history().run, killed(5.2, ttl=30).history().run
    assert a is not None and b is not None
    a = replace(a, loads={"paris": {"http": {"rate": 10, "cache_s": 5}}})
    b = replace(
        b,
        environment={"kernel": "6.19"},
        timeouts={**b.timeouts, "paris": {"lookup_s": 2, "connect_s": 5, "response_s": 3}},
        paths=[{**p, "one_way_ms": p["one_way_ms"] + 1} for p in b.paths[:2]] + b.paths[2:],
        loads={"paris": {"http": {"rate": 20, "connections": 1, "cache_s": None}}},
    )
    assert setting_changes(a, b) == (
        "www ttl 5 s -> 30 s",
        "paris http rate 10/s -> 20/s",
        "paris http cache 5 s -> for ever",
        "paris http connections none -> 1",
        "paris connect timeout 3 s -> 5 s",
        "new-york..us-east round trip 9.0 ms -> 11.0 ms",
        "kernel 6.18 -> 6.19",
    )
    assert setting_changes(a, a) == ()
    assert setting_changes(replace(a, paths=[], timeouts={}, loads={}), a) == ()


def test_another_image_of_a_client_of_the_users_is_a_setting():
    header = killed(5.2).history().run
    assert header is not None
    old, new = (replace(header, own_clients={"paris": f"my/client:{n}"}) for n in (1, 2))
    assert setting_changes(old, new) == ("paris own client my/client:1 -> my/client:2",)


def test_the_terminal_is_aligned_and_fits(base, slow):
    """A hundred columns; a figure has its unit; the conclusion is last."""
    console = Console(width=100, record=True, no_color=True, highlight=False)
    with console.capture() as capture:
        render_compare(compare(base, slow), console)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 100
    assert "set differently: www ttl 5 s -> 30 s" in lines
    assert any("http, new connections" in x and " s  worse, p 0.00" in x for x in lines)
    assert lines[-1] == "recoveries compared: 2; 1 worse and 1 no more than noise"


def test_the_json_is_json(base, slow):
    """No infinity in it; the documented keys."""
    found = compare_json(compare(base, slow))
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["outcome"] == "worse"
    assert again["recoveries"][0]["shift"]["low_s"] > 3
    never = compare_json(compare(one(5.2), one(None)))
    assert json.loads(json.dumps(never, allow_nan=False))["recoveries"][0]["b"] == [None]


@pytest.fixture
def call(monkeypatch, capsys):
    """With an engine that nobody may ask."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="module")
def fast_slow(tmp_path_factory):
    """Two directories of four runs each, the fewest that a test can tell apart."""
    place = tmp_path_factory.mktemp("sides")
    fast = written(place / "fast", [killed(value) for value in (4, 5, 6, 7)])
    return fast, written(place / "slow", [killed(value, ttl=30) for value in (14, 15, 16, 17)])


def test_the_command_reads_runs_and_directories_of_runs(call, fast_slow, tmp_path):
    """Exit 0, whatever it finds."""
    single = written(tmp_path / "single", [killed(5.5)])
    said = call("compare", single, fast_slow[1], "--json")
    found = json.loads(said.out)
    assert (found["a"]["runs"], found["b"]["runs"], said.code) == (1, 4, Exit.PASSED)


@pytest.mark.parametrize(("order", "code"), [((0, 1), Exit.MISSED), ((1, 0), Exit.PASSED)])
def test_a_build_fails_only_when_asked_to_and_only_for_worse(call, fast_slow, order, code):
    """--fail-if-worse: 1 where a recovery got worse, 0 where it got better."""
    a, b = (fast_slow[index] for index in order)
    assert call("compare", a, b, "--fail-if-worse").code == code


def test_what_nobody_can_tell_never_passes(call, tmp_path):
    """--fail-if-worse: 3 where a recovery is unclear."""
    a, b = (written(tmp_path / str(s), [killed(s)]) for s in (5.2, 8.2))
    assert call("compare", a, b, "--fail-if-worse").code == Exit.INCONCLUSIVE
    assert call("compare", a, b).code == Exit.PASSED


def test_the_command_refuses_what_is_no_run(call, tmp_path):
    """Named, with what to give instead; exit 2."""
    run = written(tmp_path / "run", [killed(5.5)])
    other = written(tmp_path / "other", [killed(5.5, scenario="drain")])
    for words in ((tmp_path, run), (run, tmp_path / "nothing"), (run, other)):
        said = call("compare", *words)
        assert (said.code, "Traceback" in said.err) == (Exit.USAGE, False)
