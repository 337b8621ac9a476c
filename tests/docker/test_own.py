"""A user's image as server, unchanged: served, broken, healed, and kept within its rights."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from emulator.controller.inject import heal, inject
from emulator.controller.lab import lab_names
from emulator.controller.own import LAST_LINES
from emulator.errors import NotReady
from emulator.plan import make_plan
from emulator.topology.parse import parse_topology
from tests.capture import wait_until
from tests.cli import netemu
from tests.docker.lab import World, every, new_name, running, running_plan

pytestmark = pytest.mark.docker

# What a user's program might be: knows nothing of netemu, ignores SIGTERM, says who it is.
_PROGRAM = """
import http.server, json, os, signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"path": self.path, "uid": os.getuid(), **os.environ}).encode()
        self.send_response(200 if self.path.startswith("/") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    def handle_error(self, *_): pass
print("serving", flush=True)
Server(("", 8080), Handler).serve_forever()
"""
# And a client of theirs: asks again and again, and says a JSON line of each answer.
_ASKER = """
import json, time, urllib.request
while True:
    try: said = json.load(urllib.request.urlopen("http://api.shop.test/", timeout=1))
    except OSError as error: said = {"error": str(error)}
    print(json.dumps({"region": said.get("NETEMU_REGION"), "error": said.get("error")}), flush=True)
    time.sleep(0.2)
"""
_TOPOLOGY = """\
netemu: 1
name: own
zone: shop.test
regions:
  us-east: {{location: aws:us-east-1, servers: 2}}
  eu-west: {{location: aws:eu-west-1, services: {{api: {{env: {{GREETING: salut}}}}}}}}
clients:
  new-york: {{location: city:New York}}
  paris: {{location: city:Paris/FR, image: {image}, command: {asker}}}
dns: {{ttl: 2s, health_check: {{interval: 500ms, timeout: 500ms, fall: 3, rise: 2}}}}
services:
  api:
    image: {image}
    command: {command}
    env: {{GREETING: hello}}
    target_port: 8080
    health: /healthz
    start_timeout: {patience}
    cpus: 0.9
    memory: 128MiB
traffic: {{rate: 5/s, path: /items}}
"""


def topology(image: str, program: str = _PROGRAM, patience: str = "60s") -> str:
    command, asker = (json.dumps(["python3", "-c", each]) for each in (program, _ASKER))
    return _TOPOLOGY.format(
        image=json.dumps(image), command=command, asker=asker, patience=patience
    )


@dataclass(frozen=True)
class Own:
    """A running lab whose servers are the user's image."""

    world: World
    docker: Any

    def ask(self, city: str, path: str = "/") -> dict[str, str]:
        """What the service says to a city's curl; nothing where it does not answer well."""
        url = f"http://api.shop.test{path}"
        said = self.world.run(f"{city}/client", "curl", "-sf", "-m", "3", url)
        body: dict[str, str] = json.loads(said["out"] or "{}")
        return body

    def serves(self, region: str, city: str) -> bool:
        """Whether this region answers the city's curl."""
        return self.ask(city).get("NETEMU_REGION") == region

    def container(self, host: str) -> Any:
        return self.docker.containers.get(f"{self.world.lab.name}-{host.replace('/', '-')}-image")


@pytest.fixture(scope="module")
def own(engine, image) -> Iterator[Own]:
    client = docker.from_env()
    with running(engine, image, topology(image)) as world:
        yield Own(world, client)
    client.close()


def test_every_city_is_served_by_the_image_of_its_region(own: Own) -> None:
    """With its own environment, what netemu adds, and what its region changes."""
    here, there = own.ask("new-york", "/a?b=c"), own.ask("paris")
    assert here["path"] == "/a?b=c"
    assert (here["NETEMU_REGION"], there["NETEMU_REGION"]) == ("us-east", "eu-west")
    assert (here["GREETING"], there["GREETING"]) == ("hello", "salut")
    assert {own.ask("new-york")["NETEMU_HOST"] for _ in range(4)} == {
        "us-east/api-1",
        "us-east/api-2",
    }


def test_the_load_is_answered_by_it_and_names_the_server(own: Own) -> None:
    since = own.world.seq()
    wait_until(lambda: len(own.world.requests(since, client="http")) >= 10, "ten requests")
    requests = [e for e in own.world.requests(since) if e["client"] in {"http", "keepalive"}]
    assert every(requests, lambda e: e["outcome"] == "ok")
    servers = {e["server"] for e in requests}
    assert servers == {"us-east/api-1", "us-east/api-2", "eu-west/api-1"}


def test_it_has_the_limits_that_the_file_says(own: Own) -> None:
    """By the engine's own word."""
    settings = own.container("eu-west/api-1").attrs["HostConfig"]
    assert (settings["NanoCpus"], settings["Memory"]) == (900_000_000, 128 * 2**20)
    assert own.container("paris/client").attrs["HostConfig"]["Memory"] == 0


def test_it_has_no_more_rights_than_docker_gives_and_no_way_out(own: Own) -> None:
    """No capability added, nothing mounted, no network but the host's; the engine's socket is not
    there, the machine is not reached, and neighbours only over the emulated network."""
    container = own.container("us-east/api-1")
    settings = container.attrs["HostConfig"]
    assert settings["NetworkMode"].startswith("container:")
    assert not settings["Privileged"] and not settings["CapAdd"] and not settings["Binds"]
    assert settings["PidMode"] == "" and not container.attrs["Mounts"]
    look = "ip -br link; ls /var/run/docker.sock /run/docker.sock; ip route get 8.8.8.8"
    code, said = container.exec_run(["sh", "-c", look])
    links = {line.split("@")[0].split()[0] for line in said.decode().splitlines()[:2]}
    assert links == {"lo", "lan0"}
    assert said.decode().count("No such file") == 2
    code, _ = container.exec_run(["ping", "-c", "1", "-W", "1", "8.8.8.8"])
    assert code != 0
    code, said = container.exec_run(["mount", "-t", "tmpfs", "none", "/mnt"])
    assert code != 0, said
    code, _ = container.exec_run(["ping", "-c", "1", "-W", "2", "api-1.eu-west"])
    assert code == 0


@pytest.mark.parametrize("how", ["power", "crash", "freeze"])
def test_a_region_of_images_dies_and_comes_back(own: Own, how: str) -> None:
    """Clients go to the other region and come home; the containers are as before, after all."""
    world = own.world
    world.calm({"http": 20.0})
    inject(world.lab, ["us-east"], how)
    wait_until(lambda: own.serves("eu-west", "new-york"), "moved", 20)
    state = own.container("us-east/api-1").status
    assert state == {"power": "exited", "crash": "exited", "freeze": "paused"}[how]
    heal(world.lab, ["us-east"])
    wait_until(lambda: own.serves("us-east", "new-york"), "came home", 20)
    assert own.container("us-east/api-2").status == "running"


def test_a_client_of_the_users_sees_what_its_city_sees(own: Own) -> None:
    """By the city's resolver and over the WAN; through a failover and back; it is told where it is.
    What it wrote is the log of its host's image."""

    def heard() -> str | None:
        [line] = own.world.engine.log(own.world.lab.name, "paris/client:image", last=1)
        region: str | None = json.loads(line.text)["region"]
        return region

    own.world.calm({"http": 20.0})
    wait_until(lambda: heard() == "eu-west", "it is served by the nearest region")
    inject(own.world.lab, ["eu-west"], "crash")
    wait_until(lambda: heard() == "us-east", "it went to the other one", 20)
    heal(own.world.lab, ["eu-west"])
    wait_until(lambda: heard() == "eu-west", "it came home", 20)
    environment = own.container("paris/client").exec_run(["env"])[1].decode().splitlines()
    assert "NETEMU_CITY=paris" in environment
    said = netemu("logs", "--lab", own.world.lab.name, "paris/client", "image", "-n", "1")
    assert json.loads(said.out)["region"] == "eu-west"


def test_a_crashed_image_is_hidden_by_the_balancer(own: Own) -> None:
    """Its port refuses; every request is answered by the other one."""
    world = own.world
    world.calm({"http": 20.0})
    since = world.seq()
    inject(world.lab, ["us-east/api-1"], "crash")
    refused = world.run("us-east/edge", "curl", "-s", "-m", "2", "http://10.1.0.11:8080/")
    assert refused["rc"] == 7  # could not connect
    wait_until(lambda: len(world.requests(since, city="new-york")) > 40, "2 s of requests")
    assert every(world.requests(since), lambda e: e["outcome"] == "ok")
    heal(world.lab, ["us-east/api-1"])


@pytest.mark.parametrize(
    ("program", "words", "last"),
    [
        (
            "print('no such file: api.conf'); raise SystemExit(3)",
            "ended by itself (exit 3)",
            "no such file: api.conf",
        ),
        (
            _PROGRAM.replace("8080", "9999"),
            "L4CON: nothing listens on port 8080 there",
            "serving",
        ),
        (
            _PROGRAM.replace('self.path.startswith("/")', "False"),
            "/healthz is answered with 404",
            '"GET /healthz HTTP/1.1" 404 -',
        ),
    ],
    ids=["ends at once", "wrong port", "never healthy"],
)
def test_an_image_that_does_not_serve_is_told_with_its_last_lines(
    engine, image, program: str, words: str, last: str
) -> None:
    """And nothing of the lab is left, though the program ignores SIGTERM."""
    plan = make_plan(parse_topology(topology(image, program, "4s"), "a test"), new_name())
    began = time.monotonic()
    with pytest.raises(NotReady) as caught, running_plan(engine, image, plan):
        pass
    said = str(caught.value)
    assert words in said
    assert "/api-1" in said
    assert any(line.endswith(last) for line in said.splitlines()[-LAST_LINES:]), said
    assert plan.lab not in lab_names(engine)
    assert time.monotonic() - began < 60
