"""What a path does to frames: delay, order, jitter, loss, rate, queue, memory; in virtual time."""

from __future__ import annotations

import itertools
import random
import statistics
from typing import Any

import dpkt
import pytest

from emulator.clock import NS_PER_S
from emulator.impairment import Impairment, bursts
from emulator.node.wan.agenda import Agenda
from emulator.node.wan.chance import UNIFORM, Wander
from emulator.node.wan.paths import CUT, LOSS, OVERLOAD, QUEUE, TOO_BIG, Path
from emulator.node.wan.segments import cut, layout, summed
from emulator.node.wan.table import PathTable
from tests.frames import ACK, CLIENT, CLIENT6, FIN, Segment, ethernet, receive, tcp, udp

MS = 1_000_000
FRAME = tcp(ACK, bytes(1000 - 54))  # 1000 bytes of Ethernet
BODY = random.Random(2).randbytes(40 * 1000)
SUPER = tcp(ACK | FIN, BODY, gso=1000)  # 40 segments of 1054 bytes


class Bench:
    """One path from site 1 to site 2 and what waits on it."""

    def __init__(self) -> None:
        self.table = PathTable.create()
        self.agenda = Agenda(limit=1 << 28)
        self.path = Path(self.table.words, self.agenda, 1, 2, seed=1)

    def be(self, **values):
        self.table.set(1, 2, Impairment(**{"delay_ns": 0, **values}))

    @property
    def counters(self):
        return self.table.counters(1, 2)

    def drain(self) -> list[tuple[int, bytes]]:
        found = []
        while self.agenda.next_due() is not None:
            due, _, frame = self.agenda.pop()
            found.append((due, frame))
        return found


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.table.close()


def test_a_frame_is_due_after_the_delay_as_it_came(bench):
    bench.be(delay_ns=40 * MS)
    assert bench.path.admit(FRAME, 5)[:2] == (40 * MS + 5, 40 * MS + 5)
    assert bench.path.admit(SUPER, 6)[0] == 40 * MS + 6
    assert bench.drain() == [(40 * MS + 5, FRAME), (40 * MS + 6, SUPER)]
    assert bench.counters.packets == 41
    assert bench.counters.bytes == 1000 + 40 * 1054


def test_a_cut_drops_where_it_enters_and_what_is_past_it_arrives(bench):
    bench.be(delay_ns=40 * MS)
    bench.path.admit(FRAME, 0)
    bench.table.cut(1, 2)
    assert bench.path.admit(SUPER, 1) == (CUT, CUT, 40, 40, CUT)
    assert bench.drain() == [(40 * MS, FRAME)]
    assert bench.counters.cut == 40


def test_a_shorter_delay_does_not_let_a_frame_overtake(bench):
    bench.be(delay_ns=40 * MS)
    bench.path.admit(FRAME, 0)
    bench.be(delay_ns=10 * MS)
    assert bench.path.admit(SUPER, 1)[0] == 40 * MS
    assert [frame for _, frame in bench.drain()] == [FRAME, SUPER]
    assert bench.path.admit(FRAME, 35 * MS)[0] == 45 * MS


