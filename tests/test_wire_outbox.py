"""Records reach the keeper in batches; a keeper that does not read costs records, never time."""

from __future__ import annotations

import socket

import pytest

from emulator.node.wan.flows import LOST
from emulator.node.wan.outbox import Outbox
from emulator.node.wan.records import Record, decode, encode_lost

MS = 1_000_000
RECORD = encode_lost(0, 7)  # any record will do


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def read(theirs: socket.socket) -> list[list[Record]]:
    """The messages that are there, each as its records."""
    found = []
    while True:
        try:
            found.append(list(decode(theirs.recv(1 << 20))))
        except BlockingIOError:
            return found


def test_a_record_waits_a_little_for_others(channel):
    ours, theirs = channel
    outbox = Outbox(ours)
    outbox.add(RECORD, 0)
    outbox.add(RECORD, MS)
    outbox.flush(2 * MS)
    assert outbox.waiting
    assert read(theirs) == []
    outbox.flush(5 * MS)
    assert not outbox.waiting
    assert [len(message) for message in read(theirs)] == [2]


def test_what_a_slow_keeper_missed_is_told_in_its_place(channel):
    """Everything added is either read or counted by a `lost` record, in order."""
    ours, theirs = channel
    outbox = Outbox(ours)
    payload = RECORD * 200
    for _ in range(3000):
        outbox.add(payload, 0)
        outbox.flush(0)
    assert outbox.lost > 0
    messages = read(theirs)
    outbox.flush(9 * MS)
    outbox.add(RECORD, 10 * MS)
    for _ in range(100):
        outbox.flush(20 * MS)
        messages += read(theirs)
    records = [record for message in messages for record in message]
    told = [record.missing for record in records if record.missing]
    assert told == [outbox.lost]
    assert records[-2].missing == outbox.lost
    assert (len(records) - 2) // 200 + outbox.lost == 3000


def test_a_keeper_that_is_gone_hurts_nobody(channel):
    ours, theirs = channel
    theirs.close()
    outbox = Outbox(ours)
    outbox.add(RECORD, 0)
    outbox.flush(9 * MS)
    assert not outbox.waiting


def test_lost_is_a_record_of_its_own():
    assert [record.what for record in decode(encode_lost(3, 5))] == ["lost"]
    assert encode_lost(3, 5)[0] == LOST
