"""A real wire between real network namespaces."""

from __future__ import annotations

import hashlib
import random
import select
import socket
import subprocess
import threading
import time
from contextlib import ExitStack

import pytest

from emulator.clock import NS_PER_MS
from emulator.impairment import Impairment
from tests.netns import WireLab, inside, wait_until

pytestmark = pytest.mark.netns
ONE, TWO, THREE = "100.64.0.1", "100.64.0.2", "100.64.0.3"


@pytest.fixture(params=["compiled", "plain Python"])
def lab(request):
    """Three sites 5 ms apart, ARP done."""
    with WireLab(3, Impairment(delay_ns=5 * NS_PER_MS), request.param) as lab:
        yield lab


def udp_socket(lab: WireLab, site: int, address: str | None = None) -> socket.socket:
    """Bound to port 7 of a site; receives with a deadline."""
    with inside(lab.sites[site].path):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((f"100.64.0.{site}" if address is None else address, 7))
    opened.settimeout(5)
    return opened


def tcp_pair(lab: WireLab, client: int, server: int) -> tuple[socket.socket, socket.socket]:
    """A connection between two sites, both ends here."""
    with inside(lab.sites[server].path):
        listener = socket.create_server((f"100.64.0.{server}", 80))
    with inside(lab.sites[client].path):
        near = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    near.settimeout(10)
    near.connect((f"100.64.0.{server}", 80))
    far, _ = listener.accept()
    far.settimeout(10)
    listener.close()
    return near, far


def one_way_ms(sender: socket.socket, receiver: socket.socket) -> float:
    """Of one datagram; both ends read one clock."""
    sent = time.monotonic_ns()
    sender.sendto(b"x", receiver.getsockname())
    receiver.recv(100)
    return (time.monotonic_ns() - sent) / NS_PER_MS


def whats(lab: WireLab, source: int) -> list[str]:
    return [record.what for record in lab.collect() if record.source == source]


def test_each_direction_has_the_delay_that_was_set(lab):
    """Never early; the best of 40 within 0.5 ms (about a second: another test's containers may
    take both cores for a quarter of one when they go); the other directions keep theirs."""
    with udp_socket(lab, 1) as one, udp_socket(lab, 2) as two:
        lab.table.set(1, 2, Impairment(delay_ns=20 * NS_PER_MS))
        one_way_ms(one, two)  # ARP
        there = [one_way_ms(one, two) for _ in range(40)]
        back = [one_way_ms(two, one) for _ in range(40)]
    assert 20.0 <= min(there) < 20.5
    assert 5.0 <= min(back) < 5.5


def test_a_transfer_with_loss_arrives_whole_and_without_checksum_errors(lab):
    """8 MB over a path that loses 1 % of segments and whose rate cuts super-frames; the receiving
    kernel computes every checksum."""
    lab.without_offload(2)
    lab.table.set(1, 2, Impairment(delay_ns=NS_PER_MS, loss=0.01, rate_bps=400_000_000))
    lab.table.set(2, 1, Impairment(delay_ns=NS_PER_MS))
    body = random.Random(1).randbytes(8 << 20)
    near, far = tcp_pair(lab, 1, 2)
    with near, far:

        def send() -> None:
            near.sendall(body)
            near.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        digest = hashlib.sha256()
        while piece := far.recv(1 << 20):
            digest.update(piece)
        sender.join()
    assert digest.digest() == hashlib.sha256(body).digest()
    counters = lab.table.counters(1, 2)
    assert counters.loss > 10, "segments were lost on the way"
    site = lab.sites[2]
    assert [site.counter(name) for name in ("TcpInCsumErrors", "TcpInErrs", "IpInHdrErrors")] == [
        0, 0, 0,
    ]  # fmt: skip
    wait_until(lambda: "again" in whats(lab, 1), "retransmissions were recorded")


def test_a_cut_is_silence_and_its_end_lets_the_same_connection_go_on(lab):
    """Nothing comes, no error either; what was sent again meanwhile is recorded as cut."""
    near, far = tcp_pair(lab, 1, 2)
    with near, far:
        near.send(b"before")
        assert far.recv(100) == b"before"
        lab.table.cut(1, 2)
        near.send(b"during")
        wait_until(
            lambda: [r for r in lab.collect() if (r.what, r.dropped) == ("again", "cut")],
            "data sent again into the cut",
        )
        assert select.select([near, far], [], [], 0)[0] == []
        assert lab.table.counters(1, 2).cut >= 2
        lab.table.mend(1, 2)
        assert far.recv(100) == b"during"


