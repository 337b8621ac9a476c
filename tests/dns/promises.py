"""What holds for the answer to any bytes at all, asserted; and messages to try it on."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from emulator.node.dns.authority import Authority
from emulator.node.dns.message import respond
from emulator.node.dns.values import Answered, Transport
from tests.dns.examples import NEW_YORK, PARIS, authority, service_json
from tests.dns.messages import formerr_cases, mutate

SOURCES = (NEW_YORK, PARIS, "192.0.2.9", "2001:db8::9", "::ffff:10.4.0.1", "fe80::1%eth0")
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp")
RCODES = {"NOERROR", "FORMERR", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"}

_QR, _OPCODE, _AA, _TC, _RD, _CD = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0010
# dnspython reads no client subnet of family 0, which dig sends and we give back: an unknown option
_NO_FAMILY, _UNKNOWN = bytes.fromhex("0008000400000000"), bytes.fromhex("fde9000400000000")


def check_answer(
    data: bytes, source: str, transport: Transport, state: Authority
) -> Answered | None:
    """The answer, after everything that every answer promises was asserted of it."""
    answered = respond(data, source, transport, state)
    if answered is None:
        assert len(data) < 12 or data[2] & 0x80
        return None
    answer = answered.data
    message = _decode(answer)
    _check_header(data, answer, answered)
    if transport == "tcp":
        assert not answered.facts.is_truncated
    else:
        _check_size(data, answer, message)
    _check_sections(data, answer, message)
    if answered.is_fixed:
        again = respond(b"\xab\xcd" + data[2:], source, transport, state)
        assert again == Answered(b"\xab\xcd" + answer[2:], answered.facts, is_fixed=True)
    return answered


def _decode(answer: bytes) -> dns.message.Message:
    """By dnspython. It reads UPDATE's sections by rules of their own, so we show it no opcode."""
    as_query = bytes([*answer[:2], answer[2] & 0x87]) + answer[3:]
    return dns.message.from_wire(as_query.replace(_NO_FAMILY, _UNKNOWN))


def _check_header(data: bytes, answer: bytes, answered: Answered) -> None:
    assert answer[:2] == data[:2]
    asked, flags = struct.unpack("!H", data[2:4])[0], struct.unpack("!H", answer[2:4])[0]
    kept = _OPCODE | _RD | _CD
    assert flags & ~(_AA | _TC | 0xF) == _QR | asked & kept
    assert answered.facts.rcode in RCODES
    assert bool(flags & _TC) == answered.facts.is_truncated


def _check_size(data: bytes, answer: bytes, message: dns.message.Message) -> None:
    """At most what the query's OPT has room for, as dnspython reads it. It reads the data of all
    records and options, we only those that we act on: it may stumble where we need not."""
    if len(answer) > 512:
        asked = dns.message.from_wire(data.replace(_NO_FAMILY, _UNKNOWN), continue_on_error=True)
        assert message.edns == 0
        assert len(answer) <= (min(asked.payload, 1232) if asked.edns == 0 else 1232)


def _check_sections(data: bytes, answer: bytes, message: dns.message.Message) -> None:
    """The question is the query's, byte for byte. Without an answer there is a SOA, or no claim
    of authority, or TC; and errors carry no records."""
    if message.question:
        assert len(message.question) == 1
        end = data.index(b"\x00", 12) if data[12] == 0 else _end_of_name(data)
        assert answer[12 : end + 5] == data[12 : end + 5]
    is_authoritative = bool(message.flags & dns.flags.AA)
    rcode = message.rcode()
    assert is_authoritative == (
        rcode == dns.rcode.NXDOMAIN or (rcode == dns.rcode.NOERROR and bool(message.question))
    )
    kinds = [rrset.rdtype for rrset in message.authority]
    is_negative = is_authoritative and not message.answer and not message.flags & dns.flags.TC
    assert kinds == ([dns.rdatatype.SOA] if is_negative else [])
    assert not (message.answer and not is_authoritative)


def _end_of_name(data: bytes) -> int:
    """Where the root label of the first name stands."""
    offset = 12
    while data[offset]:
        offset += 1 + data[offset]
    return offset


