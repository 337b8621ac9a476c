"""gRPC and WebSockets of a user's image, from a city, through the balancer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.controller.inject import heal, inject
from emulator.engine.base import Stream
from emulator.engine.build import ensure_images
from emulator.engine.docker import DockerEngine
from emulator.plan import make_plan
from emulator.plan.own import builds, own_name
from emulator.topology.parse import parse_topology
from tests.cli import ROOT
from tests.docker.lab import World, new_name, running_plan

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]  # the image is built first

EXAMPLE = ROOT / "topologies/examples/grpc/grpc.yaml"


# Short timings, so that a drain takes seconds.
SHORT = "dns: {ttl: 1s, health_check: {interval: 500ms, timeout: 500ms, fall: 2, rise: 1}}\n"


@pytest.fixture(scope="module")
def world(engine: DockerEngine) -> Iterator[World]:
    text = EXAMPLE.read_text().replace(
        "    build: image\n", "    build: image\n    drain_timeout: 2s\n"
    )
    plan = make_plan(parse_topology(SHORT + text, str(EXAMPLE)), new_name())
    image = ensure_images(builds(plan), lambda _stage, _done: None)
    with running_plan(engine, image, plan) as world:
        yield world


class Story:
    """What the city's own client says, line by line."""

    def __init__(self, world: World, *words: str) -> None:
        host = own_name("new-york/client")
        command = ("python3", "/srv/ask.py", *words)
        self._stream: Stream = world.engine.stream(world.lab.name, host, command)
        self._text = ""

    def close(self) -> None:
        self._stream.close()

    def next(self) -> dict[str, Any]:
        while "\n" not in self._text:
            part = self._stream.read(65536)
            assert part, f"it ended: {self._stream.stderr()}"
            self._text += part.decode()
        line, _, self._text = self._text.partition("\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def until(self, key: str) -> dict[str, Any]:
        """The first line that says this."""
        while key not in (said := self.next()):
            pass
        return said


Tell = Callable[..., Story]


@pytest.fixture
def tell(world: World) -> Iterator[Tell]:
    """A story by its words; its client ends with the test."""
    stories: list[Story] = []

    def begin(*words: str) -> Story:
        stories.append(Story(world, *words))
        return stories[-1]

    yield begin
    for story in stories:
        story.close()


def test_a_unary_call_is_answered_by_both_servers_in_turn(tell: Tell) -> None:
    """Calls on one channel are spread: the balancer speaks HTTP/2 on both sides."""
    story = tell("unary", "6")
    answers = {story.next()["answer"] for _ in range(6)}
    assert answers == {"us-east/rpc-1 hello", "us-east/rpc-2 hello"}


def test_a_stream_may_be_silent(tell: Tell) -> None:
    """For longer than the balancer's patience with an answer over HTTP/1.1, 1 s."""
    story = tell("stream", "2.5")
    first, second = story.next(), story.next()
    assert first["item"] == second["item"]
    assert second["t"] - first["t"] > 2.4e9


def test_a_crash_breaks_the_stream_and_the_channel_goes_on(world: World, tell: Tell) -> None:
    """The client sees the balancer's RST_STREAM at once, not silence; its next call, on the same
    channel, is answered by the other server."""
    story = tell("stream", "0")
    server = story.next()["item"]
    inject(world.lab, [server], "crash")
    broken = story.until("error")
    assert broken["error"] == "CANCELLED"
    again = story.until("again")
    assert again["again"].endswith(" again")
    assert not again["again"].startswith(server)
    heal(world.lab, [server])


def test_a_websocket_gives_back_what_it_gets_after_a_silence_too(tell: Tell) -> None:
    story = tell("socket", "2.5")
    first, second = story.next(), story.next()
    assert first["answer"] == second["answer"]
    assert first["answer"].endswith(" hello")
    assert second["t"] - first["t"] > 2.4e9


def test_a_crash_closes_the_websocket_and_a_new_one_finds_the_other_server(
    world: World, tell: Tell
) -> None:
    """Without a closing handshake (1006), as RFC 6455, 7.1.5 has it."""
    story = tell("socket", "0.1")
    server = story.next()["answer"].split()[0]
    inject(world.lab, [server], "crash")
    assert story.until("closed")["closed"] == 1006
    again = story.until("again")["again"]
    assert again.endswith(" again") and not again.startswith(server)
    heal(world.lab, [server])


def test_a_drain_lets_a_websocket_live_until_its_time_is_up(world: World, tell: Tell) -> None:
    """It is answered through all of the drain's steps, as nothing tells it to go; at the end of
    `drain_timeout` it is closed, and a new one is with the other region."""
    story = tell("socket", "0.1")
    assert story.next()["answer"].startswith("us-east/")
    since = world.seq()
    inject(world.lab, ["us-east"], "drain")
    closed = story.until("closed")
    steps = {
        e["state"]: e["t"]
        for e in world.events(since)
        if e["kind"] == "proxy" and e["region"] == "us-east" and not e["server"]
    }
    assert closed["closed"] == 1006
    assert steps["CLOSING"] < steps["STOPPING"]
    assert 1.5e9 < closed["t"] - steps["STOPPING"] < 4e9
    assert story.until("again")["again"] == "eu-west/ws-1 again"
    heal(world.lab, ["us-east"])
