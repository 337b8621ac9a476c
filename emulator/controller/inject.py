"""Break and mend, by target: the journal first, then the fault, and every instant marked.

`inject` of an active fault and `heal` of a healthy target change nothing. Both hold the lab's
lock, so two netemu processes do not harm each other.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from emulator.controller.faults import FAULTS
from emulator.controller.lab import WAN, Lab, locked
from emulator.errors import NetemuError, UsageError, suggest
from emulator.events import Fault
from emulator.scenario.targets import REGION_FAULTS
from emulator.wan.base import FaultRecord

# These speak of sites, not of single hosts.
SITE_FAULTS = ("drain", "partition", "flap", "brownout", "force")
HOSTLESS = ("partition", "flap", "brownout", "force")  # these touch paths, or what name servers say


def inject(
    lab: Lab,
    target: Sequence[str],
    how: str,
    peers: Sequence[str] = (),
    settings: Mapping[str, float] | None = None,
) -> FaultRecord:
    """Break `target`. Returns the fault's record, of an earlier call if it is active already.

    Raises UsageError for an unknown target or a fault that does not fit it.
    """
    wanted = resolve(lab, target, how, peers, settings or {})
    with locked(lab, f"kill {' '.join(target)}"):
        if active := find_active(lab, wanted):
            return active
        lab.wan.record(wanted)
        try:
            began = FAULTS[how].inject(lab, wanted)
        except BaseException as error:
            _take_back(lab, wanted, error)
            raise
        lab.wan.mark(_mark(wanted, "inject_began", began))
        lab.wan.mark(_mark(wanted, "inject_ended", lab.wan.now_ns()))
    return wanted


def find_active(lab: Lab, wanted: FaultRecord) -> FaultRecord | None:
    """The active fault that is `wanted` in all but its id."""
    return next((f for f in lab.wan.journal() if replace(f, id=wanted.id) == wanted), None)


def _take_back(lab: Lab, fault: FaultRecord, error: BaseException) -> None:
    """Heal a fault that failed half way. What cannot be healed stays in the journal, for `heal`."""
    try:
        lab.wan.mark(_mark(fault, "failed", lab.wan.now_ns(), str(error) or repr(error)))
        heal_one(lab, fault)
    except NetemuError as failure:
        error.add_note(f"and undoing it failed ({failure}); then: netemu heal --all")


def heal(lab: Lab, target: Sequence[str]) -> tuple[FaultRecord, ...]:
    """Undo every active fault on exactly this target, newest first; what was undone."""
    names = _names(target)
    for name in names:
        sites_and_hosts(lab, name)
    with locked(lab, f"heal {' '.join(target)}"):
        active = [f for f in lab.wan.journal() if names in _sides(f)]
        for fault in reversed(active):
            heal_one(lab, fault)
    return tuple(active)


def _sides(fault: FaultRecord) -> tuple[tuple[str, ...], ...]:
    """By what it is healed: its target, and the other side of a partition."""
    return (fault.target, fault.peers) if fault.kind == "partition" else (fault.target,)


def heal_fault(lab: Lab, fault_id: str) -> None:
    """Undo this one fault and nothing else on its target; one that is no longer active is fine."""
    with locked(lab, f"heal {fault_id}"):
        for fault in lab.wan.journal():
            if fault.id == fault_id:
                heal_one(lab, fault)


def heal_everything(lab: Lab) -> tuple[FaultRecord, ...]:
    """Undo every active fault, newest first."""
    with locked(lab, "heal everything"):
        active = lab.wan.journal()
        for fault in reversed(active):
            heal_one(lab, fault)
    return active


def heal_one(lab: Lab, fault: FaultRecord) -> None:
    """Undo one fault; it leaves the journal only when that is done."""
    lab.wan.mark(_mark(fault, "heal_began", lab.wan.now_ns()))
    healed = FAULTS[fault.kind].heal(lab, fault)
    lab.wan.mark(_mark(fault, "healed", healed))
    lab.wan.forget(fault.id)
    lab.wan.mark(_mark(fault, "heal_ended", lab.wan.now_ns()))


def resolve(
    lab: Lab, target: Sequence[str], how: str, peers: Sequence[str], settings: Mapping[str, float]
) -> FaultRecord:
    """The names a user gave, as sites and hosts."""
    if how not in FAULTS:
        raise UsageError(f"there is no fault {how!r}; there are {', '.join(FAULTS)}")
    sites: list[str] = []
    hosts: list[str] = []
    for name in target:
        found_sites, found_hosts = sites_and_hosts(lab, name)
        if how in SITE_FAULTS and not found_sites:
            raise UsageError(f"{how} is for a whole site, and {name} is one host of a site")
        sites += found_sites
        hosts += found_hosts
    if how == "force":
        _check_services(lab, peers)
    for name in peers if how != "force" else ():
        if not sites_and_hosts(lab, name)[0]:
            raise UsageError(f"a partition is between sites, and {name} is a host")
    kinds = {site.kind for site in lab.plan.sites if site.name in sites}
    if how in REGION_FAULTS and kinds != {"region"}:
        raise UsageError(f"{how} is for regions: {REGION_FAULTS[how]}")
    names = _names(target)
    return FaultRecord(
        id=f"{how}:{'+'.join(names)}#{lab.wan.stats()['seq']}",
        kind=how,
        target=names,
        sites=tuple(dict.fromkeys(sites)),
        hosts=() if how in HOSTLESS else tuple(dict.fromkeys(hosts)),
        peers=_names(peers),
        settings=settings,
    )


def _check_services(lab: Lab, names: Sequence[str]) -> None:
    known = [service.name for service in lab.plan.services]
    for name in names:
        if name not in known:
            advice = suggest(name, known) or f"there are {', '.join(known)}"
            raise UsageError(f"{name} is no service of lab {lab.name}; {advice}")


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(given)))


def sites_and_hosts(lab: Lab, name: str) -> tuple[list[str], list[str]]:
    """What a target covers. A city's load generator survives its city, to report."""
    for site in lab.plan.sites:
        if site.name == name:
            return [name], [site.hosts[0]] if site.kind == "client" else list(site.hosts)
    known = [host.name for host in lab.plan.hosts]
    if name in known:
        return [], [name]
    everything = [site.name for site in lab.plan.sites] + known
    near = difflib.get_close_matches(name, everything, n=1, cutoff=0.4)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(everything)}"
    raise UsageError(f"{name} is no site or host of lab {lab.name}; {advice}")


def host_named(lab: Lab, name: str) -> str:
    """One host: a city means its client, any other site its first host; the WAN is one too, and
    `us-east/api-1:image` the user's container there. Raises UsageError with a suggestion."""
    own = [host.own.name for host in lab.plan.hosts if host.own is not None]
    if name == WAN or name in own:
        return name
    sites, hosts = sites_and_hosts(lab, name)
    is_city = any(site.name in sites and site.kind == "client" for site in lab.plan.sites)
    return f"{name}/client" if is_city else hosts[0]


def _mark(fault: FaultRecord, phase: str, t: int, detail: str = "") -> dict[str, object]:
    return Fault(
        t=t,
        id=fault.id,
        how=fault.kind,
        phase=phase,
        target=list(fault.target),
        sites=list(fault.sites),
        hosts=list(fault.hosts),
        peers=list(fault.peers),
        detail=detail,
    ).to_json()
