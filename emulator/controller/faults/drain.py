"""Drain: leave in order. The region's health turns bad; when DNS must have moved everyone, every
answer says `Connection: close`; then HAProxy's soft stop, and at last `drain_timeout`.

The steps run inside the region (node/edge), so they go on when netemu is gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from emulator.controller.faults.base import held_by_others
from emulator.controller.lab import Lab
from emulator.errors import WanError
from emulator.plan.bounds import DRAIN_CLOSE_S, moved_by_s
from emulator.wan.base import FaultRecord


class Drain:
    """`heal` ends it; a balancer that was already told to stop is started anew. A dead host is
    told when it is back; a frozen one hears it when it wakes."""

    kind: ClassVar[str] = "drain"

    def inject(self, lab: Lab, fault: FaultRecord) -> int:
        began = lab.wan.now_ns()
        dead = held_by_others(lab, fault, ["power", "crash"])
        deaf = _tell(lab, [host for host in fault.hosts if host not in dead], _command(lab))
        _refuse(deaf - held_by_others(lab, fault, ["freeze"]))
        return began

    def heal(self, lab: Lab, fault: FaultRecord) -> int:
        edges = [host for host in fault.hosts if lab.spec(host).role == "edge"]
        stopped = [edge for edge in edges if _is_stopping(lab, edge)]
        lab.wan.hosts({edge: ("kill", {"daemons": ["haproxy", "edge"]}) for edge in stopped})
        held = held_by_others(lab, fault, ["power", "crash", "freeze"])
        lab.run_daemons([edge for edge in stopped if edge not in held])
        others = [host for host in fault.hosts if host not in stopped]
        _tell(lab, others, {"op": "undrain"})
        return lab.wan.now_ns()


def drain_again(lab: Lab, hosts: Sequence[str]) -> None:
    """Daemons of these hosts were started anew; those under an active drain must know of it."""
    for fault in lab.wan.journal():
        started = [host for host in fault.hosts if host in hosts]
        if fault.kind == Drain.kind and started:
            _refuse(_tell(lab, started, _command(lab)))


def _command(lab: Lab) -> dict[str, object]:
    wait_s = max(moved_by_s(lab.plan, service) for service in lab.plan.services)
    return {"op": "drain", "wait_s": wait_s, "close_s": DRAIN_CLOSE_S}


def _tell(lab: Lab, hosts: Sequence[str], command: dict[str, object]) -> set[str]:
    """Those that could not be told."""
    line = json.dumps(command)
    daemons = {"edge": "edge", "server": "app"}
    answers = lab.wan.hosts(
        {h: ("send", {"daemon": daemons[lab.spec(h).role], "line": line}) for h in hosts}
    )
    return {host for host, a in answers.items() if "error" in a or a.get("silent")}


def _refuse(deaf: set[str]) -> None:
    if deaf:
        raise WanError(f"drain: these hosts could not be told: {', '.join(sorted(deaf))}")


def _is_stopping(lab: Lab, edge: str) -> bool:
    region = lab.spec(edge).site
    return any(
        e["kind"] == "proxy" and e["region"] == region and e["state"] in {"STOPPING", "DOWN"}
        for e in lab.wan.latest()
        if e.get("server") == ""
    )
