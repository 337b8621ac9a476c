"""A lab in a test's hands, on a world in memory: what it does, writes, waits for and tells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.analysis.timeline import read_history
from emulator.errors import FileProblems, Inconclusive, UsageError
from emulator.events import Lost
from emulator.harness import LabUnderTest, Missed
from emulator.harness.labs import find_topology
from emulator.impairment import Impairment, Trace
from emulator.scenario.model import ClearPath, Condition, Heal, Kill, SetPath, WaitUntil
from emulator.scenario.parse import load_scenario
from emulator.scenario.targets import Names
from tests.controller.world import World


@pytest.fixture(autouse=True)
def _short_silences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of events looks up at once when there are none."""
    monkeypatch.setattr("emulator.wan.fake._SILENCE_S", 0.005)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lab(world: World, tmp_path: Path) -> LabUnderTest:
    return LabUnderTest(world.up(), tmp_path, "test_loss[power]", world.listen)


@pytest.fixture
def outage(world: World) -> Callable[[float], None]:
    """From now on requests fail, for so many seconds."""

    def begin(lasting_s: float) -> None:
        world.broken = True
        began = (world.clock.now_ns() - world._traffic_ns) / 1e9
        world.on_time.append((began + lasting_s, lambda: setattr(world, "broken", False)))

    return begin


def test_a_kill_and_its_recovery_as_a_test_writes_it(lab, outage):
    """The design's usage: traffic, kill, wait, a figure; inside the block and after it."""
    with lab.traffic(rate=50, sites="all"):
        lab.kill("us-east", how="power")
        outage(5)
        lab.wait_recovered(timeout=30)
        inside = lab.recovery("paris").p100
        assert 0 < lab.availability("paris", period="during us-east-down") < 1
        lab.check("requests_lost > 100")
    assert 4 < inside < 6
    assert lab.recovery("paris").p100 == inside


def test_a_recovery_tells_its_story_in_one_line(lab, outage):
    """Of a figure as of the whole; figures are numbers all the same."""
    with lab.traffic():
        lab.kill("us-east")
        outage(5)
        lab.wait_recovered()
    recovery = lab.recovery("paris", over="http")
    assert repr(recovery).startswith(f"paris recovered after {recovery.p100:.2f} s: ")
    assert "\n" not in repr(recovery)
    assert recovery.p100.story == repr(recovery)
    assert repr(recovery.p100) == f"{float(recovery.p100):.2f} s"
    assert sum(recovery.parts.values()) == pytest.approx(recovery.p100)
    assert {kind for _, kind in lab.recovery("paris").clients} == {
        "http", "keepalive", "stream", "udp",
    }  # fmt: skip


def test_who_was_not_affected_recovered_at_once(lab):
    """0.0 s, so that a bound holds."""
    with lab.traffic():
        lab.kill("us-east")
        lab.wait_recovered()
    assert lab.recovery().p100 == lab.recovery().p50 == 0.0
    assert lab.requests_lost() == lab.resets() == 0
    assert lab.availability() == lab.availability("paris", "http", "during us-east-down") == 1.0


def test_who_did_not_recover_took_for_ever(lab, outage):
    """No percentile hides it, and the wait for it says who it was."""
    with lab.traffic():
        lab.kill("us-east")
        outage(500)
        with pytest.raises(Missed, match=r"^not recovered within 30 s: new-york not recovered: "):
            lab.wait_recovered(timeout="30s")
    assert lab.recovery().p50 == lab.recovery("paris").p100 == math.inf
    assert repr(lab.recovery().p90) == "never"
    assert lab.requests_lost("paris", "udp") > 100
    assert "requests_lost from paris over udp was" in lab.requests_lost("paris", "udp").story


def test_a_measurement_that_failed_is_no_figure(lab, world):
    """Events were lost: nobody can tell anything, so nothing is told."""
    with lab.traffic():
        lab.kill("us-east")
        world._say(Lost(t=world.clock.now_ns(), count=7, where="ring"))
        world.clock.sleep(4)
    for ask in (lab.recovery, lab.requests_lost, lab.availability):
        with pytest.raises(Inconclusive, match="7 events were lost at ring"):
            ask()
    with pytest.raises(Inconclusive):
        lab.check("recovery_s.p100 <= 15 s")


def test_without_a_fault_there_is_no_recovery(lab):
    """Rather than one of 0 s, which any bound would let pass."""
    with lab.traffic():
        pass
    with pytest.raises(Inconclusive, match="no fault took effect"):
        lab.recovery()


