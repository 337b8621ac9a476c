"""The paths of a running lab: what each is like now, and values that are set by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from emulator.controller.lab import Lab, locked
from emulator.controller.probing import Path, measure
from emulator.engine.base import ContainerState
from emulator.errors import UsageError
from emulator.impairment import Impairment, Pair, Trace
from emulator.pathentries import named_paths
from emulator.pathvalues import describe, misfit
from emulator.plan.model import Plan

LOOK_S = 1.0  # a host that does not answer in a second has no figure, and is not waited for


@dataclass(frozen=True, slots=True)
class Changed:
    """One direction before and after, in words."""

    path: str
    was: str
    now: str


def paths_named(plan: Plan, name: str) -> tuple[Path, ...]:
    """The directions that `a->b`, `a..b` or `a`, all of a site, means. Raises UsageError."""
    if name.endswith("-"):  # of a->b the shell made "> b"
        raise UsageError(f"{name!r} is no path; a shell takes > for itself: write 'a->b' in quotes")
    try:
        return named_paths(name, [site.name for site in plan.sites])
    except ValueError as error:
        raise UsageError(str(error)) from error


def every_path(plan: Plan) -> tuple[Path, ...]:
    """Each pair's two directions one after the other, in the plan's order of sites."""
    sites = [site.name for site in plan.sites]
    pairs = [(a, b) for n, a in enumerate(sites) for b in sites[n + 1 :]]
    return tuple(path for a, b in pairs for path in ((a, b), (b, a)))


def change_paths(
    lab: Lab, name: str, values: Mapping[str, Any], trace: Trace | None = None
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
    values: Mapping[str, Any],
    trace: Trace | None,
) -> None:
    for path in paths:
        name = "->".join(path)
        wanted = Impairment.from_json(before[name]["file"] | before[name]["changed"])
        for step in (values, *(step for _, step in (trace.steps if trace else ()))):
            wanted = replace(wanted, **step)
            if wrong := misfit(wanted):
                raise UsageError(f"{name}: {wrong}")


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