def test_jitter_keeps_order_stays_in_bounds_and_is_not_biased(bench):
    """20 +- 5 ms: nothing below 15 or above 25, mean about 20, nothing held back by order."""
    bench.be(delay_ns=20 * MS, jitter_ns=5 * MS)
    entered = [i * MS // 2 for i in range(8000)]
    delays = [bench.path.admit(FRAME, t)[0] - t for t in entered]
    dues = [due for due, _ in bench.drain()]
    assert dues == sorted(dues)
    assert min(delays) >= 15 * MS
    assert max(delays) <= 25 * MS
    assert statistics.mean(delays) == pytest.approx(20 * MS, rel=0.03)
    assert max(delays) - min(delays) > 9 * MS


def test_jitter_never_falls_faster_than_time_runs_also_after_silence():
    wander, source = Wander(random.Random(5)), random.Random(6)
    now, last = 0, 0
    for _ in range(5000):
        now += source.choice([1000, MS, 30 * MS, 200 * MS])
        due = now + wander.at(now, 5 * MS, UNIFORM)
        assert due >= last
        last = due


def test_a_jitter_larger_than_the_delay_never_sends_into_the_past(bench):
    bench.be(delay_ns=MS, jitter_ns=5 * MS)
    assert all(bench.path.admit(FRAME, t * MS)[0] >= t * MS for t in range(1, 500))


def test_the_same_seed_draws_the_same_losses(bench):
    again = Bench()
    for one in (bench, again):
        one.be(loss=0.5)
    fates = [[one.path.admit(FRAME, t)[0] for t in range(200)] for one in (bench, again)]
    assert fates[0] == fates[1]
    again.table.close()


def test_loss_takes_single_segments_out_of_super_frames(bench):
    """A tenth of the segments is lost, in runs as independent draws give them; all others arrive
    in order in valid frames."""
    bench.be(loss=0.1)
    for now in range(100):
        bench.path.admit(SUPER, now)
    arrived = [segment.payload for _, frame in bench.drain() for segment in receive(frame)]
    assert len(arrived) == 4000 - bench.counters.loss
    assert bench.counters.loss == pytest.approx(400, abs=80)  # 4 standard deviations
    sent = iter([BODY[i : i + 1000] for i in range(0, len(BODY), 1000)] * 100)
    assert all(payload in sent for payload in arrived), "an ordered part of what was sent"


def test_the_fates_are_those_of_the_first_and_the_last_segment(bench):
    bench.be(loss=0.5)
    seen = set()
    for now in range(1, 50):
        fates = bench.path.admit(SUPER, now)[:2]
        found = [segment for _, frame in bench.drain() for segment in receive(frame)]
        assert (fates[0] == now) == (found[0].payload == BODY[:1000])
        assert (fates[1] == now) == bool(found[-1].flags & FIN)
        seen |= set(fates) - {now}
    assert seen == {LOSS}


def test_certain_loss_loses_everything(bench):
    bench.be(loss=1.0)
    assert bench.path.admit(SUPER, 0) == (LOSS, LOSS, 40, 40, LOSS)
    assert bench.path.admit(ethernet(0x0806, bytes(46)), 0)[:2] == (LOSS, LOSS)
    assert bench.drain() == []


def test_a_rate_spaces_frames_by_their_bytes(bench):
    """1000 bytes at 8 Mbit/s take 1 ms; the delay comes on top; a pause is not saved up."""
    bench.be(delay_ns=10 * MS, rate_bps=8_000_000)
    assert [bench.path.admit(FRAME, 0)[0] for _ in range(3)] == [11 * MS, 12 * MS, 13 * MS]
    assert bench.path.admit(FRAME, 50 * MS)[0] == 61 * MS


def test_a_super_frame_leaves_a_slow_path_in_short_bursts(bench):
    """At 100 Mbit/s no burst is longer than 1 ms, and the last bit is out when it should be."""
    bench.be(rate_bps=100_000_000)
    bench.path.admit(SUPER, 0)
    sent = bench.drain()
    assert all(len(receive(frame)) * 1054 * 80 <= MS for _, frame in sent)
    assert sent[-1][0] == pytest.approx(40 * 1054 * 80, abs=10)
    assert b"".join(s.payload for _, frame in sent for s in receive(frame)) == BODY


def test_what_would_wait_too_long_is_dropped(bench):
    """A queue of 5 ms at 1 ms a frame: one on its way out, five behind it."""
    bench.be(rate_bps=8_000_000, queue_ns=5 * MS)
    fates = [bench.path.admit(FRAME, 0)[0] for _ in range(10)]
    assert fates == [1 * MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS, 6 * MS, *[QUEUE] * 4]
    assert bench.counters.queue == 4
    assert bench.path.admit(FRAME, 3 * MS)[0] == 7 * MS


def test_a_rate_that_is_lifted_keeps_order(bench):
    bench.be(rate_bps=8_000_000, jitter_ns=MS)
    for _ in range(20):
        bench.path.admit(FRAME, 0)
    bench.be(jitter_ns=MS)
    for now in range(1, 50):
        bench.path.admit(SUPER, now * MS)
    dues = [due for due, _ in bench.drain()]
    assert dues == sorted(dues)


def test_memory_is_bounded_and_what_finds_none_is_overload(bench):
    bench.be(delay_ns=1000 * MS)
    bench.agenda.limit = 100_000
    fates = [bench.path.admit(SUPER, now)[0] for now in range(5)]
    assert fates[:2] == [1000 * MS, 1000 * MS + 1]
    assert fates[2:] == [OVERLOAD] * 3
    assert bench.counters.overload == 3 * 40
    bench.drain()
    assert bench.agenda.held == 0
    assert bench.path.admit(SUPER, 6)[0] == 1000 * MS + 6


def test_paths_share_one_order_of_due_times():
    """Frames leave by due time over all paths, and in order on each."""
    agenda, source = Agenda(10_000_000), random.Random(4)
    expected = []
    for number in range(5):
        due = 0
        for i in range(50):
            due += source.randrange(1000)
            expected.append((due, number, bytes([number, i])))
            assert agenda.hold(number, due, bytes([number, i])) == due
    found = [agenda.pop() for _ in expected]
    assert [due for due, _, _ in found] == sorted(due for due, _, _ in expected)
    for number in range(5):
        assert [f for f in found if f[1] == number] == [e for e in expected if e[1] == number]


def checked(packet: Any) -> bool:
    """Whether the header checksum is right, by another program's reckoning."""
    again = dpkt.ip.IP(bytes(packet))
    said, again.sum = again.sum, 0
    return bool(dpkt.ip.IP(bytes(again)).sum == said)


def arrived(bench: Bench) -> list[Segment]:
    return [segment for _, frame in bench.drain() for segment in receive(frame)]


def test_losses_come_in_bursts_of_the_length_that_was_set(bench):
    """2 % in all, 8 segments a burst, also inside super-frames (Gilbert's model)."""
    bench.be(**bursts(0.02, 8))
    lost, lengths, run = 0, [], 0
    for now in range(2500):
        bench.path.admit(SUPER, now)
        indices = {BODY.index(s.payload) // 1000 for s in arrived(bench)}
        for index in range(40):
            if index in indices and run:
                lengths.append(run)
            run = 0 if index in indices else run + 1
            lost += index not in indices
    assert lost / 100_000 == pytest.approx(0.02, rel=0.25)  # 4 standard deviations of 250 bursts
    assert statistics.mean(lengths) == pytest.approx(8, rel=0.2)


def test_a_bad_state_loses_its_share_and_the_good_one_its_own(bench):
    bench.be(loss=0.01, burst_enter=0.01, burst_leave=0.04, burst_loss=0.5)
    expected = Impairment(0, loss=0.01, burst_enter=0.01, burst_leave=0.04, burst_loss=0.5)
    assert expected.mean_loss == pytest.approx(0.8 * 0.01 + 0.2 * 0.5)
    for now in range(2500):
        bench.path.admit(SUPER, now)
    assert bench.counters.loss / 100_000 == pytest.approx(expected.mean_loss, rel=0.1)


def test_duplicates_arrive_twice_right_behind_each_other(bench):
    bench.be(duplicate=0.1)
    for now in range(100):
        bench.path.admit(SUPER, now)
    payloads = [segment.payload for segment in arrived(bench)]
    twice = sum(a == b for a, b in itertools.pairwise(payloads))
    assert len(payloads) == 4000 + bench.counters.duplicated
    assert twice == bench.counters.duplicated == pytest.approx(400, abs=80)


@pytest.mark.parametrize(
    "frame", [SUPER, FRAME, udp(b"x" * 500), tcp(ACK, b"y" * 3000, gso=1000, ends=CLIENT6)]
)
def test_a_corrupted_segment_has_one_bit_wrong_and_a_checksum_that_tells(bench, frame):
    """The receiving kernel must notice: nobody vouches for its checksum any more."""
    bench.be(corrupt=1.0)
    bench.path.admit(frame, 1)
    pieces = [piece for _, piece in bench.drain()]
    shape = layout(frame)
    whole = [cut(frame, shape, i, i + 1) for i in range(shape.segments)] if shape else [frame]
    assert len(pieces) == len(whole) == bench.counters.corrupted
    for piece, sent in zip(pieces, whole, strict=True):
        assert piece[:10] == bytes(10)
        flipped = int.from_bytes(piece) ^ int.from_bytes(summed(sent))
        assert flipped.bit_count() == 1
        assert piece[10:24] == sent[10:24]


def test_reordered_segments_overtake_those_that_wait(bench):
    """They leave at once, the others after the delay, in order."""
    bench.be(delay_ns=40 * MS, reorder=0.05)
    dues: dict[int, int] = {}
    for now in range(1, 501):
        bench.path.admit(SUPER, now * 1000)
    for due, frame in bench.drain():
        for _ in receive(frame):
            dues[due] = dues.get(due, 0) + 1
    early = sum(count for due, count in dues.items() if due <= 500_000)
    assert early == bench.counters.reordered == pytest.approx(1000, abs=130)
    assert sum(dues.values()) == 20_000


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("uniform", 0.1), ("normal", 0.12), ("pareto", 0.3)]
)
def test_a_jitter_has_the_spread_of_its_distribution(bench, kind, tolerance):
    """Mean: the delay; standard deviation: what was set, of `uniform` a cube root of 3 less; a
    little of it is lost on the way from one value to the next. In order throughout."""
    bench.be(delay_ns=50 * MS, jitter_ns=2 * MS, distribution=kind)
    entered = [2 * i * MS for i in range(40_000)]
    delays = [bench.path.admit(FRAME, t)[0] - t for t in entered]
    dues = [due for due, _ in bench.drain()]
    assert dues == sorted(dues)
    wanted = 2 * MS / (3**0.5 if kind == "uniform" else 1)
    assert statistics.mean(delays) == pytest.approx(50 * MS, rel=0.01)
    assert statistics.pstdev(delays) == pytest.approx(wanted, rel=tolerance)


