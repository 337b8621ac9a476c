"""TLS that ends at the edge: what the balancers, the containers and the clients are told of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from emulator.plan import plan_to_json
from emulator.plan.bounds import bounds
from emulator.plan.model import Plan
from emulator.plan.tls import ROOT_FILE, certificate_names, has_tls
from emulator.scenario.model import Load
from tests.plan.worlds import TWO_REGION, host_of, plan_of, two_region

TLS = TWO_REGION.parent / "tls.yml"
CITY = "paris"
HTTP = ("http", "keepalive")


def secured() -> Plan:
    """www and api behind https, raw behind TLS and nothing more, plain."""
    return plan_of(TLS.read_text())


def in_the_clear() -> Plan:
    return plan_of(TLS.read_text().replace("tls: true, ", "").replace("tls: yes, ", ""))


def binds(plan: Plan, host: str) -> dict[str, str]:
    """Frontend -> the line of its listener."""
    text = host_of(plan, host).files["/etc/netemu/haproxy.cfg"]
    return dict(re.findall(r"frontend (\S+)\n  mode \w+\n  bind (.*)\n", text))


def test_only_a_tls_service_is_bound_with_a_certificate() -> None:
    """Neither the echo, nor the region's health, nor a service in the clear."""
    lines = binds(secured(), "eu-west/edge")
    assert {name for name, line in lines.items() if " ssl " in line} == {
        "fe-www", "fe-api", "fe-raw",
    }  # fmt: skip
    assert lines["fe-www"] == (
        "198.18.2.1:443 ssl crt /dev/shm/netemu/www.pem ssl-min-ver TLSv1.2 alpn http/1.1"
    )
    assert lines["fe-raw"] == (
        "198.18.2.3:8443 ssl crt /dev/shm/netemu/raw.pem ssl-min-ver TLSv1.2"
    )


def test_servers_behind_https_are_told_how_it_was_asked() -> None:
    """So that absolute addresses in their answers are right; a client's own word is replaced."""
    text = host_of(secured(), "us-east/edge").files["/etc/netemu/haproxy.cfg"]
    frontends = re.findall(r"\nfrontend (\S+)\n((?:  .*\n)+)", text)
    line = "  http-request set-header X-Forwarded-Proto https\n"
    assert [name for name, lines in frontends if line in lines] == ["fe-www", "fe-api"]


def test_a_certificate_has_every_name_of_its_service() -> None:
    """Those of DNS, and the short one that servers find in their /etc/hosts."""
    www = secured().services[0]
    assert certificate_names(www) == ("www.shop.test", "shop.test", "shop.shop.test", "www")


def test_the_users_containers_are_told_of_the_root_unless_they_say_otherwise() -> None:
    plan = secured()
    told = {host.name: host.own.environment for host in plan.hosts if host.own is not None}
    names = ("NETEMU_CA", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    for environment in told.values():
        assert [environment[name] for name in names] == [ROOT_FILE] * 4
    assert told["paris/client"]["CURL_CA_BUNDLE"] == ROOT_FILE
    assert told["us-east/api-1"]["CURL_CA_BUNDLE"] == "/my/own.pem"


def test_a_lab_in_the_clear_has_nothing_of_it() -> None:
    """No environment, no file, nothing for clients to verify."""
    plan = in_the_clear()
    assert (has_tls(plan), has_tls(secured())) == (False, True)
    assert ROOT_FILE not in json.dumps(plan_to_json(plan))
    assert "ssl" not in host_of(plan, "us-east/edge").files["/etc/netemu/haproxy.cfg"]


def test_one_topology_is_one_plan() -> None:
    """What is made anew at every `up` is neither in the plan nor in its digest."""
    assert secured().digest == secured().digest
    assert "PRIVATE KEY" not in json.dumps(plan_to_json(secured()))


def test_clients_verify_the_first_service_if_that_is_tls() -> None:
    config = json.loads(host_of(secured(), "paris/client").files["/etc/netemu/client.json"])
    assert (config["service"]["port"], config["service"]["root"]) == (443, ROOT_FILE)
    config = json.loads(host_of(two_region(), "paris/client").files["/etc/netemu/client.json"])
    assert "root" not in config["service"]


def test_a_url_has_the_port_only_where_it_is_not_the_schemes_own() -> None:
    www, _, raw, plain = secured().services
    assert [s.url for s in (www, raw, plain)] == [
        "https://www.shop.test/", "https://raw.shop.test:8443/", "http://plain.shop.test/",
    ]  # fmt: skip
    assert [s.protocol for s in (www, raw, plain)] == ["https", "tls", "http"]


def connects_s(plan: Plan) -> dict[str, float]:
    """The part of each bound in which the new region is connected to."""
    return {b.client: b.parts["connect_s"] for b in bounds(plan, "power", "eu-west")}


def test_a_new_connection_costs_https_a_round_trip_more() -> None:
    """TLS 1.3's handshake (RFC 8446, 2); the echo of streams and datagrams stays plain."""
    before, after = connects_s(in_the_clear()), connects_s(secured())
    assert before["http"] > 0
    for kind in HTTP:
        assert after[kind] == 2 * before[kind]
    assert {kind: after[kind] for kind in ("stream", "udp")} == {
        kind: before[kind] for kind in ("stream", "udp")
    }


def client_s(plan: Plan, fault: str, loads: Mapping[str, Load]) -> float:
    found = bounds(plan, fault, "eu-west", {CITY: loads})
    return next(b.parts["client_s"] for b in found if b.client == "keepalive")


def test_a_frozen_region_refills_no_pool_of_https() -> None:
    """Its kernel completes handshakes, but nobody does those of TLS: as after a loss of power."""
    warm = {"keepalive": Load("keepalive", 10.0, connections=400)}
    assert client_s(in_the_clear(), "freeze", warm) > client_s(in_the_clear(), "power", warm)
    assert client_s(secured(), "freeze", warm) == client_s(secured(), "power", warm)
