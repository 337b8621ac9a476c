"""What a user's container brings, keeps and waits for: in a lab, seen from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from emulator.controller.inject import heal, inject
from emulator.controller.lab import Lab, bring_up, remove_lab
from emulator.engine.docker import DockerEngine
from emulator.plan import make_plan
from emulator.topology.parse import load_topology
from emulator.wan.remote import RemoteWan
from tests.capture import wait_until

pytestmark = pytest.mark.docker

# Says when it began and when it listens, on the lab's clock; answers with what its disk has. Its
# page is well after a while; the database needs a second to listen.
_PROGRAM = """
import http.server, json, os, pathlib, sys, time
print(json.dumps({"began": time.monotonic_ns()}), flush=True)
time.sleep(float(sys.argv[2]))
kept = pathlib.Path("/keep/boots")
kept.write_text((kept.read_text() if kept.exists() else "") + "x")
pathlib.Path("/shared", os.environ["NETEMU_HOST"].replace("/", "_")).touch()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"conf": pathlib.Path("/etc/app/app.conf").read_text(),
                           "boots": kept.read_text(), "words": sys.argv[1:],
                           "shared": sorted(os.listdir("/shared"))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_): pass  # the balancer's check only connects, and hangs up
server = Server(("", int(sys.argv[1])), Handler)
print(json.dumps({"listens": time.monotonic_ns()}), flush=True)
server.serve_forever()
"""
_TOPOLOGY = """\
netemu: 1
name: disk
zone: shop.test
regions:
  us-east: {{location: aws:us-east-1}}
  eu-west: {{location: aws:eu-west-1, services: {{api: {{files: {{/etc/app/app.conf: eu.conf}}}}}}}}
clients:
  paris: {{location: city:Paris/FR}}
services:
  api:
    image: {image}
    entrypoint: [python3, /srv/app/server.py]
    command: 8080 0
    target_port: 8080
    files: {{/srv/app: ./app, /etc/app/app.conf: us.conf}}
    volumes: [/keep, all:/shared]
    depends_on: [db]
  db:
    image: {image}
    entrypoint: [/srv/app/server.py]
    command: 5432 1
    port: 5432
    balance: l4
    files: {{/srv/app: ./app, /etc/app/app.conf: us.conf}}
    volumes: [/keep, all:/shared]
traffic: none
"""


@pytest.fixture(scope="module")
def lab(
    engine: DockerEngine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("disk")
    program = folder / "app" / "server.py"
    program.parent.mkdir()
    program.write_text(f"#!/usr/bin/python3\n{_PROGRAM}")
    program.chmod(0o755)
    for region in ("us", "eu"):
        (folder / f"{region}.conf").write_text(f"conf of {region}")
    (folder / "disk.yaml").write_text(_TOPOLOGY.format(image=json.dumps(image)))
    plan = make_plan(load_topology(folder / "disk.yaml"), f"d-disk-{folder.stat().st_ino}")
    lab = bring_up(plan, engine, RemoteWan, image, lambda *_: None)
    yield lab
    lab.wan.close()
    remove_lab(engine, plan.lab)
    assert engine.volumes(plan.lab) == ()


def asked(lab: Lab, region: str) -> dict[str, object]:
    """What the region's API answers to a city's curl."""
    address = lab.plan.services[0].addresses[region]
    curl = ["curl", "-sf", "-m", "3", f"http://{address}/"]
    said = lab.wan.host("paris/client", "run", argv=curl, timeout_s=5.0)
    body: dict[str, object] = json.loads(said["out"] or "{}")
    return body


def instants(lab: Lab, host: str) -> dict[str, int]:
    """When its latest life began and when it listened."""
    found: dict[str, int] = {}
    for line in lab.engine.log(lab.name, f"{host}:image", last=2):
        found |= json.loads(line.text)
    return found


def test_files_are_where_the_topology_says_and_may_differ_by_region(lab: Lab) -> None:
    """A directory, of which a program is executable; a file, other in one region. Entrypoint and
    command are the file's."""
    assert asked(lab, "us-east")["conf"] == "conf of us"
    assert asked(lab, "eu-west")["conf"] == "conf of eu"
    assert asked(lab, "us-east")["words"] == ["8080", "0"]


def test_a_region_shares_a_volume_by_its_name(lab: Lab) -> None:
    """With every container of the region that names it, and with no other region."""
    assert asked(lab, "us-east")["shared"] == ["us-east_api-1", "us-east_db-1"]
    assert asked(lab, "eu-west")["shared"] == ["eu-west_api-1", "eu-west_db-1"]


@pytest.mark.parametrize("region", ["us-east", "eu-west"])
def test_who_depends_on_a_service_begins_when_that_listens(lab: Lab, region: str) -> None:
    """The database takes a second before it does."""
    api, db = instants(lab, f"{region}/api-1"), instants(lab, f"{region}/db-1")
    assert db["began"] < db["listens"] < api["began"]


def test_after_a_power_loss_order_files_and_volumes_are_as_before(lab: Lab) -> None:
    """A container's own volume has what was written, its files what was copied."""
    assert asked(lab, "us-east")["boots"] == "x"
    inject(lab, ["us-east"], "power")
    heal(lab, ["us-east"])
    wait_until(lambda: asked(lab, "us-east").get("boots") == "xx", "it is served again")
    api, db = instants(lab, "us-east/api-1"), instants(lab, "us-east/db-1")
    assert db["began"] < db["listens"] < api["began"]
    assert asked(lab, "us-east")["conf"] == "conf of us"


def test_its_volumes_are_the_labs(lab: Lab) -> None:
    """By label: one of each container's own, one with a name in each region; nothing of this
    machine is mounted."""
    assert len(lab.engine.volumes(lab.name)) == 4 + 2
    client = docker.from_env()
    mounts = client.containers.get(f"{lab.name}-us-east-api-1-image").attrs["Mounts"]
    client.close()
    assert {(m["Type"], m["Destination"]) for m in mounts} == {
        ("volume", "/keep"),
        ("volume", "/shared"),
    }
