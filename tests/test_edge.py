"""The edge's companion: what it makes of HAProxy's words, and the rules it gives to nft."""

from __future__ import annotations

from emulator.node.edge.forward import render_rules
from emulator.node.edge.haproxy import parse_stat

STAT = """# pxname,svname,status,check_status,
fe-www,FRONTEND,OPEN,,
be-www,www-1,UP,L7OK,
be-www,www-2,UP 1/3,* L7OK,
be-www,www-3,DOWN,L4CON,
be-www,www-4,UP,INI,
be-www,www-5,NOLB,L7OK,
be-www,www-6,MAINT,L7OK,
be-www,BACKEND,UP,,
"""


def test_stat_tells_each_server_and_leaves_frontends_and_backends_out():
    """Only servers are told of; a server on its way down still serves."""
    states = parse_stat(STAT)
    assert set(states) == {("be-www", f"www-{n}") for n in range(1, 7)}
    assert states["be-www", "www-1"] == ("UP", "L7OK")
    assert states["be-www", "www-2"] == ("UP", "L7OK")
    assert states["be-www", "www-3"] == ("DOWN", "L4CON")


def test_stat_does_not_call_an_unchecked_server_up():
    """HAProxy assumes UP before the first check; readiness must not."""
    assert parse_stat(STAT)["be-www", "www-4"] == ("DOWN", "INI")


def test_stat_tells_drain_and_maintenance_apart():
    """An administrator's states are not health."""
    states = parse_stat(STAT)
    assert states["be-www", "www-5"][0] == "DRAIN"
    assert states["be-www", "www-6"][0] == "MAINT"


def test_rules_spread_new_flows_over_the_healthy_servers():
    """One transaction replaces the table; every server has its number."""
    rules = render_rules("198.18.1.1", ["10.1.0.11", "10.1.0.12"])
    assert rules.startswith("table ip netemu {}\ndelete table ip netemu\n")
    assert "ip daddr 198.18.1.1 udp dport 7" in rules
    assert "numgen random mod 2 map { 0 : 10.1.0.11, 1 : 10.1.0.12 }" in rules


def test_rules_without_a_healthy_server_translate_nothing():
    """Then the edge's own kernel answers: ICMP port unreachable."""
    assert "dnat" not in render_rules("198.18.1.1", [])
