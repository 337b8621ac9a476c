"""The clocks of the machine that a lab runs on, which need not be netemu's own."""

from __future__ import annotations

from emulator.controller.lab import Lab
from emulator.errors import NetemuError

_CLOCKS = "import time; print(time.time_ns() - time.monotonic_ns())"


def wall_offset_ns(lab: Lab) -> int:
    """The wall clock of the lab's kernel less its monotonic clock, read in one of its hosts."""
    host = next(h.name for h in lab.plan.hosts if h.role == "access")
    answer = lab.wan.host(host, "run", argv=["python3", "-I", "-S", "-c", _CLOCKS])
    try:
        return int(answer["out"])
    except (KeyError, ValueError) as error:
        raise NetemuError(f"reading the clocks of {host} failed: {answer}") from error
