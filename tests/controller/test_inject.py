"""Breaking and mending: the journal first, every instant marked, nothing touched twice."""

from __future__ import annotations

import pytest

from emulator.controller.inject import heal, heal_everything, inject
from emulator.errors import EngineError, UsageError, WanError
from emulator.scenario.model import FAULT_KINDS

REGION = ["us-east"]


@pytest.mark.parametrize("how", FAULT_KINDS)
def test_a_fault_is_marked_from_its_first_step_to_its_end(world, lab, how):
    """Four instants and the heal's, in order of time; afterwards the world is as before."""
    before = world.snapshot()
    fault = inject(lab, REGION, how)
    assert [f.id for f in lab.wan.journal()] == [fault.id]
    assert world.snapshot() != before
    assert heal(lab, REGION) == (fault,)
    assert world.snapshot() == before
    assert lab.wan.journal() == ()
    phases = ["inject_began", "inject_ended", "heal_began", "healed", "heal_ended"]
    assert world.phases() == [(how, phase) for phase in phases]
    assert [e["t"] for e in world.said("fault")] == sorted(e["t"] for e in world.said("fault"))


@pytest.mark.parametrize("how", FAULT_KINDS)
def test_killing_twice_and_healing_twice_change_nothing(world, lab, how):
    """The second kill returns the active fault; the second heal has nothing to do."""
    fault = inject(lab, REGION, how)
    broken, marks = world.snapshot(), world.phases()
    assert inject(lab, REGION, how) == fault
    assert (world.snapshot(), world.phases()) == (broken, marks)
    heal(lab, REGION)
    healed, marks = world.snapshot(), world.phases()
    assert heal(lab, REGION) == ()
    assert heal_everything(lab) == ()
    assert (world.snapshot(), world.phases()) == (healed, marks)


def test_the_same_fault_with_other_numbers_is_another_fault(world, lab):
    """A deeper brown-out comes on top; heal takes both away."""
    inject(lab, REGION, "brownout", settings={"delay_s": 0.1})
    inject(lab, REGION, "brownout", settings={"delay_s": 0.2})
    base = next(p.impairment.delay_ns for p in lab.plan.paths if p.source == "us-east")
    assert world.wan.lab.overlays.effective((1, 2)).delay_ns == base + 300_000_000
    assert len(heal(lab, REGION)) == 2


def test_a_target_said_twice_is_one_target(lab):
    """Also where a region's name covers a host that was named as well."""
    fault = inject(lab, ["us-east", "us-east/edge", "us-east"], "power")
    assert fault.target == ("us-east", "us-east/edge")
    assert fault.hosts == ("us-east/edge", "us-east/www-1", "us-east/www-2")


def test_the_journal_is_written_before_the_first_step(world, lab, monkeypatch):
    """Whoever finds the lab after a crash of netemu knows what may be broken."""
    steps = []
    for owner, verb in ((world.wan, "lay"), (world.engine, "kill")):
        real = getattr(owner, verb)

        def spied(*args, verb=verb, real=real, **kwargs):
            steps.append((verb, len(lab.wan.journal())))
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, verb, spied)
    inject(lab, REGION, "power")
    assert steps[0] == ("lay", 1)
    assert set(steps) == {("lay", 1), ("kill", 1)}


@pytest.mark.parametrize(
    ("how", "verb"), [("power", "kill"), ("freeze", "pause"), ("crash", ""), ("drain", "")]
)
def test_a_fault_that_fails_half_way_is_taken_back(world, lab, monkeypatch, how, verb):
    """Marked as failed with the reason, healed, out of the journal; its error is raised."""
    before = world.snapshot()
    host = "us-east/www-1"
    if verb:
        world.engine.fail(verb, host, EngineError(f"no {verb}"))
    else:
        answer = world._answer

        def refuse(to, op, arguments):
            if to == host and op in {"kill", "send"} and "un" not in str(arguments):
                raise ValueError(f"no {op}")
            return answer(to, op, arguments)

        monkeypatch.setattr(world.wan.lab, "respond", refuse)
    with pytest.raises((EngineError, WanError), match=host if not verb else f"no {verb}"):
        inject(lab, REGION, how)
    assert world.snapshot() == before
    assert lab.wan.journal() == ()
    assert world.wan.lab.holder is None
    assert world.phases() == [(how, p) for p in ("failed", "heal_began", "healed", "heal_ended")]
    assert world.said("fault")[0]["detail"]


