"""Brown-out: delay, loss and rate of the target's paths get worse; nothing dies."""

from __future__ import annotations

from typing import ClassVar

from emulator.controller.faults.base import paths_of
from emulator.controller.lab import Lab
from emulator.impairment import Overlay
from emulator.wan.base import FaultRecord

DEFAULTS = {"delay_s": 0.1, "loss": 0.05, "rate_bps": 0.0}


class Brownout:
    """Settings: `delay_s` added each way, `loss` 0 to 1, `rate_bps` (0: as it was)."""

    kind: ClassVar[str] = "brownout"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        settings = fault.settings or DEFAULTS
        overlay = Overlay(
            delay_ns=round(settings.get("delay_s", 0.0) * 1e9),
            loss=settings.get("loss", 0.0),
            rate_bps=round(settings.get("rate_bps", 0.0)),
        )
        return lab.wan.lay(fault.id, paths_of(lab, fault.sites), overlay)

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        return lab.wan.lift(fault.id)
