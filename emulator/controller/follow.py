"""Follow a running lab: one fault until everyone has recovered or given up, or for ever."""

from __future__ import annotations

from collections.abc import Callable

from emulator.analysis.recovery import settled
from emulator.analysis.timeline import History
from emulator.clock import NS_PER_S
from emulator.controller.header import make_header
from emulator.controller.lab import Lab
from emulator.controller.own_lines import OwnLines
from emulator.controller.ready import wait_until_paths_fit
from emulator.controller.recorder import Recorder
from emulator.controller.traffic import even_traffic
from emulator.topology.model import CLIENT_KINDS
from emulator.wan.base import Event

BEFORE_S = 3.0  # of traffic before the fault, so that the report can show what was normal
GIVE_UP_S = 120.0


def follow_fault(
    lab: Lab, break_it: Callable[[], str], listen: Callable[[Event], None], command: str
) -> History:
    """Watch, break, watch until the fault's effect on every client is settled."""
    history = History()
    if not lab.wan.journal():  # with a fault active, not every path can be as it was set
        lab.measured_ns = wait_until_paths_fit(lab.plan, lab.wan, lab.clock)
    light = lab.plan.topology.light_traffic
    traffic = even_traffic(dict.fromkeys(CLIENT_KINDS, light))
    history.feed(make_header(lab, 0, None, command, traffic))

    def take(event: Event) -> None:
        history.feed(event)
        listen(event)

    since = int(lab.wan.stats()["seq"]) + 1
    recorder = Recorder(lab.wan, None, take, since)
    with recorder, OwnLines(lab, recorder.take) as own:
        lab.clock.sleep(BEFORE_S)
        fault = break_it()
        deadline = lab.clock.now_ns() + round(GIVE_UP_S * NS_PER_S)
        while lab.clock.now_ns() < deadline:
            lab.clock.sleep(0.5)
            recorder.check()
            if settled(history, fault, lab.wan.now_ns()):
                break
    recorder.check()
    own.check()
    return history


def follow_for_ever(lab: Lab, listen: Callable[[Event], None]) -> None:
    """Hand on every event until interrupted."""
    for event in lab.wan.events():
        if event is not None:
            listen(event)