def states() -> Sequence[Authority]:
    """One authority of every kind: fixed and drawn answers, small, huge, none at all."""
    members = ["us-east", "eu-west"]
    weighted = {"kind": "weighted", "members": members, "weights": [1, 3]}
    sticky = {"kind": "sticky", "members": members, "weights": [1, 3]}
    huge = {
        f"r{n}": {"address": f"198.18.{n}.1", "address6": f"2001:db8::{n}", "health": ["::1", 1]}
        for n in range(74)  # 1232 bytes hold them, but not an EDNS option beside them
    }
    down = tuple(members)
    clock = count(1)  # what has the time in it is not the same twice
    kinds = (
        authority(),
        authority(service_json(fqdns=["www.shop.test", "shop.test"], policy=weighted)),
        authority(service_json(policy=sticky), name_servers={"ns1": ["192.0.2.1", "2001:db8::1"]}),
        authority(service_json(regions=huge), down=tuple(huge)),
        authority(service_json(all_down="refuse"), down=down),
        authority(service_json(all_down="empty", ecs=False), down=down),
    )
    return [replace(state, now_s=clock.__next__) for state in kinds]


NAMES = (
    "www.shop.test", "shop.test", "ns1.shop.test", "eu.shop.test", "api.eu.shop.test",
    "x.shop.test", "test", "", "example.com", "id.server", "version.bind",
)  # fmt: skip
_WEIGHTS = (8, 3, 2, 1, 2, 2, 1, 1, 1, 1, 1)  # mostly what somebody would ask for
_TYPES = (1, 1, 1, 1, 1, 1, 1, 28, 28, 28, 255, 2, 6, 16, 5, 12, 15, 41, 251, 252, 0, 666, 65535)
_CLASSES = (1,) * 24 + (3, 3, 254, 255, 0)
_OPTIONS = (
    (3, b""), (3, b"ns"), (8, b"\x00\x01\x18\x00\x0a\x04\x00"), (8, bytes(4)),
    (8, b"\x00\x01\x00\x00"), (8, b"\x00\x02\x38\x00\x20\x01\x0d\xb8\x00\x00\x00"),
    (8, b"\x00\x01\x14\x00\x0a\x04\x1f"), (10, b"8 bytes."), (10, b"8 bytes." * 3),
    (10, b"9 bytes.."), (100, b""), (65001, b"x" * 40), (12, bytes(100)),
)  # fmt: skip


def encode_name(labels: Sequence[bytes]) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\x00"


def encode_query(
    name: bytes, kind: tuple[int, int] = (1, 1), opt: bytes = b"", flags: int = 0x0100
) -> bytes:
    """A query with the id 0x1234, written by hand."""
    counts = struct.pack("!6H", 0x1234, flags, 1, 0, 0, 1 if opt else 0)
    return counts + name + struct.pack("!HH", *kind) + opt


def encode_opt(
    options: Sequence[tuple[int, bytes]], size: int = 1232, version: int = 0, flags: int = 0
) -> bytes:
    data = b"".join(struct.pack("!HH", code, len(value)) + value for code, value in options)
    return struct.pack("!BHHBBHH", 0, 41, size, 0, version, flags, len(data)) + data


def make_query(dice: random.Random) -> bytes:
    """A query that may well be asked, sometimes strangely."""
    (asked,) = dice.choices(NAMES, _WEIGHTS)
    labels = [label.encode() for label in asked.split(".") if label]
    name = encode_name(labels)
    if dice.random() < 0.3:
        name = bytes(byte ^ 0x20 if 0x41 <= byte & 0xDF <= 0x5A and dice.random() < 0.5 else byte
                     for byte in name)  # fmt: skip
    opt = b""
    if dice.random() < 0.7:
        options = dice.sample(_OPTIONS, dice.choice((0, 0, 1, 1, 2, 3)))
        version = dice.choice((0,) * 20 + (1, 255))
        size = dice.choice((0, 512, 700, 1232, 4096, 65535))
        opt = encode_opt(options, size, version, dice.choice((0, 0x8000, 0xFFFF)))
    opcode = dice.choice((0,) * 60 + (2, 4, 5, 6, 15))
    flags = opcode << 11 | dice.choice((0, 0x0100, 0x0110, 0x07F0))
    return encode_query(name, (dice.choice(_TYPES), dice.choice(_CLASSES)), opt, flags)


def make_message(dice: random.Random) -> bytes:
    """A query, often one that was damaged on its way, or bytes of no sense at all."""
    chance = dice.random()
    if chance < 0.45:
        return make_query(dice)
    if chance < 0.85:
        return mutate(make_query(dice), dice)
    if chance < 0.95:
        return mutate(dice.choice(list(formerr_cases().values())), dice)
    return dice.randbytes(dice.randrange(600))