def test_a_queue_of_bytes_holds_so_many(bench):
    """4000 bytes: one frame on its way out, three behind it, and no fifth."""
    bench.be(rate_bps=8_000_000, queue_bytes=4000)
    fates = [bench.path.admit(FRAME, 0)[0] for _ in range(6)]
    assert fates == [MS, 2 * MS, 3 * MS, 4 * MS, QUEUE, QUEUE]
    assert bench.counters.free_at_ns == 4 * MS


@pytest.mark.parametrize(("aqm", "low", "high"), [("", 400, 510), ("codel", 2, 40)])
def test_codel_keeps_a_standing_queue_near_its_target(bench, aqm, low, high):
    """A load of 105 %: without it the wait only grows, CoDel drops until it is near 5 ms; a burst
    passes whole."""
    bench.be(rate_bps=8_000_000, aqm=aqm)
    for number in range(20):
        assert bench.path.admit(FRAME, number)[0] > 0, "a burst of 20 ms is let through"
    waits = []
    for number in range(10_000):
        now = NS_PER_S + number * MS * 95 // 100
        fate = bench.path.admit(FRAME, now)[0]
        waits += [fate - now] if fate > 0 and number > 8_000 else []
    assert low < statistics.median(waits) / MS < high


def test_what_is_too_big_is_refused_as_a_router_does(bench):
    """Dropped, counted, and the sender is told the size, over the path back with its delay."""
    bench.be(delay_ns=40 * MS, mtu=1000)
    bench.table.set(2, 1, Impairment(delay_ns=30 * MS))
    small = tcp(ACK, bytes(900))
    assert bench.path.admit(small, 5)[0] == 40 * MS + 5
    assert bench.path.admit(SUPER, 7) == (TOO_BIG, TOO_BIG, 40, 40, TOO_BIG)
    (due, answer), (_, passed) = bench.drain()
    assert passed == small
    assert due == 30 * MS + 7
    packet = dpkt.ethernet.Ethernet(answer[10:])
    assert (packet.dst, packet.src) == (SUPER[16:22], SUPER[10:16])
    assert (packet.data.dst, packet.data.src) == (SUPER[36:40], SUPER[40:44])
    assert (packet.data.data.type, packet.data.data.code) == (3, 4)
    assert packet.data.data.data.mtu == 1000
    assert checked(packet.data)
    assert bench.counters.mtu == 40


