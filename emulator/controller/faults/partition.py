"""Partition: the paths between two sets of sites are cut, both ways or one. Both sides live."""

from __future__ import annotations

from typing import ClassVar

from emulator.controller.faults.base import paths_between
from emulator.controller.lab import Lab
from emulator.impairment import Overlay
from emulator.wan.base import FaultRecord

OUT, IN = 1.0, -1.0  # settings["direction"]; absent: both ways


class Partition:
    """No peers named: the target is cut from everyone."""

    kind: ClassVar[str] = "partition"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        everyone = [site.name for site in lab.plan.sites if site.name not in fault.sites]
        peers = fault.peers or tuple(everyone)
        direction = fault.settings.get("direction", 0.0)
        paths = paths_between(lab, fault.sites, peers) if direction != IN else []
        paths += paths_between(lab, peers, fault.sites) if direction != OUT else []
        return lab.wan.lay(fault.id, paths, Overlay(cut=True))

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        return lab.wan.lift(fault.id)
