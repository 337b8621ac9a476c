"""Every condition of `wait_until` comes true on a real lab, in the order of a failover."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.analysis.recovery import measure
from emulator.clock import NS_PER_S
from emulator.controller.runner import run_scenario
from emulator.scenario.model import Condition, Heal, Kill, Load, Scenario, Traffic, WaitUntil
from tests.docker.lab import World

pytestmark = pytest.mark.docker

WITHIN_S = 20.0
CONDITIONS = (
    Condition("us-east down", "down", "us-east"),
    Condition("new-york served by eu-west", "served", "new-york", "eu-west"),
    Condition("recovered", "recovered"),
    Condition("us-east up", "up", "us-east"),
    Condition("new-york served by us-east", "served", "new-york", "us-east"),
    Condition("ready", "ready"),
    Condition("steady", "steady"),
)
WAITS = tuple(WaitUntil(0.0, condition, WITHIN_S) for condition in CONDITIONS)
FAILOVER = Scenario(
    name="failover",
    topology_file="two-region.yaml",
    traffic=Traffic((Load("http", 40.0), Load("udp", 20.0))),
    steps=(
        WaitUntil(0.0, CONDITIONS[-1], WITHIN_S),
        Kill(3.0, ("us-east",)),
        *WAITS[:3],
        Heal(0.0, ("us-east",), is_after=True),
        *WAITS[3:],
    ),
    end_s=0.5,
    end_is_after=True,
)


def test_a_failover_is_waited_for_step_by_step(world: World, tmp_path: Path) -> None:
    """Each condition is met, none at a wrong moment: DOWN after its checks, UP after the heal."""
    history = run_scenario(FAILOVER, world.lab, tmp_path / "run", 1, lambda _: None).history
    assert [(w.text, w.met, w.detail) for w in history.waits] == [
        ("steady", True, ""),
        *((condition.text, True, "") for condition in CONDITIONS),
    ]
    ended = {wait.text: wait.t for wait in history.waits}
    (life,) = history.injected()
    assert life.healed is not None
    detected_s = (ended["us-east down"] - life.began) / NS_PER_S
    assert 1.5 <= detected_s <= 3.5  # fall 3, interval and timeout 0.5 s, a look every 0.2 s
    assert ended["recovered"] < life.healed < ended["us-east up"]
    assert {row.state for row in measure(history).rows()} == {"recovered", "unaffected"}
