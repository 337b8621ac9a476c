"""`netemu partition`, `netemu flap` and a brown-out's settings, on a lab in memory."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

from emulator.controller.lab import Lab
from emulator.errors import Exit
from emulator.impairment import Pulse
from tests.cli import Netemu, caller
from tests.controller.world import World

MS = 1_000_000


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lab(world: World, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab that runs, and that every command finds."""
    monkeypatch.setattr("emulator.wan.fake._SILENCE_S", 0.005)
    lab = world.up()

    @contextmanager
    def attached(name):
        yield lab

    for module in ("cuts", "live"):
        monkeypatch.setattr(sys.modules[f"emulator.cli.{module}"], "attached", attached)
    return lab


@pytest.fixture
def call(monkeypatch, capsys) -> Netemu:
    return caller(monkeypatch, capsys)


def cut(lab: Lab) -> set[str]:
    return {path for path, said in lab.wan.paths().items() if said["now"]["cut"]}


@pytest.mark.parametrize(
    "sides",
    ["us-east,new-york | eu-west", "{us-east, new-york} | {eu-west}", "{us-east,new-york}|eu-west"],
)
def test_the_paths_between_two_groups_are_cut_and_no_others(call, lab, sides):
    """Both ways; the braces may be left out; either group heals it."""
    said = call("partition", sides, "--detach")
    assert said.out.splitlines()[0] == "cutting us-east, new-york <-> eu-west"
    assert "undo it: netemu heal us-east new-york --lab two-region" in said.out
    ways = {("us-east", "eu-west"), ("new-york", "eu-west")}
    assert cut(lab) == {f"{a}->{b}" for a, b in ways} | {f"{b}->{a}" for a, b in ways}
    assert "partition on new-york us-east healed" in call("heal", "eu-west").out
    assert cut(lab) == set()


@pytest.mark.parametrize(
    ("direction", "arrow", "paths"),
    [("out", "->", {"us-east->eu-west"}), ("in", "<-", {"eu-west->us-east"})],
)
def test_a_partition_can_be_one_way(call, lab, direction, arrow, paths):
    """What leaves the first side, or what enters it."""
    said = call("partition", "us-east | eu-west", "--direction", direction, "--detach")
    assert f"cutting us-east {arrow} eu-west" in said.out
    assert cut(lab) == paths


def test_one_side_alone_is_cut_from_everyone_else(call, lab):
    """Said before it is done."""
    said = call("partition", "us-east", "--detach")
    assert "cutting us-east <-> everyone else" in said.out
    assert len(cut(lab)) == 2 * (len(lab.plan.sites) - 1)


def test_a_flap_is_a_rhythm_that_the_lab_keeps(call, lab):
    """Nobody stays for it; heal ends it before its time."""
    said = call("flap", "us-east", "--every", "2s", "--down", "500ms", "--for", "20s", "--detach")
    assert "flap on us-east is active; undo it: netemu heal us-east" in said.out
    [pulse] = lab.wan.lab.pulses.values()
    assert pulse == Pulse(on_ns=500 * MS, off_ns=1500 * MS, for_ns=20_000 * MS)
    assert "is active already" in call(
        "flap", "us-east", "--every", "2s", "--down", "500ms", "--for", "20s"
    ).out  # fmt: skip
    assert call("heal", "us-east").out == "flap on us-east healed\n"
    assert (lab.wan.lab.pulses, cut(lab)) == ({}, set())
    call("flap", "paris", "--detach")
    [pulse] = lab.wan.lab.pulses.values()
    assert pulse == Pulse(on_ns=1000 * MS, off_ns=1000 * MS, for_ns=30_000 * MS)


def test_a_brown_out_can_do_all_that_a_network_does(call, lab):
    """Only what is said gets worse."""
    before = lab.wan.paths()["us-east->paris"]["now"]
    call("kill", "us-east", "--how", "brownout", "--delay", "50ms", "--jitter", "20ms", "--reorder",
         "1%", "--duplicate", "2%", "--corrupt", "3%", "--detach")  # fmt: skip
    assert lab.wan.paths()["us-east->paris"]["now"] == before | {
        "delay_ns": before["delay_ns"] + 50 * MS, "jitter_ns": 20 * MS, "reorder": 0.01,
        "duplicate": 0.02, "corrupt": 0.03,
    }  # fmt: skip


REFUSED = [
    (("partition", "us-east", "new-york"), "write the groups as one, in quotes: netemu partition"),
    (("partition", "us-east | "), "'us-east | ' is no partition; write for example"),
    (("partition", "a|b|c"), "is no partition"),
    (("partition", "us-east,paris | paris"), "paris is on both sides"),
    (("partition", "us-eat | paris"), "us-eat is no site or host of lab two-region; did you mean"),
    (("partition", "us-east | us-east/www-1"), "a partition is between sites"),
    (("partition", "us-east/www-1"), "partition is for a whole site"),
    (("flap", "us-east/www-1"), "flap is for a whole site, and us-east/www-1 is one host of a"),
    (("flap", "us-east", "--down", "2s"), "it is never up; write a shorter down"),
    (("flap", "us-east", "--every", "40s"), "it ends after 30 s, before its second cut at 40 s"),
    (("flap", "us-east", "--every", "2"), "'2' has no unit; write 2ms or 2s"),
    (("kill", "us-east", "--how", "flap"), "netemu flap REGION --every 2s --for 30s"),
    (("kill", "us-east", "--jitter", "2ms"), "--jitter: for brownout, not for power"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_a_slip_breaks_nothing_and_says_what_to_write(call, lab, words, message):
    """Exit 2."""
    said = call(*words, "--detach")
    assert said.code == Exit.USAGE
    assert message in " ".join(said.err.split())
    assert (cut(lab), lab.wan.journal()) == (set(), ())
