"""EDNS options: client subnets (RFC 7871), server identifiers (RFC 5001), cookies (RFC 7873)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2s
from ipaddress import IPv4Network, IPv6Network, ip_address

from emulator.node.dns.wire import OPT, Edns, MalformedError

UDP_SIZE = 1232  # bytes: fits IPv6's smallest MTU unfragmented (DNS flag day 2020)
SECRET_BYTES = 32  # the longest key that blake2s takes

NSID, CLIENT_SUBNET, COOKIE = 3, 8, 10

_SUBNET = struct.Struct("!HBB")  # family, source prefix length, scope prefix length
_FAMILY_BITS = {0: 0, 1: 32, 2: 128}  # 0, no family at all, can only say "do not use mine"
_OPT_RECORD = struct.Struct("!BHHBBHH")  # root, type, size, rcode's upper bits, version, flags, len
_DO = 0x8000


@dataclass(frozen=True, slots=True)
class ClientSubnet:
    """The network of the client that a resolver asks for. `prefix` 0: it is not to be used."""

    family: int
    prefix: int
    address: bytes  # as many as the prefix needs

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """Of a family that has addresses."""
        padded = self.address.ljust(_FAMILY_BITS[self.family] // 8, b"\x00")
        address = int.from_bytes(padded, "big")
        kind = IPv4Network if self.family == 1 else IPv6Network
        return kind((address, self.prefix))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query's options ask for."""

    subnet: ClientSubnet | None = None
    client_cookie: bytes = b""
    has_nsid: bool = False


def parse_options(options: Iterable[tuple[int, bytes]]) -> Asked:
    """Of an option that comes twice the first counts (RFC 7873, 5.2); unknown ones are passed
    over; an NSID's content is too (RFC 5001, 2.1). MalformedError for a subnet or a cookie that
    breaks its own rules."""
    first: dict[int, bytes] = {}
    for code, data in options:
        first.setdefault(code, data)
    if not first:
        return Asked()
    return Asked(
        subnet=_parse_subnet(first[CLIENT_SUBNET]) if CLIENT_SUBNET in first else None,
        client_cookie=_parse_cookie(first[COOKIE]) if COOKIE in first else b"",
        has_nsid=NSID in first,
    )


def _parse_subnet(data: bytes) -> ClientSubnet:
    """RFC 7871, 6: exactly the bytes that the prefix needs, zero behind it, scope 0."""
    if len(data) < _SUBNET.size:
        raise MalformedError("a client subnet ends too early")
    family, prefix, scope = _SUBNET.unpack_from(data)
    address = data[_SUBNET.size :]
    if scope or prefix > _FAMILY_BITS.get(family, -1) or len(address) != (prefix + 7) // 8:
        raise MalformedError("a client subnet's family, scope or lengths are wrong")
    if prefix % 8 and address[-1] & (0xFF >> prefix % 8):
        raise MalformedError("a client subnet has bits behind its prefix")
    return ClientSubnet(family, prefix, address)


def _parse_cookie(data: bytes) -> bytes:
    """The client's part. RFC 7873, 5.2.2: 8 bytes of it alone, or 8 to 32 of the server's too."""
    if len(data) != 8 and not 16 <= len(data) <= 40:
        raise MalformedError(f"a cookie of {len(data)} bytes")
    return data[:8]


def encode_subnet(subnet: ClientSubnet, scope: int) -> tuple[int, bytes]:
    """The query's subnet back, with the prefix length that the answer holds for."""
    head = _SUBNET.pack(subnet.family, subnet.prefix, scope)
    return CLIENT_SUBNET, head + subnet.address


def encode_cookie(client: bytes, source: str, secret: bytes, now_s: float) -> tuple[int, bytes]:
    """The client's cookie with a fresh one of ours, in the layout of RFC 9018, 4: version, three
    reserved bytes, the time, a hash. The hash is keyed BLAKE2s, not SipHash: nobody but the server
    that made it can read it in either case, and none of ours share a secret."""
    head = struct.pack("!B3xI", 1, int(now_s) & 0xFFFFFFFF)
    hashed = client + head + ip_address(source).packed
    return COOKIE, client + head + blake2s(hashed, key=secret, digest_size=8).digest()


def encode_opt(edns: Edns, rcode: int, options: Iterable[tuple[int, bytes]]) -> bytes:
    """Our OPT record: version 0, our size, DO as it came (RFC 3225), all other flags clear."""
    data = b"".join(struct.pack("!HH", code, len(value)) + value for code, value in options)
    flags = _DO if edns.dnssec_ok else 0
    return _OPT_RECORD.pack(0, OPT, UDP_SIZE, rcode >> 4, 0, flags, len(data)) + data
