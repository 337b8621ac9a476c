"""Brown-out: the target's paths get worse; nothing dies."""

from __future__ import annotations

from typing import ClassVar

from emulator.controller.faults.base import paths_of
from emulator.controller.lab import Lab
from emulator.impairment import Overlay
from emulator.wan.base import FaultRecord

DEFAULTS = {"delay_s": 0.1, "loss": 0.05, "rate_bps": 0.0}


class Brownout:
    """Settings: `delay_s` and `jitter_s` added each way, `rate_bps` (0: as it was), and the shares,
    0 to 1: `loss`, `duplicate`, `corrupt`, `reorder`."""

    kind: ClassVar[str] = "brownout"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        settings = fault.settings or DEFAULTS
        overlay = Overlay(
            delay_ns=round(settings.get("delay_s", 0.0) * 1e9),
            jitter_ns=round(settings.get("jitter_s", 0.0) * 1e9),
            rate_bps=round(settings.get("rate_bps", 0.0)),
            loss=settings.get("loss", 0.0),
            duplicate=settings.get("duplicate", 0.0),
            corrupt=settings.get("corrupt", 0.0),
            reorder=settings.get("reorder", 0.0),
        )
        return lab.wan.lay(fault.id, paths_of(lab, fault.sites), overlay)

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        return lab.wan.lift(fault.id)