def test_records_tell_a_connection_as_tcpdump_sees_it(lab):
    """The kernel's own view of the SYN, FIN and RST segments on both ends is what was recorded."""
    dump = lab.sites[1].popen(
        *("tcpdump", "-i", "eth0", "-nn", "-tt", "-l", "--immediate-mode"),
        "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert dump.stderr is not None
        assert dump.stdout is not None
        said = iter(dump.stderr.readline, "")  # ends with the program, were it not there
        assert any("listening on" in line for line in said), "tcpdump does not run here"
        near, far = tcp_pair(lab, 1, 2)
        near.send(b"hello")
        far.recv(100)
        far.close()
        assert near.recv(100) == b""
        near.send(b"too late")
        seen = [dump.stdout.readline() for _ in range(4)]
    finally:
        dump.terminate()
        dump.communicate()
    near.close()
    flags = [line.split("Flags [")[1].split("]")[0] for line in seen]
    assert flags == ["S", "S.", "F.", "R"]
    wait_until(lambda: "rst" in whats(lab, 2), "the RST was recorded")
    ports = (f"{ONE}:{seen[0].split()[2].rsplit('.')[-1]}", f"{TWO}:80")
    segments = sorted((r for r in lab.records if r.what != "flow"), key=lambda r: r.t)
    assert [(r.what, r.src, r.dst) for r in segments] == [
        ("syn", *ports), ("synack", *ports[::-1]), ("data", *ports),
        ("fin", *ports[::-1]), ("rst", *ports[::-1]),
    ]  # fmt: skip
    assert all(r.out is not None and r.out - r.t == 5 * NS_PER_MS for r in segments)


def test_a_dns_answer_is_recorded_whole(lab):
    with inside(lab.sites[2].path):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((TWO, 53))
    with server, udp_socket(lab, 1) as resolver:
        server.sendto(b"an answer", (ONE, 7))
        assert resolver.recv(100) == b"an answer"
    (record,) = wait_until(lab.collect, "the answer's record")
    assert (record.what, record.payload, record.src) == ("dns", b"an answer", f"{TWO}:53")


def test_a_removed_link_hurts_nobody_and_a_new_one_works(lab):
    """Frames to it are counted as refused; other paths go on; a new port takes its place."""
    with udp_socket(lab, 1) as one, udp_socket(lab, 3) as three:
        with udp_socket(lab, 2) as two:
            one_way_ms(one, two)
        lab.remove_link(2)
        one.sendto(b"into the void", (TWO, 7))
        assert 5.0 <= one_way_ms(one, three) < 50
        wait_until(lambda: lab.table.counters(1, 2).send_errors, "the frame was refused")
        lab.attach(2)
        with udp_socket(lab, 2) as two:
            assert one_way_ms(one, two) < 50
        assert lab.ask(op="unport", site=2) == {"ok": True}
        assert one_way_ms(one, three) < 50


def test_broadcast_reaches_every_other_site_with_its_own_delay(lab):
    lab.table.set(1, 3, Impairment(delay_ns=25 * NS_PER_MS))
    arrived = []
    with ExitStack() as stack:
        one = stack.enter_context(udp_socket(lab, 1))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        receivers = [stack.enter_context(udp_socket(lab, site, "")) for site in (2, 3)]
        sent = time.monotonic_ns()
        one.sendto(b"all", ("100.64.255.255", 7))
        for receiver in receivers:
            assert receiver.recv(100) == b"all"
            arrived.append((time.monotonic_ns() - sent) / NS_PER_MS)
    assert 5 <= arrived[0] < 25 <= arrived[1]


def test_strange_frames_pass_by_without_hurt(lab):
    """Random bytes, VLAN, unknown targets, jumbo: the wire counts them and goes on."""
    source = random.Random(1)
    with inside(lab.sites[1].path):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind(("eth0", 0))
    for namespace, link in ((lab.sites[1], "eth0"), (lab.wan, "w1")):
        namespace.run("ip", "link", "set", link, "mtu", "9000")
    two = bytes.fromhex("020000000201") + bytes.fromhex("020000000101")
    unknown = bytes.fromhex("0200000099010200000001010800")
    with raw, udp_socket(lab, 1) as one, udp_socket(lab, 3) as three:
        for kind in (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xcc"):
            for size in (1, 20, 60, 1400, 8900):
                raw.send(two + kind + source.randbytes(size))
        raw.send(unknown + bytes(50))
        assert one_way_ms(one, three) < 50
    assert lab.table.counters(1, 2).packets >= 20
    assert lab.table.state().unknown >= 1
    assert lab.process.poll() is None


@pytest.mark.parametrize(
    "message",
    [{"op": "port", "site": 1}, {"op": "dance"}, {"site": 1}, {"op": "macs", "macs": {"x": 1}}],
)
def test_a_wrong_control_message_is_answered_with_an_error(message):
    with WireLab(1, Impairment(delay_ns=0)) as lab:
        assert "error" in lab.ask(**message)
        assert lab.ask(op="unport", site=1) == {"ok": True}


def test_the_heartbeat_beats_while_nothing_moves(lab):
    first = lab.table.state().heartbeat_ns
    wait_until(lambda: lab.table.state().heartbeat_ns > first, "a heartbeat", 1)
