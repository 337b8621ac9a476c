"""A user's image in a server's place: what the plan makes of it."""

from __future__ import annotations

import json

import pytest

from emulator.plan.model import OwnSpec, Plan
from emulator.plan.own import check_of, patience_s
from tests.plan.worlds import host_of, plan_of

OWN = """\
netemu: 1
name: own
regions:
  us-east: {location: aws:us-east-1, services: {api: {image: my/api:1.3, servers: 2, env: {A: 2},
    files: {/etc/b: /nowhere/b2}}}}
  eu-west: {location: aws:eu-west-1}
clients:
  paris: {location: city:Paris/FR, image: my/client, command: "ask http://api.own.test/"}
services:
  api:
    image: my/api:1.2
    entrypoint: tini --
    command: serve --port 8080
    files: {/etc/a: /nowhere/a, /etc/b: /nowhere/b}
    volumes: [/var/lib/api, shared:/srv/shared]
    env: {A: 1, EMPTY: , B: "two words"}
    target_port: 8080
    health: /ready?x=50%
    cpus: 0.5
    memory: 128MiB
    start_timeout: 90s
  db: {image: my/db, command: [postgres, -c, a b], port: 5432, balance: l4}
  plain: {port: 81}
traffic: {path: /items}
"""


def own(plan: Plan, host: str) -> OwnSpec:
    found = host_of(plan, host).own
    assert found is not None
    return found


def test_a_server_with_an_image_has_a_second_container() -> None:
    """As the service says, and where a region says otherwise, as that does."""
    plan = plan_of(OWN, "lab")
    here, there = own(plan, "eu-west/api-1"), own(plan, "us-east/api-2")
    assert (here.name, here.container) == ("eu-west/api-1:image", "lab-eu-west-api-1-image")
    assert (here.image, there.image) == ("my/api:1.2", "my/api:1.3")
    assert here.command == there.command == ("serve", "--port", "8080")
    assert (here.cpus, here.memory, here.start_timeout_s) == (0.5, 128 * 2**20, 90.0)
    assert (here.environment["A"], there.environment["A"]) == ("1", "2")
    assert (here.environment["EMPTY"], there.environment["B"]) == ("", "two words")
    assert here.entrypoint == there.entrypoint == ("tini", "--")
    assert (own(plan, "us-east/db-1").entrypoint, own(plan, "us-east/db-1").volumes) == ((), {})
    assert own(plan, "us-east/db-1").command == ("postgres", "-c", "a b")
    assert [h.name for h in plan.hosts if h.role == "server" and h.own is None] == [
        "us-east/plain-1",
        "eu-west/plain-1",
    ]


def test_its_files_are_those_of_the_service_but_for_what_its_region_changes() -> None:
    plan = plan_of(OWN, "lab")
    assert own(plan, "eu-west/api-1").files == {"/etc/a": "/nowhere/a", "/etc/b": "/nowhere/b"}
    assert own(plan, "us-east/api-1").files == {"/etc/a": "/nowhere/a", "/etc/b": "/nowhere/b2"}


def test_a_volume_with_a_name_is_one_in_each_region_of_each_lab() -> None:
    """Its servers share it; one without a name is each container's own."""
    plan = plan_of(OWN, "lab")
    first, second = own(plan, "us-east/api-1"), own(plan, "us-east/api-2")
    assert first.volumes == {"/var/lib/api": "", "/srv/shared": "lab_us-east_shared"}
    assert second.volumes == first.volumes
    assert own(plan, "eu-west/api-1").volumes["/srv/shared"] == "lab_eu-west_shared"
    other = own(plan_of(OWN, "other"), "us-east/api-1")
    assert other.volumes["/srv/shared"] == "other_us-east_shared"


def test_it_is_told_where_it_is_and_who_its_peers_are() -> None:
    """By environment."""
    told = own(plan_of(OWN, "lab"), "us-east/api-1").environment
    assert {key: told[key] for key in told if key.startswith("NETEMU_")} == {
        "NETEMU_LAB": "lab",
        "NETEMU_REGION": "us-east",
        "NETEMU_SERVICE": "api",
        "NETEMU_HOST": "us-east/api-1",
        "NETEMU_ADDRESS": "10.1.0.11",
        "NETEMU_PEERS": "us-east/api-2=10.1.0.12 eu-west/api-1=10.2.0.11",
    }


def test_a_city_may_have_a_client_of_its_own() -> None:
    """Beside the built-in ones; it asks the city's resolver, so it needs no names."""
    host = host_of(plan_of(OWN, "lab"), "paris/client")
    assert host.own is not None
    assert (host.own.name, host.own.image) == ("paris/client:image", "my/client")
    assert host.own.command == ("ask", "http://api.own.test/")
    assert host.own.environment == {
        "NETEMU_LAB": "lab",
        "NETEMU_CITY": "paris",
        "NETEMU_HOST": "paris/client",
        "NETEMU_ADDRESS": "10.3.0.2",
    }
    assert "/etc/hosts" not in host.files


