"""The netem driver's pure parts: what the kernel is told, and what its counters mean."""

from __future__ import annotations

import struct

import pytest

from emulator.drivers import refusal
from emulator.impairment import Impairment, Overlay
from emulator.node.wan.netem_lines import port_lines, what_failed
from emulator.node.wan.netem_options import bucket_options, netem_options, queue_bytes
from emulator.node.wan.netem_path import NetemPath
from emulator.node.wan.rtnetlink import Qdisc, attribute, attributes

MS = 1_000_000


def told(path: Impairment, distribution=None) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """netem's fixed part, and its attributes by type."""
    data = netem_options(path, distribution)
    return struct.unpack("=IIIIII", data[:24]), dict(attributes(data[24:]))


def seen(packets=0, drops=0, waiting=0, waiting_bytes=0) -> Qdisc:
    return Qdisc(1, "netem", 0, 0, packets, packets * 100, waiting, waiting_bytes, drops)


def test_attributes_are_read_as_they_were_written():
    """Each padded to 4 bytes; what is cut short ends the reading."""
    data = attribute(1, b"netem\0") + attribute(2, b"12345678") + b"\x03\x00"
    assert list(attributes(data)) == [(1, b"netem\0"), (2, b"12345678")]


def test_netem_is_told_nanoseconds_and_shares():
    """Delay and jitter in 64 bits, a share as part of 2^32 - 1, and always a rate: it keeps the
    order."""
    head, more = told(Impairment(3 * MS, jitter_ns=MS, loss=0.5, corrupt=1.0))
    assert struct.unpack("=qq", more[10] + more[11]) == (3 * MS, MS)
    assert head[2] == pytest.approx(0.5 * 2**32, abs=2)
    assert struct.unpack("=II", more[4]) == (2**32 - 1, 0)
    assert struct.unpack("=Q", more[8])[0] > 10**10


def test_a_cut_loses_all_whatever_else_is_set():
    """Also where losses come in bursts."""
    head, more = told(Impairment(MS, burst_enter=0.1, burst_leave=0.5, cut=True))
    assert head[2] == 2**32 - 1
    assert 5 not in more


def test_bursts_are_told_as_gilbert_and_elliott_have_them():
    """Chance to enter, to leave, to pass within a burst, to be lost outside of one."""
    _, more = told(Impairment(MS, loss=0.01, burst_enter=0.1, burst_leave=0.5, burst_loss=0.75))
    ((kind, model),) = attributes(more[5])
    assert kind == 2
    shares = [value / (2**32 - 1) for value in struct.unpack("=IIII", model)]
    assert shares == pytest.approx([0.1, 0.5, 0.25, 0.01])


@pytest.mark.parametrize("distribution", ["uniform", "normal", "pareto"])
def test_a_distribution_is_a_table_of_its_deviations(distribution):
    """4096 of them, as likely as each other; one unit of jitter is 8192."""
    _, more = told(Impairment(MS, jitter_ns=MS, distribution=distribution), distribution)
    table = [value / 8192 for value in struct.unpack("=4096h", more[2])]
    mean = sum(table) / len(table)
    deviation = (sum((v - mean) ** 2 for v in table) / len(table)) ** 0.5
    # Of pareto, what is beyond four deviations is cut: 0.2 % of it, far out.
    expected = {"uniform": (0, 3**-0.5), "normal": (0, 1), "pareto": (0, 0.8)}[distribution]
    assert (mean, deviation) == pytest.approx(expected, abs=0.12)


def test_a_queue_is_as_long_as_its_rate_empties_in_time_or_in_bytes():
    """The smaller of both, and never less than two frames: else nothing would leave."""
    assert queue_bytes(Impairment(0, rate_bps=8_000_000, queue_ns=100 * MS)) == 100_000
    limited = Impairment(0, rate_bps=8_000_000, queue_ns=100 * MS, queue_bytes=50_000)
    assert queue_bytes(limited) == 50_000
    assert queue_bytes(Impairment(0, rate_bps=1000, queue_ns=MS)) == 2 * 1514
    options = dict(attributes(bucket_options(limited)))
    assert struct.unpack("=Q", options[4]) == (1_000_000,)