@pytest.mark.parametrize("how", ["power", "partition", "brownout"])
def test_an_overlay_that_is_refused_leaves_nothing(world, lab, monkeypatch, how):
    """The very first step failed: no container was touched."""
    before = world.snapshot()

    def refuse(*args, **kwargs):
        raise WanError("no overlay")

    monkeypatch.setattr(world.wan, "lay", refuse)
    with pytest.raises(WanError, match="no overlay"):
        inject(lab, REGION, how)
    assert world.snapshot() == before
    assert lab.wan.journal() == ()


def test_an_interrupt_half_way_is_taken_back(world, lab, monkeypatch):
    """Ctrl-C between the cut and the kill."""
    before = world.snapshot()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(world.engine, "kill", interrupt)
    with pytest.raises(KeyboardInterrupt):
        inject(lab, REGION, "power")
    assert world.snapshot() == before
    assert (world.said("fault")[0]["phase"], world.said("fault")[0]["detail"]) == (
        "failed",
        "KeyboardInterrupt()",
    )


def test_what_cannot_be_taken_back_stays_in_the_journal(world, lab, monkeypatch):
    """The first error is raised with a note; a later heal mends it."""
    before = world.snapshot()
    world.engine.fail("kill", "us-east/www-2", EngineError("no kill"))
    world.engine.fail("start", "us-east/www-1", EngineError("no start"))
    with pytest.raises(EngineError, match="no kill") as caught:
        inject(lab, REGION, "power")
    assert "no start" in caught.value.__notes__[0]
    assert [f.kind for f in lab.wan.journal()] == ["power"]
    world.engine._failures.clear()
    heal_everything(lab)
    assert world.snapshot() == before


@pytest.mark.parametrize("how", FAULT_KINDS)
@pytest.mark.parametrize("under", ["freeze", "crash"])
def test_a_heal_that_was_interrupted_is_done_again(world, lab, monkeypatch, how, under):
    """Killed between the heal and its line in the journal, over another fault."""
    inject(lab, ["eu-west"], under)
    inject(lab, ["us-east/www-1"], under)
    before = world.snapshot()
    inject(lab, REGION, how)

    def interrupt(fault_id):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.wan, "forget", interrupt)
        with pytest.raises(KeyboardInterrupt):
            heal(lab, REGION)
    assert len(heal(lab, REGION)) == 1
    assert world.snapshot() == before


def test_a_power_loss_that_fails_over_a_freeze_is_taken_back(world, lab):
    """The host that could not be killed is as frozen as it was."""
    inject(lab, REGION, "freeze")
    before = world.snapshot()
    world.engine.fail("kill", "us-east/www-1", EngineError("no kill"))
    with pytest.raises(EngineError, match="no kill"):
        inject(lab, REGION, "power")
    assert world.snapshot() == before


def test_heal_touches_only_faults_of_exactly_its_target(world, lab):
    """A host's own fault outlives the heal of its region, and the other way round."""
    inject(lab, ["us-east/www-1"], "freeze")
    alone = world.snapshot()
    inject(lab, REGION, "brownout")
    heal(lab, REGION)
    assert world.snapshot() == alone
    assert [f.kind for f in lab.wan.journal()] == ["freeze"]


def test_a_partition_is_healed_from_either_side(world, lab):
    """It has two sides and no first one."""
    before = world.snapshot()
    inject(lab, REGION, "partition", peers=["paris"])
    cut = {p for p in world.wan.lab.overlays.paths() if world.wan.lab.overlays.effective(p).cut}
    assert cut == {(1, 4), (4, 1)}
    heal(lab, ["paris"])
    assert world.snapshot() == before


