"""What a name server is told on standard input, one JSON object a line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from emulator.node.dns.routing import LiveRouting
from emulator.node.dns.schedules import Checks
from emulator.steering import ForcedState

FORCED: Mapping[str, ForcedState | None] = {
    "down": "down", "up": "up", "drain": "drain", "auto": None
}  # fmt: skip

log = logging.getLogger(__name__)


class Orders:
    """The operations by name; `__main__` says what each means."""

    def __init__(self, live: LiveRouting, checks: Checks, reseed: Callable[[int], None]) -> None:
        self._live = live
        self._operations: dict[str, Callable[[dict[str, Any]], None]] = {
            "state": lambda _: live.emit_live(),
            "phase": lambda order: checks.place(int(order["t"]), order["region"]),
            "force": self._force,
            "seed": lambda order: reseed(int(order["seed"])),
        }

    def _force(self, order: dict[str, Any]) -> None:
        region, service, until = order["region"], order["service"], order["until"]
        state = FORCED[order["state"]]
        self._live.force(region, service, state, None if until is None else int(until))

    def obey(self, line: str) -> None:
        """Do what a line says; nonsense is logged."""
        try:
            order = json.loads(line)
            self._operations[order["op"]](order)
        except (ValueError, KeyError, TypeError) as error:
            known = ", ".join(self._operations)
            log.warning("%r is no command (%r); there are %s", line, error, known)
