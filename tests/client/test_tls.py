"""HTTPS: the handshake is a part of the connect, whoever is asked is verified, all else stays."""

from __future__ import annotations

import json
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from emulator.events import Connection
from emulator.node.client.config import Config
from tests.capture import wait_until
from tests.client import servers
from tests.client.running import Running, config, running, takes_about
from tests.client.servers import Serve
from tests.client.test_schedule_kept import COUNT_GARBAGE

Start = Callable[..., Running]
AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
CLOSED = 7  # TCP_CLOSE; include/net/tcp_states.h


def tls(serve: Serve, name: str = "www.shop.test", signed_by: trustme.CA = AUTHORITY) -> Serve:
    """The same inside TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signed_by.issue_cert(name).configure_cert(context)

    def secured(conn: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(conn, server_side=True) as inner:
            serve(inner)

    return secured


@pytest.fixture
def root(tmp_path) -> Path:
    """Whom clients trust."""
    path: Path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def start(root, dns, tmp_path, stack) -> Start:
    """A client of a service that is tls."""

    def go(port: int, echo_port: int = 9, **kinds: float | Mapping[str, Any]) -> Running:
        settings = config(dns.port, port, echo_port, kinds)
        settings["service"]["root"] = str(root)
        client: Running = stack.enter_context(running(tmp_path, settings))
        return client

    return go


def test_an_answered_request_has_the_handshake_between_connect_and_write(start, serve):
    server = serve(servers.tcp_server(tls(servers.http())))
    request = start(server.port, http=50).requests(outcome="ok")[0]
    stamps = [
        request.lookup, request.connecting, request.connected, request.secured, request.sent,
        request.first, request.end,
    ]  # fmt: skip
    assert stamps == sorted(stamps)
    assert (request.region, request.server, request.closed_by) == ("us-east", "www-1", "")


def test_a_connection_serves_many_and_is_secured_once(start, serve):
    """Session tickets, which come unasked after the handshake, are no answer."""
    server = serve(servers.tcp_server(tls(servers.http())))
    run = start(server.port, keepalive={"rate": 4, "connections": 1})
    requests = run.requests(5)
    assert {(r.outcome, r.conn, r.secured) for r in requests} == {("ok", 1, None)}
    assert [c.phase for c in run.of(Connection)] == ["attempt", "open"]


@pytest.mark.parametrize(
    ("name", "signed_by"), [("www.shop.test", STRANGER), ("plain.shop.test", AUTHORITY)]
)
def test_who_cannot_prove_to_be_the_service_is_not_asked(start, serve, name, signed_by):
    """A certificate of another authority, and one of another name."""
    asked: list[socket.socket] = []
    server = serve(servers.tcp_server(tls(asked.append, name, signed_by)))
    request = start(server.port, http=50).requests()[0]
    found = (request.outcome, request.detail, request.closed_by)
    assert found == ("error", "certificate", "us")
    assert request.connected is not None
    assert (request.secured, request.sent, asked) == (None, None, [])


def test_a_handshake_that_hangs_ends_with_the_connects_patience(start, serve):
    """A stopped balancer's kernel still completes TCP's; one patience is for both."""
    request = start(serve(servers.mute_port()), http=50).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("timeout", "handshake", "us")
    assert request.connected is not None
    assert takes_about(0.3, request.end - request.connecting)


def test_silence_before_tcps_handshake_is_still_a_connects(start, serve):
    request = start(serve(servers.full_port()), http=50).requests()[0]
    assert (request.outcome, request.detail, request.connected) == ("timeout", "connect", None)


@pytest.mark.parametrize(
    ("behaviour", "detail", "closed_by"),
    [
        (servers.reset, "ECONNRESET", "peer-rst"),
        (servers.hang_up, "EOF", "peer-fin"),
        (servers.http(), "EPROTO", "us"),
    ],
)
def test_a_bad_end_of_the_handshake_is_told_as_ever(start, serve, behaviour, detail, closed_by):
    """RST, FIN, and a server that speaks plain HTTP."""

    def without_tls(conn: socket.socket) -> None:
        if behaviour in (servers.reset, servers.hang_up):
            behaviour(conn)
        else:
            conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            conn.recv(4096)

    request = start(serve(servers.tcp_server(without_tls)).port, http=50).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("error", detail, closed_by)
    assert request.secured is None


@pytest.mark.parametrize(
    ("behaviour", "detail", "closed_by"),
    [
        (servers.reset, "ECONNRESET", "peer-rst"),
        (servers.hang_up, "EOF", "peer-fin"),
        (servers.http(status=503), "503", ""),
    ],
)
def test_a_bad_end_inside_tls_is_told_as_ever(start, serve, behaviour, detail, closed_by):
    server = serve(servers.tcp_server(tls(behaviour)))
    request = start(server.port, http=50).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("error", detail, closed_by)
    assert request.secured is not None


@pytest.mark.parametrize("says_goodbye", [True, False])
def test_a_connection_closed_while_idle_costs_no_request(start, serve, says_goodbye):
    """With TLS's own word for it (close_notify) or without."""
    answer = servers.http()

    def once(conn: socket.socket) -> None:
        first = _Once(conn)
        answer(first)  # type: ignore[arg-type]
        assert isinstance(conn, ssl.SSLSocket)
        if says_goodbye:
            conn.unwrap()

    run = start(serve(servers.tcp_server(tls(once))).port, keepalive=20)
    assert {r.outcome for r in run.requests(5)} == {"ok"}
    assert run.connection(phase="close").closed_by == "peer-fin"


