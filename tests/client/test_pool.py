"""A pool of kept-alive connections that is kept warm."""

from __future__ import annotations

import itertools
import socket

from emulator.events import Connection, Request
from tests.client import servers
from tests.client.running import loads, takes_about
from tests.client.servers import US

SELDOM = 0.5  # requests/s: the first is due after 1 s
WARM = {"rate": SELDOM, "connections": 4}


def closing_first(after: bytes):
    """The first connection is told this and closed before anything is asked; others are served."""
    numbers = itertools.count()
    answer = servers.http()

    def serve(conn: socket.socket) -> None:
        if next(numbers) == 0:
            conn.sendall(after)
            conn.shutdown(socket.SHUT_WR)
        else:
            answer(conn)

    return serve


def opened(count: int):
    return lambda run: len(run.of(Connection, phase="open")) >= count and run.of(Connection)


def test_all_of_it_is_opened_at_the_start(start, serve):
    """Before the first request is due; requests then find it idle, the last used first."""
    run = start(
        serve(servers.tcp_server(servers.http())).port, keepalive={"rate": 10, "connections": 4}
    )
    first, *others = run.requests(6, outcome="ok")
    opens = [c for c in run.of(Connection, phase="open") if c.t < first.t]
    assert {c.conn for c in opens} == {1, 2, 3, 4}
    assert {(c.address, c.region) for c in opens} == {(US, "us-east")}
    assert {r.conn for r in others} == {first.conn}
    assert {(r.lookup, r.connecting) for r in (first, *others)} == {(None, None)}
    assert len(run.of(Connection)) == 8


def test_a_lost_connection_is_replaced_before_there_is_a_need(start, serve):
    """FIN on an idle one: another attempt follows at once, and no request has failed."""
    run = start(serve(servers.tcp_server(closing_first(b""))).port, keepalive=WARM)
    run.until(opened(5))
    closed = run.connection(phase="close")
    assert (closed.detail, closed.closed_by) == ("idle", "peer-fin")
    replaced = run.connection(phase="attempt", conn=5)
    assert takes_about(0.0, replaced.t - closed.t)
    assert run.requests()[0].outcome == "ok"


def test_a_server_that_tires_of_waiting_is_the_one_who_closed(start, serve):
    """HAProxy says 408 to who connects and asks nothing; that is no protocol error of ours."""
    tired = b"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\n\r\n"
    run = start(serve(servers.tcp_server(closing_first(tired))).port, keepalive=WARM)
    closed = run.connection(phase="close")
    assert (closed.detail, closed.closed_by) == ("idle", "peer-fin")


def test_an_attempt_that_failed_is_made_again_later_and_later(start, serve):
    """After 100 ms, then 200 ms, then 400 ms, as long as something is missing."""
    run = start(serve(servers.closed_port()), keepalive={"rate": 0.01, "connections": 1})
    tried = run.until(lambda r: len(r.of(Connection, phase="attempt")) >= 4 and r.of(Connection))
    ends = [c.t for c in tried if c.phase == "failed"]
    again = [c.t for c in tried if c.phase == "attempt"][1:4]
    for wait_s, end, t in zip((0.1, 0.2, 0.4), ends, again, strict=False):
        assert takes_about(wait_s, t - end)
    assert {c.detail for c in tried if c.phase == "failed"} == {"ECONNREFUSED"}


def test_a_connection_that_timed_out_is_replaced(start, serve):
    """One request finds out one silent connection; the pool stays as large as it was."""
    run = start(serve(servers.mute_port()), keepalive={"rate": 5, "connections": 3})
    run.requests(3, outcome="timeout", detail="response")
    run.until(opened(6))
    closed = run.of(Connection, phase="close")
    assert {(c.closed_by, c.detail) for c in closed} == {("us", "response")}


def test_the_pool_grows_where_requests_need_more(start, serve):
    """Two kept warm and ten requests at once that nobody answers: ten connections."""
    run = start(serve(servers.mute_port()), keepalive={"rate": 40, "connections": 2})
    assert len({r.conn for r in run.requests(10)}) == 10


def test_stop_closes_it_and_opens_nothing(start, serve):
    """All are closed by us; the next load opens as many anew."""
    run = start(serve(servers.tcp_server(servers.http())).port, keepalive=WARM)
    run.until(opened(4))
    run.send(op="stop")
    run.until(lambda r: len(r.of(Connection, phase="close")) == 4)
    run.send(op="traffic", loads=loads(keepalive={"rate": SELDOM, "connections": 2}))
    run.until(opened(6))
    assert run.requests()[0].outcome == "ok"
    assert len(run.of(Connection, phase="attempt")) == 6
    assert {c.detail for c in run.of(Connection, phase="close")} == {"idle"}


def test_a_larger_pool_is_filled_at_once(start, serve):
    """The connections that are there stay."""
    run = start(serve(servers.tcp_server(servers.http())).port, keepalive=WARM)
    run.until(opened(4))
    run.send(op="traffic", loads=loads(keepalive={**WARM, "connections": 6}))
    run.until(opened(6))
    assert run.of(Connection, phase="close") == []
    assert run.of(Request, outcome="error") == []
