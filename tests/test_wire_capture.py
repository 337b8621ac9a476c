"""The capture ring: both ends, in one process, over a file that is mapped twice."""

import random

import pytest

from emulator.node.wan.capture import RING, Capture, Captured, Reader

PATH = 1 * 64 + 2
OTHER = 2 * 64 + 1
SECOND = 1_000_000_000
ALL = 1 << 18


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "ring")


@pytest.fixture
def ring(place):
    capture = Capture.create(place)
    yield capture
    capture.close()


def frame(size: int, fill: int = 7) -> bytes:
    return bytes(10) + bytes([fill]) * size


def put(ring: Capture, data: bytes, number: int = PATH, t: int = 5) -> None:
    ring.add(data, t, t + 40, t + 41, number, 3, 1, 2)


def everything(reader: Reader) -> list[Captured]:
    return [record for part in iter(reader.read, []) for record in part]


def test_a_frame_comes_out_as_it_went_in(ring, place):
    """Every field, the virtio header and the frame are handed over unchanged."""
    reader = Reader(place, [PATH], ALL, 0)
    vnet = bytes(range(10))
    ring.add(vnet + b"frame", 5, 45, -2, PATH, 3, 1, 2)
    (record,) = reader.read()
    assert record == (0, 5, 45, -2, PATH, 3, 1, 2, 5, vnet, b"frame")
    assert reader.read() == []
    assert (reader.lost, reader.behind) == (0, 0)


def test_nothing_is_wanted_until_somebody_listens(ring, place):
    """The wire asks two words; without a reader both say no."""
    assert not ring.is_on(0)
    reader = Reader(place, [PATH], ALL, 7 * SECOND)
    assert ring.is_on(8 * SECOND)
    assert (ring.wants(PATH), ring.wants(OTHER)) == (True, False)
    reader.close()
    assert not ring.is_on(7 * SECOND)
    assert not ring.wants(PATH)


def test_a_reader_that_dies_is_forgotten_after_two_seconds(ring, place):
    """What it wished stays in the ring, but without its renewal nobody obeys it."""
    reader = Reader(place, [PATH], ALL, 0)
    assert not ring.is_on(3 * SECOND)
    reader.renew(3 * SECOND)
    assert ring.is_on(4 * SECOND)


def test_long_frames_are_cut_to_the_snap_length_and_say_how_long_they_were(ring, place):
    """Only the captured bytes are kept; the original length is told."""
    reader = Reader(place, [PATH], 96, 0)
    put(ring, frame(1500))
    (record,) = reader.read()
    assert (len(record.frame), record.original) == (96, 1500)


def test_two_readers_get_what_each_asked_for(ring, place):
    """Paths add up, the longer snap length is kept in the ring, and neither ends the other's."""
    one, two = Reader(place, [PATH], 60, 0), Reader(place, [PATH, OTHER], 90, 0)
    put(ring, frame(200))
    put(ring, frame(200), OTHER)
    assert [len(r.frame) for r in one.read()] == [60]
    assert [len(r.frame) for r in two.read()] == [90, 90]
    two.close()
    assert (ring.wants(PATH), ring.wants(OTHER), ring.is_on(SECOND)) == (True, False, True)


def test_there_is_room_for_eight_readers(ring, place):
    """A ninth is refused in words; the place of one that ended is free again."""
    readers = [Reader(place, [PATH], ALL, 0) for _ in range(8)]
    with pytest.raises(OSError, match="8 captures run already"):
        Reader(place, [PATH], ALL, 0)
    readers[3].close()
    Reader(place, [PATH], ALL, 0).close()


def test_records_never_wrap(ring, place):
    """More than twice the ring's size in frames of every size comes out whole and in order."""
    reader = Reader(place, [PATH], ALL, 0)
    draw = random.Random(1)
    written = count = 0
    while written < 2.2 * RING:
        sizes = [draw.choice((0, 1, 54, 60, 1514, 9000, 65_000)) for _ in range(20)]
        for size in sizes:
            put(ring, frame(size, size % 251))
        records = everything(reader)
        assert [len(r.frame) for r in records] == sizes
        assert all(r.frame == bytes([len(r.frame) % 251]) * len(r.frame) for r in records)
        assert [r.seq for r in records] == list(range(count, count + len(sizes)))
        count += len(sizes)
        written += sum(sizes)
    assert reader.lost == 0


def test_an_overrun_reader_jumps_and_counts_what_it_lost(ring, place):
    """The writer does not wait; what was overwritten is counted by the records' numbers."""
    reader = Reader(place, [PATH], ALL, 0)
    put(ring, frame(60))
    assert len(reader.read()) == 1
    for _ in range(600):
        put(ring, frame(65_000))
    assert reader.read() == []
    put(ring, frame(61))
    (record,) = reader.read()
    assert len(record.frame) == 61
    assert reader.lost == 600


def test_a_wire_that_was_started_anew_loses_nothing(ring, place):
    """Its numbers begin again at 0; that is no loss of ours."""
    reader = Reader(place, [PATH], ALL, 0)
    for _ in range(9):
        put(ring, frame(60))
    reader.read()
    again = Capture.attach(place)
    put(again, frame(60))
    assert len(reader.read()) == 1
    assert reader.lost == 0
    again.close()


def test_a_ring_left_by_an_earlier_life_is_made_anew(ring, place):
    """A keeper that starts again begins with an empty ring, whatever lies there."""
    put(ring, frame(60))
    Capture.create(place).close()
    reader = Reader(place, [PATH], ALL, 0)
    assert reader.read() == []
