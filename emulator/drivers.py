"""What moves a lab's packets between its sites, and what each of these cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

DriverName = Literal["userspace", "netem"]
DRIVERS: tuple[DriverName, ...] = get_args(DriverName)
# As a run's header says it.
DESCRIPTIONS: Mapping[DriverName, str] = {
    "userspace": "user-space wire (AF_PACKET)",
    "netem": "the kernel's netem",
}
SEED = 1  # of all that our wire draws: every life of it, in every lab, draws alike
_JITTER_NS_MAX = 1 << 30  # the kernel keeps twice the jitter in 31 bits (net/sched/sch_netem.c)


def refusal(driver: str, values: Mapping[str, Any]) -> str:
    """Why a driver cannot set a path to these values of an Impairment or an Overlay: which value,
    and what to do. Empty: it can."""
    if driver != "netem":
        return ""
    if values.get("mtu"):
        return f"netem cannot limit the mtu ({values['mtu']}); use the driver userspace"
    if values.get("jitter_ns", 0) > _JITTER_NS_MAX:
        return f"netem cannot do a jitter of {values['jitter_ns'] / 1e9:g} s; 1.07 s is the most"
    return ""