def test_an_objective_is_checked_in_the_words_of_a_scenario(lab, outage):
    """One that holds says nothing; one that is missed says what it was and why, in one line."""
    with lab.traffic():
        lab.kill("us-east")
        outage(5)
        lab.wait_recovered()
    lab.check("recovery_s.p100 <= 15 s from paris over http")
    with pytest.raises(Missed, match=r"^availability >= 99.9 %: \d+\.\d+%; \S+ .*recovered after"):
        lab.check("availability >= 99.9 %")
    with pytest.raises(UsageError, match="is not measured"):
        lab.check("recover_s <= 3 s")
    assert "failed: availability >= 99.9 %" in lab.report()


def test_traffic_that_is_not_steady_is_inconclusive(lab, world):
    """It was broken before, so nothing is broken further; the load is taken off."""
    world.broken = True
    said = r"not steady, so nothing was broken: .*requests failed"
    with pytest.raises(Inconclusive, match=said), lab.traffic():
        pytest.fail("the block must not begin")
    assert world.phases() == []
    assert world.rates == {}


def test_traffic_begins_with_a_whole_lab(lab):
    """A fault from before would colour the figures."""
    lab.kill("us-east")
    said = r"us-east is broken already; .*lab.heal\(\)"
    with pytest.raises(UsageError, match=said), lab.traffic():
        pass
    lab.heal()
    with lab.traffic(), pytest.raises(UsageError, match="traffic is on already"), lab.traffic():
        pass


def test_traffic_is_what_was_asked_for(lab, world):
    """The total of a city, shared out among the kinds; only where and over what was said."""
    with lab.traffic(
        rate="90/s", sites="paris", over=["http", "stream"], connections=4, cache="ttl"
    ):
        header = lab.recording.history.run
    assert header.loads["paris"]["http"]["rate"] == pytest.approx(72)
    assert header.loads["paris"]["stream"] | {"rate": 0} == {
        "rate": 0, "connections": 4, "cache_s": -1.0, "negative_s": 0.0, "lifetime_s": None,
    }  # fmt: skip
    assert header.loads.get("new-york", {}) == {}
    assert world.rates == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"rate": 0}, "no traffic"),
        ({"sites": "us-east"}, "'us-east' is none of new-york, paris"),
        ({"over": "smtp"}, "no traffic over 'smtp'"),
        ({"over": "udp", "connections": 3}, "only keepalive and stream"),
        ({"cache": "long"}, "cache"),
        ({"rate": "fast"}, "rate"),
    ],
)
def test_traffic_that_makes_no_sense_is_told_before_anything_happens(lab, world, words, said):
    """With what would."""
    with pytest.raises(UsageError, match=said), lab.traffic(**words):
        pass
    assert world.said("note") == []


def test_what_was_done_is_a_scenario_that_does_it_again(lab, world):
    """On disk beside the history, times as they were; the run of it is printed."""
    with lab.traffic(rate=50):
        lab.kill("us-east", for_s="2s")
        world.clock.sleep(1.5)
        lab.kill("eu-west", "brownout", delay="50ms", loss=0.02, rate="10mbit")
        lab.partition("paris", from_="ns1,ns2", direction="out")
        lab.wait_until("us-east up", timeout=20)
        lab.heal("eu-west")
    scenario = load_scenario(lab.recording.directory / "scenario.yaml")
    first, *others = scenario.steps
    assert replace(first, at_s=0.0) == Kill(0.0, ("us-east",))
    assert first.at_s > 2
    worse = {"delay_s": 0.05, "loss": 0.02, "rate_bps": 10e6}
    assert others == [
        Heal(2.0, ("us-east",), is_after=True),
        Kill(1.5, ("eu-west",), "brownout", settings=worse, is_after=True),
        Kill(0.0, ("paris",), "partition", ("ns1", "ns2"), {"direction": 1.0}, is_after=True),
        WaitUntil(0.0, Condition("us-east up", "up", "us-east"), 20.0),
        Heal(0.0, ("eu-west",), is_after=True),
    ]
    assert {load.kind: load.rate for load in scenario.traffic.loads} == {
        "http": 20, "keepalive": 20, "stream": 5, "udp": 5,
    }  # fmt: skip
    again = f"scenario.yaml --seed {scenario.seed}"
    assert again in lab.report()


