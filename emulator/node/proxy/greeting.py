"""What a client of a proxy asks for: SOCKS5 (RFC 1928) or HTTP (RFC 9110 and 9112), told apart by
the first byte. No sockets here."""

from __future__ import annotations

import ipaddress
import re
from enum import IntEnum
from typing import NamedTuple

_LONGEST_HEAD = 64 << 10
_SOCKS4, _SOCKS5 = 4, 5
_NO_PASSWORD, _NO_METHOD = 0, 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_REQUEST = re.compile(rb"([A-Za-z]+) (\S+) (HTTP/1\.[01])")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+))(?::(\d{1,5}))?")
_OURS = re.compile(rb"(?:proxy-[a-z-]+|connection|keep-alive)\s*:", re.IGNORECASE)


class Failure(IntEnum):
    """Why a connection could not be had; as SOCKS5 numbers its replies."""

    OTHER = 1
    NETWORK = 3
    NAME = 4  # "host unreachable"
    REFUSED = 5
    TIMEOUT = 6  # "TTL expired"
    COMMAND = 7
    ADDRESS = 8


_HTTP_STATUS = {Failure.TIMEOUT: "504 Gateway Timeout"}


class Wish(NamedTuple):
    """A connection that somebody wants."""

    host: str  # a name or an address
    port: int
    speaks: str  # socks5, connect or http
    first: bytes = b""  # goes to the other side before anything else

    @property
    def granted(self) -> bytes:
        """What is said to who asked, once it is there."""
        if self.speaks == "socks5":
            return _socks_reply(0)
        return b"HTTP/1.1 200 Connection established\r\n\r\n" if self.speaks == "connect" else b""

    def refused(self, why: Failure, words: str) -> bytes:
        """What is said where it cannot be had."""
        if self.speaks == "socks5":
            return _socks_reply(why)
        return _page(_HTTP_STATUS.get(why, "502 Bad Gateway"), words)


class Refused(Exception):
    """Nothing that we could do; `answer` is said to the client before it is left."""

    def __init__(self, answer: bytes, words: str) -> None:
        super().__init__(words)
        self.answer = answer


class Greeting:
    """One client's, as its bytes come."""

    def __init__(self) -> None:
        self._data = b""
        self._is_greeted = False  # SOCKS5's two steps

    def feed(self, data: bytes) -> tuple[bytes, Wish | None]:
        """What to answer at once, and the wish when it is known. Raises Refused."""
        self._data += data
        if self._data[0] == _SOCKS5:
            return self._socks()
        if self._data[0] == _SOCKS4:
            raise Refused(bytes([0, 0x5B, *bytes(6)]), "SOCKS4; use SOCKS5")
        return b"", self._http()

    def _socks(self) -> tuple[bytes, Wish | None]:
        if self._is_greeted:
            return b"", self._socks_request()
        if len(self._data) < 2 or len(self._data) < 2 + self._data[1]:
            return b"", None
        methods, self._data = self._data[2 : 2 + self._data[1]], self._data[2 + self._data[1] :]
        if _NO_PASSWORD not in methods:
            raise Refused(bytes([_SOCKS5, _NO_METHOD]), "SOCKS5 with a password; none is needed")
        self._is_greeted = True
        answer = bytes([_SOCKS5, _NO_PASSWORD])
        return answer, self._socks_request() if self._data else None

    def _socks_request(self) -> Wish | None:
        data = self._data
        if len(data) < 5:
            return None
        if data[1] != _CONNECT:
            raise Refused(_socks_reply(Failure.COMMAND), f"SOCKS5 command {data[1]}, not CONNECT")
        sizes = {_IPV4: 4, _IPV6: 16, _NAME: 1 + data[4]}
        if data[3] not in sizes:
            raise Refused(_socks_reply(Failure.ADDRESS), f"SOCKS5 address of type {data[3]}")
        end = 4 + sizes[data[3]]
        if len(data) < end + 2:
            return None
        raw = data[4:end]
        if data[3] == _NAME:
            host = raw[1:].decode("ascii", "replace")
        else:
            host = str(ipaddress.ip_address(raw))
        return Wish(host, int.from_bytes(data[end : end + 2]), "socks5", data[end + 2 :])

    def _http(self) -> Wish | None:
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            if len(head) > _LONGEST_HEAD:
                raise Refused(_page("431 Request Header Fields Too Large", ""), "an endless header")
            return None
        line, *fields = head.split(b"\r\n")
        request = _REQUEST.fullmatch(line)
        if request is None:
            raise Refused(_page("400 Bad Request", "neither SOCKS5 nor HTTP/1"), "neither SOCKS5"
                          " nor HTTP/1")  # fmt: skip
        method, target, version = request.groups()
        if method == b"CONNECT":
            return Wish(*_authority(target.decode("latin-1"), None), "connect", rest)
        authority, path = _absolute(target)
        kept = [field for field in fields if not _OURS.match(field)]
        # One request a connection: the next one may be for another host.
        lines = [b"%s %s %s" % (method, path, version), *kept, b"Connection: close", b"", b""]
        return Wish(*_authority(authority, 80), "http", b"\r\n".join(lines) + rest)


def _absolute(target: bytes) -> tuple[str, bytes]:
    """Authority and path of `http://authority/path`."""
    scheme, found, rest = target.partition(b"://")
    if not found:
        words = "this is a proxy: set it as one, and ask for the address that you mean"
        raise Refused(_page("400 Bad Request", words), "a request that is not for a proxy")
    if scheme.lower() != b"http":
        raise Refused(_page("400 Bad Request", "only http://; others by CONNECT"), "another scheme")
    end = min((at for at in map(rest.find, (b"/", b"?")) if at >= 0), default=len(rest))
    path = rest[end:]
    return rest[:end].decode("latin-1"), path if path.startswith(b"/") else b"/" + path


def _authority(text: str, port: int | None) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    number = int(found[3]) if found and found[3] else port
    if found is None or number is None or not 0 < number < 65536:
        raise Refused(_page("400 Bad Request", f"{text} is no host:port"), f"{text}: no host:port")
    return found[1] or found[2], number


def _socks_reply(code: int) -> bytes:
    """The address that we have there is not told: nobody uses it."""
    return bytes([_SOCKS5, code, 0, _IPV4, *bytes(6)])


def _page(status: str, words: str) -> bytes:
    body = f"netemu proxy: {words or status}\n".encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
