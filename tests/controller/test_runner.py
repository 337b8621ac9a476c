"""A run: steady before it breaks anything, its steps in order, nothing broken left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.analysis.timeline import read_history
from emulator.clock import NS_PER_S
from emulator.controller.inject import inject
from emulator.controller.lab import Lab
from emulator.controller.phase import INTO_SECOND_S, Phase
from emulator.controller.runner import Recorded, default_directory, run_scenario
from emulator.errors import EngineError, Inconclusive, NetemuError, UsageError
from emulator.events import CACHES_EMPTIED, encode
from emulator.scenario.model import Heal, Kill, Load, Scenario, Traffic
from tests.controller.world import WALL_NS, World

SEED = 7
RATES = {"http": 5.0, "keepalive": 5.0, "stream": 5.0, "udp": 5.0}
LOSS = Scenario(
    name="loss",
    topology_file="two-region.yaml",
    traffic=Traffic(tuple(Load(kind, rate) for kind, rate in RATES.items())),
    steps=(
        Kill(5.0, ("us-east",)),
        Kill(6.0, ("eu-west",), "brownout", settings={"delay_s": 0.05}),
        Heal(10.0, ("us-east",)),
    ),
    end_s=15.0,
    source="the scenario's text\n",
)


@pytest.fixture
def play(world: World, lab: Lab, tmp_path: Path) -> Callable[..., Recorded]:
    def run(scenario: Scenario = LOSS, seed: int = SEED) -> Recorded:
        return run_scenario(scenario, lab, tmp_path / "run", seed, world.listen)

    return run


def assert_left_alone(world: World, before: dict[str, object]) -> None:
    """As it was before the run: healed, silent, free for the next one."""
    assert world.snapshot() == before
    assert world.wan.journal() == ()
    assert world.rates == {}
    assert world.wan.lab.holder is None


def test_name_servers_draw_from_the_runs_seed_before_the_traffic(world, play):
    """So that a run can be had again, also where answers are drawn."""
    play(seed=11)
    told = [(host, json.loads(arguments["line"])) for host, op, arguments in world.wan.lab.calls
            if op == "send"]  # fmt: skip
    seeds = [n for n, (_, command) in enumerate(told) if command == {"op": "seed", "seed": 11}]
    assert [told[n][0] for n in seeds] == ["ns1", "ns2"]
    assert max(seeds) < next(n for n, (_, c) in enumerate(told) if c["op"] == "traffic" and any(
        load["rate"] > 0 for load in c["loads"].values()) and n > seeds[0])  # fmt: skip


def test_the_steps_come_in_order_at_their_times(world, play):
    """Counted from the start of the traffic, on the lab's clock."""
    recorded = play()
    zero = next(e["t"] for e in world.said("note") if e["text"] == "traffic")
    told = [(e["how"], e["phase"], (e["t"] - zero) / 1e9) for e in world.said("fault")]
    assert [t for t in told if t[1] in {"inject_began", "healed"}] == [
        ("power", "inject_began", 5.0),
        ("brownout", "inject_began", 6.0),
        ("power", "healed", 10.0),
        ("brownout", "healed", 15.0),
    ]
    assert [note.text for note in recorded.history.notes if note.text != CACHES_EMPTIED] == [
        "traffic",
        "end",
    ]


def test_a_finished_run_leaves_the_lab_alone(world, play):
    """What the scenario did not heal is healed at its end; the traffic stops."""
    before = world.snapshot()
    play()
    assert_left_alone(world, before)


