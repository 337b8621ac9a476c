"""Flap: every path of the target is cut and comes back, again and again, until its time is over.

The keeper keeps the rhythm and heals the fault at its end, so nobody needs to stay for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emulator.clock import NS_PER_S
from emulator.controller.faults.base import paths_of
from emulator.controller.lab import Lab
from emulator.impairment import Overlay, Pulse
from emulator.scenario.model import FLAP
from emulator.wan.base import FaultRecord


class Flap:
    """Settings: `every_s`, the period; `down_s` of it are cut, the first of it (default: half);
    `for_s` in all."""

    kind: ClassVar[str] = "flap"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        rhythm = _rhythm(fault.settings)
        return lab.wan.lay(fault.id, paths_of(lab, fault.sites), Overlay(cut=True), pulse=rhythm)

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        return lab.wan.lift(fault.id)


def _rhythm(settings: Mapping[str, float]) -> Pulse:
    every_s = settings.get("every_s", FLAP["every_s"])
    down_s = settings.get("down_s", every_s / 2)
    for_s = settings.get("for_s", FLAP["for_s"])
    return Pulse(
        on_ns=round(down_s * NS_PER_S),
        off_ns=round((every_s - down_s) * NS_PER_S),
        for_ns=round(for_s * NS_PER_S),
    )
