"""The rendered files on the programs of the node image: what the text promises, they do."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from emulator.engine.base import ContainerSpec
from emulator.engine.docker import DockerEngine
from emulator.plan.model import Plan
from tests.plan.worlds import host_of, plan_of, two_region, wide

pytestmark = pytest.mark.docker

TRIAL = Path(__file__).with_name("render_trial.py")
CLIENT_PATIENCE_S = 3.0  # the response timeout that a hidden death must stay inside


def resolvers() -> Plan:
    """A city with a resolver of each sort that Unbound must take."""
    sorts = [
        "{cache_min_ttl: 300s, cache_max_ttl: 600s, prefetch: yes, use_caps_for_id: yes}",
        "{serve_expired: yes}",
        "{serve_expired: yes, serve_expired_ttl: 0s, serve_expired_client_timeout: 0s}",
        "{ecs: yes, cache_min_ttl: 0s, qname_minimisation: no, use_caps_for_id: yes}",
        "{at: city-1}",
    ]
    head, places = two_region().topology.source.split("clients:\n")
    cities = [f"  city-{n}: {{location: city:Oslo, resolver: {s}}}" for n, s in enumerate(sorts, 1)]
    return plan_of("\n".join([f"{head}clients:", *cities, places]), "resolvers")


def images() -> Plan:
    """Every way in which a balancer asks and speaks with a user's image."""
    places = two_region().topology.source.split("services:\n")[0]
    services = [
        "asked: {image: a, target_protocol: h2c, health: /ready}",
        "rpc: {image: a, target_protocol: h2c}",
        "raw: {image: a, balance: l4}",
        'plain: {image: a, health: "/?x=50%"}',
    ]
    return plan_of("\n  ".join([f"{places}services:", *services]), "images")


def inputs(plan: Plan) -> dict[str, Any]:
    """us-east's edge and new-york's resolver of a plan, and every file that has a checker."""
    edge, access = host_of(plan, "us-east/edge"), host_of(plan, "new-york/access")
    servers = [host for host in plan.hosts if host.role == "server" and host.site == "us-east"]
    listen = [
        (host.interfaces[0].addresses[0].split("/")[0], 9090 if "raw" in host.name else 8080)
        for host in servers
    ]
    interfaces = (*edge.interfaces[1].addresses, *access.interfaces[1].addresses, *edge.loopback)
    return {
        "files": {
            f"{each.lab} {host.name} {path}": text
            for each in (plan, two_region(), resolvers(), images())
            for host in each.hosts
            for path, text in host.files.items()
            if path.startswith("/etc/netemu/") and path.endswith((".cfg", ".conf"))
        },
        "haproxy": edge.files["/etc/netemu/haproxy.cfg"],
        "unbound": access.files["/etc/netemu/unbound.conf"],
        "resolver": plan.resolvers["new-york"],
        "servers": listen,
        "addresses": [
            *(address for address, _ in listen),
            *(address.split("/")[0] for address in interfaces),
        ],
    }


@pytest.fixture(scope="module")
def seen(engine: DockerEngine, image: str) -> dict[str, Any]:
    """What one container saw; see render_trial.py."""
    lab = f"test-{uuid.uuid4().hex[:8]}"
    spec = ContainerSpec(
        lab=lab, host="trial", name=f"{lab}-trial", image=image, command=("sleep", "300"),
        cap_add=("NET_ADMIN",),
    )  # fmt: skip
    engine.create(spec)
    try:
        engine.start(lab, "trial")
        program = ("python3", "-c", TRIAL.read_text(), json.dumps(inputs(wide())))
        stream = engine.stream(lab, "trial", program)
        output = b""
        while data := stream.read(65536):
            output += data
        stream.close()
    finally:
        engine.remove(engine.containers(lab))
    found: dict[str, Any] = json.loads(output)
    return found


def test_the_programs_accept_every_file(seen: dict[str, Any]) -> None:
    """`haproxy -c` and `unbound-checkconf` have nothing to say, not even a warning."""
    assert len(seen["files"]) == 22
    for name, (status, words) in seen["files"].items():
        assert status == 0, (name, words)
        assert "WARNING" not in words, name


def test_answers_name_their_region(seen: dict[str, Any]) -> None:
    """The edge says which region it is; the region's endpoint is good."""
    calm = seen["haproxy"]["calm"]
    assert calm["plain"]["headers"]["x-netemu-region"] == "us-east"
    assert calm["health"]["status"] == 200
    assert calm["l4"]["status"] == 200
    assert "x-netemu-region" not in calm["l4"]["headers"]


def test_rules_route_deny_and_redirect(seen: dict[str, Any]) -> None:
    """Exact values only, quotes and all; the first rule that holds decides."""
    calm = seen["haproxy"]["calm"]
    assert calm["plain"]["body"] in {"10.1.0.11", "10.1.0.12"}
    assert calm["routed"]["body"] in {"10.1.0.13", "10.1.0.14"}
    assert calm["denied"]["status"] == 403
    assert calm["not denied"]["status"] == 200
    assert calm["routed first"]["status"] == 200
    assert calm["redirected"]["status"] == 302
    assert calm["redirected"]["headers"]["location"] == "/new?a=%20"
    assert calm["not redirected"]["status"] == 200


def test_draining_fails_the_regions_health_and_nothing_else(seen: dict[str, Any]) -> None:
    """Set over the runtime socket, undone over it; clients are served all the while."""
    drain = seen["haproxy"]["drain"]
    assert drain["said"] == ""
    assert drain["health"]["status"] == 503
    assert drain["answer"]["status"] == 200
    assert "connection" not in drain["answer"]["headers"]
    assert drain["healed"]["status"] == 200


def test_closing_is_said_on_every_answer(seen: dict[str, Any]) -> None:
    """`Connection: close`, until the drain is undone."""
    drain = seen["haproxy"]["drain"]
    assert drain["closing"]["headers"]["connection"] == "close"
    assert "connection" not in drain["after"]["headers"]


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_l7_hides_the_death_of_one_server_of_two(seen: dict[str, Any], how: str) -> None:
    """Every request is answered by the other server, while the client still waits."""
    for answer in seen["haproxy"][how]:
        assert answer["status"] == 200
        assert answer["seconds"] < CLIENT_PATIENCE_S


def test_the_regions_health_is_its_services_own(seen: dict[str, Any]) -> None:
    """www has no server left and is bad (the trial waited for it); raw has, and is good."""
    assert seen["haproxy"]["nobody left"]["raw health"]["status"] == 200


def test_the_soft_stop_ends_haproxy(seen: dict[str, Any]) -> None:
    """With no connection left there is nothing to wait for."""
    assert seen["haproxy"]["soft stop"] == 0


def test_foreign_names_are_answered_at_once(seen: dict[str, Any]) -> None:
    """No roots are asked, nobody waits."""
    for rcode, seconds in seen["unbound"]["names"].values():
        assert rcode == "NXDOMAIN"
        assert seconds < 0.5


def test_a_resolvers_cache_can_be_flushed(seen: dict[str, Any]) -> None:
    """Before a run, over the control socket, without certificates."""
    assert seen["unbound"]["flushed"].startswith("ok")
    assert seen["unbound"]["ended"] == 0
