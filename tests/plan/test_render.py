"""Configuration files as text; tests/docker/test_render.py tries them on the programs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from emulator.errors import UsageError
from emulator.node.dns.config import Config
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.topology.model import Rule
from tests.plan.worlds import host_of, plan_of, two_region, wide


def text_of(plan: Plan, host: str, file: str) -> str:
    return host_of(plan, host).files[f"/etc/netemu/{file}"]


def config_of(plan: Plan, host: str, file: str) -> Any:
    return json.loads(text_of(plan, host, file))


def with_rules(*rules: Rule) -> str:
    """The edge's configuration when www has these rules."""
    topology = two_region().topology
    www = replace(topology.services[0], rules=rules)
    return text_of(
        make_plan(replace(topology, services=(www,)), "t"), "us-east/edge", "haproxy.cfg"
    )


def test_a_name_server_knows_who_asks_from_every_address_of_a_site() -> None:
    """LAN, public prefix and WAN address of each site, and how far each region is."""
    sites = {site["name"]: site for site in config_of(two_region(), "ns1", "dns.json")["sites"]}
    assert sites["us-east"]["prefixes"] == ["10.1.0.0/24", "198.18.1.0/24", "100.64.0.1/32"]
    assert sites["new-york"]["prefixes"] == ["10.3.0.0/24", "100.64.0.3/32"]
    assert sites["ns1"]["prefixes"] == ["198.18.5.0/24", "100.64.0.5/32"]
    assert sites["us-east"]["rtt_ms"]["us-east"] == 0.0
    assert sites["us-east"]["distance_km"]["us-east"] == 0


def test_a_name_servers_round_trips_are_the_plans_and_its_distances_the_maps() -> None:
    """Milliseconds, both directions of the path: what `paths:` says counts, but moves no city."""
    sites = {site["name"]: site for site in config_of(wide(), "ns1", "dns.json")["sites"]}
    paris = sites["paris"]
    assert paris["rtt_ms"]["us-east"] == 4.0 == min(paris["rtt_ms"].values())
    assert min(paris["distance_km"], key=paris["distance_km"].get) == "eu-west"


def test_a_name_server_is_told_each_services_regions_and_checks() -> None:
    """The address to answer and the endpoint to ask, with the check's own timing."""
    config = config_of(two_region(), "ns2", "dns.json")
    assert config["server"] == "ns2"
    assert config["listen"] == ["198.18.6.53", "100.64.0.6"]
    assert config["name_servers"] == {"ns1": ["198.18.5.53"], "ns2": ["198.18.6.53"]}
    [www] = config["services"]
    assert www["regions"]["us-east"] == {"address": "198.18.1.1", "health": ["198.18.1.254", 9001]}
    assert (www["ttl_s"], www["policy"]["kind"]) == (5, "latency")
    assert www["policy"]["members"] == ["us-east", "eu-west"]
    assert (www["check"]["interval_s"], www["check"]["fall"], www["check"]["rise"]) == (1.0, 3, 2)


def test_a_client_is_told_its_resolver_its_service_and_its_patience() -> None:
    """Its city's Unbound, the first service, the city's timeouts, the light traffic."""
    config = config_of(two_region(), "paris/client", "client.json")
    assert config["asks"] == [["10.4.0.1", 53]]
    assert config["service"] == {
        "name": "www", "fqdn": "www.shop.test", "port": 80, "path": "/", "echo_port": 7,
    }  # fmt: skip
    assert config["regions"] == {"us-east": ["198.18.1.0/24"], "eu-west": ["198.18.2.0/24"]}
    light = {
        "rate": 5.0, "connections": None, "cache_s": 0.0, "negative_s": 0.0, "lifetime_s": None,
    }  # fmt: skip
    assert config["loads"] == dict.fromkeys(("http", "keepalive", "stream", "udp"), light)
    new_york = config_of(wide(), "new-york/client", "client.json")
    assert new_york["timeouts"]["response_s"] == 4.0
    assert new_york["loads"] == {}


def test_a_server_listens_where_its_edge_asks() -> None:
    """The app's port is the service's target_port, and so is HAProxy's."""
    config = config_of(wide(), "eu-west/raw-1", "app.json")
    assert config == {
        "region": "eu-west", "server": "eu-west/raw-1", "service": "raw", "port": 9090,
        "echo_port": 7,
    }  # fmt: skip
    assert "server raw-1 10.2.0.12:9090\n" in text_of(wide(), "eu-west/edge", "haproxy.cfg")