class _Once:
    """A connection whose client is heard once."""

    def __init__(self, conn: socket.socket) -> None:
        self._conn = conn
        self._is_over = False
        self.sendall = conn.sendall
        self.close = conn.close

    def recv(self, size: int) -> bytes:
        if self._is_over:
            return b""
        self._is_over = True
        return self._conn.recv(size)


def test_the_peers_goodbye_is_waited_for(start, serve):
    """It is data that comes after our FIN: to a closed socket the kernel would say RST."""
    ends: list[int] = []
    answer = servers.http()

    def polite(conn: socket.socket) -> None:
        answer(conn)  # until the client's FIN
        with socket.socket(fileno=conn.detach()) as raw:
            raw.sendall(b"as good as a close_notify")
            raw.shutdown(socket.SHUT_WR)
            wait_until(
                lambda: raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSED,
                "closed",
            )
            ends.append(raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    run = start(serve(servers.tcp_server(tls(polite))).port, http=20)
    run.until(lambda _: len(ends) >= 3, "three ends")
    assert ends[:3] == [0, 0, 0]


def test_a_peer_that_says_no_goodbye_is_not_waited_for_long(start, serve):
    """Our end of the connection is closed after a second all the same."""
    gone: list[bool] = []
    answer = servers.http()

    def mute(conn: socket.socket) -> None:
        answer(conn)
        poll = select.poll()
        poll.register(conn, select.POLLERR)
        # After our FIN was acknowledged nothing is left there that would answer but a RST.
        while not poll.poll(50):
            with suppress(OSError):
                conn.sendall(b"")
                socket.socket.send(conn, b"x")
        gone.append(True)

    run = start(serve(servers.tcp_server(tls(mute))).port, http=20)
    run.until(lambda _: gone, "a RST for what came too late")


def test_requests_leave_no_cycles_behind(root, dns, serve):
    """The collector is off while the client runs, so every object must die by its count."""
    server = serve(servers.tcp_server(tls(servers.http(requests=3))))
    settings = config(dns.port, server.port, 9, dict.fromkeys(("http", "keepalive"), 50))
    settings["service"]["root"] = str(root)
    argv = [sys.executable, "-c", COUNT_GARBAGE, json.dumps(settings)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_streams_stay_in_the_clear(start, serve):
    """The echo is a port of its own, beside the service's."""
    server = serve(servers.tcp_server(servers.echo))
    requests = start(9, server.port, stream=10).requests(3, client="stream", outcome="ok")
    assert {r.secured for r in requests} == {None}


@pytest.mark.parametrize(
    ("port", "root", "host"),
    [
        (443, "/ca.pem", "www.shop.test"),
        (80, "", "www.shop.test"),
        (8443, "/ca.pem", "www.shop.test:8443"),
        (443, "", "www.shop.test:443"),
    ],
)
def test_the_host_header_has_the_port_where_it_is_not_the_schemes_own(port, root, host):
    settings = config(53, port, 7, {})
    settings["service"]["root"] = root
    assert Config.from_json(settings).host == host


def test_there_is_no_root_where_the_service_is_plain():
    """Files of labs without TLS say nothing of it."""
    assert Config.from_json(config(53, 80, 7, {})).root == ""
