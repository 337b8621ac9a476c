"""What a failover does to data: acknowledged writes that a replica elsewhere never got."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.inject import inject
from tests.capture import wait_until
from tests.cli import ROOT, netemu
from tests.docker.lab import World, running_example

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]  # the images are built first

WRITERS, ENOUGH = 4, 20
# So many threads that each write one item after the other, until a line comes; tells every one that
# was acknowledged.
_WRITER = """
import http.client, json, socket, sys, threading, time
over = threading.Event()
def write_by_http(name):
    connection = http.client.HTTPConnection("www.shop.test", timeout=1)
    connection.request("POST", "/api/items", name)
    return connection.getresponse().status == 201
def write_to_redis(name):
    with socket.create_connection(("redis.shop.test", 6379), 1) as connection:
        connection.sendall(f"SET {name} 1\\r\\n".encode())
        return connection.recv(100) == b"+OK\\r\\n"
write = globals()[sys.argv[2]]
def write_all(thread):
    n = 0
    while not over.is_set():
        name, n = f"{thread}-{n}", n + 1
        try: is_written = write(name)
        except OSError: is_written = False
        if is_written: print(json.dumps([name, time.monotonic_ns()]), flush=True)
        else: time.sleep(0.1)
threads = [threading.Thread(target=write_all, args=(t,)) for t in range(int(sys.argv[1]))]
for thread in threads: thread.start()
sys.stdin.readline()
over.set()
for thread in threads: thread.join()
"""


@dataclass(frozen=True)
class Store:
    """An example with a primary in us-east and a replica in eu-west, and how it is spoken to."""

    example: Path
    server: str  # of either region
    write: str  # the writer's function
    promote: str  # in the replica's container
    held: str  # what a server holds, a name a line

    def run(self, world: World, region: str, command: str) -> str:
        host = f"{region}/{self.server}:image"
        said = netemu("exec", "--lab", world.lab.name, host, "--", "sh", "-c", command)
        assert said.code == 0, said.err
        return said.out

    def names(self, world: World, region: str) -> set[str]:
        return set(self.run(world, region, self.held).split())


POSTGRESQL = Store(
    example=ROOT / "topologies/examples/three-tier/three-tier.yaml",
    server="db-1",
    write="write_by_http",
    promote="/usr/lib/postgresql/*/bin/pg_ctl promote -w",
    held="psql -h /tmp -U postgres -At -c 'SELECT name FROM items'",
)
REDIS = Store(
    example=ROOT / "topologies/examples/redis/redis.yaml",
    server="redis-1",
    write="write_to_redis",
    promote="redis-cli replicaof no one",
    held="redis-cli --raw keys '*'",
)


@contextmanager
def writing(world: World, store: Store) -> Iterator[dict[str, int]]:
    """New York writes; what was acknowledged, and when, as it comes."""
    argv = ("python3", "-c", _WRITER, str(WRITERS), store.write)
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


@pytest.mark.parametrize("store", [POSTGRESQL, REDIS], ids=["postgresql", "redis"])
@pytest.mark.parametrize(
    ("how", "apart_s"),
    [("power", 0), ("power", 1), ("drain", 0)],
    ids=["power", "partition, 1 s later power", "drain"],
)
def test_writes_lost_are_measured(
    engine, store: Store, how: str, apart_s: int, record_property
) -> None:
    """New York writes; its region is struck, and then the replica promoted. What the primary
    acknowledged but had not sent yet is lost with it: next to nothing where both saw each other to
    the end, all of it since they did not. A drained primary lives, so its replica is whole."""
    with running_example(engine, store.example) as world:
        since = world.seq()
        with writing(world, store) as acknowledged:
            wait_until(lambda: len(acknowledged) > ENOUGH, "writes are acknowledged", 60)
            wait_until(lambda: bool(store.names(world, "eu-west")), "the replica follows", 60)
            if apart_s:
                inject(world.lab, ["us-east"], "partition", ["eu-west"])
            pause(world, 1)
            fault = inject(world.lab, ["us-east"], how)
            pause(world, 2)
        if how == "drain":
            wait_until(
                lambda: store.names(world, "eu-west") == store.names(world, "us-east"),
                "it is whole",
            )
        store.run(world, "eu-west", store.promote)
        lost = set(acknowledged) - store.names(world, "eu-west")
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
