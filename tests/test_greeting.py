"""What clients of the proxy say first, byte by byte and at once."""

from __future__ import annotations

import pytest

from emulator.node.proxy.greeting import Failure, Greeting, Refused, Wish

_HELLO = b"\x05\x01\x00"


def _wish(data: bytes, step: int) -> tuple[bytes, Wish]:
    """All answers, and the wish; given in pieces of `step` bytes."""
    greeting, answers, wish = Greeting(), b"", None
    for at in range(0, len(data), step):
        assert wish is None
        answer, wish = greeting.feed(data[at : at + step])
        answers += answer
    assert wish is not None
    return answers, wish


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("request_", "host"),
    [
        (b"\x05\x01\x00\x03\x0dwww.shop.test\x00\x50", "www.shop.test"),
        (b"\x05\x01\x00\x01\xc6\x12\x01\x01\x00\x50", "198.18.1.1"),
        (b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50", "::1"),
    ],
)
def test_socks5_names_and_addresses(request_, host, step):
    """RFC 1928, 3 to 6."""
    answers, wish = _wish(_HELLO + request_, step)
    assert answers == b"\x05\x00"
    assert wish == Wish(host, 80, "socks5")
    assert wish.granted[:4] == b"\x05\x00\x00\x01"
    assert wish.refused(Failure.REFUSED, "refused")[:2] == b"\x05\x05"


def test_socks5_with_what_follows_at_once():
    """A client that does not wait loses nothing."""
    _, wish = _wish(_HELLO + b"\x05\x01\x00\x03\x01a\x00\x50GET /", 1000)
    assert wish.first == b"GET /"


@pytest.mark.parametrize("step", [1, 1000])
def test_connect_is_a_tunnel(step):
    """RFC 9110, 9.3.6; IPv6 in brackets."""
    _, wish = _wish(b"CONNECT www.shop.test:443 HTTP/1.1\r\nHost: x\r\n\r\n", step)
    assert wish == Wish("www.shop.test", 443, "connect")
    assert wish.granted == b"HTTP/1.1 200 Connection established\r\n\r\n"
    _, wish = _wish(b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", 1000)
    assert (wish.host, wish.port) == ("::1", 443)


@pytest.mark.parametrize(
    ("target", "host", "port", "path"),
    [
        (b"http://www.shop.test/a?b=c", "www.shop.test", 80, b"/a?b=c"),
        (b"HTTP://www.shop.test:8080", "www.shop.test", 8080, b"/"),
        (b"http://www.shop.test?q", "www.shop.test", 80, b"/?q"),
    ],
)
def test_a_plain_request_becomes_one_for_its_server(target, host, port, path):
    """RFC 9112, 3.2.2: origin form, without what is the proxy's, one request a connection."""
    fields = b"Host: www.shop.test\r\nProxy-Connection: keep-alive\r\nconnection: keep-alive\r\n"
    _, wish = _wish(b"POST " + target + b" HTTP/1.1\r\n" + fields + b"X: 1\r\n\r\nbody", 1000)
    assert (wish.host, wish.port, wish.speaks) == (host, port, "http")
    head = (
        b"POST " + path + b" HTTP/1.1\r\nHost: www.shop.test\r\nX: 1\r\nConnection: close\r\n\r\n"
    )
    assert wish.first == head + b"body"
    assert wish.granted == b""
    assert wish.refused(Failure.TIMEOUT, "www.shop.test: no").startswith(b"HTTP/1.1 504 ")
    assert b"www.shop.test: no" in wish.refused(Failure.NAME, "www.shop.test: no")


@pytest.mark.parametrize(
    ("data", "answer", "words"),
    [
        (b"\x05\x01\x02", b"\x05\xff", "password"),
        (_HELLO + b"\x05\x03\x00\x01" + bytes(6), b"\x05\x07", "command 3"),
        (_HELLO + b"\x05\x01\x00\x09" + bytes(6), b"\x05\x08", "type 9"),
        (b"\x04\x01\x00\x50", b"\x00\x5b", "SOCKS4"),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 ", "not for a proxy"),
        (b"GET ftp://a/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 ", "scheme"),
        (b"CONNECT a HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 ", "host:port"),
        (b"CONNECT a:99999 HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 ", "host:port"),
        (b"\x16\x03\x01\r\n\r\n", b"HTTP/1.1 400 ", "neither"),
        (b"GET http://a/ HTTP/1.1\r\nX: " + b"x" * 70_000, b"HTTP/1.1 431 ", "endless"),
    ],
)
def test_what_cannot_be_done_is_answered(data, answer, words):
    """In the client's own protocol, and said to us in words."""
    with pytest.raises(Refused, match=words) as refused:
        Greeting().feed(data)
    assert refused.value.answer.startswith(answer)
