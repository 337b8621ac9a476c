"""docs/dns.md, followed word for word but for the lab's name (others may run here), and what else
one types at name servers."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterator

import pytest

from emulator.errors import Exit
from tests.capture import wait_until
from tests.cli import ROOT, Running, Said, netemu
from tests.docker.reader import Reader, followed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
PAGE = ROOT / "docs" / "dns.md"
LAB = f"gslb-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def reader(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Has followed the page up to its `netemu down`; the rest is done at the end."""
    yield from followed(PAGE, LAB, tmp_path_factory.mktemp("page"))


def explained(city: str, server: str = "ns1") -> dict[str, object]:
    said = netemu("dns", "explain", "www.shop.test", "--from", city, "--lab", LAB, "--json")
    assert said.code == Exit.PASSED, said.err
    found: dict[str, object] = json.loads(said.out)["answers"][server]
    return found


def test_the_page_says_what_happens(reader):
    """Its words about answers, refusals and states are what the commands print."""
    assert "eu-west" in reader.read("--from paris")
    assert "weight 3 of 4" in reader.read("--from paris")
    by_subnet = reader.read("--subnet 10.5.0.0/24")
    assert "198.18.3.1 of eu-west" in by_subnet and "client subnet" in by_subnet
    drained = reader.read("drain --for 10m")
    assert "drained, 10 min left" in drained and "draining" in drained
    assert "its checks say UP" in drained
    refused = reader.read("force eu-west down")
    assert "ns1 and ns2 would have no other region of www to offer" in refused
    broken = reader.read("--how power")
    assert "198.18.2.1 of us-west" in broken and "TTL 2 s" in broken and "DOWN" in broken
    counted = reader.read("dns top --once")
    assert "queries/s" in counted and 'rcode="NOERROR"' in counted


def test_a_forced_state_ends_by_itself(reader):
    """netemu has ended long before; the name servers follow their checks again."""
    wait_until(lambda: explained("new-york")["overrides"] == [], "us-east is UP again")
    forced = netemu("dns", "force", "us-east", "down", "--for", "2s", "--lab", LAB)
    assert (forced.code, "forced down, 2 s left" in forced.out) == (Exit.PASSED, True), forced
    assert explained("new-york")["regions"] == ["us-west"]
    wait_until(lambda: explained("new-york")["overrides"] == [], "the forced state ends")


def test_top_is_live_and_ctrl_c_ends_it(reader):
    """Into a pipe as one table after the other; 130 and no traceback."""
    top = Running("dns", "top", LAB, "--interval", "300ms")
    for _ in range(2):
        top.until("generation")
    top.send(signal.SIGINT)
    said = top.end()
    assert (said.code, "Traceback" in said.out) == (Exit.INTERRUPTED, False), said.out


def test_unknown_names_are_answered_with_the_nearest(reader):
    """Nothing was told to anybody."""
    forced = netemu("dns", "force", "us-eats", "down", "--lab", LAB)
    assert (forced.code, "did you mean us-east" in forced.err) == (Exit.USAGE, True), forced
    counted = netemu("dns", "metrics", "ns7", "--lab", LAB)
    assert (counted.code, "did you mean" in counted.err) == (Exit.USAGE, True), counted


def test_names_that_are_no_services_are_explained_in_words(reader):
    """What the server would say of them."""
    for name in ("nosuch.shop.test", "www.other.test"):
        said = netemu("dns", "explain", name, "--from", "paris", "--lab", LAB)
        assert "Traceback" not in said.err
        assert _words(said), said


def _words(said: Said) -> bool:
    return any(word in said.out for word in ("no such name", "refuses"))


def test_a_dead_name_server_is_named_by_every_command(reader):
    """And waited for by none; the other one is told."""
    try:
        assert netemu("kill", "ns2", "--detach", "--lab", LAB).code == Exit.PASSED
        forced = netemu("dns", "force", "us-east", "drain", "--for", "2s", "--lab", LAB)
        assert (forced.code, "ns2 was not told: it has no power" in forced.out) == (0, True)
        explain = netemu("dns", "explain", "www.shop.test", "--from", "paris", "--lab", LAB)
        assert (explain.code, "ns2: it has no power" in explain.out) == (0, True)
        assert "ns2: it has no power" in netemu("dns", "top", LAB, "--once").out
        metrics = netemu("dns", "metrics", "ns2", "--lab", LAB)
        assert (metrics.code, "no power" in metrics.err) == (Exit.ENVIRONMENT, True)
    finally:
        assert netemu("heal", "ns2", "--lab", LAB).code == Exit.PASSED
