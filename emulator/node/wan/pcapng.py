"""pcapng, the part that a capture of packets needs (draft-ietf-opsawg-pcapng): blocks as bytes.

A file is one `section`, an `interface` for each path, a `packet` for each frame, and `statistics`
at the end. Instants are nanoseconds since 1970, as every interface here says of itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

Option = tuple[int, bytes]

_SECTION, _INTERFACE, _PACKET, _STATISTICS = 0x0A0D0D0A, 1, 6, 5
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_END_OF_OPTIONS = bytes(4)

# Options, by their block; a comment may stand in any.
_COMMENT = 1
_OS, _PROGRAM = 3, 4
_NAME, _DESCRIPTION, _RESOLUTION = 2, 3, 9
_FLAGS = 2
_START, _END, _RECEIVED, _LOST = 2, 3, 4, 5
_NANOSECONDS = b"\x09"
_PLAIN, _SIZE = struct.Struct("=IIIIIII"), struct.Struct("=I")
_TAIL = (b"", bytes(1), bytes(2), bytes(3))
_LOW = 0xFFFFFFFF
INBOUND, OUTBOUND = 1, 2  # of a packet, seen from where the capture looks


def section(comment: str, os: str, program: str) -> bytes:
    """What the capture is of, and who made it. First in every file."""
    head = struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1)  # version 1.0, of unknown length
    options = [
        (_COMMENT, comment.encode()),
        (_OS, os.encode()),
        (_PROGRAM, program.encode()),
    ]
    return _block(_SECTION, head, options)


def interface(name: str, description: str, snap: int) -> bytes:
    """Packets tell theirs by its number: the first is 0."""
    head = struct.pack("=HHI", _ETHERNET, 0, snap)
    options = [
        (_NAME, name.encode()),
        (_DESCRIPTION, description.encode()),
        (_RESOLUTION, _NANOSECONDS),
    ]
    return _block(_INTERFACE, head, options)


def packet(
    number: int, t: int, frame: bytes, original: int, *, comment: str = "", direction: int = 0
) -> bytes:
    """One frame from Ethernet on; `original`: how long it was before it was cut."""
    if not comment and not direction:  # nearly all: 100,000 a second
        size = len(frame)
        padding = -size % 4
        head = _PLAIN.pack(_PACKET, 32 + size + padding, number, t >> 32, t & _LOW, size, original)
        return head + frame + _TAIL[padding] + _SIZE.pack(32 + size + padding)
    head = struct.pack("=IIIII", number, t >> 32, t & _LOW, len(frame), original)
    options: list[Option] = []
    if comment:
        options.append((_COMMENT, comment.encode()))
    if direction:
        options.append((_FLAGS, struct.pack("=I", direction)))
    return _block(_PACKET, head + _padded(frame), options)


def statistics(number: int, began: int, ended: int, received: int, lost: int | None) -> bytes:
    """Of one interface, at the end. `lost`: not captured for want of time; None: unknown."""
    head = struct.pack("=III", number, ended >> 32, ended & 0xFFFFFFFF)
    options = [
        (_START, struct.pack("=II", began >> 32, began & 0xFFFFFFFF)),
        (_END, struct.pack("=II", ended >> 32, ended & 0xFFFFFFFF)),
        (_RECEIVED, struct.pack("=Q", received)),
    ]
    if lost is not None:
        options.append((_LOST, struct.pack("=Q", lost)))
    return _block(_STATISTICS, head, options)


def _block(kind: int, body: bytes, options: Iterable[Option]) -> bytes:
    told = b"".join(
        struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options if value
    )
    told += _END_OF_OPTIONS if told else b""
    size = 12 + len(body) + len(told)
    return struct.pack("=II", kind, size) + body + told + struct.pack("=I", size)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
