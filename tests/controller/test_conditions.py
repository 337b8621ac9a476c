"""What a run can wait for: each condition says what it still lacks."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from emulator.analysis.timeline import Client, History
from emulator.controller.conditions import Scene, missing
from emulator.controller.header import make_header
from emulator.controller.inject import heal, inject
from emulator.controller.lab import Lab
from emulator.events import Generation, Request
from emulator.scenario.model import Condition, Load, Scenario, Traffic
from tests.controller.world import World

RATE = 10.0
SCENARIO = Scenario(
    name="conditions",
    topology_file="two-region.yaml",
    traffic=Traffic((Load("http", RATE), Load("udp", RATE, ("paris",)))),
    steps=(),
    end_s=10.0,
)
CLIENTS = (("new-york", "http"), ("paris", "http"), ("paris", "udp"))
HOMES = {"new-york": "us-east", "paris": "eu-west"}
READY = Condition("ready", "ready")
RECOVERED = Condition("recovered", "recovered")
STEADY = Condition("steady", "steady")
UP = Condition("us-east up", "up", "us-east")
DOWN = Condition("us-east down", "down", "us-east")
SERVED = Condition("paris served by eu-west", "served", "paris", "eu-west")


@pytest.fixture
def scene(lab: Lab) -> Scene:
    history = History()
    history.feed(make_header(lab, 0, SCENARIO, "", SCENARIO.traffic))
    return Scene(lab, SCENARIO, history, threading.Lock(), [])


def look(scene: Scene, condition: Condition, since_ns: int | None = None) -> tuple[str, ...]:
    since = scene.lab.wan.now_ns() if since_ns is None else since_ns
    return missing(condition, scene, since)


def requests(scene: Scene, seconds: float, **fields: Any) -> None:
    """Every client sends for so long, at its rate; all is well but for what `fields` say."""
    only = {key: fields.pop(key) for key in ("city", "client") if key in fields}
    for _ in range(round(seconds * RATE)):
        scene.lab.clock.sleep(1 / RATE)
        now = scene.lab.wan.now_ns()
        for city, client in CLIENTS:
            mine = all({"city": city, "client": client}[key] == x for key, x in only.items())
            known = scene.history.requests[Client(city, client)]
            values = {"outcome": "ok", "region": HOMES[city], "end": now - 1000}
            scene.history.feed(
                Request(t=now - 2000, planned=now - 2000, city=city, client=client, n=len(known),
                        **{**values, **(fields if mine else {})})
            )  # fmt: skip


def told(scene: Scene) -> None:
    """The history hears of what the lab was told."""
    for event in scene.lab.wan.lab.history:  # type: ignore[attr-defined]
        if event["kind"] == "fault":
            scene.history.feed(event)


def say(world: World, server: str, *, up: list[str], down: list[str]) -> None:
    now = world.clock.now_ns()
    news = Generation(t=now, server=server, service="www", number=2, up=up, down=down)
    world.wan.lab.push(news.to_json())


def test_a_lab_is_ready_when_its_resolvers_answer_now(scene):
    """The first look asks; what they say is seen by the next."""
    began = scene.lab.wan.now_ns()
    scene.lab.clock.sleep(5.0)
    assert look(scene, READY, began) == ()


def test_a_resolver_that_does_not_answer_is_named(world, scene, monkeypatch):
    """An answer from before does not count."""
    scene.lab.clock.sleep(5.0)
    world.wan.unwire(["paris/client"])
    assert look(scene, READY) == ("paris's resolver does not answer",)


def test_a_region_that_is_down_makes_a_lab_unready(world, scene):
    """Every name server must hold every region UP."""
    say(world, "ns2", up=["eu-west"], down=["us-east"])
    assert look(scene, READY) == ("ns2 does not hold every region of www UP",)


def test_a_dead_host_is_missing_and_no_error(world, scene):
    """A wait goes on while a region is off; once it is back nothing is missing."""
    inject(scene.lab, ["us-east"], "power")
    assert "is dead" in look(scene, READY)[0]
    heal(scene.lab, ["us-east"])
    assert look(scene, READY) == ()


@pytest.mark.parametrize(("condition", "other"), [(UP, DOWN), (DOWN, UP)])
def test_every_name_server_must_say_so(world, scene, condition, other):
    """One that has not noticed yet is named."""
    if condition is DOWN:
        say(world, "ns1", up=["eu-west"], down=["us-east"])
        assert look(scene, DOWN) == ("ns2 does not hold us-east DOWN",)
        say(world, "ns2", up=["eu-west"], down=["us-east"])
    assert look(scene, condition) == ()
    assert len(look(scene, other)) == 2


@pytest.mark.parametrize("how", ["power", "freeze", "crash"])
def test_a_name_server_that_does_not_live_is_not_asked(world, scene, how):
    """What it said last is no news; when none lives, nobody can tell."""
    say(world, "ns2", up=["eu-west"], down=["us-east"])
    inject(scene.lab, ["ns1"], how)
    assert look(scene, DOWN) == ()
    inject(scene.lab, ["ns2"], how)
    assert look(scene, DOWN) == look(scene, UP) == ("no name server lives",)


def test_a_name_server_that_is_cut_off_lives(world, scene):
    """It answers still, to whom it may."""
    say(world, "ns2", up=["eu-west"], down=["us-east"])
    inject(scene.lab, ["ns1"], "partition")
    assert look(scene, DOWN) == ("ns1 does not hold us-east DOWN",)


def test_a_city_is_served_when_a_second_of_every_kind_was(scene):
    """What came before that second, and what other cities have, does not matter."""
    requests(scene, 1.0, region="us-east")
    requests(scene, 1.2, city="new-york", outcome="timeout")
    assert look(scene, SERVED) == ()


@pytest.mark.parametrize("fields", [{"region": "us-east"}, {"outcome": "error", "region": ""}])
def test_one_request_of_one_kind_that_was_not_served_is_enough(scene, fields):
    """The kind is named, with the count."""
    requests(scene, 2.0)
    requests(scene, 0.1, client="udp", city="paris", **fields)
    assert look(scene, SERVED) == ("paris over udp: 9 of 10 requests served by eu-west",)


def test_silence_is_no_service(scene):
    """Neither before the first request nor after the last."""
    nothing = tuple(
        f"paris over {kind}: 0 of 0 requests served by eu-west" for kind in ("http", "udp")
    )
    assert look(scene, SERVED) == nothing
    requests(scene, 2.0)
    scene.lab.clock.sleep(2.0)
    assert look(scene, SERVED) == nothing


def test_the_steady_state_is_the_scenarios(scene):
    """A failure in its window is what is missing."""
    requests(scene, 3.0)
    assert look(scene, STEADY) == ()
    requests(scene, 0.5, city="new-york", outcome="error", detail="503")
    assert look(scene, STEADY)[0].startswith("new-york over http: 5 of ")


def test_without_a_fault_everyone_has_recovered(scene):
    """There is nothing to recover from."""
    assert look(scene, RECOVERED) == ()


def test_a_fault_that_the_history_has_not_heard_of_is_not_recovered_from(scene):
    """Events take a moment to come."""
    scene.faults.append("power:us-east#7")
    assert look(scene, RECOVERED) == ("nothing is known yet of power:us-east#7",)


def test_recovery_takes_a_proof(scene):
    """As long as a client may still fail it has not recovered; then it has, whether it was hit or
    not."""
    requests(scene, 5.0)
    scene.faults.append(inject(scene.lab, ["us-east"], "brownout").id)
    told(scene)
    requests(scene, 1.0, city="new-york", outcome="timeout", detail="response")
    requests(scene, 2.0)
    assert look(scene, RECOVERED) == ("not everyone has recovered from brownout us-east",)
    requests(scene, 12.0)
    assert look(scene, RECOVERED) == ()


def test_a_client_that_has_given_up_has_not_recovered(scene):
    """However long it is waited for; it is named."""
    requests(scene, 5.0)
    scene.faults.append(inject(scene.lab, ["us-east"], "brownout").id)
    told(scene)
    requests(scene, 140.0, city="new-york", outcome="timeout", detail="response")
    (lacking,) = look(scene, RECOVERED)
    assert lacking.startswith("new-york, http, new connections: not recovered")


def test_who_looks_holds_the_history_still(scene):
    """Another thread feeds it."""
    asked: list[str] = []

    class Lock:
        def __enter__(self) -> None:
            asked.append("held")

        def __exit__(self, *_: object) -> None: ...

    guarded = Scene(scene.lab, scene.scenario, scene.history, Lock(), [])  # type: ignore[arg-type]
    for condition in (RECOVERED, STEADY, SERVED):
        look(guarded, condition)
    assert len(asked) == 3
