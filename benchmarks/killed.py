"""100 times `kill -9` of a run at a random moment: what is left after `netemu down --all`.

For a machine on which no other lab runs: `down --all` removes those too, so it is refused then.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.labs import TOPOLOGY
from benchmarks.table import Line, Say, at_most, information
from benchmarks.up import network_namespaces
from emulator.controller.lab import lab_names
from emulator.engine.docker import DockerEngine
from emulator.errors import UsageError

TIMES = int(os.environ.get("NETEMU_KILLS", "100"))
LONGEST_S = 12.0  # a run of the scenario below lasts about as long
SEED = 20261122
PROGRAM = str(Path(sys.executable).parent / "netemu")
SCENARIO = """\
netemu: 1
name: killed
topology: {topology}
traffic: {{rate: 100/s}}
steps:
  - {{at: 3s, kill: us-east, for: 3s}}
end: 8s
"""


def measure(say: Say) -> list[Line]:
    """Moments are drawn between the start of the program and its end."""
    engine = DockerEngine()
    if others := lab_names(engine):
        raise UsageError(f"labs run here ({', '.join(others)}); this would remove them")
    moments = random.Random(SEED)
    before = network_namespaces()
    containers, namespaces, down_s = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        scenario = Path(directory) / "killed.yaml"
        scenario.write_text(SCENARIO.format(topology=TOPOLOGY))
        for number in range(TIMES):
            moment_s = moments.uniform(0.0, LONGEST_S)
            _run_and_kill(scenario, moment_s)
            began = time.monotonic()
            subprocess.run([PROGRAM, "down", "--all"], check=True, capture_output=True)
            down_s.append(time.monotonic() - began)
            containers.append(float(len(engine.containers())))
            namespaces.append(float(_new_namespaces(before)))
            if number % 10 == 9:
                say(f"{number + 1} killed; left: {sum(containers):g}, {sum(namespaces):g}")
    engine.close()
    return [
        at_most("containers left after kill -9 and down --all", containers, 0, ""),
        at_most("network namespaces left", namespaces, 0, ""),
        information("down --all", down_s, "s"),
    ]


def _run_and_kill(scenario: Path, moment_s: float) -> None:
    words = [PROGRAM, "run", str(scenario), "--directory", str(scenario.parent / "runs")]
    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run.wait(moment_s)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
        run.wait()


def _new_namespaces(before: set[int]) -> int:
    """The kernel may take a moment to free what the last process of a container held."""
    until = time.monotonic() + 2.0
    while (left := len(network_namespaces() - before)) and time.monotonic() < until:
        time.sleep(0.05)
    return left
