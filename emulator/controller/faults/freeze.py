"""Freeze: the engine pauses the hosts. The kernel still completes handshakes from the backlog and
ACKs data; nothing answers. L4 checks stay green."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from emulator.controller.faults.base import held_by_others
from emulator.controller.faults.crash import kill_daemons
from emulator.controller.faults.drain import drain_again
from emulator.controller.faults.force import force_again
from emulator.controller.lab import Lab
from emulator.engine.base import ContainerState
from emulator.wan.base import FaultRecord


class Freeze:
    """A host that lost power meanwhile cannot be paused; the fault then waits for its boot."""

    kind: ClassVar[str] = "freeze"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        began = lab.wan.now_ns()
        dark = held_by_others(lab, fault, ["power"])
        lit = [host for host in fault.hosts if host not in dark]
        lab.each([*lit, *lab.own(lit, ContainerState.RUNNING)], lab.engine.pause)
        return began

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        held = held_by_others(lab, fault, ["freeze", "power"])
        back = [host for host in fault.hosts if host not in held]
        lab.each([*back, *lab.own(back, ContainerState.PAUSED)], lab.engine.resume)
        healed = lab.wan.now_ns()
        crashed = held_by_others(lab, fault, ["crash"])
        kill_daemons(lab, [host for host in back if host in crashed])
        dead = _without_daemons(lab, [host for host in back if host not in crashed])
        lab.run_daemons(dead)
        drain_again(lab, dead)
        force_again(lab, dead)
        return healed


def _without_daemons(lab: Lab, hosts: Sequence[str]) -> list[str]:
    """A crash that was healed meanwhile left these to us. Where anything runs, it runs as before:
    a balancer that left after its drain must not come back."""
    answers = lab.wan.hosts({host: ("status", {}) for host in hosts})
    return [h for h, a in answers.items() if "running" not in a.get("daemons", {}).values()]
