"""No frame hurts: whatever comes in, both movers do the same with it and go on."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import dnslib
import pytest

from emulator.clock import NS_PER_MS
from emulator.impairment import Impairment
from emulator.node.wan.agenda import Agenda
from emulator.node.wan.compiled import CHOICE
from emulator.node.wan.flows import DNS, QUESTION, Sight
from emulator.node.wan.keeper_records import events_of
from emulator.node.wan.paths import OVERLOAD, Path
from emulator.node.wan.records import encode
from emulator.node.wan.table import PathTable
from tests.frames import ACK, tcp
from tests.netns import WireLab, built_core, core_choice, wait_until
from tests.wire_fuzz import PATHS, compare, frames

SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


@pytest.mark.parametrize("seed", range(4))
def test_both_movers_do_the_same_with_any_frame(monkeypatch, seed):
    """Every byte that leaves, when and on which lane; every record; every counter."""
    monkeypatch.setenv(CHOICE, core_choice("compiled"))
    compare(seed, 150)


def test_the_core_touches_no_memory_but_its_own():
    """Some seconds of such frames under the address and the undefined behaviour sanitizers."""
    libraries = [_library(name) for name in ("libasan.so", "libubsan.so")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.wire_fuzz", "8", "1000"],
        env={
            **os.environ,
            CHOICE: built_core(*SANITIZERS),
            "LD_PRELOAD": " ".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
            "PYTHONMALLOC": "malloc",  # so that a frame's bytes have guarded borders
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no difference" in done.stdout


def _library(name: str) -> str:
    found = subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
    assert found != name, f"gcc has no {name}"
    return found


def test_a_frame_that_finds_a_fault_in_a_path_is_dropped_counted_and_named_once(
    monkeypatch, capsys
):
    """One fault of ours must not end every path; a run in which it happened claims nothing."""
    table = PathTable.create()
    path = Path(table.words, Agenda(1 << 20), 1, 2, seed=1)
    monkeypatch.setattr(path, "_luck", {})
    table.set(1, 2, Impairment(delay_ns=0, loss=0.5))
    frame = tcp(ACK, b"x")
    assert [path.admit(frame, now).cause for now in (1, 2)] == [OVERLOAD, OVERLOAD]
    assert (table.counters(1, 2).overload, table.state().overload) == (2, 2)
    said = capsys.readouterr().err
    assert said.count("KeyError") == 1
    assert frame.hex() in said
    table.close()


def test_no_dns_message_costs_the_records_beside_it():
    """Questions and answers with bytes exchanged, cut short, of unknown codes."""
    draw = random.Random(1)
    asked = dnslib.DNSRecord.question("www.shop.test")
    reply = asked.reply()
    reply.add_answer(*dnslib.RR.fromZone("www.shop.test 5 A 198.18.1.1"))
    reply.add_ar(dnslib.EDNS0(opts=[dnslib.EDNSOption(8, bytes((0, 1, 24, 24, 10, 4, 0)))]))
    for number in range(1500):
        message = bytearray(draw.choice((asked.pack(), reply.pack())))
        message[3] = number % 256
        for _ in range(draw.randrange(4)):
            message[draw.randrange(len(message))] = draw.getrandbits(8)
        whole = bytes(message[: draw.choice((len(message), draw.randrange(len(message))))])
        sight = Sight((draw.choice((DNS, QUESTION)),), bytes(8), bytes(4), whole)
        record = b"".join(encode(sight, 5, (6, 6), 1, 2))
        assert len(list(events_of(record * 2, {1: "paris", 2: "ns1"}))) == 2


@pytest.mark.netns
@pytest.mark.parametrize("mover", ["compiled", "plain Python"])
def test_a_real_wire_outlives_any_frame_that_a_kernel_lets_through(mover):
    """Through packet sockets, super-frames and all, over paths with every impairment; then a
    connection over a path without any works as ever."""
    draw = random.Random(2)
    with WireLab(3, PATHS[1], mover) as lab:
        for number in lab.sites:
            lab.sites[number].run("ip", "link", "set", "eth0", "mtu", "9000")
            lab.wan.run("ip", "link", "set", f"w{number}", "mtu", "9000")
        taken = 0
        with lab.raw_port(1) as raw:
            for frame, _ in zip(frames(draw), range(6000), strict=False):
                try:
                    taken += bool(raw.send(frame))
                except OSError:  # the kernel sees through that one
                    continue
        assert taken > 1000
        wait_until(lambda: lab.table.counters(1, 2).packets > 100, "frames came in")
        for source, target in ((1, 2), (2, 1)):
            lab.table.set(source, target, Impairment(delay_ns=5 * NS_PER_MS))
        assert lab.process.poll() is None
        assert " 0% packet loss" in lab.sites[1].run("ping", "-c3", "-i0.2", "100.64.0.2")
