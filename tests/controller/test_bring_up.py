"""A lab comes up in order and whole, or not at all."""

from __future__ import annotations

import pytest

from emulator.controller.lab import WAN, Lab, Progress, bring_up, lab_names, remove_lab, wan_spec
from emulator.engine.base import ContainerSpec
from emulator.errors import EngineError, NotReady, UsageError, WanError
from tests.controller.test_phase import VANTAGES
from tests.controller.world import IMAGE, World, silent_progress
from tests.plan.worlds import plan_of

OTHER = ContainerSpec(lab="other", host="wan", name="other-wan", image=IMAGE, command=("sleep",))


def hosts(world: World) -> list[str]:
    return [host.name for host in world.plan.hosts]


def up_with(world: World, progress: Progress = silent_progress) -> Lab:
    return bring_up(world.plan, world.engine, lambda *_: world.wan, IMAGE, progress, world.clock)


@pytest.fixture
def beside(world):
    """Another lab runs on the same engine."""
    world.engine.create(OTHER)
    return world


def assert_nothing_left(world: World) -> None:
    assert lab_names(world.engine) == ("other",)
    assert world.wan.lab.holder is None


def test_a_lab_that_is_up_is_whole(world):
    """Every host runs, wired, with its daemons; every path was measured."""
    lab = world.up()
    assert {world.state(host) for host in hosts(world)} == {"alive"}
    assert set(lab.measured_ns) == {(p.source, p.target) for p in world.plan.paths}
    assert len(world.engine.containers(lab.name)) == len(hosts(world)) + 1


def test_daemons_start_in_the_order_in_which_they_need_each_other(world):
    """Who is checked stands before who checks: servers, balancers, name servers; clients last."""
    world.up()
    turn = {"server": 0, "access": 0, "edge": 1, "ns": 2, "client": 3}
    role = {host.name: host.role for host in world.plan.hosts}
    turns = [turn[role[host]] for host in world.started]
    assert turns == sorted(turns)
    assert set(world.started) == set(role)


def test_vantages_start_when_the_name_servers_that_hear_them_have(world):
    """Their first check decides: what else their hosts do begins when it would without them."""
    world.plan = plan_of(VANTAGES, "two-region")
    world.up()
    calls = [(h, a.get("daemons")) for h, op, a in world.wan.lab.calls if op == "start"]
    for host, own in (("paris/access", ["unbound"]), ("us-east/edge", ["haproxy", "edge"]),
                      ("ns2", ["dns"])):  # fmt: skip
        assert [names for h, names in calls if h == host] == [own, None]
    whole = [calls.index((host, None)) for host in ("paris/access", "us-east/edge", "ns2")]
    assert min(whole) > max(calls.index(("ns1", None)), calls.index(("ns2", ["dns"])))


@pytest.mark.parametrize("verb", ["create", "start"])
@pytest.mark.parametrize("host", [WAN, "us-east/edge", "ns2"])
def test_a_container_that_cannot_be_made_leaves_nothing(beside, verb, host):
    """The engine's error is the one that is raised; another lab stays."""
    beside.engine.fail(verb, host, EngineError(f"no {verb}"))
    with pytest.raises(EngineError, match=f"no {verb}"):
        beside.up()
    assert_nothing_left(beside)


@pytest.mark.parametrize("step", ["setup", "wire", "hosts"])
def test_a_wan_that_fails_leaves_nothing(beside, monkeypatch, step):
    """Whichever step of the WAN it was."""

    def refuse(*_):
        raise WanError(f"no {step}")

    monkeypatch.setattr(beside.wan, step, refuse)
    with pytest.raises(WanError, match=f"no {step}"):
        beside.up()
    assert_nothing_left(beside)


@pytest.mark.parametrize("stage", ["containers", "links", "paths", "name servers", "clients"])
def test_an_interrupt_leaves_nothing(beside, stage):
    """Ctrl-C at any stage."""

    def interrupt(now, done):
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        up_with(beside, interrupt)
    assert_nothing_left(beside)


