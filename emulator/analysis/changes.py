"""Paths that were changed while a lab ran, in lines: both directions in one, a trace once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from emulator.analysis.words import listed, plural
from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.events import PathChange
from emulator.pathvalues import told

# One command sets its paths in one instant; a trace keeps a clock for each path.
_TOGETHER_NS = 50 * NS_PER_MS
_NAMED_MOST = 3
Line = tuple[int, str]  # ns, words


def path_lines(changes: Iterable[PathChange]) -> list[Line]:
    """Each change by hand, and of each trace its first step; the others are counted."""
    by_hand: list[list[PathChange]] = []
    traced: dict[tuple[str, str], list[PathChange]] = {}
    for change in sorted(changes, key=lambda change: change.t):
        if change.by == "trace":
            traced.setdefault((change.source, change.target), []).append(change)
        elif by_hand and is_same_change(by_hand[-1][0], change):
            by_hand[-1].append(change)
        else:
            by_hand.append([change])
    lines = [(group[0].t, change_line(group)) for group in by_hand]
    return sorted(lines + _trace_lines(traced.values()))


def _trace_lines(traces: Iterable[list[PathChange]]) -> list[Line]:
    alike: dict[str, list[list[PathChange]]] = {}
    for steps in traces:
        key = json.dumps([step.values for step in steps], sort_keys=True)
        alike.setdefault(key, []).append(steps)
    lines = []
    for several in alike.values():
        first = min((steps[0] for steps in several), key=lambda step: step.t)
        line = change_line([steps[0] for steps in several])
        count, lasts_s = len(several[0]), (several[0][-1].t - several[0][0].t) / NS_PER_S
        more = f"; {plural(count - 1, 'more step')} in {lasts_s:.0f} s" if count > 1 else ""
        lines.append((first.t, line + more))
    return lines


def is_same_change(one: PathChange, other: PathChange) -> bool:
    """Whether one command, or traces that play side by side, did both."""
    together = abs(one.t - other.t) < _TOGETHER_NS
    return together and (one.by, one.values) == (other.by, other.values)


def change_line(changes: Sequence[PathChange]) -> str:
    """`us-east..paris: 200 ms, loss 2 %`, of changes that are the same."""
    first = changes[0]
    said = told(first.values) if first.values else "as the file says again"
    by = " (by its trace)" if first.by == "trace" else ""
    return f"{_names(changes)}: {said}{by}"


def _names(changes: Sequence[PathChange]) -> str:
    """`a..b` where both directions are meant; of many the first."""
    paths = dict.fromkeys((change.source, change.target) for change in changes)
    names = dict.fromkeys(
        "..".join(sorted(path)) if path[::-1] in paths else "->".join(path) for path in paths
    )
    shown = list(names)
    if len(shown) <= _NAMED_MOST:
        return listed(shown)
    return f"{', '.join(shown[:_NAMED_MOST])} and {len(shown) - _NAMED_MOST} more paths"
