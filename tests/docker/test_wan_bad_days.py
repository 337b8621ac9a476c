"""Bad days of the WAN itself: its wire killed, stopped, given up; told, mended, never hidden."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import soak
from emulator.controller.inject import heal, inject
from emulator.controller.ready import wait_until_paths_fit
from emulator.errors import Exit
from emulator.wan.remote import RemoteWan
from tests.capture import wait_until
from tests.cli import MINIMAL, Running, netemu
from tests.docker.lab import SITE, US_EAST, World, running
from tests.docker.test_faults_paths import round_trips_ms

pytestmark = pytest.mark.docker
NEW_YORK, PARIS = SITE["new-york"], SITE["paris"]
EAST = SITE["us-east"]


def wire_of(world: World) -> dict[str, Any]:
    return dict(world.lab.wan.stats()["wire"])


def kill_wire(world: World, number: int = signal.SIGKILL) -> int:
    """Signal the wire that runs; how often one had ended before."""
    wire = wire_of(world)
    os.kill(wire["pid"], number)
    return int(wire["ended"])


def is_mended(world: World, ended: int) -> Callable[[], bool]:
    def found() -> bool:
        wire = wire_of(world)
        return wire["ended"] > ended and not wire["trouble"]

    return found


def end_wire(world: World) -> None:
    """Kill the wire that runs, and wait until that is known: until then the dead one is named."""
    ended = kill_wire(world)
    wait_until(lambda: wire_of(world)["ended"] > ended, "its end is noticed")


@pytest.fixture
def own(engine, image) -> Iterator[World]:
    """A lab that a test may destroy."""
    with running(engine, image, MINIMAL.read_text()) as made:
        yield made


def test_a_killed_wire_is_told_and_everything_is_as_it_was(world: World) -> None:
    """A partition lies, a path is changed by hand, a connection is open: ports of all sites, cut,
    change and counters are there again, and the connection goes on."""
    world.calm()
    since = world.seq()
    one_way = next(p.impairment.delay_ns for p in world.lab.plan.paths
                   if (p.source, p.target) == ("new-york", "us-east"))  # fmt: skip
    world.lab.wan.change([(NEW_YORK, EAST)], {"delay_ns": one_way + 30_000_000})
    inject(world.lab, ["us-east"], "partition", ["paris"])
    with world.hold("new-york/client", US_EAST) as holder:
        holder.send("before")
        holder.wait_for("data before")
        packets = world.lab.wan.paths()["new-york->us-east"]["packets"]
        ended = kill_wire(world)
        wait_until(is_mended(world, ended), "the wire is there again")
        holder.send("after")
        holder.wait_for("data after")
    told = [(e["state"], e["detail"]) for e in world.events(since)
            if e["kind"] == "daemon" and e["host"] == "wan"]  # fmt: skip
    assert told == [("ended", "signal 9"), ("started", "compiled")]
    assert world.lab.wan.paths()["new-york->us-east"]["packets"] > packets
    assert round_trips_ms(world, "paris/access", "100.64.0.1", 5) == []
    assert min(round_trips_ms(world, "new-york/access", "100.64.0.1", 10)) > 30
    heal(world.lab, ["us-east"])
    world.lab.wan.clear([(NEW_YORK, EAST)])
    wait_until_paths_fit(world.lab.plan, world.lab.wan)
    said = netemu("status", world.lab.name)
    assert "the WAN's wire moves packets (compiled); it ended" in said.out, said.out
    assert "the last time by signal 9" in said.out


@pytest.mark.parametrize(
    ("target", "how"),
    [("us-east", "power"), ("us-east/edge", "power"), ("eu-west/www-1", "power"),
     ("paris", "power"), ("ns1", "power"), ("us-east", "freeze"), ("us-east/edge", "crash")],
)  # fmt: skip
def test_a_host_that_is_healed_while_the_wire_is_down_is_wired_again(
    world: World, target: str, how: str
) -> None:
    """Killed with the host down, and again just before its heal."""
    inject(world.lab, [target], how)
    ended = kill_wire(world)
    wait_until(is_mended(world, ended), "the wire is there again")
    ended = kill_wire(world)
    heal(world.lab, [target])
    wait_until(is_mended(world, ended), "the wire is there again")
    wait_until_paths_fit(world.lab.plan, world.lab.wan)
    # So many ends in so short a time would be the last: that is for another test to show.
    time.sleep(5)


def test_a_wire_that_stands_still_is_shown(own: World) -> None:
    """In status, within two seconds; and when it moves again, that is over."""
    kill_wire(own, signal.SIGSTOP)
    wait_until(lambda: "has stood still for" in wire_of(own)["trouble"], "it is noticed", 3)
    assert re.search(r"the WAN's wire has stood still for \d\.\d s", status(own))
    os.kill(wire_of(own)["pid"], signal.SIGCONT)
    wait_until(lambda: not wire_of(own)["trouble"], "it moves")
    assert "the WAN's wire moves packets (compiled)" in status(own)


def status(world: World) -> str:
    said = netemu("status", world.lab.name)
    assert said.code == Exit.PASSED, said
    return said.out


def test_a_wire_that_ends_again_and_again_is_given_up_and_everyone_is_told(own: World) -> None:
    """Status, and whoever waits for the lab to be ready; what it was asked for is refused."""
    for life in range(1, 7):
        end_wire(own)
        assert bool(wire_of(own)["pid"]) == (life < 6), life
    words = "ended 6 times within 10 s, the last time by signal 9; it is not started again"
    assert words in " ".join(status(own).split())
    said = netemu("status", own.lab.name, "--json")
    assert words in said.out
    with pytest.raises(Exception, match="wire ended 6 times within 10 s"):
        wait_until_paths_fit(own.lab.plan, own.lab.wan)


SCENARIO = """\
netemu: 1
name: killed-wire
topology: {topology}
traffic: {{rate: 40/s}}
steps:
  - {{at: 2s, kill: here/www-1, how: crash}}
  - {{at: 4s, heal: here/www-1}}