def test_the_history_is_on_disk_before_it_is_measured(lab, outage):
    """What the directory says later is what was said at once."""
    with lab.traffic():
        lab.kill("us-east")
        outage(5)
        lab.wait_recovered()
        lines = (lab.recording.directory / "history.jsonl").read_text().splitlines()
        assert json.loads(lines[0])["kind"] == "run"
        assert any(json.loads(line)["kind"] == "fault" for line in lines)
    again = read_history(lab.recording.directory / "history.jsonl")
    assert again.faults == lab.recording.history.faults
    assert [note.text for note in again.notes] == ["traffic", "end"]


def test_healing_names_targets_or_everything(lab, world):
    """A fault on two targets is healed by both names; one that is not named goes on."""
    before = world.snapshot()
    lab.kill("us-east/www-1,us-east/www-2", "crash")
    lab.kill("paris", "brownout", delay=0.1)
    lab.partition("ns1")
    lab.heal("us-east/www-1", "us-east/www-2", "ns1")
    assert [fault.target for fault in lab.lab.wan.journal()] == [("paris",)]
    lab.heal()
    assert world.snapshot() == before
    with pytest.raises(UsageError, match="did you mean us-east"):
        lab.heal("us-eats")


def test_a_tag_is_every_site_that_has_it(lab, world):
    """As targets and as cities, as in a scenario."""
    lab._names = Names(lab._names.kinds, {"edge": ("ns1", "ns2"), "europe": ("paris",)})
    with lab.traffic(sites="tag:europe"):
        lab.kill("tag:edge", how="crash")
    assert [fault.target for fault in lab.lab.wan.journal()] == [("ns1", "ns2")]
    assert lab.recording.script.traffic.of("new-york") == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"target": "us-eats"}, "did you mean us-east"),
        ({"target": "us-east", "how": "meteor"}, "there is no fault 'meteor'"),
        ({"target": "us-east", "delay": "1s"}, "delay is for brownout, not for power"),
        ({"target": "us-east", "from_": "paris"}, "from_ is for partition"),
        ({"target": "us-east", "for_s": "soon"}, "for_s"),
        ({"target": "paris", "how": "brownout", "loss": "much"}, "loss"),
        ({"target": "paris", "how": "partition", "direction": "up"}, "direction is both or out"),
    ],
)
def test_a_kill_that_makes_no_sense_breaks_nothing(lab, world, words, said):
    """And says what would."""
    with pytest.raises(UsageError, match=said):
        lab.kill(**words)
    assert world.phases() == []


def test_a_wait_without_traffic_is_for_regions_and_name_servers(lab):
    """Who has recovered is only known of clients that ask."""
    lab.wait_until("ready", timeout=5)
    lab.wait_until("us-east up", timeout=5)
    with pytest.raises(Missed, match=r"^not us-east down within 5 s: ns1 does not hold"):
        lab.wait_until("us-east down", timeout=5)
    with pytest.raises(UsageError, match="without traffic"):
        lab.wait_recovered()
    with pytest.raises(UsageError, match="cannot be waited for"):
        lab.wait_until("christmas")


def test_an_unknown_city_or_kind_is_no_empty_answer(lab):
    """Else a slip in a name would pass any bound."""
    with lab.traffic():
        lab.kill("us-east")
        lab.wait_recovered()
    with pytest.raises(UsageError, match="did you mean paris"):
        lab.recovery("pairs")
    with pytest.raises(UsageError, match="no traffic over 'ftp'"):
        lab.requests_lost("paris", "ftp")


def test_nothing_was_recorded_yet(lab):
    """And what to do about it."""
    with pytest.raises(UsageError, match=r"with lab.traffic\(\)"):
        lab.recovery()


def test_a_lab_is_made_whole_for_the_next_test(lab, world):
    """Whatever was left behind: faults, traffic, a recording."""
    before = world.snapshot()
    with pytest.raises(ZeroDivisionError), lab.traffic():
        lab.kill("us-east")
        lab.kill("eu-west/www-1", "freeze")
        raise ZeroDivisionError
    assert world.phases() != []
    lab.make_whole()
    assert world.snapshot() == before
    assert lab.lab.wan.journal() == ()
    assert lab.all_results() == ()


def test_a_scenario_runs_on_a_lab(lab, tmp_path):
    """Its verdicts and its report; the file itself does it again. Targets are checked first."""
    file = tmp_path / "loss.yaml"
    text = (
        "netemu: 1\nname: loss\ntopology: two-region.yaml\ntraffic: {rate: 200/s}\n"
        "steps: [{at: 5s, kill: us-east}, {at: 15s, heal: us-east}]\nend: 20s\n"
        "objectives: [recovery_s.p100 <= 15 s, availability < 50 %]\n"
    )
    file.write_text(text)
    result = lab.run(file, seed=7)
    assert [verdict.outcome for verdict in result.verdicts] == ["passed", "failed"]
    assert result.said() == ["availability < 50 %: 100.000%; new-york unaffected"]
    assert result.command.endswith("loss.yaml --seed 7")
    assert result.directory.parent == tmp_path / "loss"
    assert lab.all_results() == (result,)
    file.write_text(text.replace("heal: us-east", "heal: us-wast"))
    with pytest.raises(FileProblems, match="us-wast"):
        lab.run(file)


