"""Containers of the user's come, die, sleep and come back with the hosts that they are beside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.controller.inject import heal, inject
from emulator.controller.lab import Lab, bring_up, left_names, remove_lab
from emulator.controller.logs import LogReader, Source, Written
from emulator.controller.status import lab_status
from emulator.engine.base import ContainerSpec, ContainerState, LogLine
from emulator.engine.fake import FakeEngine
from emulator.errors import NotReady, UsageError
from emulator.plan.model import OwnSpec
from tests.controller.world import IMAGE, World, silent_progress
from tests.plan.worlds import plan_of

OWN = """\
netemu: 1
name: two-region
regions:
  us-east: {location: aws:us-east-1, services: {www: {image: my/www:1, volumes: [data:/data]}}}
  eu-west: {location: aws:eu-west-1}
clients:
  paris: {location: city:Paris/FR, image: my/client}
"""
CLIENT = "paris/client:image"
SERVER, OURS = "us-east/www-1", "us-east/www-1:image"
RUNNING, PAUSED, EXITED = ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.EXITED


@pytest.fixture
def own() -> World:
    world = World()
    world.plan = plan_of(OWN, "two-region")
    return world


def states(world: World) -> tuple[ContainerState, ContainerState]:
    """Of the host and of the user's container."""
    found = {c.host: c.state for c in world.engine.containers(world.plan.lab)}
    return found[SERVER], found[OURS]


def broken(world: World, monkeypatch: pytest.MonkeyPatch, how: str = "") -> Lab:
    """Brought up while its balancer sees no server UP; the image ended, if `how` says so."""
    say, start = world.wan.lab.push, world.engine.start

    def ends(lab: str, host: str):
        handle = start(lab, host)
        if host == OURS and how:
            world.engine.ends(lab, host, how)
        return handle

    monkeypatch.setattr(world.engine, "start", ends)
    monkeypatch.setattr(world.wan.lab, "push", lambda e: 0 if e["kind"] == "proxy" else say(e))
    world.unwell = {SERVER}
    lines = [LogLine(n, f"line {n}") for n in range(1, 9)]
    world.engine.logs["two-region", OURS] = lines
    return world.up()


def test_it_joins_a_host_that_is_wired_with_nothing_more(own):
    """Its spec: the user's image, the host's network, no capability and no setting of ours."""
    own.up()
    spec = own.engine.specs["two-region", OURS]
    assert (spec.image, spec.network_of) == ("my/www:1", SERVER)
    assert (spec.cap_add, spec.sysctls, spec.pid_host) == ((), {}, False)
    assert states(own) == (RUNNING, RUNNING)
    starts = [host for verb, _, host in own.engine.calls if verb == "start"]
    assert starts.index(OURS) > starts.index(SERVER)


def test_its_volumes_are_removed_with_it(own):
    """By `down`, also where an earlier one was stopped between containers and volumes; another
    lab's stay."""
    other = ContainerSpec("other", "a", "other-a", "x", (), volumes={"/d": "other_us-east_data"})
    own.engine.create(other)
    own.up()
    [named] = own.engine.volumes("two-region")
    assert named.name == "two-region_us-east_data"
    own.engine.remove(own.engine.containers("two-region"))
    assert left_names(own.engine) == ("other", "two-region")
    assert remove_lab(own.engine, "two-region") == 0
    assert left_names(own.engine) == ("other",)
    assert [volume.lab for volume in own.engine.volumes()] == ["other"]


def test_a_lab_begins_with_empty_volumes(own):
    """What was left of one that was not removed whole goes before the first container is made."""
    own.up()
    own.engine.remove(own.engine.containers("two-region"))
    own.engine.calls.clear()
    own.wan = type(own.wan)(own.clock, own._answer)
    own.up()
    calls = [
        (verb, name) for verb, _, name in own.engine.calls if "two-region" in name or name == OURS
    ]
    assert calls.index(("remove_volume", "two-region_us-east_data")) < calls.index(("create", OURS))


@pytest.mark.parametrize("target", ["us-east", SERVER])
@pytest.mark.parametrize(
    ("how", "broken"),
    [("power", (EXITED, EXITED)), ("crash", (RUNNING, EXITED)), ("freeze", (PAUSED, PAUSED))],
)
def test_what_befalls_the_host_befalls_it_and_heals(own, target, how, broken):
    lab = own.up()
    inject(lab, [target], how)
    assert states(own) == broken
    heal(lab, [target])
    assert states(own) == (RUNNING, RUNNING)


