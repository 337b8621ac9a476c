"""Records on their way to the keeper: in batches, never waiting for it, losses counted."""

from __future__ import annotations

import socket
from collections import deque

from emulator.node.wan.records import encode_lost

_BATCH = 32 << 10  # bytes of a message; well under the smallest default socket buffer
_BATCHES = 128  # 4 MB wait for a keeper that is busy, then records are lost
_PATIENCE_NS = 5_000_000  # a record waits no longer for others


class Outbox:
    """One non-blocking SOCK_SEQPACKET; every message holds whole records."""

    def __init__(self, channel: socket.socket) -> None:
        channel.settimeout(0)
        self.lost = 0
        self._channel = channel
        self._batch = bytearray()
        self._begun = 0  # when the batch got its first record
        self._full: deque[bytes] = deque()
        self._unsaid = 0  # lost, and the keeper was not told

    @property
    def waiting(self) -> bool:
        return bool(self._batch or self._full)

    def add(self, record: bytes, now: int) -> None:
        if len(self._full) >= _BATCHES:
            self.lost += 1
            self._unsaid += 1
            return
        if self._unsaid:
            self._batch += encode_lost(self._unsaid, now)
            self._unsaid = 0
        if not self._batch:
            self._begun = now
        self._batch += record
        if len(self._batch) >= _BATCH:
            self._close_batch()

    def flush(self, now: int) -> None:
        """Send what is full or has waited long enough."""
        if self._batch and now - self._begun >= _PATIENCE_NS:
            self._close_batch()
        while self._full:
            try:
                self._channel.send(self._full[0])
            except BlockingIOError:
                return
            except OSError:  # the keeper is gone; the control socket's end will stop us
                self._full.clear()
                return
            self._full.popleft()

    def _close_batch(self) -> None:
        self._full.append(bytes(self._batch))
        self._batch.clear()
