"""Datagrams and their echoes."""

from __future__ import annotations

from tests.client import servers
from tests.client.running import takes_about
from tests.client.servers import US


def test_an_echo_is_matched_to_its_datagram(start, serve, dns):
    """Every datagram has a lookup of its own, and the region of its address."""
    run = start(echo_port=serve(servers.udp_server(servers.udp_echo)), udp=100)
    requests = run.requests(16, outcome="ok")
    first = requests[0]
    assert (first.region, first.address, first.protocol, first.conn) == ("us-east", US, "udp", 0)
    assert first.lookup <= first.connecting <= first.sent <= first.first == first.end
    assert len(dns.asked) >= 16


def test_source_ports_go_round(start, serve):
    """Eight fixed ports in turn, so that what a balancer pins to a flow shows."""
    run = start(echo_port=serve(servers.udp_server(servers.udp_echo)), udp=100)
    ports = [r.port for r in sorted(run.requests(16), key=lambda r: r.n)]
    assert len(set(ports[:8])) == 8
    assert ports[8:] == ports[:8]


def test_a_lost_datagram_is_a_response_timeout(start, serve):
    """What is lost times out alone; the others are answered."""

    def lose_every_fourth(sock, data, source):
        if int(data, 16) % 4:
            sock.sendto(data, source)

    run = start(echo_port=serve(servers.udp_server(lose_every_fourth)), udp=100)
    lost = run.requests(3, outcome="timeout")
    assert [(r.n, r.detail) for r in lost] == [(0, "response"), (4, "response"), (8, "response")]
    assert takes_about(0.3, lost[0].end - lost[0].sent)
    assert {r.n % 4 for r in run.requests(20, outcome="ok")} == {1, 2, 3}


def test_a_late_or_doubled_echo_is_not_an_answer(start, serve):
    """An echo counts once; strangers' datagrams count never."""

    def twice_and_noise(sock, data, source):
        sock.sendto(b"noise", source)
        sock.sendto(data, source)
        sock.sendto(data, source)

    run = start(echo_port=serve(servers.udp_server(twice_and_noise)), udp=50)
    requests = run.requests(10, outcome="ok")
    assert [r.n for r in requests] == list(range(10))


def test_a_closed_port_refuses_the_datagram_it_was(start, serve):
    """ICMP's port unreachable ends exactly the datagram that it is about."""
    requests = start(echo_port=serve(servers.closed_port()), udp=100).requests(12)
    assert {(r.outcome, r.detail) for r in requests} == {("error", "ECONNREFUSED")}
    assert [r.n for r in requests] == list(range(12))
    assert max(r.end - r.sent for r in requests) < 0.25e9  # not the timeout of 0.3 s