def test_one_that_ended_by_itself_does_not_stop_a_freeze(own):
    """There is nothing of it to pause, and nothing to wake; a crash's heal starts it."""
    lab = own.up()
    own.engine.ends("two-region", OURS, "exit 3")
    inject(lab, [SERVER], "freeze")
    heal(lab, [SERVER])
    assert states(own) == (RUNNING, EXITED)
    (row,) = (h for h in lab_status(lab)["hosts"] if h["host"] == SERVER)
    assert row["daemons"]["image"] == "ended exit 3"
    inject(lab, [SERVER], "crash")
    heal(lab, [SERVER])
    assert states(own) == (RUNNING, RUNNING)


def test_frozen_without_power_it_boots_into_the_freeze(own):
    """The freeze holds both."""
    lab = own.up()
    inject(lab, [SERVER], "freeze")
    inject(lab, ["us-east"], "power")
    heal(lab, ["us-east"])
    assert states(own) == (PAUSED, PAUSED)


def test_an_image_that_is_missing_is_named_before_anything_is_made(own):
    """With who wants it."""
    engine = FakeEngine(images=[IMAGE])
    with pytest.raises(UsageError, match=r"my/www:1 \(for us-east/www-1\), the image my/client"):
        bring_up(own.plan, engine, lambda *_: own.wan, IMAGE, silent_progress, own.clock)
    assert engine.calls == []


def test_one_that_ends_at_once_is_told_with_its_last_lines(own, monkeypatch):
    """At once, and nothing is left."""
    began = own.clock.now_ns()
    with pytest.raises(NotReady) as caught:
        broken(own, monkeypatch, "exit 2")
    said = str(caught.value)
    assert said.startswith("the image my/www:1 on us-east/www-1 ended by itself (exit 2)\n")
    assert said.splitlines()[2:] == [f"    line {n}" for n in range(4, 9)]
    assert own.clock.now_ns() - began < 5e9
    assert own.engine.containers() == ()


@pytest.mark.parametrize(("how", "is_fine"), [("exit 0", True), ("exit 1", False)])
def test_a_client_that_is_done_is_no_trouble(own, monkeypatch, how, is_fine):
    """One that failed at once is told, with its last lines."""
    start = own.engine.start

    def ends(lab: str, host: str):
        handle = start(lab, host)
        if host == CLIENT:
            own.engine.ends(lab, host, how)
        return handle

    monkeypatch.setattr(own.engine, "start", ends)
    if is_fine:
        (row,) = (h for h in lab_status(own.up())["hosts"] if h["host"] == "paris/client")
        assert row["daemons"]["image"] == "ended exit 0"
    else:
        with pytest.raises(NotReady, match="my/client on paris/client ended by itself"):
            own.up()


def test_one_that_never_is_well_is_told_after_its_patience(own, monkeypatch):
    with pytest.raises(NotReady) as caught:
        broken(own, monkeypatch)
    said = str(caught.value)
    assert said.startswith("not ready after 60 s: us-east's balancer does not see us-east/www-1 UP")
    assert said.endswith("the last lines of my/www:1:\n" + "\n".join(
        f"    line {n}" for n in range(4, 9)
    ))  # fmt: skip
    assert own.engine.containers() == ()


def test_a_balancer_that_does_not_agree_is_told(own, monkeypatch):
    """Well as seen from beside it, but never UP by its balancer's own check: that is not ready."""
    say = own.wan.lab.push
    monkeypatch.setattr(own.wan.lab, "push", lambda e: 0 if e.get("server") == SERVER else say(e))
    with pytest.raises(NotReady) as caught:
        own.up()
    assert str(caught.value).startswith(
        "not ready after 60 s: us-east's balancer does not see us-east/www-1 UP\n"
    )
    vouched = [line for h, line in sent(own) if h == "us-east/edge"]
    assert vouched[0] == {"op": "vouch", "servers": ["www-1"]}


ORDERED = """\
netemu: 1
name: two-region
regions:
  us-east: {location: aws:us-east-1, services: {db: {servers: 2}}}
  eu-west: {location: aws:eu-west-1, services: {db: {servers: 0}}}
clients:
  paris: {location: city:Paris/FR}
services:
  www: {image: my/www, depends_on: api}
  api: {image: my/api, depends_on: [db, plain], start_timeout: 10s}
  db: {image: my/db, balance: l4, start_timeout: 30s}
  plain: {}
"""


@pytest.fixture
def ordered() -> World:
    world = World()
    world.plan = plan_of(ORDERED, "two-region")
    return world


