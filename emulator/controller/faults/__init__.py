"""Faults by name. Each is one small type in one small file: inject, heal, both safe to call twice.

A fault never undoes another one's work: what a path or a host must be is the fold of all active
faults (the journal), and each fault only brings the world in line with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from emulator.controller.faults.base import FaultType
from emulator.controller.faults.brownout import Brownout
from emulator.controller.faults.crash import Crash
from emulator.controller.faults.drain import Drain
from emulator.controller.faults.flap import Flap
from emulator.controller.faults.force import Force
from emulator.controller.faults.freeze import Freeze
from emulator.controller.faults.partition import Partition
from emulator.controller.faults.power import Power

FAULTS: Mapping[str, FaultType] = {
    fault.kind: fault
    for fault in (Power(), Crash(), Freeze(), Drain(), Partition(), Flap(), Brownout(), Force())
}
