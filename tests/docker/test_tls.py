"""HTTPS in a real lab: who trusts it, where its keys lie, and what faults leave of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import docker
import pytest

from emulator.controller.inject import heal, inject
from emulator.errors import Exit
from emulator.harness.network import NetworkVerbs
from emulator.plan.tls import ROOT_FILE
from tests.capture import RST, wait_until
from tests.cli import ROOT, netemu
from tests.curl import curl
from tests.docker.lab import (
    EU_WEST,
    HOME,
    NEW_YORK_CLIENT,
    US_EAST,
    World,
    every,
    running,
    running_example,
)

pytestmark = pytest.mark.docker

URL, API = "https://www.shop.test/", "https://api.shop.test/"
API_US_EAST = "198.18.1.2"
UNTRUSTED = 60  # curl: the peer's certificate cannot be verified

# A server of the user's: says what it was told, and what the service beside it says to its name.
_SERVER = """
import http.server, json, os, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = {"proto": self.headers["X-Forwarded-Proto"], "shm": os.listdir("/dev/shm"),
                "ca": open(os.environ["NETEMU_CA"]).read()}
        if self.path == "/beside":
            said["beside"] = json.load(urllib.request.urlopen("https://www/", timeout=3))["region"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())
http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()
"""
# And a client: nothing in it speaks of certificates.
_ASKER = """
import time, urllib.request
while True:
    try: print(urllib.request.urlopen("https://api.shop.test/", timeout=3).status, flush=True)
    except OSError as error: print(error, flush=True)
    time.sleep(0.2)
"""
_TOPOLOGY = """\
netemu: 1
name: tls
zone: shop.test
regions:
  us-east: {{location: aws:us-east-1, servers: 2}}
  eu-west: {{location: aws:eu-west-1, servers: 2}}
clients:
  new-york: {{location: city:New York}}
  paris: {{location: city:Paris/FR, image: {image}, command: {asker}}}
dns: {{ttl: 2s, health_check: {{interval: 500ms, timeout: 500ms, fall: 3, rise: 2}}}}
services:
  www: {{tls: yes, names: "@", drain_timeout: 3s}}
  api: {{tls: yes, image: {image}, command: {server}, target_port: 3000}}
  raw: {{tls: yes, balance: l4, port: 8443}}
"""


@pytest.fixture(scope="module")
def secured(engine, image) -> Iterator[World]:
    server, asker = (json.dumps(["python3", "-c", each]) for each in (_SERVER, _ASKER))
    text = _TOPOLOGY.format(image=json.dumps(image), server=server, asker=asker)
    with running(engine, image, text) as world:
        yield world


def handshake(world: World, address: str, *options: str, name: str = "www.shop.test") -> str:
    """What openssl says of a handshake, in new-york's client."""
    line = f"openssl s_client -connect {address}:443 -servername {name} {' '.join(options)}"
    asked = world.run("new-york/client", "sh", "-c", f"{line} </dev/null 2>&1")
    return str(asked["out"])


def fingerprint(world: World, address: str) -> str:
    """Of the certificate that is shown there."""
    shown = handshake(world, address)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return shown[shown.index(begin) : shown.index(end)]


@pytest.mark.parametrize(
    "url", [URL, "https://shop.test/", "https://raw.shop.test:8443/", "https://api.shop.test/"]
)
def test_a_citys_curl_trusts_every_name_of_every_service(secured: World, url: str) -> None:
    """Whatever the balancer understands, and whoever serves behind it."""
    for city in HOME:
        said = secured.run(f"{city}/client", "curl", "-sSf", "-m", "3", url)
        assert said["rc"] == 0, said["err"]


def test_each_city_is_served_by_its_region(secured: World) -> None:
    for city, region in HOME.items():
        said = secured.run(f"{city}/client", "curl", "-sSf", "-m", "3", URL)
        assert json.loads(str(said["out"]))["region"] == region


