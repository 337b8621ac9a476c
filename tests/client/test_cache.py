"""A DNS cache of the client's own: who asks when, and what is held."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.events import Connection, Request
from tests.client import servers
from tests.client.running import loads, takes_about
from tests.client.servers import EU, US

CACHED = {"rate": 50, "cache_s": 0.5}


def lookups(run: Any) -> list[Request]:
    """The requests that asked the resolver, by their start."""
    return sorted(
        (r for r in run.of(Request) if r.lookup is not None), key=lambda request: request.t
    )


@pytest.fixture
def both(serve):
    """A server that answers for both regions at one port."""

    def as_asked(conn):
        region = "us-east" if conn.getsockname()[0] == US else "eu-west"
        servers.http(region=region)(conn)

    return serve(servers.tcp_server(as_asked))


def test_an_answer_serves_until_it_has_expired(start, both, dns):
    """Counted from its arrival; what is asked while it is held has no lookup, and is as good."""
    run = start(both.port, http=CACHED)
    first, second = run.until(lambda r: len(lookups(r)) >= 2 and lookups(r)[:2])
    assert takes_about(0.5, second.t - first.lookup)
    between = [r for r in run.of(Request) if first.t < r.t < second.t]
    assert len(between) > 15
    assert {(r.outcome, r.lookup, r.address) for r in between} == {("ok", None, US)}
    assert all(r.connecting and r.t <= r.connecting <= r.connected for r in between)


def test_a_new_address_is_learnt_when_the_old_answer_expires(start, both, dns):
    """Until then the old one is used; the first lookup after that is given the new one."""
    run = start(both.port, http=CACHED)
    asked = run.until(lambda r: lookups(r)[:1])[0]
    dns.addresses = [EU]
    moved = run.until(lambda r: r.of(Request, address=EU))[0]
    assert moved.lookup is not None
    assert moved.t >= asked.lookup + 500_000_000
    assert {r.outcome for r in run.of(Request)} == {"ok"}


def test_the_answers_own_ttl_can_be_honoured(start, both, dns):
    """`cache_s` -1: one second where the answer says one."""
    dns.ttl = 1
    run = start(both.port, http={"rate": 50, "cache_s": -1})
    first, second = run.until(lambda r: len(lookups(r)) >= 2 and lookups(r)[:2])
    assert takes_about(1.0, second.t - first.lookup)


def test_a_ttl_of_0_is_not_held(start, both, dns):
    """Such an answer is for the one who asked."""
    dns.ttl = 0
    run = start(both.port, http={"rate": 50, "cache_s": -1})
    assert all(r.lookup is not None for r in run.requests(10))


def test_an_answer_can_be_kept_for_ever(start, both, dns):
    """`cache_s` null: what has moved since is not noticed."""
    dns.ttl = 0
    run = start(both.port, http={"rate": 50, "cache_s": None})
    run.requests()
    dns.addresses = [EU]
    assert {r.address for r in run.requests(40)} == {US}
    assert len(dns.asked) == 1


def test_a_negative_answer_is_not_held(start, both, dns):
    """Everyone asks until there is something to hold."""
    dns.rcode = "NXDOMAIN"
    run = start(both.port, http=CACHED)
    failed = run.requests(5)
    assert {(r.outcome, r.detail) for r in failed} == {("error", "NXDOMAIN")}
    assert len(dns.asked) >= 5
    dns.rcode = "NOERROR"
    good = run.requests(10, outcome="ok")
    assert [r.lookup is None for r in good] == [False] + 9 * [True]


def test_each_kind_has_a_cache_of_its_own(start, both, serve, dns):
    """What `http` holds `udp` asks for, every time."""
    echo_port = serve(servers.udp_server(servers.udp_echo))
    run = start(both.port, echo_port, http={"rate": 20, "cache_s": None}, udp=20)
    asking = [r.lookup is not None for r in run.requests(10, client="udp", outcome="ok")]
    assert asking == 10 * [True]
    assert len(lookups(run)) - len([r for r in lookups(run) if r.client == "udp"]) == 1


def test_datagrams_can_be_cached_too(start, serve, dns):
    """One lookup, then none."""
    echo_port = serve(servers.udp_server(servers.udp_echo))
    run = start(echo_port=echo_port, udp={"rate": 20, "cache_s": None})
    assert [r.lookup is None for r in run.requests(5, outcome="ok")] == [False] + 4 * [True]


def test_attempts_of_a_stream_use_what_is_held(start, serve, dns):
    """Three attempts that are refused, one question."""
    run = start(echo_port=serve(servers.closed_port()), stream={"rate": 5, "cache_s": 10})
    run.until(lambda r: len(r.of(Connection, phase="failed")) >= 3)
    assert {c.address for c in run.of(Connection, phase="failed")} == {US}
    assert len(dns.asked) == 1


def test_stopping_forgets(start, both, dns):
    """Runs begin alike: after `stop` the same load asks again. A mere change of rate does not."""
    held = {"rate": 50, "cache_s": None}
    run = start(both.port, http=held)
    run.requests(5)
    run.send(op="traffic", loads=loads(http={**held, "rate": 100}))
    run.requests(20)
    assert len(dns.asked) == 1
    run.send(op="stop")
    run.send(op="traffic", loads=loads(http=held))
    # More than two where an answer takes longer than it is to the next request.
    run.until(lambda _: len(dns.asked) > 1)
