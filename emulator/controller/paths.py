"""The paths of a running lab: what each is like now, and values that are set by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emulator.controller.lab import Lab, locked
from emulator.controller.probing import Path, measure
from emulator.engine.base import ContainerState
from emulator.errors import UsageError, suggest
from emulator.impairment import Impairment, Pair, Trace
from emulator.pathentries import read_path_name
from emulator.pathvalues import Values, describe, show_ms
from emulator.plan.model import Plan

LOOK_S = 1.0  # a host that does not answer in a second has no figure, and is not waited for


@dataclass(frozen=True, slots=True)
class Changed:
    """One direction before and after, in words."""

    path: str
    was: str
    now: str


def paths_named(plan: Plan, name: str) -> tuple[Path, ...]:
    """The directions that `a->b`, `a..b` or `a`, all of a site, means; beside each the way back.
    Raises UsageError with what was perhaps meant."""
    sites = [site.name for site in plan.sites]
    if name.endswith("-"):  # of a->b the shell made "> b"
        raise UsageError(f"{name!r} is no path; a shell takes > for itself: write 'a->b' in quotes")
    if "->" not in name and ".." not in name:
        _check_site(name, sites)
        others = [site for site in sites if site != name]
        return tuple(path for other in others for path in ((name, other), (other, name)))
    try:
        source, target, is_pair = read_path_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for site in (source, target):
        _check_site(site, sites)
    if source == target:
        raise UsageError(f"{name} leads from a site to itself; there is no path to set")
    return ((source, target), (target, source)) if is_pair else ((source, target),)


def _check_site(name: str, sites: Sequence[str]) -> None:
    if name not in sites:
        advice = suggest(name, sites) or f"there are {', '.join(sites)}"
        raise UsageError(f"no site is called {name!r}; {advice}")


def every_path(plan: Plan) -> tuple[Path, ...]:
    """Each pair's two directions one after the other, in the plan's order of sites."""
    sites = [site.name for site in plan.sites]
    pairs = [(a, b) for n, a in enumerate(sites) for b in sites[n + 1 :]]
    return tuple(path for a, b in pairs for path in ((a, b), (b, a)))


def change_paths(
    lab: Lab, name: str, values: Values, trace: Trace | None = None
) -> tuple[Changed, ...]:
    """Set these values, and no others, on the paths of that name, at once; then let the trace play
    on them. Raises UsageError for values that do not go with what stays."""
    paths = paths_named(lab.plan, name)
    with locked(lab, f"path {name}"):
        before = lab.wan.paths()
        _check_values(before, paths, values, trace)
        if values:
            lab.wan.change(_pairs(lab.plan, paths), values)
        if trace is not None:
            lab.wan.play(_pairs(lab.plan, paths), trace)
        return _compared(before, lab.wan.paths(), paths)


def clear_paths(lab: Lab, name: str | None = None) -> tuple[Changed, ...]:
    """Back to what the file says: the paths of that name, or all. What changed by it."""
    paths = paths_named(lab.plan, name) if name else every_path(lab.plan)
    with locked(lab, f"path {name or ''} --clear"):
        before = lab.wan.paths()
        by_hand = [path for path in paths if _is_by_hand(before, path)]
        if by_hand:
            lab.wan.clear(_pairs(lab.plan, by_hand))
        return _compared(before, lab.wan.paths(), by_hand)


def changed_by_hand(lab: Lab) -> tuple[str, ...]:
    """The paths that are not as the file says because somebody changed them."""
    seen = lab.wan.paths()
    return tuple("->".join(path) for path in every_path(lab.plan) if _is_by_hand(seen, path))


def _is_by_hand(seen: Mapping[str, dict[str, Any]], path: Path) -> bool:
    return bool(seen["->".join(path)]["changed"])


def _check_values(
    before: Mapping[str, dict[str, Any]],
    paths: Iterable[Path],
    values: Values,
    trace: Trace | None,
) -> None:
    for path in paths:
        name = "->".join(path)
        wanted = Impairment.from_json(before[name]["file"] | before[name]["changed"])
        for step in (values, *(step for _, step in (trace.steps if trace else ()))):
            wanted = replace(wanted, **step)
            if wanted.jitter_ns > wanted.delay_ns:
                jitter, delay = show_ms(wanted.jitter_ns), show_ms(wanted.delay_ns)
                what = f"{name}: a jitter of {jitter} exceeds the delay of {delay}"
                raise UsageError(f"{what}; set a longer delay too, or a smaller jitter")
            if wanted.aqm and not wanted.rate_bps:
                what = f"{name}: {wanted.aqm} looks after a queue, and without a rate there is none"
                raise UsageError(f"{what}; set a rate too")


def _compared(
    before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]], paths: Iterable[Path]
) -> tuple[Changed, ...]:
    names = ["->".join(path) for path in paths]
    return tuple(
        Changed(name, describe(before[name]["now"]), describe(after[name]["now"])) for name in names
    )


def _pairs(plan: Plan, paths: Iterable[Path]) -> list[Pair]:
    numbers = {site.name: site.number for site in plan.sites}
    return [(numbers[a], numbers[b]) for a, b in paths]


def look_at_paths(lab: Lab, name: str | None = None) -> list[dict[str, Any]]:
    """Every path, or those of that name: what it is set to, what it measures now (None where a
    host is dead or deaf, or the path cut), what it carried and dropped since the lab is up."""
    paths = paths_named(lab.plan, name) if name else every_path(lab.plan)
    seen = lab.wan.paths()
    faults = {fault.id: f"{fault.kind} {' '.join(fault.target)}" for fault in lab.wan.journal()}
    measured = _measured(lab, {p: Impairment.from_json(seen["->".join(p)]["now"]) for p in paths})
    return [
        {
            "path": said,
            "set": describe(seen[said]["now"]),
            "measured_ms": measured.get(path),
            "faults": [faults.get(overlay, overlay) for overlay in seen[said]["overlays"]],
            **{key: value for key, value in seen[said].items() if key != "overlays"},
        }
        for path in paths
        for said in ["->".join(path)]
    ]


def _measured(lab: Lab, paths: Mapping[Path, Impairment]) -> dict[Path, float]:
    states = {c.host: c.state for c in lab.engine.containers(lab.name)}
    awake = {s.name for s in lab.plan.sites if states.get(s.hosts[0]) is ContainerState.RUNNING}
    open_paths = {
        path: values
        for path, values in paths.items()
        if awake.issuperset(path) and not values.cut and values.mean_loss < 1
    }
    if not open_paths:
        return {}
    seen = measure(lab.plan, lab.wan, open_paths, lab.clock, LOOK_S)
    return {path: round(ns / 1e6, 3) for path, ns in seen.items()}