def test_who_was_not_told_of_the_root_refuses(secured: World) -> None:
    """By the authorities that the world trusts; and by the root, under a name that is not there."""
    system = ("--cacert", "/etc/ssl/certs/ca-certificates.crt")
    said = secured.run("paris/client", "curl", "-sS", "-m", "3", *system, URL)
    assert said["rc"] == UNTRUSTED, said
    told = handshake(secured, EU_WEST, "-verify_hostname", "www.bank.test", "-verify_return_error")
    assert "hostname mismatch" in told


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("-tls1_3", "New, TLSv1.3"),
        ("-tls1_2", "New, TLSv1.2"),
        ("-tls1_1", "alert protocol version"),
    ],
)
def test_tls_begins_with_version_1_2(secured: World, version: str, told: str) -> None:
    """Of a client that would take any."""
    assert told in handshake(secured, US_EAST, version, "-cipher", "ALL:@SECLEVEL=0")


def test_http_1_1_is_what_is_agreed_on(secured: World) -> None:
    """HTTP/2 is not offered, so a drain can end every connection by its answers."""
    assert "ALPN protocol: http/1.1" in handshake(secured, US_EAST, "-alpn", "h2,http/1.1")
    assert "No ALPN negotiated" in handshake(secured, US_EAST, "-alpn", "h2")


def test_haproxy_finds_nothing_to_complain_of(secured: World) -> None:
    """In the file, and in the certificates that it names."""
    said = secured.run("us-east/edge", "haproxy", "-c", "-f", "/etc/netemu/haproxy.cfg")
    assert (said["rc"], said["err"]) == (0, "")


def test_a_key_is_in_the_memory_of_edges_and_nowhere_else(secured: World) -> None:
    """Root's alone, on no disk; and not where a program of the user's could look."""
    look = "cd /dev/shm/netemu && stat -c '%n %a %U' * && stat -f -c %T ."
    said = secured.run("us-east/edge", "sh", "-c", look)
    keys = [f"{name}.pem 600 root" for name in ("api", "raw", "www")]
    assert str(said["out"]).splitlines() == [*keys, "tmpfs"]
    for host in ("us-east/www-1", "us-east/api-1", "paris/client", "ns1"):
        assert secured.run(host, "ls", "/dev/shm")["out"] == ""  # noqa: S108
    client = docker.from_env()
    for container in client.containers.list(filters={"label": f"netemu.lab={secured.lab.name}"}):
        written = [str(change["Path"]) for change in container.diff() or []]
        assert [path for path in written if path.endswith(".pem") and path != ROOT_FILE] == []
        assert b"PRIVATE KEY" not in container.logs()
    client.close()


def test_a_server_of_the_users_is_told_all_that_it_needs(secured: World) -> None:
    """How it was asked, whom to trust, and so the service beside it by its short name."""
    said = secured.run("paris/client", "curl", "-sSf", "-m", "5", "https://api.shop.test/beside")
    told = json.loads(str(said["out"]))
    assert told == {
        "proto": "https",
        "ca": secured.lab.certificates.root,
        "shm": [],
        "beside": "eu-west",
    }


def test_a_client_of_the_users_needs_not_a_word(secured: World) -> None:
    """The root's file is there before it starts, and its environment leads there."""
    log = secured.engine.log(secured.lab.name, "paris/client:image")
    assert {line.text for line in log} == {"200"}


def test_this_machines_programs_trust_it_behind_the_proxy(secured: World, tmp_path) -> None:
    """By the file that `netemu ca` prints; a command of `netemu proxy` by itself."""
    root = tmp_path / "root.pem"
    root.write_text(netemu("ca", "--lab", secured.lab.name).out)
    verbs = NetworkVerbs(secured.lab)
    assert verbs.root == root.read_text()
    with verbs.proxy("paris") as opened:
        way = ("-x", f"socks5h://{opened.address}")
        trusting = curl("--cacert", str(root), *way, URL)
        assert json.loads(trusting.stdout)["region"] == "eu-west"
        assert curl(*way, URL).returncode == UNTRUSTED
    said = netemu("proxy", "new-york", "--lab", secured.lab.name, "--", "curl", "-sS", URL)
    assert said.code == Exit.PASSED, said.err
    assert json.loads(said.out)["region"] == "us-east"


