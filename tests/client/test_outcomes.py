"""What can become of a request over a new connection; each way has its own words."""

from __future__ import annotations

import pytest

from emulator.events import Lookup
from tests.client import servers
from tests.client.running import config, running, takes_about
from tests.client.servers import EU, US


def test_an_answered_request_has_every_stamp_in_order(start, serve):
    """`ok` carries the whole path: lookup, connect, write, first and last byte."""
    server = serve(servers.tcp_server(servers.http()))
    request = start(server.port, http=50).requests(outcome="ok")[0]
    stamps = [
        request.planned, request.t, request.lookup, request.connecting, request.connected,
        request.sent, request.first, request.end,
    ]  # fmt: skip
    assert stamps == sorted(stamps)
    assert (request.address, request.region, request.server) == (US, "us-east", "www-1")
    assert (request.protocol, request.closed_by, request.n) == ("HTTP/1.1", "", 0)
    assert request.port > 0


def test_every_request_has_a_connection_of_its_own(start, serve):
    """Kind http never reuses: connection numbers and local ports differ."""
    server = serve(servers.tcp_server(servers.http()))
    requests = start(server.port, http=100).requests(10, outcome="ok")
    assert len({r.conn for r in requests}) == len({r.port for r in requests}) == 10


@pytest.mark.parametrize(
    ("behaviour", "detail", "closed_by"),
    [
        (servers.reset, "ECONNRESET", "peer-rst"),
        (servers.hang_up, "EOF", "peer-fin"),
        (servers.http(status=503), "503", ""),
        (servers.http(region="eu-west"), "wrong-region", ""),
        (lambda conn: conn.sendall(b"SSH-2.0-nonsense\r\n\r\n"), "EPROTO", "us"),
    ],
)
def test_a_bad_end_is_an_error_with_who_closed(start, serve, behaviour, detail, closed_by):
    """RST, FIN, a status, another region's answer and nonsense are told apart."""
    server = serve(servers.tcp_server(behaviour))
    request = start(server.port, http=50).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("error", detail, closed_by)
    assert request.connected is not None


def test_a_wrong_region_names_the_region_that_answered(start, serve):
    """The report must be able to say who answered for whom."""
    server = serve(servers.tcp_server(servers.http(region="eu-west")))
    request = start(server.port, http=50).requests()[0]
    assert (request.region, request.address) == ("eu-west", US)


def test_a_truncated_body_is_an_eof(start, serve):
    """The head alone is not an answer."""

    def half(conn):
        servers.receive_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        conn.close()

    request = start(serve(servers.tcp_server(half)).port, http=50).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("error", "EOF", "peer-fin")
    assert request.first is not None


def test_a_body_that_ends_with_the_connection_is_an_answer(start, serve):
    """HTTP/1.0 style answers without a length end with FIN, and are complete."""

    def old(conn):
        servers.receive_head(conn)
        conn.sendall(b"HTTP/1.0 200 OK\r\nX-Netemu-Region: us-east\r\n\r\nbody")
        conn.close()

    assert start(serve(servers.tcp_server(old)).port, http=50).requests()[0].outcome == "ok"


def test_a_closed_port_refuses(start, serve):
    """A RST to the SYN is ECONNREFUSED, at once."""
    request = start(serve(servers.closed_port()), http=50).requests()[0]
    assert (request.outcome, request.detail) == ("error", "ECONNREFUSED")
    assert request.connecting is not None
    assert request.connected is None


def test_silence_to_the_syn_is_a_connect_timeout(start, serve):
    """A dropped SYN ends at the connect timeout, closed by us."""
    request = start(serve(servers.full_port()), http=20).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("timeout", "connect", "us")
    assert request.connected is None
    assert takes_about(0.3, request.end - request.connecting)


def test_silence_to_the_request_is_a_response_timeout(start, serve):
    """An accepted request without an answer ends at the response timeout, closed by us."""
    request = start(serve(servers.mute_port()), http=20).requests()[0]
    assert (request.outcome, request.detail, request.closed_by) == ("timeout", "response", "us")
    assert request.sent is not None
    assert takes_about(0.3, request.end - request.sent)


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL", "REFUSED"])
def test_a_resolvers_error_is_the_requests_error(start, dns, rcode):
    """The rcode is the detail; nothing was connected."""
    dns.rcode = rcode
    request = start(http=50).requests()[0]
    assert (request.outcome, request.detail) == ("error", rcode)
    assert request.lookup is request.connecting is None


def test_a_name_without_addresses_is_nodata(start, dns):
    """NOERROR with an empty answer has a word of its own."""
    dns.addresses = []
    assert start(http=50).requests()[0].detail == "NODATA"


def test_a_silent_resolver_is_a_lookup_timeout(start, dns):
    """The question is sent twice with one id from one port, then given up in time."""
    dns.silent = -1
    request = start(http=2).requests()[0]
    assert (request.outcome, request.detail) == ("timeout", "lookup")
    assert takes_about(0.3, request.end - request.t)
    assert dns.asked[0] == dns.asked[1]


def test_a_lost_question_is_asked_again(start, serve, dns):
    """One lost datagram costs half the lookup timeout, not the request."""
    dns.silent = 1
    server = serve(servers.tcp_server(servers.http()))
    request = start(server.port, http=5).requests()[0]
    assert request.outcome == "ok"
    assert takes_about(0.15, request.lookup - request.t)


def test_a_dead_resolver_refuses(start, dns, tmp_path, stack):
    """The resolver's host lives, its daemon does not: ICMP says so at once."""
    with servers.closed_port() as port:
        settings = config(port, 9, 9, {"http": 50})
        settings["resolver"] = [US, port]
        request = stack.enter_context(running(tmp_path, settings)).requests()[0]
    assert (request.outcome, request.detail) == ("error", "ECONNREFUSED")


def test_every_lookup_has_its_own_port_and_id(start, serve, dns):
    """A stub without a cache asks for every connection, from anywhere."""
    server = serve(servers.tcp_server(servers.http()))
    start(server.port, http=100).requests(20)
    assert len(set(dns.asked)) >= 20


def test_a_new_answer_is_followed_by_the_next_request(start, serve, dns):
    """There is no client cache: the address of the answer is the address asked."""
    server = serve(servers.tcp_server(servers.http()))
    run = start(server.port, http=50)
    run.requests(address=US)
    dns.addresses = [EU, US]
    request = run.requests(address=EU)[0]
    assert request.detail == "wrong-region"


def test_the_lookup_command_reports_what_the_resolver_says(start, dns):
    """Netemu can ask for a city's view of the name at any time."""
    run = start()
    dns.addresses = [US, EU]
    run.send(op="lookup")
    lookup = run.until(lambda r: r.of(Lookup))[0]
    assert (lookup.rcode, lookup.addresses, lookup.ttl) == ("NOERROR", [US, EU], 5)
    assert lookup.city == "paris"


def test_nonsense_on_stdin_is_survived(start, serve):
    """A bad command is logged; the load goes on, also after the end of the commands."""
    server = serve(servers.tcp_server(servers.http()))
    run = start(server.port, http=50)
    run.send(op="dance")
    for load in (5, {"rate": float("inf")}, {"rate": -1}, {"rate": 1, "connections": 0}, {"r": 1}):
        run.send(op="traffic", loads={"http": load})
    for loads in ({"gopher": {"rate": 1}}, {"http": {"rate": 1, "cache_s": -2}}, ["http"], None):
        run.send(op="traffic", loads=loads)
    run.process.stdin.close()
    seen = len(run.requests(outcome="ok"))
    run.requests(seen + 20, outcome="ok")
