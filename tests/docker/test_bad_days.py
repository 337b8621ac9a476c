"""Bad days: stopped, killed, starved in the middle. Whatever happens, nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.engine.docker import DockerEngine
from emulator.errors import EngineError, Exit
from tests.cli import MINIMAL, Running, netemu

pytestmark = pytest.mark.docker

SCENARIO = """\
netemu: 1
name: bad-day
topology: {topology}
traffic: {{rate: 40/s}}
steps:
  - {{at: 3s, kill: here/www-1, how: crash}}
  - {{at: 8s, heal: here/www-1}}
end: 60s
"""


def assert_nothing_left(engine: DockerEngine, lab: str) -> None:
    """No container of the lab, and nothing of anybody's in the machine's own network namespace.

    Links and namespaces live and die with their containers: what remains to be seen is whether
    the machine got a link of ours.
    """
    assert engine.containers(lab) == ()
    links = json.loads(subprocess.check_output(["ip", "-json", "link"], text=True))
    assert [link["ifname"] for link in links if _is_ours(link)] == []


def _is_ours(link: dict[str, str]) -> bool:
    return link.get("address", "").startswith(("02:00:00:00:", "02:00:01:00:"))


@pytest.fixture
def lab(engine: DockerEngine, lab_name: str, image: str) -> Iterator[str]:
    yield lab_name
    engine.remove(engine.containers(lab_name))


STOPS = [
    pytest.param("containers", [signal.SIGINT], Exit.INTERRUPTED, id="Ctrl-C, containers"),
    pytest.param("balancers", [signal.SIGTERM], Exit.TERMINATED, id="SIGTERM, balancers"),
    pytest.param("name servers", [signal.SIGHUP], Exit.TERMINATED, id="terminal closed"),
    pytest.param("paths", [signal.SIGINT] * 3, Exit.INTERRUPTED, id="Ctrl-C three times, paths"),
]


@pytest.mark.parametrize(("stage", "numbers", "code"), STOPS)
def test_up_that_is_stopped_cleans_up_after_itself(engine, lab, stage, numbers, code):
    """At once it says that it does; a second signal does not stop the clean-up."""
    rising = Running("up", MINIMAL, "--name", lab)
    rising.until(stage)
    for number in numbers:
        rising.send(number)
        if len(numbers) > 1:
            rising_heard(rising)
    said = rising.end()
    assert said.code == code
    assert "removed" in said.out and "Traceback" not in said.out
    assert_nothing_left(engine, lab)


def rising_heard(rising: Running) -> None:
    """The first signal was heard; those that follow find the clean-up under way."""
    if not any("stopping" in line for line in rising.said):
        rising.until("stopping")


def test_kill_minus_9_at_five_random_moments_leaves_nothing_after_down(engine, lab):
    """The moments are drawn between the first call and readiness; down needs nobody's memory."""
    moments = random.Random(2026)
    for _ in range(5):
        rising = Running("up", MINIMAL, "--name", lab)
        time.sleep(moments.uniform(0.3, 3.5))  # the moment itself, not a wait for anything
        rising.send(signal.SIGKILL)
        rising.end()
        assert netemu("down", lab).code == Exit.PASSED
        assert_nothing_left(engine, lab)


def test_up_over_the_ruins_of_another_up_says_what_to_do(engine, lab):
    """It never takes a half-made lab for a whole one."""
    rising = Running("up", MINIMAL, "--name", lab)
    rising.until("links")
    rising.send(signal.SIGKILL)
    rising.end()
    said = netemu("up", MINIMAL, "--name", lab)
    assert said.code == Exit.ENVIRONMENT
    assert "netemu down" in said.err or "--replace" in said.err
    assert netemu("up", MINIMAL, "--name", lab, "--replace").code == Exit.PASSED


def test_a_host_that_dies_while_up_waits_is_named(engine, lab):
    """One clear message, long before any patience ends, exit 4, nothing left."""
    rising = Running("up", MINIMAL, "--name", lab)
    rising.until("daemons")
    with contextlib.suppress(EngineError):
        engine.kill(lab, "here/www-1")
    said = rising.end()
    assert said.code == Exit.ENVIRONMENT
    assert "here/www-1" in said.out.partition("netemu: ")[2]
    assert_nothing_left(engine, lab)


# --- run ---


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "bad-day.yaml"
    file.write_text(SCENARIO.format(topology=MINIMAL))
    return file


def labs(engine: DockerEngine) -> set[str]:
    return {container.lab for container in engine.containers()}


def lab_of(running: Running) -> str:
    """`bad-day on <lab>, 60 s, seed ...`."""
    return next(line for line in running.said if line.startswith("bad-day on ")).split()[2][:-1]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)],
)
def test_a_run_that_is_stopped_keeps_its_history_and_no_lab(
    engine, image, scenario, tmp_path, number, code
):
    """What was recorded until then is a report's worth; its directory is named."""
    running = Running("run", scenario, "--directory", tmp_path / "runs")
    running.until("crash here/www-1")
    running.send(number)
    said = running.end()
    assert said.code == code, said.out
    assert_nothing_left(engine, lab_of(running))
    (directory,) = (tmp_path / "runs" / "bad-day").iterdir()
    assert f"netemu report {directory}" in said.out
    report = netemu("report", directory)
    assert report.code in {Exit.PASSED, Exit.MISSED, Exit.INCONCLUSIVE}
    assert "crash here/www-1" in report.out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with almost no room."""
    mounted = tmp_path / "full"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mounted], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_run_onto_a_full_disk_is_refused(engine, image, scenario, small_disk):
    """Said before any traffic, with the place; exit 4, no lab left."""
    before = labs(engine)
    said = Running("run", scenario, "--directory", small_disk).end()
    assert said.code == Exit.ENVIRONMENT
    assert str(small_disk) in said.out and "MB" in said.out
    assert labs(engine) <= before
