"""Crash: every daemon gets SIGKILL, the kernel lives on. Peers see FIN or RST at once; new SYNs
get RST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from emulator.controller.faults.base import held_by_others
from emulator.controller.faults.drain import drain_again
from emulator.controller.faults.force import force_again
from emulator.controller.lab import Lab
from emulator.errors import WanError
from emulator.wan.base import FaultRecord


class Crash:
    """`heal` starts the daemons again, on hosts that no other fault holds. A frozen host's daemons
    die when it wakes."""

    kind: ClassVar[str] = "crash"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        dark = held_by_others(lab, fault, ["power", "freeze"])
        return kill_daemons(lab, [host for host in fault.hosts if host not in dark])

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        held = held_by_others(lab, fault, ["crash", "power", "freeze"])
        back = [host for host in fault.hosts if host not in held]
        lab.run_daemons(back)
        healed = lab.wan.now_ns()
        drain_again(lab, back)
        force_again(lab, back)
        return healed


def kill_daemons(lab: Lab, hosts: Sequence[str]) -> int:
    """SIGKILL every daemon of these hosts at once, and what users put beside them; the instant
    before the first, ns."""
    answers = lab.wan.hosts({host: ("kill", {}) for host in hosts})
    bad = {host: a.get("error", "no answer") for host, a in answers.items() if "t" not in a}
    if bad:
        raise WanError(f"crash: could not kill the daemons of {bad}")
    lab.each(lab.own(hosts), lab.engine.kill)
    return min((a["t"] for a in answers.values()), default=lab.wan.now_ns())