def test_it_finds_services_by_their_names() -> None:
    """A service is its region's balancer; a server can be named too, also of another region."""
    lines = host_of(plan_of(OWN), "us-east/api-1").files["/etc/hosts"].splitlines()
    names = {name: line.split()[0] for line in lines for name in line.split()[1:]}
    assert names["localhost"] == "127.0.0.1"
    assert (names["db"], names["db-1"]) == ("198.18.1.2", "10.1.0.13")
    assert names["db-1.eu-west"] == "10.2.0.12"
    assert "/etc/hosts" not in host_of(plan_of(OWN), "us-east/plain-1").files


def test_the_balancer_asks_it_what_it_was_told_to_ask() -> None:
    """A path over HTTP; or only a connection; and of both it names the server that answered."""
    haproxy = host_of(plan_of(OWN), "us-east/edge").files["/etc/netemu/haproxy.cfg"]
    sections = {part.split("\n")[0]: part for part in haproxy.split("\n\n")}
    api, db, plain = (sections[f"backend be-{name}"] for name in ("api", "db", "plain"))
    assert 'uri "/ready?x=50%%" ver' in api
    assert "expect status 200-399" in api
    assert "set-header X-Netemu-Server us-east/%s" in api
    assert "server api-1 10.1.0.11:8080" in api
    assert "httpchk" not in db
    assert "server db-1 10.1.0.13:5432" in db
    assert "X-Netemu-Server" not in plain
    assert "expect status 200\n" in plain


def test_a_server_may_speak_http_2_without_tls() -> None:
    """The balancer does so too, in its check where that asks for a path; a call is as long as it
    is, and is never sent twice but where it never arrived."""
    services = "  rpc: {image: a, target_protocol: h2c}\n  asked: {image: a, target_protocol: h2c"
    plan = plan_of(OWN.replace("traffic:", f"{services}, health: /ready}}\ntraffic:"))
    haproxy = host_of(plan, "eu-west/edge").files["/etc/netemu/haproxy.cfg"]
    sections = {part.split("\n")[0]: part for part in haproxy.split("\n\n")}
    rpc, asked = sections["backend be-rpc"], sections["backend be-asked"]
    assert rpc.splitlines()[-1].endswith(":80 proto h2")
    assert "httpchk" not in rpc
    assert asked.splitlines()[-1].endswith(":80 proto h2 check-proto h2")
    assert 'uri "/ready"' in asked
    assert "timeout server 1h" in rpc
    assert "retry-on" not in rpc
    assert "timeout client 1h" in sections["frontend fe-rpc"]
    tls = f"{services}, tls: true, target_port: 50051}}\ntraffic:"
    secure = plan_of(OWN.replace("traffic:", tls))
    assert " alpn h2,http/1.1\n" in host_of(secure, "eu-west/edge").files["/etc/netemu/haproxy.cfg"]
    assert "proto" not in sections["backend be-api"]
    assert "timeout client" not in sections["frontend fe-api"]


@pytest.mark.parametrize(
    ("server", "path", "good"),
    [("us-east/api-1", "/ready?x=50%", (200, 399)), ("us-east/db-1", "", (200, 399)),
     ("us-east/plain-1", "/healthz", (200, 200))],
)  # fmt: skip
def test_it_is_asked_from_beside_it_what_its_balancer_asks(server, path, good) -> None:
    """The same address and port, the same path, the same name, the same answers are well."""
    plan = plan_of(OWN)
    check = check_of(plan, server)
    assert (check["path"], check["good"]) == (path, good)
    assert check["host_header"] == f"{server.split('/')[1].split('-')[0]}.own.test"
    haproxy = host_of(plan, "us-east/edge").files["/etc/netemu/haproxy.cfg"]
    assert f" {check['address']}:{check['port']}\n" in haproxy


def test_up_is_as_patient_as_those_that_wait_for_each_other() -> None:
    """One after the other: the longest way counts."""
    text = OWN.replace(
        "    start_timeout: 90s\n", "    start_timeout: 90s\n    depends_on: [db, plain]\n"
    )
    assert patience_s(plan_of(OWN)) == 90.0
    assert patience_s(plan_of(text)) == 150.0


def test_our_own_server_only_echoes_beside_it() -> None:
    """The HTTP port is the image's."""
    plan = plan_of(OWN)
    config = json.loads(host_of(plan, "us-east/api-1").files["/etc/netemu/app.json"])
    assert (config["port"], config["echo_port"]) == (None, 7)
    config = json.loads(host_of(plan, "us-east/plain-1").files["/etc/netemu/app.json"])
    assert config["port"] == 8080


def test_clients_ask_for_what_the_file_says() -> None:
    config = json.loads(host_of(plan_of(OWN), "paris/client").files["/etc/netemu/client.json"])
    assert config["service"]["path"] == "/items"
