"""What enters and what leaves, put together: one record a telling frame."""

from __future__ import annotations

import pytest

from emulator.node.wan.records import Record, decode
from emulator.node.wan.sightings import PathNews, Sightings
from tests.frames import ACK, FIN, RST, SYN, tcp, udp

MS = 1_000_000
EAST, PARIS_SITE = 1, 3


class Seen:
    """Sightings of two sites, and the records they made."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.it = Sightings(lambda record, _now: self.records.extend(decode(record)))
        self.it.macs = {bytes.fromhex("020000000301"): PARIS_SITE}
        self.it.paths[EAST, PARIS_SITE] = PathNews(100 * MS, "loss")

    def whats(self) -> list[tuple[str, str]]:
        return [(record.what, record.dropped) for record in self.records]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_a_frame_that_left_has_both_instants(seen):
    """When it entered and when it left, and between which sites."""
    seen.it.enters(tcp(SYN), 5 * MS, EAST)
    assert not seen.records
    seen.it.leaves(tcp(SYN), 45 * MS)
    (record,) = seen.records
    assert (record.what, record.t, record.out) == ("syn", 5 * MS, 45 * MS)
    assert (record.source, record.target) == (EAST, PARIS_SITE)


def test_a_frame_that_did_not_leave_in_time_was_dropped(seen):
    """By what was set on its path when it entered."""
    seen.it.enters(tcp(SYN), 0, EAST)
    seen.it.paths[EAST, PARIS_SITE] = PathNews(100 * MS, "cut")
    seen.it.expire(99 * MS)
    assert not seen.records
    seen.it.expire(100 * MS)
    assert seen.whats() == [("syn", "loss")]
    assert seen.records[0].out is None
    seen.it.leaves(tcp(SYN), 200 * MS)
    assert len(seen.records) == 1


def test_equal_frames_are_told_apart_by_their_order(seen):
    """One sent again without a change: the first to enter is the first to leave."""
    for t in (0, 10 * MS):
        seen.it.enters(tcp(SYN), t, EAST)
    seen.it.leaves(tcp(SYN), 40 * MS)
    seen.it.expire(200 * MS)
    assert seen.whats() == [("syn", ""), ("syn-again", "loss")]
    assert seen.records[0].t == 0


def test_a_duplicate_is_not_told_twice(seen):
    """The copy leaves as well; nothing waits for it any more."""
    seen.it.enters(tcp(RST), 0, EAST)
    for t in (40 * MS, 41 * MS):
        seen.it.leaves(tcp(RST), t)
    assert len(seen.records) == 1


def test_what_tells_nothing_is_not_remembered(seen):
    """Data in the middle of a stream, and frames to nobody."""
    seen.it.enters(tcp(SYN), 0, EAST)
    seen.it.leaves(tcp(SYN), 1)
    seen.records.clear()
    seen.it.enters(tcp(ACK), 2, EAST)
    seen.it.enters(tcp(SYN, seq=9), 3, PARIS_SITE)
    seen.it.expire(10_000 * MS)
    assert not seen.records


def test_a_frame_may_tell_several_things(seen):
    """First data and the end at once: a record each, with the same instants."""
    seen.it.enters(tcp(SYN), 0, EAST)
    seen.it.leaves(tcp(SYN), 1)
    seen.it.enters(tcp(ACK | FIN, b"all", seq=1001), 2, EAST)
    seen.it.leaves(tcp(ACK | FIN, b"all", seq=1001), 42)
    assert [record.what for record in seen.records] == ["syn", "data", "fin"]
    assert {record.out for record in seen.records[1:]} == {42}


def test_what_was_missed_makes_the_waiting_doubtful(seen):
    """No claim that a frame was dropped when frames were not seen for want of time."""
    seen.it.enters(tcp(SYN), 0, EAST)
    seen.it.doubt(7, 50 * MS)
    seen.it.expire(10_000 * MS)
    (record,) = seen.records
    assert (record.what, record.missing) == ("lost", 8)


def test_dns_keeps_its_message(seen):
    """An answer by UDP, whole."""
    seen.it.enters(udp(b"not quite DNS"), 0, EAST)
    seen.it.leaves(udp(b"not quite DNS"), 9)
    (record,) = seen.records
    assert (record.what, record.payload) == ("dns", b"not quite DNS")
