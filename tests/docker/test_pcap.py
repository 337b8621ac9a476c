"""Packets and flows of a real lab, by the command line; read back by dpkt and by tcpdump."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import dpkt
import pytest

from emulator.errors import Exit
from emulator.impairment import Overlay
from tests.cli import PATIENCE_S, PROGRAM, ROOT, Running, netemu
from tests.docker.lab import NEW_YORK_CLIENT, SITE, US_EAST, World

pytestmark = pytest.mark.docker

CUT = [(SITE["new-york"], SITE["us-east"]), (SITE["us-east"], SITE["new-york"])]


@pytest.fixture
def calm(world: World) -> World:
    """The lab without a fault, under its light load."""
    world.calm()
    return world


def pcap(world: World, *words: object, code: Exit = Exit.PASSED) -> tuple[str, str]:
    """What it printed, and what it said."""
    said = netemu("pcap", *words, "--lab", world.lab.name)
    assert said.code == code, said.err
    return said.out, said.err


def frames(file: Path) -> list[dpkt.ip.IP]:
    with file.open("rb") as opened:
        read = [dpkt.ethernet.Ethernet(frame) for _, frame in dpkt.pcapng.Reader(opened)]
    return [one.data for one in read if isinstance(one.data, dpkt.ip.IP)]


def test_a_capture_is_pcapng_with_a_name_for_each_path(calm, tmp_path):
    """Requests of a city and the region's answers to them, on interfaces that say which path;
    every packet comes from or goes to the site; the summary says how many."""
    file = tmp_path / "us-east.pcapng"
    _, err = pcap(calm, "us-east", "-w", file, "--seconds", "2")
    assert err.startswith(f"{file}: ")
    data = file.read_bytes()
    assert data[:4] == b"\x0a\x0d\x0d\x0a"
    assert b"us-east->new-york" in data
    assert b"new-york->us-east" in data
    payloads = [bytes(ip.data.data) for ip in frames(file) if isinstance(ip.data, dpkt.tcp.TCP)]
    assert any(data.startswith(b"GET / HTTP/1.1") for data in payloads)
    assert any(data.startswith(b"HTTP/1.1 200 OK") for data in payloads)
    assert f" {len(frames(file))} packets" in err


def test_what_a_cut_drops_is_shown_with_its_cause(calm, tmp_path):
    """As a comment in the file, behind the line as text, and counted by cause in the end."""
    calm.lab.wan.lay("pcap", CUT, Overlay(cut=True))
    try:
        file = tmp_path / "dropped.pcapng"
        _, err = pcap(calm, "new-york..us-east", "--dropped", "-w", file, "--count", "3")
        assert file.read_bytes().count(b"dropped: cut") == 3
        assert "3 packets; dropped on the WAN: 3 by cut" in err
        out, _ = pcap(calm, "new-york->us-east", "--text", "--count", "2")
    finally:
        calm.lab.wan.lift("pcap")
    for line in out.splitlines():
        assert f"new-york->us-east  IP {NEW_YORK_CLIENT}." in line
        assert line.endswith("  [dropped: cut]")


def test_a_pipe_is_live_and_its_reader_may_leave(calm):
    """tcpdump, not ours, reads what happens now and ends after five; so does netemu, in peace."""
    with subprocess.Popen(
        [PROGRAM, "pcap", "new-york..us-east", "--lab", calm.lab.name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as writer:
        reader = subprocess.run(
            ["tcpdump", "-Z", "root", "-n", "-r", "-", "-c", "5"],
            stdin=writer.stdout, capture_output=True, text=True, timeout=PATIENCE_S, check=True,
        )  # fmt: skip
        assert writer.stdout
        writer.stdout.close()
        assert writer.wait(PATIENCE_S) == Exit.PASSED
    lines = reader.stdout.splitlines()
    assert [US_EAST in line for line in lines] == [True] * 5, lines


def test_ctrl_c_ends_a_capture_with_its_summary(calm):
    """Without --seconds it goes on until then; what it saw is told, be it a single packet, and the
    exit code is 0."""
    running = Running("pcap", "us-east", "--text", "--lab", calm.lab.name)
    running.until("->us-east")
    running.send(signal.SIGINT)
    said = running.end()
    assert said.code == Exit.PASSED
    told = re.search(r"^(\d+) packets?\b", said.out, re.MULTILINE)
    assert told, said.out
    assert int(told[1]) == said.out.count("->"), said.out  # each line names its path


def test_a_frozen_region_is_no_hindrance(calm):
    """Its kernel still answers SYNs: the WAN shows it."""
    try:
        assert (
            netemu("kill", "us-east", "--how", "freeze", "--detach", "--lab", calm.lab.name).code
            == 0
        )
        out, _ = pcap(calm, "us-east..new-york", "--text", "--count", "8")
    finally:
        assert netemu("heal", "us-east", "--lab", calm.lab.name).code == 0
    assert len(out.splitlines()) == 8


def test_a_host_is_seen_at_its_port_on_the_lan(calm):
    """What the balancer and the server say to each other never crosses the WAN."""
    out, _ = pcap(calm, "us-east/www-1", "--text", "--count", "60")  # a check a second among them
    assert len(out.splitlines()) == 60
    assert "10.1.0.11.8080" in out


@pytest.mark.parametrize(
    ("where", "words"),
    [("beriln", "beriln is no site of lab"), ("us-east-", "your shell took the rest"),
     ("us-east->us-east", "from a site to itself")],
)  # fmt: skip
def test_a_place_that_is_not_there_is_said(world, where, words):
    """A usage error with what to do."""
    assert words in pcap(world, where, code=Exit.USAGE)[1]


def test_a_file_that_cannot_be_written_is_said(world, tmp_path):
    """Before anything is captured."""
    _, err = pcap(world, "us-east", "-w", tmp_path / "no" / "x", "--seconds", "1", code=Exit.USAGE)
    assert "cannot write" in err


def flows(world: World, *words: str) -> dict[str, Any]:
    said = netemu("flows", *words, "--json", "--lab", world.lab.name)
    assert said.code == Exit.PASSED, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


def test_flows_tell_who_opened_what_and_what_it_has_come_to(calm):
    """The streams of a city are open, its single requests closed; the DNS questions answered."""
    found = flows(calm, "new-york..us-east", "--all")["flows"]
    states = {(f["client"]["site"], f["server"]["end"], f["state"]) for f in found}
    assert {("new-york", f"{US_EAST}:7", "open"), ("new-york", f"{US_EAST}:80", "closed")} <= states
    assert {f["server"]["site"] for f in found} == {"us-east"}
    asked = flows(calm, "new-york", "--all")["questions"]
    assert any(one["answered"] for one in asked)
    table = netemu("flows", "--once", "--lab", calm.lab.name).out.splitlines()
    assert max(map(len, table)) <= 100
    assert table[1].split() == ["client", "server", "state", "age", "again", "sent", "got", "quiet"]


def flow_of(world: World, port: int) -> dict[str, Any]:
    """The connection of New York's client from that port."""
    found = flows(world, "new-york..us-east")["flows"]
    return next(f for f in found if f["client"]["end"] == f"{NEW_YORK_CLIENT}:{port}")


def test_a_connection_into_a_cut_is_told_as_mute(calm):
    """Held open by a program that goes on sending: its server is named as the one that is silent,
    and what was sent again is counted."""
    with calm.hold("new-york/client", US_EAST) as held:
        held.send("before")
        held.wait_for("data before")
        calm.lab.wan.lay("pcap", CUT, Overlay(cut=True))
        try:
            held.send("into the cut")
            out, _ = pcap(calm, "new-york->us-east", "--text", "--dropped", "--seconds", "4")
            assert f"{NEW_YORK_CLIENT}.{held.port} > " in out
            # Sent again at 0.2, 0.6, 1.4, 3, 6.2 s, or later on a busy machine (RFC 6298).
            until = time.monotonic() + PATIENCE_S
            mine = flow_of(calm, held.port)
            while mine["mute"] is None and time.monotonic() < until:
                time.sleep(0.5)
                mine = flow_of(calm, held.port)
        finally:
            calm.lab.wan.lift("pcap")
    assert mine["mute"] == "us-east"
    assert mine["client"]["again"] >= 2
