"""The example of a whole application: nginx, an API and PostgreSQL, built and run as they are, and
what a failover does to its data."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.engine.build import ensure_images
from emulator.plan import make_plan
from emulator.plan.own import builds
from emulator.topology.parse import load_topology
from tests.capture import wait_until
from tests.cli import ROOT, netemu
from tests.docker.lab import World, new_name, running_plan

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]  # the images are built first

EXAMPLE = ROOT / "topologies/examples/three-tier/three-tier.yaml"
PAGE = ROOT / "docs/own-service.md"
WRITERS, ENOUGH = 4, 20
# So many threads that each write one item after the other, until a line comes; tells every one that
# was acknowledged.
_WRITER = """
import http.client, json, sys, threading, time
over = threading.Event()
def write(thread):
    n = 0
    while not over.is_set():
        name, n = f"{thread}-{n}", n + 1
        try:
            connection = http.client.HTTPConnection("www.shop.test", timeout=1)
            connection.request("POST", "/api/items", name)
            status = connection.getresponse().status
            connection.close()
        except OSError:
            status = 0
        if status == 201: print(json.dumps([name, time.monotonic_ns()]), flush=True)
        else: time.sleep(0.1)
threads = [threading.Thread(target=write, args=(t,)) for t in range(int(sys.argv[1]))]
for thread in threads: thread.start()
sys.stdin.readline()
over.set()
for thread in threads: thread.join()
"""


@contextmanager
def three_tier(engine: Any) -> Iterator[World]:
    plan = make_plan(load_topology(EXAMPLE), new_name())
    image = ensure_images(builds(plan), lambda _stage, _done: None)
    with running_plan(engine, image, plan) as world:
        yield world


@pytest.fixture(scope="module")
def shop(engine) -> Iterator[World]:
    with three_tier(engine) as world:
        yield world


def ask(world: World, city: str, *arguments: str) -> str:
    """What a city's curl gets; nothing where it is not answered well."""
    said = world.run(f"{city}/client", "curl", "-sf", "-m", "3", *arguments)
    return str(said["out"])


def items(world: World, city: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ask(world, city, "http://www.shop.test/api/items") or "{}")
    return body


def test_every_tier_answers_in_every_region(shop: World) -> None:
    """nginx its page, and through the region's balancer the API, which reads the database there."""
    headers = ask(shop, "paris", "-D", "-", "http://www.shop.test/")
    assert "<h1>Items</h1>" in headers
    assert "x-netemu-server: eu-west/www-1" in headers
    assert items(shop, "paris")["server"] == "eu-west/api-1"
    assert items(shop, "new-york")["server"] == "us-east/api-1"


def test_what_paris_writes_new_york_reads(shop: World) -> None:
    """Over the WAN to the primary; and back to the replica."""
    before = items(shop, "new-york")["items"]
    assert "bread" in ask(shop, "paris", "-d", "bread", "http://www.shop.test/api/items")
    assert items(shop, "new-york")["items"] == before + 1
    wait_until(lambda: items(shop, "paris")["items"] == before + 1, "the replica has it too")


def test_a_tier_that_died_behind_a_living_one_moves_the_region(shop: World) -> None:
    """nginx lives and answers 502; its health asks the API too, so DNS sends everyone away."""
    inject(shop.lab, ["us-east/api-1"], "crash")
    wait_until(lambda: items(shop, "new-york").get("server") == "eu-west/api-1", "moved", 30)
    heal(shop.lab, ["us-east/api-1"])
    wait_until(lambda: items(shop, "new-york").get("server") == "us-east/api-1", "came home", 30)


def test_the_database_survives_a_loss_of_power(shop: World) -> None:
    """What was committed is there when it boots again."""
    before = items(shop, "new-york")["items"]
    inject(shop.lab, ["us-east/db-1"], "power")
    heal(shop.lab, ["us-east/db-1"])
    wait_until(lambda: items(shop, "new-york").get("items") == before, "the same items", 30)


def in_database(world: World, region: str, command: str) -> str:
    said = netemu(
        "exec", "--lab", world.lab.name, f"{region}/db-1:image", "--", "sh", "-c", command
    )
    assert said.code == 0, said.err
    return said.out


def test_the_page_about_it_does_what_it_says(shop: World) -> None:
    """Every command of its block but the first and the last, in order."""
    [block] = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    up, *lines, down = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert up == ["netemu", "up", str(EXAMPLE.relative_to(ROOT))] and down == ["netemu", "down"]
    said = [netemu(verb, "--lab", shop.lab.name, *words) for _, verb, *words in lines]
    assert [s.code for s in said] == [0] * len(lines), said
    assert "eu-west/api-1" in said[0].out
    assert "bread" in said[2].out


def promote(world: World) -> None:
    """eu-west's database becomes the primary."""
    in_database(world, "eu-west", "/usr/lib/postgresql/*/bin/pg_ctl promote -w")


def held(world: World, region: str) -> set[str]:
    """The names of all that a region's database holds."""
    query = "psql -h /tmp -U postgres -At -c 'SELECT name FROM items'"
    return set(in_database(world, region, query).split())


@contextmanager
def writing(world: World) -> Iterator[dict[str, int]]:
    """New York writes; what was acknowledged, and when, as it comes."""
    argv = ("python3", "-c", _WRITER, str(WRITERS))
    stream = world.engine.stream(world.lab.name, "new-york/client", argv)
    acknowledged: dict[str, int] = {}

    def read() -> None:
        unread = b""
        while part := stream.read(65536):
            *lines, unread = (unread + part).split(b"\n")
            acknowledged.update(json.loads(line) for line in lines)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield acknowledged
    finally:
        stream.write(b"\n")
        thread.join()
        stream.close()


@pytest.mark.parametrize(
    ("how", "apart_s"),
    [("power", 0), ("power", 1), ("drain", 0)],
    ids=["power", "partition, 1 s later power", "drain"],
)
def test_writes_lost_are_measured(engine, how: str, apart_s: int, record_property) -> None:
    """New York writes; its region is struck, and then the replica promoted. What the primary
    acknowledged but had not sent yet is lost with it: next to nothing where both saw each other to
    the end, all of it since they did not. A drained primary lives, so its replica is whole."""
    with three_tier(engine) as world:
        since = world.seq()
        with writing(world) as acknowledged:
            wait_until(lambda: len(acknowledged) > ENOUGH, "writes are acknowledged", 60)
            if apart_s:
                inject(world.lab, ["us-east"], "partition", ["eu-west"])
            pause(world, 1)
            fault = inject(world.lab, ["us-east"], how)
            pause(world, 2)
        if how == "drain":
            wait_until(lambda: held(world, "eu-west") == held(world, "us-east"), "it is whole")
        promote(world)
        lost = set(acknowledged) - held(world, "eu-west")
        struck = world.instant(fault, "inject_began", since)
    rpo_s = max((struck - acknowledged[name] for name in lost), default=0) / NS_PER_S
    record_property("writes_lost", len(lost))
    record_property("rpo_s", round(rpo_s, 3))
    print(f"{len(lost)} of {len(acknowledged)} acknowledged writes lost; rpo {rpo_s:.3f} s")  # noqa: T201
    assert rpo_s >= 0.7 * apart_s
    if how == "drain":
        assert lost == set()


def pause(world: World, seconds: float) -> None:
    until = world.lab.wan.now_ns() + seconds * NS_PER_S
    wait_until(lambda: world.lab.wan.now_ns() > until, f"{seconds} s go by")