def sent(world: World) -> list[tuple[str, Any]]:
    """Every command line that a daemon was sent, with its host."""
    calls = world.wan.lab.calls
    return [(host, json.loads(a["line"])) for host, op, a in calls if op == "send"]


def began(world: World) -> list[str]:
    """The images' containers of us-east in the order of their starts."""
    calls = world.engine.calls
    images = [host for verb, _, host in calls if verb == "start" and host.endswith(":image")]
    return [host[len("us-east/") : -len(":image")] for host in images if host.startswith("us-east")]


def test_who_waits_for_others_starts_once_they_are_well(ordered):
    """A service's containers, when all servers of those that it depends on are, in its region; of
    one that has none there nobody waits. Balancers stand by then."""
    lab = ordered.up()
    assert sorted(began(ordered)[:2]) == ["db-1", "db-2"]
    assert began(ordered)[2:] == ["api-1", "www-1"]
    assert own_of_host(lab, "eu-west/api-1").waits_for == ("eu-west/plain-1",)
    api = ordered.engine.calls.index(("start", "two-region", "us-east/api-1:image"))
    assert "us-east/edge" in ordered.started[: len(ordered.engine.calls[:api])]


def own_of_host(lab: Lab, host: str) -> OwnSpec:
    own = lab.spec(host).own
    assert own is not None
    return own


def test_one_that_is_never_well_is_told_not_those_that_wait_for_it(ordered, monkeypatch):
    """With its own last words, and after the patience that all of them together have."""
    ordered.unwell = {"us-east/db-2"}
    say, dark = ordered.wan.lab.push, {"us-east/db-2", "us-east/api-1", "us-east/www-1"}
    monkeypatch.setattr(ordered.wan.lab, "push", lambda e: 0 if e.get("server") in dark else say(e))
    ordered.engine.logs["two-region", "us-east/db-2:image"] = [LogLine(1, "no space left")]
    with pytest.raises(NotReady) as caught:
        ordered.up()
    said = str(caught.value)
    assert said.startswith(
        "not ready after 100 s: us-east's balancer does not see us-east/db-2 UP; "
    )
    assert "us-east/www-1 waits for us-east/api-1" in said
    assert "us-east/api-1 waits for us-east/db-2" in said
    assert said.endswith("the last lines of my/db:\n    no space left")
    assert sorted(began(ordered)) == ["db-1", "db-2"]


def test_a_region_that_is_healed_comes_back_in_that_order(ordered):
    lab = ordered.up()
    inject(lab, ["us-east"], "power")
    ordered.engine.calls.clear()
    heal(lab, ["us-east"])
    assert sorted(began(ordered)[:2]) == ["db-1", "db-2"]
    assert began(ordered)[2:] == ["api-1", "www-1"]


def test_one_that_is_healed_alone_does_not_wait_for_what_is_broken_besides(ordered):
    """That may be so for good."""
    lab = ordered.up()
    inject(lab, ["us-east/db-1"], "crash")
    ordered.unwell = {"us-east/db-1"}
    inject(lab, ["us-east/api-1"], "crash")
    ordered.engine.calls.clear()
    before = ordered.clock.now_ns()
    heal(lab, ["us-east/api-1"])
    assert began(ordered) == ["api-1"]
    assert ordered.clock.now_ns() - before < 1e9


def test_who_waits_in_vain_after_a_heal_starts_all_the_same(ordered):
    """After the patience that `up` would have had: a program that cannot do without says so."""
    lab = ordered.up()
    inject(lab, ["us-east"], "power")
    ordered.unwell = {"us-east/db-1", "us-east/db-2"}
    ordered.engine.calls.clear()
    before = ordered.clock.now_ns()
    heal(lab, ["us-east"])
    assert sorted(began(ordered)) == ["api-1", "db-1", "db-2", "www-1"]
    assert 99e9 < ordered.clock.now_ns() - before < 110e9


def test_its_log_is_followed_beside_the_daemons(own):
    """Only what is new, also when nothing was; the engine keeps it."""
    lab = own.up()
    source = Source(SERVER, "image")
    reader = LogReader(lab, [source])
    assert list(reader.new()) == []
    own.engine.logs["two-region", OURS] = [LogLine(5, "a"), LogLine(7, "b")]
    assert list(reader.new()) == [Written(source, "a"), Written(source, "b")]
    own.engine.logs["two-region", OURS].append(LogLine(8, "c"))
    assert list(reader.new()) == [Written(source, "c")]
    assert list(reader.new()) == []
