"""The example of a whole application: nginx, an API and PostgreSQL, built and run as they are."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.controller.inject import heal, inject
from tests.capture import wait_until
from tests.cli import ROOT, netemu
from tests.docker.lab import World, running_example

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]  # the images are built first

EXAMPLE = ROOT / "topologies/examples/three-tier/three-tier.yaml"
PAGE = ROOT / "docs/own-service.md"


@pytest.fixture(scope="module")
def shop(engine) -> Iterator[World]:
    with running_example(engine, EXAMPLE) as world:
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
    """Every command of its first block but the first and the last, in order."""
    block, *_ = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    up, *lines, down = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert up == ["netemu", "up", str(EXAMPLE.relative_to(ROOT))] and down == ["netemu", "down"]
    said = [netemu(verb, "--lab", shop.lab.name, *words) for _, verb, *words in lines]
    assert [s.code for s in said] == [0] * len(lines), said
    assert "eu-west/api-1" in said[0].out
    assert "bread" in said[2].out