def test_what_runs_is_shown_as_what_it_is(secured: World) -> None:
    said = netemu("status", secured.lab.name)
    assert "www.shop.test port 443 (l7, https)" in said.out
    assert "raw.shop.test port 8443 (l4, tls)" in said.out


def test_no_client_of_ours_says_rst_while_all_is_well(secured: World) -> None:
    """Connections inside TLS end in order: what comes after our FIN is waited for."""
    secured.calm()
    with secured.capture("new-york") as there:
        since = secured.seq()
        wait_until(lambda: len(secured.requests(since, city="new-york", client="http")) >= 20, "20")
        packets = there.catch_up()
    assert sum(p.is_syn and p.dport == 443 for p in packets) >= 15
    assert [p for p in packets if p.src == NEW_YORK_CLIENT and p.flags & RST] == []


@pytest.mark.parametrize("how", ["power", "crash", "freeze"])
def test_built_in_clients_recover_over_https(secured: World, how: str) -> None:
    """To the other region and home again; of a stopped one they say that TLS was silent. Another
    process heals, and the region shows the certificate that it had."""
    secured.calm({"http": 20.0, "keepalive": 20.0})
    before, since = fingerprint(secured, US_EAST), secured.seq()
    inject(secured.lab, ["us-east"], how)

    def served_by(region: str, after: int, *kinds: str) -> bool:
        found = secured.requests(after, city="new-york", outcome="ok", region=region)
        return {e["client"] for e in found if e["secured"]} >= set(kinds)

    wait_until(lambda: served_by("eu-west", since, "http", "keepalive"), "https from eu-west", 30)
    failed = [e for e in secured.requests(since, city="new-york") if e["outcome"] != "ok"]
    details = {e["detail"] for e in failed if e["client"] == "http"}
    assert {"power": "connect", "crash": "ECONNREFUSED", "freeze": "handshake"}[how] in details
    said = netemu("heal", "us-east", "--lab", secured.lab.name)
    assert said.code == Exit.PASSED, said.err
    healed = secured.seq()
    wait_until(lambda: served_by("us-east", healed, "http"), "https from us-east", 30)
    assert fingerprint(secured, US_EAST) == before
    said_by_theirs = secured.run(
        "new-york/client", "curl", "-sSf", "-m", "5", "--connect-to", f"::{API_US_EAST}:443", API
    )
    assert json.loads(str(said_by_theirs["out"]))["ca"] == secured.lab.certificates.root


def test_a_drain_loses_no_request_inside_tls(secured: World) -> None:
    """Pools hear `Connection: close` in time, as they do in the clear."""
    secured.calm({"http": 20.0, "keepalive": 20.0})
    since = secured.seq()
    inject(secured.lab, ["us-east"], "drain")

    def has_ended() -> bool:
        state = secured.lab.wan.host("us-east/edge", "status")["daemons"]["haproxy"]
        return str(state).startswith("ended")

    wait_until(has_ended, "the balancer stopped", 40)
    heal(secured.lab, ["us-east"])
    assert every(secured.requests(since), lambda e: e["outcome"] == "ok")


def test_the_root_of_another_lab_says_nothing_of_this_one(secured, engine, tmp_path) -> None:
    """Of the shipped example: every lab makes an authority of its own."""
    example = ROOT / "topologies" / "two-region-https.yaml"
    codes = []
    with running_example(engine, example) as other, NetworkVerbs(other.lab).proxy("paris") as way:
        for lab in (secured.lab, other.lab):
            root = tmp_path / f"{lab.name}.pem"
            root.write_text(lab.certificates.root)
            said = curl(
                "-o", "/dev/null", "--cacert", str(root), "-x", f"http://{way.address}", URL
            )
            codes.append(said.returncode)
    assert codes == [UNTRUSTED, 0]
