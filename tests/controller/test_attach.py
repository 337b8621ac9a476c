"""Any netemu process can join a lab that runs; what cannot be joined is said, with what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.controller.inject import heal, inject
from emulator.controller.lab import WAN, Lab, attach, wan_spec
from emulator.errors import NetemuError, UsageError
from emulator.plan.wiring import wan_setup
from tests.controller.world import IMAGE, World


def join(world: World, name: str = "two-region") -> Lab:
    return attach(name, world.engine, lambda *_: world.wan.attach())


def test_whoever_attaches_sees_the_same_lab(world, lab):
    """Plan and faults; what one breaks the other heals."""
    other = join(world)
    assert other.plan == lab.plan
    before = world.snapshot()
    fault = inject(lab, ["us-east"], "power")
    assert other.wan.journal() == (fault,)
    heal(other, ["us-east"])
    assert world.snapshot() == before


def test_a_lab_that_there_is_not(world):
    """UsageError that says where the labs are listed."""
    with pytest.raises(UsageError, match="no lab 'nowhere' runs here; `netemu status`"):
        join(world, "nowhere")


@pytest.mark.parametrize(
    ("verb", "state"), [("kill", "exited"), ("pause", "paused")]
)  # fmt: skip
def test_a_wan_that_does_not_run(world, lab, verb, state):
    """Its state is said; it is not waited for."""
    getattr(super(type(world.engine), world.engine), verb)(lab.name, WAN)
    with pytest.raises(NetemuError, match=f"is {state}; remove the lab: netemu down two-region"):
        join(world)


def test_a_lab_that_was_never_finished(world):
    """Its WAN runs but was told nothing."""
    world.engine.create(wan_spec(world.plan, IMAGE))
    super(type(world.engine), world.engine).start("two-region", WAN)
    with pytest.raises(NetemuError, match="was never finished; remove it: netemu down two-region"):
        join(world)


@pytest.mark.parametrize(
    "told", [{"digest": "another"}, {"topology": "netemu: 2\n"}, {"topology": "}"}]
)
def test_a_lab_of_another_version(world, monkeypatch, told):
    """Told by the plan's digest, or by a topology that this version cannot read."""
    setup = wan_setup(world.plan)
    world.engine.create(wan_spec(world.plan, IMAGE))
    super(type(world.engine), world.engine).start("two-region", WAN)
    world.wan.setup(replace(setup, plan={**setup.plan, **told}))
    with pytest.raises(NetemuError, match="made by another version of netemu; make it anew"):
        join(world)


def test_what_could_not_be_joined_is_let_go(world, lab):
    """The connection is closed, and with it whatever it held."""
    failed = world.wan.attach()
    failed.lock("attach")
    world.wan.lab.setup = replace(wan_setup(world.plan), plan={})
    with pytest.raises(NetemuError):
        attach("two-region", world.engine, lambda *_: failed)
    assert world.wan.lab.holder is None
