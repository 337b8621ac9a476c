"""Whom a client asks when it is told of several servers, and what it believes of failures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.events import Connection, Lookup, Request
from tests.client import servers
from tests.client.running import config, loads, running, takes_about
from tests.client.servers import EU, US, Dns, dns_server

LOOKUP_S = 0.3  # of these tests' clients; two servers are asked twice, so a turn is 75 ms


@pytest.fixture
def other() -> Iterator[Dns]:
    """The second server of a client that knows two."""
    with dns_server() as server:
        server.addresses = [EU]
        yield server


@pytest.fixture
def ask(dns, other, tmp_path, stack):
    """One lookup of a client that knows both, and what came of it."""

    def go() -> Lookup:
        both = [["127.0.0.1", dns.port], ["127.0.0.1", other.port]]
        run = stack.enter_context(running(tmp_path, config(dns.port, 9, 9, {}) | {"asks": both}))
        run.send(op="lookup")
        found: Lookup = run.until(lambda r: r.of(Lookup))[0]
        return found

    return go


def test_the_first_that_answers_is_the_only_one_asked(ask, dns, other):
    """In the order of the list, and no more than needed."""
    assert ask().addresses == [US]
    assert (len(dns.asked), len(other.asked)) == (1, 0)


def test_a_dead_server_costs_its_turn(ask, dns, other):
    """A quarter of the patience, then the next one is asked."""
    dns.silent = -1
    lookup = ask()
    assert lookup.addresses == [EU]
    assert takes_about(LOOKUP_S / 4, round(lookup.ms * 1e6))
    assert (len(dns.asked), len(other.asked)) == (1, 1)


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_who_will_not_answer_is_passed_over_at_once(ask, dns, other, rcode):
    """No turn is waited out."""
    dns.rcode = rcode
    lookup = ask()
    assert lookup.addresses == [EU]
    assert takes_about(0.0, round(lookup.ms * 1e6))


def test_no_such_name_is_an_answer(ask, dns, other):
    """Nobody else is asked whether it is true."""
    dns.rcode = "NXDOMAIN"
    assert ask().rcode == "NXDOMAIN"
    assert other.asked == []


def test_all_are_asked_twice_within_the_patience(ask, dns, other):
    """As `attempts` of resolv.conf has it; then the lookup has failed."""
    dns.silent = other.silent = -1
    lookup = ask()
    assert lookup.rcode == "timeout"
    assert takes_about(LOOKUP_S, round(lookup.ms * 1e6))
    assert (len(dns.asked), len(other.asked)) == (2, 2)


def test_a_late_answer_is_heard_when_its_server_is_asked_again(ask, dns, other):
    """What came to a socket meanwhile is still there in its next turn."""
    dns.silent, other.silent = 1, -1
    assert ask().addresses == [US]


def test_a_failure_can_be_believed(start, serve, dns):
    """As a JVM does, 10 s by default: requests fail at once, and nobody asks."""
    dns.rcode = "NXDOMAIN"
    run = start(9, http={"rate": 50, "cache_s": 30, "negative_s": 0.4})
    run.requests(10)
    assert len(dns.asked) == 1
    assert {r.detail for r in run.of(Request)} == {"NXDOMAIN"}
    run.until(lambda _: len(dns.asked) == 2)


def test_who_resolves_once_asks_as_its_load_begins(start, serve, dns):
    """Before the first request is due, which uses what was found then; and never again."""
    port = serve(servers.tcp_server(servers.http())).port
    once = {"rate": 0.5, "cache_s": None, "negative_s": None}
    run = start(port, http=once)
    run.until(lambda r: dns.asked)
    assert run.of(Request) == []
    dns.addresses = [EU]
    run.send(op="traffic", loads=loads(http={**once, "rate": 50}))
    assert {(r.lookup, r.address) for r in run.requests(10)} == {(None, US)}
    assert len(dns.asked) == 1


def test_a_failure_at_the_begin_is_for_ever_too(start, dns):
    """Nobody asks again, however often it is needed."""
    dns.rcode = "SERVFAIL"
    run = start(9, http={"rate": 50, "cache_s": None, "negative_s": None})
    assert {r.detail for r in run.requests(20)} == {"SERVFAIL"}
    assert len(dns.asked) == 2  # the two attempts of one lookup


def test_a_connection_is_given_up_after_its_life(start, serve, dns):
    """Closed by us where it is idle, no request lost; the next is opened by a new lookup."""
    port = serve(servers.tcp_server(servers.http())).port
    run = start(port, keepalive={"rate": 20, "lifetime_s": 0.3})
    opened = run.connection(phase="open", conn=1)
    closed = run.connection(phase="close", conn=1)
    assert (closed.closed_by, closed.detail) == ("us", "lifetime")
    assert takes_about(0.3, closed.t - opened.t)
    run.connection(phase="open", conn=2)
    assert {r.outcome for r in run.of(Request)} == {"ok"}
    assert len(dns.asked) == 2


def test_a_warm_pool_replaces_what_has_lived_long_enough(start, serve, dns):
    """Each after its own life, without a need, at the address that DNS says by then."""
    port = serve(servers.tcp_server(servers.http())).port
    run = start(port, keepalive={"rate": 0.5, "connections": 2, "lifetime_s": 0.3})
    run.until(lambda r: len(r.of(Connection, phase="open")) == 2)
    dns.addresses = [EU]
    run.until(lambda r: len(r.of(Connection, phase="open", address=EU)) == 2)
