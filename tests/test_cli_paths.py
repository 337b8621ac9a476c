"""`netemu path` as its users type it, on a lab in memory."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import pytest

from emulator.controller.inject import inject
from emulator.errors import Exit
from tests.cli import Netemu, caller
from tests.controller.world import World

MS = 1_000_000


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lab(world, monkeypatch):
    """A lab that runs, and that every command finds."""
    monkeypatch.setattr("emulator.wan.fake._SILENCE_S", 0.005)
    lab = world.up()

    @contextmanager
    def attached(name):
        yield lab

    for module in ("paths",):
        monkeypatch.setattr(sys.modules[f"emulator.cli.{module}"], "attached", attached)
    return lab


@pytest.fixture
def call(monkeypatch, capsys) -> Netemu:
    return caller(monkeypatch, capsys)


def now(lab, path: str) -> dict[str, object]:
    return dict(lab.wan.paths()[path]["now"])


def test_alone_it_shows_every_path_with_what_it_measures(call, lab):
    """Both directions of a pair one below the other; nothing that is not there takes a column."""
    said = call("path")
    lines = said.out.splitlines()
    assert said.code == Exit.PASSED
    assert lines[0].split() == ["path", "set", "measured", "packets", "size"]
    assert [line.split()[0] for line in lines[1:3]] == ["us-east->eu-west", "eu-west->us-east"]
    assert len(lines) == 1 + len(lab.plan.paths)
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("us-east..paris", {"us-east->paris", "paris->us-east"}),
        ("us-east -> paris", {"us-east->paris"}),
        ("ns1", None),
    ],
)
def test_one_pair_one_direction_or_all_of_a_site_is_shown(call, lab, name, paths):
    """So that a lab of sixty sites can be read."""
    rows = json.loads(call("path", name, "--json").out)
    shown = {row["path"] for row in rows}
    every = {"->".join((p.source, p.target)) for p in lab.plan.paths}
    assert shown == (paths or {path for path in every if "ns1" in path.split("->")})


def test_only_what_is_named_changes_and_the_file_is_restored(call, lab):
    """What was and what is; other values and other paths stay."""
    before = lab.wan.paths()
    said = call("path", "us-east..paris", "--rtt", "200ms", "--loss", "2%")
    assert said.code == Exit.PASSED
    assert "us-east->paris" in said.out and "100 ms, loss 2 %" in said.out
    assert "as the file says again: netemu path us-east..paris --clear" in said.out
    call("path", "paris->us-east", "--rate", "5mbit", "--queue", "64kB")
    after = lab.wan.paths()
    assert {p for p in before if before[p]["now"] != after[p]["now"]} == {
        "us-east->paris", "paris->us-east",
    }  # fmt: skip
    wanted = before["paris->us-east"]["file"] | {
        "delay_ns": 100 * MS, "loss": 0.02, "rate_bps": 5_000_000, "queue_bytes": 64_000,
        "queue_ns": 60_000 * MS,
    }  # fmt: skip
    assert after["paris->us-east"]["now"] == wanted
    assert "changed by hand" in call("path", "us-east..paris").out
    call("path", "us-east->paris", "--clear")
    assert now(lab, "us-east->paris") == before["us-east->paris"]["file"]
    assert now(lab, "paris->us-east") == wanted
    assert "us-east" in call("path", "--clear").out
    assert lab.wan.paths() == before
    assert call("path", "--clear").out == "nothing was changed there by hand\n"


def test_none_switches_a_value_off(call, lab):
    """Also one that the file says."""
    call("path", "us-east..paris", "--rate", "5mbit", "--aqm", "codel", "--mtu", "1400")
    said = call("path", "us-east..paris", "--rate", "none", "--aqm", "none", "--mtu", "none",
                "--jitter", "none", "--loss", "none", "--json")  # fmt: skip
    assert json.loads(said.out)[0]["was"].endswith("5 Mbit/s, codel, mtu 1400")
    values = now(lab, "us-east->paris")
    assert (values["rate_bps"], values["aqm"], values["mtu"]) == (0, "", 0)


def test_a_trace_plays_by_hand_from_steps_or_a_table(call, lab, tmp_path):
    """And is cleared like any other change."""
    said = call("path", "us-east..paris", "--trace", "0s 40ms, 10s 200ms", "--repeat", "30s")
    assert "a trace of 2 steps in 10 s, again every 30 s plays from now on" in said.out
    assert "trace plays" in call("path", "us-east..paris").out
    assert now(lab, "us-east->paris")["delay_ns"] == 40 * MS
    table = tmp_path / "lte.csv"
    table.write_text("at,rtt,loss\n0s,90ms,1%\n")
    call("path", "us-east..paris", "--trace", table)
    assert (now(lab, "paris->us-east")["delay_ns"], now(lab, "paris->us-east")["loss"]) == (
        45 * MS,
        0.01,
    )
    call("path", "--clear")
    assert not lab.wan.paths()["us-east->paris"]["plays"]


def test_a_fault_is_shown_on_the_paths_it_is_on_and_nobody_waits_for_the_dead(call, world, lab):
    """A dash stands where nothing can be measured, and it takes no longer for it."""
    inject(lab, ["us-east"], "power")
    inject(lab, ["paris"], "freeze")
    began = world.clock.now_ns()
    rows = {row["path"]: row for row in json.loads(call("path", "--json").out)}
    assert rows["us-east->paris"]["measured_ms"] is None
    assert rows["us-east->paris"]["faults"] == ["power us-east"]
    assert rows["new-york->paris"]["measured_ms"] is None
    assert rows["new-york->eu-west"]["measured_ms"] > 0
    assert world.clock.now_ns() - began < 300 * MS
    assert "cut (" in call("path", "us-east..paris").out


REFUSED = [
    (("us-east..pari", "--loss", "2%"), "no site is called 'pari'; did you mean paris?"),
    (("moon",), "no site is called 'moon'; there are us-east"),
    (("us-east-",), "a shell takes > for itself"),
    (("us-east-->paris",), "no site is called 'us-east-'"),
    (("us-east..us-east", "--loss", "2%"), "leads from a site to itself"),
    (("us-east..paris", "--loss", "2"), "--loss: '2' has no unit; write 2%"),
    (("us-east..paris", "--loss", "90% burst 2"), "--loss: a loss of 0.9 needs bursts longer"),
    (("us-east..paris", "--one-way", "200"), "--one-way: '200' has no unit; write 200ms or 200s"),
    (("us-east..paris", "--jitter", "2ms norml"), "did you mean normal or"),
    (("us-east..paris", "--jitter", "9s"), "a jitter of 9 s exceeds the delay of"),
    (("us-east..paris", "--aqm", "codel"), "without a rate there is none; set a rate too"),
    (("us-east..paris", "--queue", "64k"), "--queue: '64k' has the unit 'k'"),
    (("us-east..paris", "--mtu", "100"), "--mtu: '100' is out of range; write 576 to 65535"),
    (("us-east..paris", "--rtt", "1ms", "--one-way", "1ms"), "speak of the same delay"),
    (("us-east->paris", "--rtt", "1ms"), "--rtt speaks of a pair; write --one-way, or us-east..p"),
    (("--loss", "2%"), "say which path to change"),
    (("us-east..paris", "--clear", "--loss", "2%"), "--clear ends changes"),
    (("us-east..paris", "--repeat", "2s"), "--repeat is of a trace"),
    (("us-east..paris", "--trace", "0s 40ms", "--repeat", "2"), "--trace: '2' has no unit"),
    (("us-east..paris", "--trace", "5s 40ms, 1s 2ms"), "write steps in the order of time"),
    (("us-east..paris", "--trace", "let.csv"), "cannot read let.csv: no such file; name a table"),
    (("us-east..paris", "--los", "2%"), "--los"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_a_slip_changes_nothing_and_says_what_to_write(call, lab, words, message):
    """Exit 2, one message."""
    before = lab.wan.paths()
    said = call("path", *words)
    assert said.code == Exit.USAGE
    assert message in said.err
    assert lab.wan.paths() == before


def test_a_change_waits_for_no_one_and_takes_the_labs_lock(call, lab):
    """Two at once do not harm each other: the second is told who is at it."""
    other = lab.wan.attach()
    other.lock("kill us-east (pid 1)")
    said = call("path", "us-east..paris", "--loss", "2%")
    assert (said.code, "changed by kill us-east (pid 1)" in said.err) == (Exit.ENVIRONMENT, True)