def test_the_first_error_is_told_when_cleaning_up_fails_too(beside):
    """The second is a note of the first, with what to do."""
    beside.engine.fail("create", "ns1", EngineError("no room"))
    beside.engine.fail("remove", WAN, EngineError("no answer"))
    with pytest.raises(EngineError, match="no room") as caught:
        beside.up()
    assert "no answer" in caught.value.__notes__[0]
    assert "netemu down two-region" in caught.value.__notes__[0]


def test_a_lab_of_the_same_name_is_never_touched(world, lab):
    """It is refused before anything is made, so nothing is cleaned up either."""
    before = world.engine.containers()
    with pytest.raises(UsageError, match="'two-region' is here already"):
        up_with(world)
    assert world.engine.containers() == before


def test_a_path_that_is_not_as_set_is_named(beside, monkeypatch):
    """NotReady after the probes' time, with what was set and what was measured."""
    probed = beside._probed
    numbers = {site.number: site for site in beside.plan.sites}

    def probed_wrong(target: str) -> dict[str, int]:
        seen: dict[str, int] = probed(target)
        if target == numbers[3].name:
            seen[numbers[1].wan_address] += 7_000_000
            del seen[numbers[2].wan_address]
        return seen

    monkeypatch.setattr(beside, "_probed", probed_wrong)
    with pytest.raises(NotReady) as caught:
        beside.up()
    message = str(caught.value)
    assert "us-east->new-york set" in message
    assert "eu-west->new-york" in message
    assert "no probe arrived" in message
    assert message.count("->") == 2
    assert_nothing_left(beside)


def test_probes_that_never_arrive_end_the_wait(beside, monkeypatch):
    """Also when not a single one did."""
    monkeypatch.setattr(beside, "_probed", lambda target: {})
    with pytest.raises(NotReady, match="no probe arrived"):
        beside.up()
    assert_nothing_left(beside)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("proxy", "us-east's balancer does not see us-east/www-1 UP"),
        ("generation", "ns1 does not hold every region of www UP"),
        ("lookup", "paris's resolver does not answer"),
    ],
)
def test_what_is_not_ready_is_named(beside, monkeypatch, kind, missing):
    """Balancers, name servers and resolvers: NotReady says which and what."""
    say = beside.wan.lab.push
    monkeypatch.setattr(beside.wan.lab, "push", lambda e: 0 if e["kind"] == kind else say(e))
    with pytest.raises(NotReady, match=missing):
        beside.up()
    assert_nothing_left(beside)


def test_removing_a_lab_touches_no_other(beside):
    """By label; twice is fine."""
    beside.up()
    assert remove_lab(beside.engine, "two-region") == len(hosts(beside)) + 1
    assert remove_lab(beside.engine, "two-region") == 0
    assert_nothing_left(beside)


def test_a_daemon_that_ended_is_not_waited_for(beside, monkeypatch):
    """Nothing restarts it: NotReady at once, with its last words."""
    answer, ended = beside._answer, False

    def start_and_end(host, op, arguments):
        nonlocal ended
        if op == "logs":
            return {"text": "bad configuration\n"}
        if host == "us-east/edge" and op == "start" and not ended:
            ended = True
            daemon = {"host": host, "name": "haproxy", "state": "ended", "detail": "exit 1"}
            beside.wan.lab.push({"kind": "daemon", **daemon})
            return {}
        return answer(host, op, arguments)

    monkeypatch.setattr(beside.wan.lab, "respond", start_and_end)
    began = beside.clock.now_ns()
    with pytest.raises(NotReady, match="haproxy on us-east/edge ended: exit 1\n  bad config"):
        beside.up()
    assert beside.clock.now_ns() - began < 5e9
    assert_nothing_left(beside)


def test_of_two_ups_of_one_name_the_slower_leaves_the_quicker_alone(world):
    """In one instant both saw no lab; the WAN's name decides, and nothing of the other's goes."""

    def meanwhile(*_):
        world.engine.create(wan_spec(world.plan, IMAGE))
        return world.wan

    with pytest.raises(EngineError, match="in use"):
        bring_up(world.plan, world.engine, meanwhile, IMAGE, silent_progress, world.clock)
    assert [c.host for c in world.engine.containers(world.plan.lab)] == [WAN]