def test_ipv6_is_told_too_and_never_split(bench):
    bench.be(mtu=1300)
    bench.table.set(2, 1, Impairment(delay_ns=0))
    assert bench.path.admit(tcp(ACK, bytes(1400), ends=CLIENT6), 7)[0] == TOO_BIG
    ((_, answer),) = bench.drain()
    packet = dpkt.ethernet.Ethernet(answer[10:])
    assert (packet.data.data.type, packet.data.nxt) == (2, 58)
    assert int.from_bytes(bytes(packet.data.data)[4:8]) == 1300


def test_a_datagram_that_may_be_split_arrives_in_fragments(bench):
    """No DF: pieces of the size that fits, put together again with the right checksum."""
    bench.be(mtu=600)
    payload = random.Random(3).randbytes(1400)
    frame = bytearray(summed(udp(payload, ends=CLIENT)))
    frame[30] = 0  # no DF
    frame[34:36] = b"\0\0"
    packet = dpkt.ip.IP(bytes(frame[24:]))
    packet.sum = 0
    bench.path.admit(bytes(frame[:24]) + bytes(packet), 1)
    pieces = [dpkt.ip.IP(piece[24:]) for _, piece in bench.drain()]
    assert [len(bytes(piece)) <= 600 for piece in pieces] == [True] * 3
    assert [bool(piece.mf) for piece in pieces] == [True, True, False]
    assert all(checked(piece) for piece in pieces)
    whole = b"".join(bytes(p)[20:] for p in sorted(pieces, key=lambda p: p.offset))
    assert whole == bytes(packet)[20:]