def test_a_topology_is_looked_for_where_the_test_is_first(tmp_path, monkeypatch):
    """Then in the working directory, then among the shipped ones."""
    beside, here = tmp_path / "beside", tmp_path / "here"
    beside.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    assert find_topology("minimal.yaml", [beside]).parent.name == "topologies"
    (here / "minimal.yaml").touch()
    assert find_topology("minimal.yaml", [beside]) == here / "minimal.yaml"
    (beside / "minimal.yaml").touch()
    assert find_topology("minimal.yaml", [beside]) == beside / "minimal.yaml"
    with pytest.raises(UsageError, match=r"no topology 'nosuch.yaml' in .*beside, .*here, "):
        find_topology("nosuch.yaml", [beside])


def test_paths_are_set_and_cut_as_steps(lab, world):
    """Each is written down, so that the scenario does it again."""
    with lab.traffic():
        lab.path("us-east..paris", rtt="200ms", loss="2% burst 8", jitter=0.002, queue="64kB",
                 rate=5e6, aqm="codel", mtu=1400)  # fmt: skip
        lab.path("us-east->paris", reorder=0.01, trace="0s 40ms, 10s 200ms", repeat=30)
        lab.path("paris", trace=[(0, {"one_way": 0.04}), (1, {"loss": "5%"})], mtu="none")
        now = lab.lab.wan.paths()["us-east->paris"]["now"]
        assert (now["delay_ns"], now["rate_bps"], now["mtu"]) == (40_000_000, 5_000_000, 0)
        lab.clear_path("us-east..paris")
        lab.clear_path()
        lab.partition("us-east, new-york | eu-west", direction="out")
        lab.flap("paris", every="2s", for_s=6, down=0.5)
        lab.kill("us-east", how="brownout", delay="20ms", jitter="5ms", duplicate="1%", for_s=1)
    written = load_scenario(lab.recording.directory / "scenario.yaml")
    first, second, third = [step for step in written.steps if isinstance(step, SetPath)]
    loss = {name: value for name, value in first.values.items() if name != "delay_ns"}
    assert first.values["delay_ns"] == 100_000_000
    assert Impairment(0, **loss).mean_loss == pytest.approx(0.02)
    assert second.trace == Trace(
        ((0, {"delay_ns": 40_000_000}), (10_000_000_000, {"delay_ns": 200_000_000})),
        30_000_000_000,
    )
    assert third.values == {"mtu": 0}
    clears = [step.path for step in written.steps if isinstance(step, ClearPath)]
    assert clears == ["us-east..paris", ""]
    cut, flap, brownout = [step for step in written.steps if isinstance(step, Kill)]
    assert (cut.how, cut.target, cut.peers) == ("partition", ("us-east", "new-york"), ("eu-west",))
    assert flap.settings == {"every_s": 2.0, "for_s": 6.0, "down_s": 0.5}
    assert (flap.how, flap.for_s) == ("flap", 6.0)
    assert brownout.settings == {"delay_s": 0.02, "jitter_s": 0.005, "duplicate": 0.01}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"rtt": "200"}, "rtt: '200' has no unit"),
        ({"rtt": 1, "one_way": 1}, "speak of the same delay"),
        ({"speed": "1mbit"}, "a path has no speed; it has one_way, rtt"),
        ({}, "sets nothing"),
        ({"trace": "1s 2ms, 0s 2ms"}, "trace: the step at 0 s follows"),
        ({"jitter": "9s"}, "exceeds the delay"),
    ],
)
def test_a_path_that_cannot_be_set_so_is_refused(lab, words, message):
    """Nothing changes."""
    before = lab.lab.wan.paths()
    with pytest.raises(UsageError, match=message):
        lab.path("us-east..paris", **words)
    assert lab.lab.wan.paths() == before


def test_a_lab_that_is_made_whole_has_its_paths_as_the_file_says(lab):
    """Whatever a test left behind."""
    before = lab.lab.wan.paths()
    lab.path("us-east..paris", rtt="200ms")
    lab.make_whole()
    assert lab.lab.wan.paths() == before