end: 8s
"""


def test_a_run_whose_wire_was_killed_is_inconclusive(engine, image, tmp_path: Path) -> None:
    """It is told as it happens, the report says it first, and the exit code too."""
    scenario = tmp_path / "killed-wire.yaml"
    scenario.write_text(SCENARIO.format(topology=MINIMAL))
    run = Running("run", scenario, "--directory", tmp_path / "runs")
    run.until("crash here/www-1")
    lab = next(line for line in run.said if line.startswith("killed-wire on ")).split()[2][:-1]
    wan = RemoteWan(engine, lab)
    os.kill(wan.stats()["wire"]["pid"], signal.SIGKILL)
    wan.close()
    said = run.end()
    assert said.code == Exit.INCONCLUSIVE, said.out
    flat = " ".join(said.out.split())
    assert "the WAN's wire ended (signal 9): nothing moves until it is started anew" in flat
    lost = "ended once (signal 9): what was on its way was lost"
    assert f"inconclusive: the WAN's wire {lost}" in flat


def test_a_wan_container_that_is_gone_is_said_clearly(own: World) -> None:
    """With it went every link: there is nothing to mend, and status says what to do."""
    own.engine.kill(own.lab.name, "wan")
    said = netemu("status", own.lab.name)
    text = said.out + said.err
    assert said.code == Exit.ENVIRONMENT, text
    assert "WAN" in text
    assert "netemu down" in text or "netemu up" in text, text


def test_changes_every_100_ms_under_traffic_leave_nothing_behind(own: World) -> None:
    """Fifteen seconds of what `python -m benchmarks soak` does for ten minutes."""
    seen = soak(own.lab, 15)
    assert seen.changes == 150
    assert seen.drift_ms < 0.5
    assert sum(second.dropped for second in seen.seconds) == 0
    assert not any(second.trouble for second in seen.seconds)
    for name, end in seen.end.items():
        assert end.descriptors <= seen.middle[name].descriptors, name
    assert seen.end["wire"].megabytes < seen.middle["wire"].megabytes + 5
