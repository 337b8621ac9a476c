"""A lab of a benchmark's own, which nobody else's name can be, and its traffic and history."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from emulator.analysis.timeline import History
from emulator.controller.header import make_header
from emulator.controller.lab import Lab, bring_up, remove_lab
from emulator.controller.recorder import Recorder
from emulator.controller.traffic import even_traffic
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.events import Note
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.topology.parse import load_topology
from emulator.wan.base import Event
from emulator.wan.remote import RemoteWan

TOPOLOGY = Path(__file__).parent.parent / "topologies" / "two-region.yaml"
RATES = {"http": 80.0, "keepalive": 80.0, "stream": 20.0, "udp": 20.0}  # 200/s a city
POLL_S = 0.25  # looking costs CPU that the lab needs


def silent(_stage: str, _done: float | None) -> None:
    """No progress is shown while something is timed."""


def fresh_plan() -> Plan:
    """Two regions, under a name of this call's own."""
    return make_plan(load_topology(TOPOLOGY), f"bench-{uuid.uuid4().hex[:8]}")


def fresh_lab() -> AbstractContextManager[Lab]:
    """Two regions that are ready; removed however the measurement ends."""
    return lab_of(fresh_plan())


@contextmanager
def lab_of(plan: Plan) -> Iterator[Lab]:
    """A lab that is ready; removed however the measurement ends."""
    engine = DockerEngine()
    try:
        lab = bring_up(plan, engine, RemoteWan, ensure_node_image(silent), silent)
        yield lab
        lab.wan.close()
    finally:
        remove_lab(engine, plan.lab)
        engine.close()


@contextmanager
def recorded(lab: Lab, rates: Mapping[str, float]) -> Iterator[History]:
    """What happens in the lab from here on, growing as it comes, and complete at the end."""
    history = History()
    history.feed(make_header(lab, 0, None, "python -m benchmarks", even_traffic(rates)))
    lock = threading.Lock()

    def listen(event: Event) -> None:
        with lock:
            history.feed(event)

    with Recorder(lab.wan, None, listen, int(lab.wan.stats()["seq"]) + 1) as recorder:
        yield history
        lab.wan.mark(Note(t=lab.wan.now_ns(), text="end").to_json())
    recorder.check()


def wait_for(
    condition: Callable[[], bool], timeout_s: float, what: str, poll_s: float = POLL_S
) -> None:
    """Raises TimeoutError, saying what did not come."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come within {timeout_s:g} s")
        time.sleep(poll_s)
