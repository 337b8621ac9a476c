"""Long-lived streams: a message every 200 ms, and a new connection when one ends or stalls."""

from __future__ import annotations

import itertools
import socket

from emulator.events import Connection, Request
from tests.client import servers
from tests.client.running import loads, takes_about
from tests.client.servers import US


def echo_until(stop_after: int):
    """Echoes so many messages of the first connection, then falls silent; later ones echo."""
    numbers = itertools.count()

    def serve(conn: socket.socket) -> None:
        left = stop_after if next(numbers) == 0 else -1
        while data := conn.recv(4096):
            if left:
                left -= 1
                conn.sendall(data)

    return serve


def test_a_stream_sends_on_one_connection_every_200_ms(start, serve):
    """Rate 5 is one stream; its messages are on schedule, its region the address's."""
    run = start(echo_port=serve(servers.tcp_server(servers.echo)).port, stream=5)
    messages = run.requests(5, outcome="ok")
    gaps = {b.planned - a.planned for a, b in itertools.pairwise(messages)}
    assert gaps == {200_000_000}
    assert {m.conn for m in messages} == {1}
    message = messages[0]
    assert (message.region, message.address, message.protocol) == ("us-east", US, "tcp")
    assert message.t <= message.sent <= message.first <= message.end
    assert [c.phase for c in run.of(Connection)] == ["attempt", "open"]


def test_there_are_as_many_streams_as_the_rate_needs(start, serve):
    """Rate 20 is four streams that take turns; the streams that fit survive a change."""
    run = start(echo_port=serve(servers.tcp_server(servers.echo)).port, stream=20)
    assert {m.conn for m in run.requests(8, outcome="ok")[4:]} == {1, 2, 3, 4}
    run.send(op="traffic", loads=loads(stream=10))
    run.until(lambda r: len(r.of(Connection, phase="close", detail="idle")) == 2)
    assert {c.conn for c in run.of(Connection, phase="close")} == {3, 4}
    last = max(c.t for c in run.of(Connection))
    run.until(lambda r: len([m for m in r.of(Request) if m.t > last]) >= 4)
    assert {m.conn for m in run.of(Request) if m.t > last} == {1, 2}
    assert {m.outcome for m in run.of(Request)} == {"ok"}


def test_there_are_as_many_streams_as_were_asked_for(start, serve):
    """Whatever the rate: three streams take turns with ten messages a second."""
    server = serve(servers.tcp_server(servers.echo))
    run = start(echo_port=server.port, stream={"rate": 10, "connections": 3})
    messages = run.requests(9, outcome="ok")
    assert [m.conn for m in messages[3:6]] == [m.conn for m in messages[6:9]]
    assert {m.conn for m in messages[3:]} == {1, 2, 3}


def test_a_stalled_stream_is_closed_and_connects_again(start, serve):
    """Without an echo of the oldest message all waiting ones fail as stalled; then a new one."""
    server = serve(servers.tcp_server(echo_until(2)))
    run = start(echo_port=server.port, stream=10)
    stalled = run.requests(outcome="error", detail="stalled")[0]
    assert stalled.closed_by == "us"
    assert takes_about(0.3, stalled.end - stalled.t)
    closed = run.connection(phase="close")
    assert (closed.detail, closed.closed_by) == ("stalled", "us")
    fresh = [m for m in run.requests(12) if m.outcome == "ok" and m.t > closed.t]
    assert fresh
    assert min(m.conn for m in fresh) > closed.conn


def test_a_reset_ends_the_messages_in_flight(start, serve):
    """RST is the peer's; the stream backs off 100 ms if it never carried an echo."""
    run = start(echo_port=serve(servers.tcp_server(servers.reset)).port, stream=10)
    message = run.requests(detail="ECONNRESET")[0]
    assert (message.outcome, message.closed_by) == ("error", "peer-rst")
    closed = run.connection(phase="close")
    assert (closed.closed_by, closed.detail) == ("peer-rst", "ECONNRESET")
    attempts = run.until(
        lambda r: (
            (later := [c for c in r.of(Connection, phase="attempt") if c.t > closed.t]) and later
        )
    )
    assert takes_about(0.1, attempts[0].t - closed.t)


def test_messages_due_while_unconnected_fail(start, serve):
    """Between two attempts there is nothing to write to; the first attempt is not counted."""
    run = start(echo_port=serve(servers.closed_port()), stream=20)
    message = run.requests(detail="unconnected")[0]
    assert message.outcome == "error"
    assert message.t > run.connection(phase="failed", detail="ECONNREFUSED").t


def test_an_attempt_has_the_connect_timeout_and_a_lookup(start, serve, dns):
    """Every attempt asks the resolver; a silent address ends it after the timeout."""
    run = start(echo_port=serve(servers.full_port()), stream=5)
    failed = run.connection(phase="failed")
    attempt = run.connection(phase="attempt", conn=failed.conn)
    assert (failed.detail, failed.closed_by, failed.address) == ("connect", "us", US)
    assert takes_about(0.3, failed.t - attempt.t)
    again = run.connection(phase="attempt", conn=failed.conn + 1)
    assert takes_about(0.1, again.t - failed.t)
    run.until(lambda _: len(dns.asked) >= 2)