def test_drops_belong_to_what_was_set_meanwhile():
    """netem says how many, not why; the bucket's are the queue's, and stand in netem's as well."""
    path = NetemPath(Impairment(MS, loss=0.1, rate_bps=1000))
    path.look(seen(packets=80, drops=15, waiting=5), seen(drops=5))
    assert (path.total.packets, path.total.loss, path.total.queue) == (100, 10, 5)
    path.wanted = Impairment(MS, cut=True)
    path.look(seen(packets=85, drops=35), seen(drops=5))
    assert (path.total.packets, path.total.cut, path.total.loss) == (120, 20, 10)
    path.wanted = Impairment(MS)
    path.look(seen(packets=85, drops=36), seen(drops=5))
    assert path.total.overload == 1


def test_counters_outlive_a_port():
    """A new one begins at zero in the kernel; what was counted stays."""
    path = NetemPath(Impairment(MS, loss=0.1))
    path.look(seen(packets=9, drops=1), None)
    path.port_is_gone()
    path.look(seen(packets=4), None)
    assert (path.total.packets, path.total.bytes, path.total.loss) == (14, 1300, 1)


def test_a_queue_tells_when_it_will_be_empty():
    """From the bytes that wait and the rate."""
    path = NetemPath(Impairment(MS, rate_bps=8_000_000))
    path.look(seen(), seen(waiting_bytes=1000))
    assert path.counters(now=5).free_at_ns == 5 + MS


def test_the_table_of_a_distribution_is_told_once():
    """And again to a new port."""
    path = NetemPath(Impairment(MS, jitter_ns=MS, distribution="normal"))
    assert path.news_of_distribution() == "normal"
    assert path.news_of_distribution() is None
    path.wanted = Impairment(MS, jitter_ns=MS)
    assert path.news_of_distribution() == "uniform"
    path.port_is_gone()
    assert path.news_of_distribution() is None


def test_the_witness_is_told_how_long_to_wait_and_why_frames_are_dropped():
    """Delay, jitter and queue, and half a second for a busy machine."""
    cut = NetemPath(Impairment(100 * MS, jitter_ns=10 * MS, cut=True)).news()
    assert cut == {"patience_ns": 610 * MS, "cause": "cut"}
    assert NetemPath(Impairment(MS, rate_bps=1000)).news()["cause"] == "queue"
    assert NetemPath(Impairment(MS, corrupt=0.1)).news()["cause"] == "loss"
    assert NetemPath(Impairment(MS)).news()["cause"] == "overload"


def test_a_port_marks_what_enters_and_has_a_class_for_every_other_site():
    """Numbers are hexadecimal to tc."""
    lines = port_lines("w10", 10, [1, 63])
    assert [line for line in lines if "class add" in line][1].split()[7] == "1:3f"
    assert lines[-1].endswith("priority 1:a")


def test_a_failure_names_the_line():
    """As iproute2 numbers it."""
    said = "Error: Specified qdisc kind is unknown.\nCommand failed -:2\n"
    wanted = "Error: Specified qdisc kind is unknown. (tc b)"
    assert what_failed("tc", said, ["a", "b"]) == wanted
    assert what_failed("tc", "no tc here", ["a"]) == "no tc here"


def test_what_netem_cannot_do_is_said_with_what_to_do():
    """By name; the userspace driver can do all there is."""
    for values in ({"mtu": 1400}, {"jitter_ns": 2_000 * MS}):
        assert refusal("netem", values)
        assert not refusal("userspace", values)
    everything_else = Impairment(MS, jitter_ns=MS, loss=0.1, reorder=0.1, rate_bps=9, aqm="codel")
    assert not refusal("netem", everything_else.to_json())
    assert not refusal("netem", Overlay(cut=True, loss=0.1).to_json())
