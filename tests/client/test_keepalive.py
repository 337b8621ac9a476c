"""The pool of kept-alive connections."""

from __future__ import annotations

import socket
import threading

import pytest

from emulator.events import Connection, Request
from tests.client import servers
from tests.client.running import loads

# Requests/s so far apart (SLACK_S) that an answer is there before the next, on a busy machine too.
UNHURRIED = 4


def slow_then_fast(gate: threading.Event):
    """The first connection's first answer waits for the gate; all others come at once."""
    first = threading.Lock()
    answer = servers.http()

    def serve(conn: socket.socket) -> None:
        if first.acquire(blocking=False):
            gate.wait(5)
        answer(conn)

    return serve


def test_one_connection_serves_one_request_after_another(start, serve):
    """With quick answers the pool has one connection; only its first request connects."""
    server = serve(servers.tcp_server(servers.http()))
    run = start(server.port, keepalive=UNHURRIED)
    first, *others = run.requests(5, outcome="ok")
    assert {r.conn for r in others} == {first.conn} == {1}
    assert {r.port for r in others} == {first.port}
    assert first.connected is not None
    assert {(r.lookup, r.connecting, r.connected) for r in others} == {(None, None, None)}
    assert [c.phase for c in run.of(Connection)] == ["attempt", "open"]


def test_a_busy_connection_is_not_shared_and_the_last_used_is_next(start, serve):
    """A second connection opens while the first waits; then the pool is last in, first out."""
    gate = threading.Event()
    server = serve(servers.tcp_server(slow_then_fast(gate)))
    run = start(server.port, keepalive=20)
    run.requests(2, conn=2, outcome="ok")
    gate.set()
    slow = run.requests(conn=1)[0]
    after = [r for r in run.requests(12) if r.t > slow.end]
    assert {r.conn for r in after[:3]} == {1}


def test_connection_close_drains(start, serve):
    """`Connection: close` costs no request: the connection ends as drained, a new one follows."""
    server = serve(servers.tcp_server(servers.http(extra="Connection: close\r\n")))
    run = start(server.port, keepalive=10)
    requests = run.requests(5)
    assert {r.outcome for r in requests} == {"ok"}
    assert [r.conn for r in requests] == [1, 2, 3, 4, 5]
    closed = run.connection(phase="close")
    assert (closed.detail, closed.closed_by, closed.region) == ("drained", "us", "us-east")


def test_a_connection_closed_while_idle_costs_no_request(start, serve):
    """FIN on an idle connection is noticed before the next request would use it."""
    server = serve(servers.tcp_server(servers.http(requests=1)))
    run = start(server.port, keepalive=20)
    assert {r.outcome for r in run.requests(5)} == {"ok"}
    closed = run.connection(phase="close")
    assert (closed.detail, closed.closed_by) == ("idle", "peer-fin")


def test_a_connection_closed_under_a_request_fails_it(start, serve):
    """FIN instead of an answer on a reused connection is an error, not silently repeated."""

    def once(conn: socket.socket) -> None:
        servers.receive_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Netemu-Region: us-east\r\n\r\n")
        servers.hang_up(conn)

    run = start(serve(servers.tcp_server(once)).port, keepalive=20)
    first, second = run.requests(2)
    assert (first.outcome, second.outcome, second.conn) == ("ok", "error", first.conn)
    assert (second.detail, second.closed_by) == ("EOF", "peer-fin")
    assert run.connection(phase="close").closed_by == "peer-fin"


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_status_keeps_the_connection(start, serve, status):
    """An HTTP error is an answer: the connection is as good as before."""
    server = serve(servers.tcp_server(servers.http(status=status)))
    run = start(server.port, keepalive=UNHURRIED)
    assert len({r.conn for r in run.requests(4, detail=str(status))}) == 1


def test_a_timed_out_connection_is_closed(start, serve):
    """After a response timeout the connection is not used again."""
    run = start(serve(servers.mute_port()), keepalive=10)
    requests = run.requests(3, outcome="timeout", detail="response", closed_by="us")
    assert [r.conn for r in requests] == [1, 2, 3]
    assert run.connection(phase="close", conn=1).closed_by == "us"


def test_a_refused_attempt_is_reported(start, serve):
    """A connection that never opened has failed, with the errno."""
    run = start(serve(servers.closed_port()), keepalive=10)
    assert run.connection(phase="failed").detail == "ECONNREFUSED"
    assert run.requests()[0].conn == 1


def test_a_reset_is_the_peers(start, serve):
    """RST on a pooled connection names the peer in both events."""
    run = start(serve(servers.tcp_server(servers.reset)).port, keepalive=10)
    assert run.requests()[0].closed_by == "peer-rst"
    assert run.connection(phase="close").closed_by == "peer-rst"


def test_stop_closes_the_pool_and_traffic_opens_it_again(start, serve):
    """After `stop` nothing starts; the process waits for new rates."""
    server = serve(servers.tcp_server(servers.http()))
    run = start(server.port, keepalive=10)
    run.requests(3)
    run.send(op="stop")
    closed = run.connection(phase="close")
    assert (closed.detail, closed.closed_by) == ("idle", "us")
    run.send(op="traffic", loads=loads(keepalive=10))
    assert run.requests(conn=2)[0].outcome == "ok"
    between = [r for r in run.of(Request) if closed.t < r.t and r.conn == 1]
    assert between == []