def test_a_partition_of_one_direction(world, lab):
    """1: what leaves the target; -1: what enters it."""
    overlays = world.wan.lab.overlays
    inject(lab, REGION, "partition", ["paris"], {"direction": 1.0})
    assert (overlays.effective((1, 4)).cut, overlays.effective((4, 1)).cut) == (True, False)
    heal(lab, REGION)
    inject(lab, REGION, "partition", ["paris"], {"direction": -1.0})
    assert (overlays.effective((1, 4)).cut, overlays.effective((4, 1)).cut) == (False, True)


def test_a_citys_paths_are_cut_each_for_itself(world, lab):
    """One way from a region, the other way to a second, both ways to a name server: each is a fault
    of its own and heals alone, and every other path stays whole. So a city can lose what everybody
    else has."""
    overlays, plan = world.wan.lab.overlays, lab.plan
    number = {site.name: site.number for site in plan.sites}

    def cut() -> set[tuple[str, str]]:
        ways = {(a, b) for a in number for b in number if a != b}
        return {(a, b) for a, b in ways if overlays.effective((number[a], number[b])).cut}

    out, into = {"direction": 1.0}, {"direction": -1.0}
    inject(lab, ["us-east"], "partition", ["paris"], out)
    inject(lab, ["eu-west"], "partition", ["paris"], into)
    inject(lab, ["paris"], "partition", ["ns1"])
    ns1 = {("paris", "ns1"), ("ns1", "paris")}
    assert cut() == {("us-east", "paris"), ("paris", "eu-west"), *ns1}
    heal(lab, ["eu-west"])
    assert cut() == {("us-east", "paris"), *ns1}
    heal(lab, ["us-east"])
    assert cut() == ns1
    heal(lab, ["ns1"])
    assert cut() == set()


def test_the_load_generator_survives_its_city(world, lab):
    """Power on a city cuts its paths and kills its resolver; the client lives to report."""
    inject(lab, ["paris"], "power")
    assert (world.state("paris/access"), world.state("paris/client")) == ("off", "alive")


@pytest.mark.parametrize(
    ("target", "how", "peers", "message"),
    [
        (["us-eats"], "power", [], "us-eats is no site or host .* did you mean us-east"),
        (["us-east/www-9"], "crash", [], "did you mean us-east/www-"),
        (["xyz"], "power", [], "there are us-east, eu-west"),
        (["us-east"], "meteor", [], "there is no fault 'meteor'; there are power"),
        (["paris"], "drain", [], "drain is for regions"),
        (["us-east", "paris"], "drain", [], "drain is for regions"),
        (["us-east/edge"], "drain", [], "drain is for a whole site"),
        (["us-east/edge"], "partition", [], "partition is for a whole site"),
        (["us-east"], "partition", ["paris/client"], "between sites, and paris/client is a host"),
        (["us-east"], "partition", ["pariss"], "did you mean paris"),
    ],
)
def test_what_does_not_fit_is_refused_with_advice(world, lab, target, how, peers, message):
    """UsageError; nothing was touched, marked or locked."""
    before = world.snapshot()
    with pytest.raises(UsageError, match=message):
        inject(lab, target, how, peers)
    assert (world.snapshot(), world.phases(), lab.wan.journal()) == (before, [], ())


def test_healing_what_there_is_not_is_refused(lab):
    """With the nearest name, as for kill."""
    with pytest.raises(UsageError, match="did you mean paris"):
        heal(lab, ["pris"])


def test_one_netemu_at_a_time_changes_a_lab(world, lab):
    """A second one is told who does; it changed nothing; afterwards it may."""
    other = world.wan.attach()
    other.lock("kill eu-west (pid 77)")
    before = world.snapshot()
    for change in (lambda: inject(lab, REGION, "power"), lambda: heal(lab, REGION)):
        with pytest.raises(WanError, match=r"kill eu-west \(pid 77\)"):
            change()
    with pytest.raises(WanError, match="pid 77"):
        heal_everything(lab)
    assert (world.snapshot(), lab.wan.journal()) == (before, ())
    other.unlock()
    inject(lab, REGION, "power")
    assert world.wan.lab.holder is None
    other.lock("now me")
