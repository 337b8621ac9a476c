"""Topologies that the plan is tested with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emulator.plan import make_plan
from emulator.plan.model import HostSpec, Plan
from emulator.topology.parse import parse_topology

TWO_REGION = Path(__file__).parents[1] / "golden" / "valid" / "two-region.yml"

# Services that are not everywhere, both balances, rules of every sort, paths of their own.
WIDE = """\
netemu: 1
name: wide
zone: shop.test
regions:
  us-east:
    location: aws:us-east-1
    servers: 2
  eu-west:
    location: aws:eu-west-1
    services: {raw: {servers: 1}}
  tokyo:
    location: aws:ap-northeast-1
    services: {www: {servers: 1}, api: {servers: 3}, raw: {servers: 1}}
clients:
  new-york: {location: city:New York, timeouts: {response: 4s}}
  paris: {location: city:Paris/FR}
  singapore: {location: city:Singapore}
paths:
  us-east..paris: {rtt: 4ms}
  us-east->eu-west: {jitter: 2ms, loss: 0.1%}
services:
  www:
    rules:
      - {path: /api, to: api}
      - {header: {X-Agent: 'a "b" $HOME \\ c'}, deny: 403}
      - {path: /old, cookie: {beta: "1"}, redirect: "/new?a=%20"}
  api: {port: 8081}
  raw: {port: 8082, target_port: 9090, balance: l4, drain_timeout: 45s}
kernel: {tcp_syn_retries: 3}
traffic: none
"""


def wide() -> Plan:
    """eu-west has no servers for api."""
    topology = parse_topology(WIDE, "wide.yaml")
    us_east, eu_west, tokyo = topology.regions
    eu_west = replace(eu_west, servers={**eu_west.servers, "api": 0})
    return make_plan(replace(topology, regions=(us_east, eu_west, tokyo)), "wide")


def plan_of(text: str, lab: str = "test") -> Plan:
    return make_plan(parse_topology(text, "test.yaml"), lab)


def two_region(lab: str = "two-region") -> Plan:
    return plan_of(TWO_REGION.read_text(encoding="utf-8"), lab)


def host_of(plan: Plan, name: str) -> HostSpec:
    return next(host for host in plan.hosts if host.name == name)
