"""Force: every name server is told to hold a region for down, up or drained, whatever its checks
say. Nothing breaks: who is connected stays, only new answers are others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from emulator.controller.dns import name_servers, tell_force
from emulator.controller.lab import Lab
from emulator.scenario.model import FORCED
from emulator.wan.base import FaultRecord

DEFAULT = FORCED["down"]
_WORDS = {number: word for word, number in FORCED.items()}
_AUTO = "auto"  # its checks decide again

Places = Mapping[tuple[str, str], str]  # (service, region) -> down, up, drain or auto


class Force:
    """Settings: `state`, of FORCED. `peers` is the service; none: each that the region has. Of
    several on one region the last counts, and when that is healed the one before. A dead name
    server is passed over and told when it is back; a frozen one hears it when it wakes."""

    kind: ClassVar[str] = "force"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        began = lab.wan.now_ns()
        if _hearing(lab):
            _tell(lab, _asked(lab, [fault]))
        return began

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        still = _asked(lab, [other for other in lab.wan.journal() if other.id != fault.id])
        if _hearing(lab):
            _tell(lab, {place: still.get(place, _AUTO) for place in _asked(lab, [fault])})
        return lab.wan.now_ns()


def force_again(lab: Lab, hosts: Sequence[str]) -> None:
    """Name servers among these hosts were started anew. Each holds what it held when it died, by
    its file, and must hold what the journal says; what it alone still holds, while another lived
    on, was taken back meanwhile."""
    back = [server for server in name_servers(lab) if server in hosts]
    if not back:
        return
    asked = _asked(lab, lab.wan.journal())
    others = _hearing(lab).difference(back)
    stale = _held(lab, back) - _held(lab, others) if others else set()
    _tell(lab, dict.fromkeys(stale, _AUTO) | asked)


def _asked(lab: Lab, faults: Sequence[FaultRecord]) -> dict[tuple[str, str], str]:
    """What these faults ask for, a later one in the place of an earlier."""
    return {
        (service.name, region): _WORDS[fault.settings.get("state", DEFAULT)]
        for fault in faults
        if fault.kind == Force.kind
        for region in fault.sites
        for service in lab.plan.services
        if region in service.addresses and service.name in (fault.peers or (service.name,))
    }


def _tell(lab: Lab, places: Places) -> None:
    for (service, region), state in places.items():
        tell_force(lab, region, service, state)


def _hearing(lab: Lab) -> set[str]:
    """Name servers whose programs no fault has ended."""
    dead = {
        host
        for fault in lab.wan.journal()
        if fault.kind in {"power", "crash"}
        for host in fault.hosts
    }
    return set(name_servers(lab)) - dead


def _held(lab: Lab, servers: Collection[str]) -> set[tuple[str, str]]:
    """Where these name servers said last that they force a region."""
    return {
        (said["service"], region)
        for said in lab.wan.latest()
        if said["kind"] == "generation" and said["server"] in servers
        for region in said.get("forced", {})
    }
