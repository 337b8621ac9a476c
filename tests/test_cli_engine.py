"""Commands and engines that fail, refuse or hold several labs: what is said, what is left.

No Docker: an address where no engine listens, or the fake engine in its place.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable

import pytest

from emulator.engine.base import ContainerSpec
from emulator.engine.fake import FakeEngine
from emulator.errors import EngineError, Exit
from tests.cli import MINIMAL, NO_ENGINE, ROOT, Netemu, caller

REGION_LOSS = ROOT / "topologies" / "scenarios" / "region-loss.yaml"
NEEDS_ENGINE = [
    ("up", MINIMAL),
    ("down",),
    ("down", "--all"),
    ("status",),
    ("kill", "us-east"),
    ("heal", "us-east"),
    ("run", REGION_LOSS),
    ("watch",),
    ("traffic", "stop"),
    ("exec", "paris", "--", "true"),
    ("shell", "paris"),
    ("logs", "paris"),
    ("ca",),
    ("pcap", "paris"),
    ("flows", "paris"),
    ("image", "build"),
]


@pytest.fixture
def call(monkeypatch, capsys) -> Netemu:
    return caller(monkeypatch, capsys)


@pytest.fixture
def fake(monkeypatch) -> FakeEngine:
    """An engine in memory behind every command, with the image there."""
    engine = FakeEngine()
    for module in ("labs", "common"):
        monkeypatch.setattr(sys.modules[f"emulator.cli.{module}"], "DockerEngine", lambda: engine)
    for module in ("labs", "common"):
        _image(monkeypatch, module, lambda _builds, _progress: "image")
    return engine


def _image(monkeypatch, module: str, ensure: Callable[[object, object], str]) -> None:
    # By sys.modules, as for the engine: in the package, some names are commands, not modules.
    monkeypatch.setattr(sys.modules[f"emulator.cli.{module}"], "ensure_images", ensure)


def lab(engine: FakeEngine, name: str, hosts: int = 2) -> None:
    for number in range(hosts):
        host = f"host{number}"
        engine.create(ContainerSpec(name, host, f"{name}-{host}", "image", ("sleep",)))


@pytest.mark.parametrize("words", NEEDS_ENGINE, ids=lambda words: " ".join(map(str, words[:2])))
def test_an_engine_that_does_not_answer_is_one_clear_line(call, monkeypatch, tmp_path, words):
    """What was tried, where, why, what to do; exit 4; no run directory was begun."""
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    monkeypatch.chdir(tmp_path)
    said = call(*words)
    assert said.code == Exit.ENVIRONMENT
    assert f"no Docker engine answers at {NO_ENGINE} (connection refused)" in said.err
    assert "start that engine" in said.err
    assert len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_is_missing_and_what_to_do(call, monkeypatch):
    """Exit 4; for scripts the same as values."""
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    said = call("doctor")
    assert said.code == Exit.ENVIRONMENT
    assert "missing  Docker engine" in said.out and "start that engine" in said.out
    again = call("doctor", "--json")
    (bad,) = [finding for finding in json.loads(again.out) if not finding["ok"]]
    assert bad["what"] == "Docker engine" and bad["remedy"]


REFUSALS = [
    ("start", "wan", "runc: unable to apply caps; this engine refuses a capability"),
    ("create", "wan", "no space left on device; the engine's disk is full"),
    ("create", "wan", "No such image: image; make it: netemu image build"),
]


@pytest.mark.parametrize(("verb", "host", "why"), REFUSALS)
@pytest.mark.parametrize("command", [("up", MINIMAL), ("run", REGION_LOSS)], ids=["up", "run"])
def test_what_the_engine_refuses_is_said_and_nothing_is_left(call, fake, command, verb, host, why):
    """Capability refused, disk full, image missing: the engine's message, exit 4, no container."""
    lab(fake, "other")
    fake.fail(verb, host, EngineError(f"cannot {verb} {host}: {why}"))
    said = call(*command)
    assert said.code == Exit.ENVIRONMENT
    assert f"cannot {verb} {host}: {why}" in said.err
    assert {container.lab for container in fake.containers()} == {"other"}


@pytest.mark.parametrize("command", [("up", MINIMAL), ("run", REGION_LOSS)], ids=["up", "run"])
def test_an_image_that_cannot_be_built_is_said(call, fake, monkeypatch, command):
    """Before any container is made."""

    def fail(_builds: object, _progress: object) -> str:
        raise EngineError("cannot build netemu/node:x: exit code 100")

    for module in ("labs", "common"):
        _image(monkeypatch, module, fail)
    said = call(*command)
    assert (said.code, "cannot build netemu/node:x" in said.err) == (Exit.ENVIRONMENT, True)
    assert fake.calls == []


def test_down_removes_what_was_named_and_nothing_else(call, fake):
    """One of two by name; without a name two are too many; --all is all."""
    lab(fake, "one")
    lab(fake, "two", hosts=3)
    assert call("down").code == Exit.USAGE
    assert "one: 2 containers removed" in call("down", "one").out
    assert {container.lab for container in fake.containers()} == {"two"}
    lab(fake, "one")
    said = call("down", "--all")
    assert "one: 2 containers" in said.out and "two: 3 containers" in said.out
    assert fake.containers() == ()


def test_down_of_what_is_not_there_is_said_and_no_error(call, fake):
    """The state that was wanted holds; the labs that there are are named, for who mistyped."""
    assert call("down").out == "no lab runs here; nothing to remove\n"
    lab(fake, "one")
    said = call("down", "oen")
    assert said.code == Exit.PASSED
    assert "no lab 'oen'" in said.out and "one" in said.out
    assert len(fake.containers("one")) == 2


def test_down_finishes_what_another_down_began(call, fake):
    """A container that went meanwhile is as good as removed."""
    lab(fake, "one", hosts=4)
    half = fake.containers("one")[:2]
    other = threading.Thread(target=fake.remove, args=(half,))
    other.start()
    said = call("down", "one")
    other.join()
    assert (said.code, fake.containers()) == (Exit.PASSED, ())


def test_status_without_a_name_lists_none_or_several(call, fake):
    """With none it says how to begin; JSON has the same facts."""
    assert "netemu up" in call("status").out
    assert json.loads(call("status", "--json").out) == {"labs": {}}
    lab(fake, "one")
    lab(fake, "two", hosts=3)
    assert call("status").out == "one: 2 containers\ntwo: 3 containers\n"
    assert json.loads(call("status", "--json").out) == {"labs": {"one": 2, "two": 3}}


def test_a_command_on_a_lab_asks_which_when_there_are_several(call, fake):
    """Never a guess about what to break."""
    lab(fake, "one")
    lab(fake, "two")
    said = call("kill", "us-east")
    assert said.code == Exit.USAGE
    assert "one, two" in said.err and "--lab" in said.err
    assert call("kill", "us-east", "--lab", "three").code == Exit.USAGE