def test_the_directory_of_a_run_holds_all_of_it(world, lab, play):
    """The header first, both files as they were, and a history that reads as the live one."""
    recorded = play()
    names = {"history.jsonl", "scenario.yaml", "topology.yaml"}
    assert {path.name for path in recorded.directory.iterdir()} == names
    assert (recorded.directory / "scenario.yaml").read_text() == LOSS.source
    assert (recorded.directory / "topology.yaml").read_text() == lab.plan.topology.source
    lines = (recorded.directory / "history.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[0] == "run"
    assert kinds.count("run") == 1
    again = read_history(recorded.directory / "history.jsonl")
    assert again.run is not None
    assert recorded.history.run is not None
    assert encode(again.run.to_json()) == encode(recorded.history.run.to_json())
    assert (again.run.seed, again.run.scenario, again.run.rates) == (SEED, "loss", RATES)
    assert again.faults == recorded.history.faults
    assert again.requests == recorded.history.requests


def test_a_run_begins_with_a_clean_slate(world, lab, play):
    """Older traffic stops, every resolver's cache and every client's TCP metrics are emptied."""
    world.rates = {"http": 1.0}
    play()
    told = [(h, a.get("argv", [])[-2:]) for h, op, a in world.wan.lab.calls if op == "run"]
    for city in ("new-york", "paris"):
        assert (f"{city}/access", ["flush_zone", "shop.test"]) in told
        assert (f"{city}/access", ["flush_infra", "all"]) in told
        assert (f"{city}/client", ["flush", "all"]) in told
    stopped = [i for i, (_, op, a) in enumerate(world.wan.lab.calls) if "stop" in str(a)]
    begun = [i for i, (_, op, a) in enumerate(world.wan.lab.calls) if "traffic" in str(a)]
    assert stopped[0] < begun[0]


@pytest.mark.parametrize(
    ("steps", "is_placed"),
    [(LOSS.steps, True), ((Kill(4.0, ("us-east",), is_after=True),), False), ((), False)],
    ids=["known", "relative", "no fault"],
)
def test_the_phase_is_the_seeds(tmp_path, steps, is_placed):
    """Equal seeds give the first fault equal phases, others do not. Without a fault, or where
    nobody knows when it comes, they wait equally long before the traffic."""

    def began(seed: int, n: int) -> tuple[int, dict[str, float]]:
        world = World()
        lab = world.up()
        scenario = replace(LOSS, steps=steps)
        run = run_scenario(scenario, lab, tmp_path / str(n), seed, world.listen).history.run
        assert run is not None
        traffic = next(e["t"] for e in world.said("note") if e["text"] == "traffic")
        return int(traffic), run.phase

    assert began(1, 0) == began(1, 1) != began(2, 2)
    assert bool(began(1, 3)[1]) == is_placed


def test_the_first_fault_falls_into_the_phase_that_was_asked_for(world, lab, tmp_path):
    """So long after the checks and after a turn of the wall second; the header says so."""
    phase = Phase({"ns1": 0.25, "ns2": 0.75}, ttl_s=3.5)
    history = run_scenario(LOSS, lab, tmp_path / "run", SEED, world.listen, phase).history
    began = history.injected()[0].began
    assert history.run is not None
    assert history.run.phase == {"ns1": 0.25, "ns2": 0.75, "ttl": 3.5}
    assert (began + WALL_NS) % NS_PER_S == NS_PER_S // 2
    sent = [(h, json.loads(a["line"])) for h, op, a in world.wan.lab.calls if op == "send"]
    since = {host: began - line["t"] for host, line in sent if line["op"] == "phase"}
    assert since == {"ns1": NS_PER_S // 4, "ns2": 3 * NS_PER_S // 4}


def test_the_resolvers_cycle_is_begun_during_the_traffic(world, lab, tmp_path):
    """Whole TTLs and the phase before the fault, not later than a tenth of a second after it."""
    emptied = []
    obey = world.wan.lab.respond

    def respond(host, op, arguments):
        if (host, op) == ("paris/access", "run") and "flush_zone" in arguments["argv"]:
            emptied.append(world.clock.now_ns())
        return obey(host, op, arguments)

    world.wan.lab.respond = respond
    phase = Phase({"ns1": 0.25, "ns2": 0.75}, ttl_s=3.5)
    late = replace(LOSS, steps=(Kill(10.0, ("us-east",)),))
    history = run_scenario(late, lab, tmp_path / "run", SEED, world.listen, phase).history
    zero = next(note.t for note in history.notes if note.text == "traffic")
    assert zero < emptied[-1]
    since_s = (history.injected()[0].began - emptied[-1]) / NS_PER_S
    assert since_s == pytest.approx(5.0 + 3.5 - INTO_SECOND_S)


def test_nothing_is_injected_into_a_lab_that_was_broken_before(world, play):
    """Inconclusive, with the city, the kind and the count."""
    before = world.snapshot()
    world.on_time.append((2.0, lambda: setattr(world, "broken", True)))
    with pytest.raises(Inconclusive, match=r"new-york over http: .* requests failed"):
        play()
    assert world.phases() == []
    assert_left_alone(world, before)


def test_a_failure_long_before_the_first_fault_is_forgiven(world, play):
    """Only the last seconds before it must be without one."""
    world.on_time.append((0.5, lambda: setattr(world, "broken", True)))
    world.on_time.append((1.5, lambda: setattr(world, "broken", False)))
    play()
    assert ("power", "inject_began") in world.phases()


@pytest.mark.parametrize("silent", [("new-york", "http"), ("paris", "udp"), None])
def test_nothing_is_injected_where_nothing_ran(world, play, monkeypatch, silent):
    """One city and kind that sent nothing is enough, and so is no request at all."""
    say = world.wan.lab.push

    def push(event):
        mine = silent is None or (event.get("city"), event.get("client")) == silent
        return 0 if event["kind"] == "request" and mine else say(event)

    monkeypatch.setattr(world.wan.lab, "push", push)
    city, kind = silent or ("new-york", "http")
    with pytest.raises(Inconclusive, match=f"{city} over {kind}: no requests"):
        play()
    assert world.phases() == []


def test_a_step_that_fails_ends_the_run(world, play):
    """Its error is raised; what was broken before it is healed."""
    before = world.snapshot()
    steps = (Kill(5.0, ("eu-west",), "freeze"), Kill(6.0, ("us-east",)), Kill(7.0, ("ns1",)))
    world.engine.fail("kill", "us-east/www-1", EngineError("no kill"))
    with pytest.raises(EngineError, match="no kill"):
        play(replace(LOSS, steps=steps))
    assert ("power", "failed") in world.phases()
    assert ("freeze", "healed") in world.phases()
    assert "ns1" not in str(world.said("fault"))
    assert_left_alone(world, before)


def test_a_target_that_there_is_not_ends_the_run(world, play):
    """As a kill by hand would."""
    before = world.snapshot()
    with pytest.raises(UsageError, match="did you mean us-east"):
        play(replace(LOSS, steps=(Kill(5.0, ("us-eats",)),)))
    assert_left_alone(world, before)


@pytest.mark.parametrize("after_s", [0.5, 5.5, 8.0, 14.0])
def test_an_interrupted_run_leaves_the_lab_alone(world, play, tmp_path, after_s):
    """Ctrl-C at any time; what was recorded until then is on disk."""
    before = world.snapshot()

    def interrupt():
        raise KeyboardInterrupt

    world.on_time.append((after_s, interrupt))
    with pytest.raises(KeyboardInterrupt):
        play()
    assert_left_alone(world, before)
    history = read_history(tmp_path / "run" / "history.jsonl")
    assert history.run is not None
    assert bool(history.faults) == (after_s > 5)
    assert all(life.healed for life in history.faults.values())


def test_traffic_stops_also_when_healing_fails(world, play):
    """A lab that cannot be healed is bad enough."""
    world.engine.fail("start", "us-east/www-1", EngineError("no start"))
    with pytest.raises(EngineError, match="no start"):
        play()
    assert world.rates == {}


def test_a_recording_that_failed_fails_the_run(world, lab, tmp_path):
    """Nothing may be concluded from half a history; the lab is healed all the same."""
    before = world.snapshot()

    def listen(event):
        world.listen(event)
        if event["kind"] == "fault":
            raise ValueError("a bad listener")

    world.on_time.append((5.0, lambda: setattr(world, "is_recorded", False)))
    with pytest.raises(NetemuError, match="recording the history failed: a bad listener"):
        run_scenario(LOSS, lab, tmp_path / "run", SEED, listen)
    assert_left_alone(world, before)


def test_a_directory_that_cannot_be_made_is_said_first(world, lab, tmp_path):
    """Before anything is touched."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NetemuError, match="cannot write the run directory"):
        run_scenario(LOSS, lab, tmp_path / "file" / "run", SEED, world.listen)
    assert world.said("note") == []


def test_two_runs_never_share_a_directory(tmp_path):
    """Not even in the same second."""
    first = default_directory(LOSS, tmp_path)
    first.mkdir(parents=True)
    second = default_directory(LOSS, tmp_path)
    assert first.parent == second.parent == tmp_path / "loss"
    assert first != second


def test_a_client_that_cannot_be_told_is_named(world, play, monkeypatch):
    """Traffic in one city only would be another experiment."""
    world.wan.unwire(["paris/client"])
    with pytest.raises(NetemuError, match="could not be told about traffic: paris/client"):
        play()


def test_a_lab_that_is_broken_already_is_refused(lab: Lab, play):
    """Its faults would colour the figures, and the run's end would heal what is not its own."""
    inject(lab, ["us-east"], "power")
    with pytest.raises(UsageError, match=r"us-east of lab .* is broken already"):
        play()
    assert len(lab.wan.journal()) == 1
