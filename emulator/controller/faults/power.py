"""Power loss: every port is cut first, then the containers die. A peer sees nothing at all.

A killed container alone would still send FINs for 30 ms, so the cut must come first.
"""

from __future__ import annotations

from typing import ClassVar

from emulator.controller.faults.base import held_by_others, lan_hosts, paths_of, wan_sites
from emulator.controller.faults.drain import drain_again
from emulator.controller.faults.force import force_again
from emulator.controller.lab import Lab
from emulator.engine.base import ContainerState
from emulator.impairment import Overlay
from emulator.wan.base import FaultRecord


class Power:
    """`heal` boots the hosts again: their old connections then get the rebooted kernel's RST."""

    kind: ClassVar[str] = "power"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        sites = {*fault.sites, *wan_sites(lab, fault.hosts)}
        paths = paths_of(lab, sites)
        began = lab.wan.lay(fault.id, paths, Overlay(cut=True), ports=lan_hosts(lab, fault.hosts))
        lab.each([*fault.hosts, *lab.own(fault.hosts)], lab.engine.kill)
        lab.wan.unwire(fault.hosts)
        return began

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        dark = held_by_others(lab, fault, ["power"]) | _asleep(lab)
        back = [host for host in fault.hosts if host not in dark]
        lab.boot(back)
        healed = lab.wan.lift(fault.id)
        crashed = held_by_others(lab, fault, ["crash"])
        frozen = held_by_others(lab, fault, ["freeze"])
        alive = [host for host in back if host not in crashed]
        lab.run_daemons(alive)
        drain_again(lab, alive)
        force_again(lab, alive)
        asleep = [host for host in back if host in frozen]
        lab.each([*asleep, *lab.own(asleep, ContainerState.RUNNING)], lab.engine.pause)
        return healed


def _asleep(lab: Lab) -> set[str]:
    """Frozen hosts that this fault did not reach, or that an earlier, interrupted heal put back."""
    containers = lab.engine.containers(lab.name)
    return {container.host for container in containers if container.state is ContainerState.PAUSED}
