"""Queries, well-formed and not, and answers as dnspython reads them."""

from __future__ import annotations

import random
import struct
from typing import Any

import dns.edns
import dns.flags
import dns.message

from emulator.node.dns.authority import Authority
from emulator.node.dns.message import respond
from emulator.node.dns.values import Answered, Transport
from tests.dns.examples import NEW_YORK, authority

STATE = authority()


def query(name: str = "www.shop.test", qtype: str = "A", **options: Any) -> bytes:
    return dns.message.make_query(name, qtype, **options).to_wire()


def option(code: int, data: bytes) -> dns.edns.Option:
    """An EDNS option as it is, however wrong."""
    return dns.edns.GenericOption(dns.edns.OptionType.make(code), data)


def answer_to(
    data: bytes, state: Authority = STATE, source: str = NEW_YORK, transport: Transport = "udp"
) -> Answered:
    answered = respond(data, source, transport, state)
    assert answered is not None
    return answered


def ask(
    data: bytes, state: Authority = STATE, source: str = NEW_YORK, transport: Transport = "udp"
) -> dns.message.Message:
    """The answer, decoded by somebody else's code."""
    return dns.message.from_wire(answer_to(data, state, source, transport).data)


def addresses(message: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in message.answer for record in rrset]


def flags_of(message: dns.message.Message) -> set[str]:
    return set(dns.flags.to_text(message.flags).split())


def formerr_cases() -> dict[str, bytes]:
    """Messages that are no query, by what is wrong with them."""
    plain, edns = query(use_edns=False), query(use_edns=0)
    opt = edns[len(plain) :]
    counts = "!HHHH"
    return {
        "no question": plain[:4] + bytes(8),
        "no question but a record": plain[:4] + struct.pack(counts, 0, 0, 0, 1) + opt,
        "two questions": plain[:4] + struct.pack(counts, 2, 0, 0, 0) + plain[12:] * 2,
        "question cut": plain[:-3],
        "name cut": plain[:18],
        "pointer for a name": plain[:12] + b"\xc0\x0c" + plain[-4:],
        "label of 64 bytes": plain[:12] + b"\x40" + b"w" * 64 + plain[-19:],
        "name of 256 bytes": plain[:12] + b"\x02xx" + b"\x01x" * 121 + plain[16:],
        "reserved label type": plain[:12] + b"\x43www\x00" + plain[-4:],
        "name over 255": plain[:12] + b"\x3f" * 320 + b"\x00" + plain[-4:],
        "record promised": plain[:10] + b"\x00\x01" + plain[12:],
        "two OPT": edns[:10] + b"\x00\x02" + edns[12:] + opt,
        "OPT among answers": edns[:6] + b"\x00\x01\x00\x00\x00\x00" + edns[12:],
        "OPT not at the root": edns[:-11] + b"\x01x\x00" + opt[1:],
        "option cut": edns[:-2] + b"\x00\x03\x00\x0a\x00",
        "OPT data cut": edns[:-2] + b"\x00\x09",
        "bytes behind the end": edns + b"\x00",
    }


def mutate(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, and perhaps the end lost or a piece doubled."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    if dice.random() < 0.3:
        del changed[dice.randrange(len(changed)) :]
    elif dice.random() < 0.3:
        start = dice.randrange(len(changed))
        changed += changed[start:]
    return bytes(changed)
