"""Many byte streams over one: what `netemu proxy` and its program in the lab speak.

A frame is a channel's number (4 bytes, big endian; 0 is the link itself), a kind (1), a value (4),
and of DATA and NOTE so many bytes. An end may send WINDOW bytes of a channel before the other end
says that its reader took some (CREDIT), so that one slow reader neither fills the memory nor holds
up the others. END is a half-close, RESET an abort, as TCP's FIN and RST.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any

WINDOW = 256 << 10  # bytes; at 1 ms there and back it lets 2 Gbit/s through
_HEAD = struct.Struct(">IBI")
_NO_LINGER = struct.pack("ii", 1, 0)  # close says RST and not FIN (socket(7))


class Kind(IntEnum):
    """Of frames."""

    OPEN = 0
    DATA = 1
    END = 2
    RESET = 3
    CREDIT = 4
    NOTE = 5


def _nothing(*_: object) -> None:
    pass


class Link:
    """One end. `send` takes bytes for the other end, which gives what it gets to its `feed`.
    `accept` is called with each channel that the other end opens, `note` with what it notes."""

    def __init__(
        self,
        send: Callable[[bytes], object],
        accept: Callable[[Channel], object] = _nothing,
        note: Callable[[bytes], object] = _nothing,
    ) -> None:
        self._send = send
        self._accept = accept
        self._note = note
        self._channels: dict[int, Channel] = {}
        self._unread = bytearray()
        self._opened = 0

    def __len__(self) -> int:
        """How many channels are open."""
        return len(self._channels)

    def open(self) -> Channel:
        """A new channel; only one end of a link may open any."""
        self._opened += 1
        self.send(self._opened, Kind.OPEN)
        return self._channel(self._opened)

    def note(self, text: bytes) -> None:
        """Something that belongs to no channel."""
        self.send(0, Kind.NOTE, len(text), text)

    def send(self, number: int, kind: Kind, value: int = 0, data: bytes = b"") -> None:
        self._send(_HEAD.pack(number, kind, value) + data)

    def feed(self, data: bytes) -> None:
        """What the other end sent, in pieces of any size. Raises ValueError for what it cannot
        have sent."""
        self._unread += data
        unread, at = self._unread, 0
        self._unread = bytearray()  # a callback may not find it half read
        try:
            while len(unread) - at >= _HEAD.size:
                number, kind, value = _HEAD.unpack_from(unread, at)
                size = value if kind in {Kind.DATA, Kind.NOTE} else 0
                begin = at + _HEAD.size
                if len(unread) < begin + size:
                    break
                at = begin + size
                self._handle(number, Kind(kind), value, bytes(memoryview(unread)[begin:at]))
        finally:
            self._unread = unread[at:]

    def forget(self, number: int) -> None:
        self._channels.pop(number, None)

    def abort(self) -> None:
        """The other end is gone: so is every channel."""
        for channel in tuple(self._channels.values()):
            channel.was_reset()

    def _channel(self, number: int) -> Channel:
        channel = self._channels[number] = Channel(self, number)
        return channel

    def _handle(self, number: int, kind: Kind, value: int, data: bytes) -> None:
        if kind is Kind.NOTE:
            self._note(data)
        elif kind is Kind.OPEN:
            self._accept(self._channel(number))
        elif channel := self._channels.get(number):  # else it ended here while this was under way
            channel.handle(kind, value, data)


class Channel(asyncio.Protocol):
    """One stream, and the protocol of the socket that it is joined to. Until then `on_data` gets
    what comes, or it is kept for the socket where that is None; `on_gone` is told of an abort."""

    def __init__(self, link: Link, number: int) -> None:
        self._link = link
        self._number = number
        self._transport: Any = None
        self._kept = bytearray()
        self._room = WINDOW  # that may be sent
        self._taken = 0  # of what came; the other end does not know it yet
        self._is_full = False  # the socket's peer does not read
        self._has_ended = self._is_ended = False  # we said END; the other end did
        self.on_data: Callable[[bytes], object] | None = None
        self.on_gone: Callable[[], object] = _nothing

    def say(self, data: bytes) -> None:
        """To the other end."""
        self._room -= len(data)
        self._link.send(self._number, Kind.DATA, len(data), data)

    def finish(self, data: bytes = b"") -> None:
        """Say this as the last thing; what still comes is thrown away."""
        if data:
            self.say(data)
        self._end_here()
        self.on_data = _nothing
        self._end_if_both()

    def keep(self, data: bytes) -> None:
        """For the socket, before anything that comes from now on."""
        self._kept += data
        self.on_data = None

    def handle(self, kind: Kind, value: int, data: bytes) -> None:
        """A frame of this channel."""
        if kind is Kind.DATA:
            self._came(data)
        elif kind is Kind.CREDIT:
            self._room += value
            if self._transport and self._room > 0:
                self._transport.resume_reading()
        elif kind is Kind.END:
            self._is_ended = True
            self._write_eof()
            self._end_if_both()
        elif kind is Kind.RESET:
            self.was_reset()

    def was_reset(self) -> None:
        self._link.forget(self._number)
        self._has_ended = self._is_ended = True
        if self._transport:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()
        self.on_gone()

    # What asyncio tells of the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WINDOW)
        if self._kept:
            kept, self._kept = bytes(self._kept), bytearray()
            self._came(kept)
        if self._is_ended:
            self._write_eof()

    def data_received(self, data: bytes) -> None:
        self.say(data)
        if self._room <= 0:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Whether the socket stays open, for what is still to be written."""
        self._end_here()
        self._end_if_both()
        return True

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._tell_taken()

    def connection_lost(self, _: Exception | None) -> None:
        if not (self._has_ended and self._is_ended):
            self._link.send(self._number, Kind.RESET)
        self._link.forget(self._number)

    def _came(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)
        elif self.on_data:
            self.on_data(data)
        else:
            self._kept += data
            return
        self._taken += len(data)
        self._tell_taken()

    def _write_eof(self) -> None:
        if self._transport:
            with contextlib.suppress(OSError):  # it was reset; `connection_lost` is about to come
                self._transport.write_eof()

    def _tell_taken(self) -> None:
        if self._taken >= WINDOW // 4 and not self._is_full:
            self._link.send(self._number, Kind.CREDIT, self._taken)
            self._taken = 0

    def _end_here(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._link.send(self._number, Kind.END)

    def _end_if_both(self) -> None:
        if self._has_ended and self._is_ended:
            if self._transport:
                self._transport.close()  # once all is written
            else:
                self._link.forget(self._number)