def test_the_edge_and_haproxy_agree_on_names() -> None:
    """Backends, servers and the socket of edge.json are those of haproxy.cfg."""
    haproxy = text_of(wide(), "tokyo/edge", "haproxy.cfg")
    edge = config_of(wide(), "tokyo/edge", "edge.json")
    assert f"stats socket {edge['haproxy_socket']} " in haproxy
    assert f"backend {edge['echo']['backend']}\n" in haproxy
    for service in edge["services"]:
        assert f"backend {service['backend']}\n" in haproxy
        assert f"frontend {service['health_frontend']}\n" in haproxy
        assert f"bind {service['address']}:{service['port']}\n" in haproxy
        for name, address in service["servers"].items():
            assert f"server {name} {address}:" in haproxy


def test_l4_and_l7_differ_in_mode_and_retries() -> None:
    """Only a balancer that reads HTTP may send a request again."""
    haproxy = text_of(wide(), "us-east/edge", "haproxy.cfg")
    sections = {part.split("\n")[0]: part for part in haproxy.split("\n\n")}
    assert "mode http" in sections["frontend fe-www"]
    assert "retry-on conn-failure empty-response response-timeout" in sections["backend be-www"]
    assert "mode tcp" in sections["frontend fe-raw"]
    assert "retry-on" not in sections["backend be-raw"]
    assert 'GET uri "/healthz"' in sections["backend be-raw"]


def test_the_first_rule_that_holds_decides() -> None:
    """HAProxy asks denials before routing, so a rule that routes must stop later ones."""
    haproxy = with_rules(Rule(path="/a", to="www"), Rule(path="/a/b", deny=403))
    first, second = (line for line in haproxy.splitlines() if "path_beg" in line)
    assert first.strip().startswith("http-request set-var(txn.rule) int(1)")
    assert second.endswith("!{ var(txn.rule) -m found }")


def test_a_rules_conditions_must_all_hold() -> None:
    """Path, header and cookie stand side by side: HAProxy joins them by and."""
    haproxy = with_rules(Rule(path="/a", header=("X-A", "1"), cookie=("beta", "yes"), deny=404))
    assert (
        'http-request return status 404 if { path_beg -- "/a" } { req.hdr(X-A) -m str -- "1" } '
        '{ req.cook(beta) -m str -- "yes" }'
    ) in haproxy


def test_what_a_rule_says_cannot_leave_its_place() -> None:
    """Quotes, variables and formats in a file's values are only text to HAProxy."""
    haproxy = with_rules(
        Rule(header=("X-A", 'a" } || { always_true $HOME \\'), redirect="/50%?a=%[src]")
    )
    assert '"a\\" } || { always_true \\$HOME \\\\"' in haproxy
    assert '"/50%%?a=%%[src]"' in haproxy


@pytest.mark.parametrize(
    "rule", [Rule(path="/a\nbackend x", deny=403), Rule(header=("X) -m found", "1"), deny=403)]
)
def test_what_haproxy_cannot_hold_is_refused(rule: Rule) -> None:
    """A line break or a bracket in a name would be another directive."""
    with pytest.raises(UsageError, match="rule"):
        with_rules(rule)


def test_a_rule_to_a_service_without_servers_here_has_a_backend() -> None:
    """eu-west has no servers for api: the backend is empty, which is a 503, not a bad file."""
    assert text_of(wide(), "eu-west/edge", "haproxy.cfg").endswith("backend be-api\n  mode http\n")


def test_the_soft_stop_waits_for_the_most_patient_service() -> None:
    """One process serves all services, so the longest drain_timeout counts."""
    assert "hard-stop-after 45000ms" in text_of(wide(), "us-east/edge", "haproxy.cfg")


def test_unbound_asks_only_our_name_servers_and_only_for_its_lan() -> None:
    """Our zone from every name server, all else static, no roots."""
    unbound = text_of(two_region(), "new-york/access", "unbound.conf")
    lines = [line.strip() for line in unbound.splitlines()]
    assert [line for line in lines if line.startswith("stub-addr")] == [
        "stub-addr: 198.18.5.53",
        "stub-addr: 198.18.6.53",
    ]
    for expected in (
        "interface: 10.3.0.1",
        "outgoing-interface: 10.3.0.1",
        "access-control: 10.3.0.0/24 allow",
        'local-zone: "." static',
        'local-zone: "shop.test." transparent',
        "num-threads: 1",
    ):
        assert expected in lines


