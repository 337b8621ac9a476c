"""The edge's companion: what it makes of HAProxy's words, and the rules it gives to nft."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from emulator.node.edge.__main__ import Edge
from emulator.node.edge.forward import render_rules
from emulator.node.edge.haproxy import parse_stat

COMPANION = Edge.__module__
CONFIG = {
    "region": "us-east",
    "haproxy_socket": "/nowhere",
    "services": [
        {"name": "api", "backend": "be-api", "servers": {"api-1": "10.1.0.11"}},
        {"name": "db", "backend": "be-db", "servers": {"db-1": "10.1.0.12"}},
    ],
    "echo": {"address": "198.18.1.1", "backend": "be-echo"},
}
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


@pytest.fixture
def haproxy(monkeypatch) -> dict[str, Any]:
    """In its place: `stat` is what it says, `told` what it was told, `up` where UDP goes."""
    seen: dict[str, Any] = {"told": [], "up": []}

    def ask(_path: str, command: str) -> str:
        seen["told"] += [] if command == "show stat" else [command]
        return str(seen["stat"]) if command == "show stat" else ""

    for module in (COMPANION, "emulator.node.edge.haproxy"):
        monkeypatch.setattr(sys.modules[module], "ask", ask)
    monkeypatch.setattr(
        sys.modules[COMPANION], "render_rules", lambda _address, servers: ",".join(servers)
    )
    monkeypatch.setattr(sys.modules[COMPANION], "apply_rules", seen["up"].append)
    return seen


def test_a_server_that_is_vouched_for_is_served_before_its_check(haproxy):
    """HAProxy is told in every backend that has it, UDP goes there; but UP it is called only when
    HAProxy's own check has passed, and with that the word given for it is used up."""
    head = "# pxname,svname,status,check_status,\n"
    haproxy["stat"] = f"{head}be-api,api-1,DOWN,L4CON,\nbe-echo,api-1,DOWN,L4CON,\n"
    reader, events = os.pipe()
    edge = Edge(CONFIG, events)
    edge.look()
    edge.obey('{"op": "vouch", "servers": ["api-1", "db-1"]}')
    assert haproxy["told"] == [
        "set server be-api/api-1 health up",
        "set server be-db/db-1 health up",
        "set server be-echo/api-1 health up",
    ]
    haproxy["stat"] = haproxy["stat"].replace("DOWN", "UP 1/3")
    edge.look()
    assert haproxy["up"] == ["10.1.0.11"]
    haproxy["stat"] = haproxy["stat"].replace("L4CON", "L4OK")
    edge.look()
    haproxy["stat"] = haproxy["stat"].replace("UP 1/3", "DOWN")
    edge.look()
    assert haproxy["up"] == ["10.1.0.11", ""]
    told = [json.loads(line) for line in os.read(reader, 65536).splitlines()]
    assert [e["state"] for e in told if e["server"] == "us-east/api-1"] == ["DOWN", "UP", "DOWN"]
    os.close(reader)
    os.close(events)


def test_rules_spread_new_flows_over_the_healthy_servers():
    """One transaction replaces the table; every server has its number."""
    rules = render_rules("198.18.1.1", ["10.1.0.11", "10.1.0.12"])
    assert rules.startswith("table ip netemu {}\ndelete table ip netemu\n")
    assert "ip daddr 198.18.1.1 udp dport 7" in rules
    assert "numgen random mod 2 map { 0 : 10.1.0.11, 1 : 10.1.0.12 }" in rules


def test_rules_without_a_healthy_server_translate_nothing():
    """Then the edge's own kernel answers: ICMP port unreachable."""
    assert "dnat" not in render_rules("198.18.1.1", [])