STEERED = """\
netemu: 1
name: steered
zone: shop.test
regions:
  us-east: {location: aws:us-east-1, servers: 5}
  eu-west: {location: aws:eu-west-1, servers: 1}
clients:
  paris: {location: city:Paris/FR}
  rome: {location: city:Rome/IT}
dns: {ttl: 30s, degraded_ttl: 5s, all_down: refuse, ramp: 20s, ecs: no}
services:
  www:
    names: [shop, "@"]
    dns:
      min_healthy: 60%
      policy: {failover: [eu-west, us-east]}
      health_check:
        type: https
        clear: 4
        hold_down: 9s
        checkers: {from: [paris, us-east, ns2], quorum: 70%}
  raw: {port: 81, dns: {health_check: {type: tcp}}}
"""


def test_a_name_server_is_told_all_that_the_file_says_of_a_name() -> None:
    """And can read it: what is rendered is a valid configuration of its own."""
    www, raw = config_of(plan_of(STEERED), "ns1", "dns.json")["services"]
    assert www["fqdns"] == ["www.shop.test", "shop.shop.test", "shop.test"]
    assert (www["policy"]["kind"], www["policy"]["members"]) == ("failover", ["eu-west", "us-east"])
    assert (www["degraded_ttl_s"], www["all_down"], www["ecs"]) == (5, "refuse", False)
    assert (www["ramp_s"], www["quorum"]) == (20.0, 0.7)
    assert www["checkers"] == ["paris", "us-east", "ns2"]
    check = www["check"]
    assert (check["kind"], check["clear"], check["hold_down_s"]) == ("https", 4, 9.0)
    assert (raw["check"]["kind"], raw["checkers"], raw["policy"]["kind"]) == ("tcp", [], "latency")
    loaded = Config.from_json(config_of(plan_of(STEERED), "ns1", "dns.json"))
    assert loaded.services[0].policy.regions() == ("eu-west", "us-east")


def test_equal_labs_draw_alike_and_others_otherwise() -> None:
    """The seed is the lab's name's until a run tells its own."""
    seeds = [config_of(plan_of(STEERED, lab), "ns1", "dns.json")["seed"] for lab in ("a", "a", "b")]
    assert seeds[0] == seeds[1] != seeds[2]


def test_only_who_hears_vantages_listens_for_them() -> None:
    """The name server's own address, where every vantage sends what it saw."""
    assert config_of(plan_of(STEERED), "ns2", "dns.json")["reports"] == ["198.18.6.53", 9953]
    assert "reports" not in config_of(two_region(), "ns1", "dns.json")


def test_vantages_are_the_routers_of_the_sites_that_check() -> None:
    """Beside what the host does anyway; hosts of no vantage are as they were."""
    plan = plan_of(STEERED)
    daemons = {host.name: [daemon.name for daemon in host.daemons] for host in plan.hosts}
    assert daemons["paris/access"] == ["unbound", "vantage"]
    assert daemons["us-east/edge"] == ["haproxy", "edge", "vantage"]
    assert daemons["ns2"] == ["dns", "vantage"]
    with_vantage = {name for name, names in daemons.items() if "vantage" in names}
    assert with_vantage == {"paris/access", "us-east/edge", "ns2"}


def test_a_vantage_checks_its_services_and_tells_every_name_server() -> None:
    """As the name servers would check themselves, and only what it is a vantage of."""
    plan = plan_of(STEERED)
    config = config_of(plan, "paris/access", "vantage.json")
    assert config["site"] == "paris"
    assert config["report_to"] == [["198.18.5.53", 9953], ["198.18.6.53", 9953]]
    [www] = config["services"]
    assert www == config_of(plan, "ns1", "dns.json")["services"][0]


def test_a_region_is_well_with_its_share_of_servers() -> None:
    """60 % of five is three and of one is one; unsaid, one is enough."""
    plan = plan_of(STEERED)
    us_east, eu_west = (text_of(plan, f"{r}/edge", "haproxy.cfg") for r in ("us-east", "eu-west"))
    assert "monitor fail if { nbsrv(be-www) lt 3 }" in us_east
    assert "monitor fail if { nbsrv(be-www) lt 1 }" in eu_west
    assert "monitor fail if { nbsrv(be-raw) lt 1 }" in us_east


def test_only_an_https_check_finds_a_certificate() -> None:
    """The health endpoint speaks what is asked of it."""
    haproxy = text_of(plan_of(STEERED), "us-east/edge", "haproxy.cfg")
    assert "bind 198.18.1.254:9001 ssl crt /etc/ssl/netemu.pem\n" in haproxy
    assert "bind 198.18.1.254:9002\n" in haproxy
