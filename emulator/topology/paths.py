"""`paths:`: what the file says of single directions, `a->b`, and of pairs, `a..b`.

The result holds one setting at most for each direction: what several entries say of one direction
is put together, and a value said twice is a problem.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from emulator.errors import suggest
from emulator.pathentries import VALUE_KEYS, read_path_name, read_trace, read_values
from emulator.pathvalues import show_ms, words_of
from emulator.topology.model import PathSetting
from emulator.yamlfile import Entry

PATH_KEYS = (*VALUE_KEYS, "trace")


def read_paths(entry: Entry, sites: Collection[str]) -> tuple[PathSetting, ...]:
    """All of `paths:`, in the file's order of first mention."""
    found: dict[tuple[str, str], PathSetting] = {}
    said_last: dict[tuple[str, str], Entry] = {}
    for name, path in entry.named().items():
        for setting in _read_path(name, path, sites):
            direction = (setting.source, setting.target)
            earlier = found.get(direction)
            found[direction] = _merge(earlier, setting, path) if earlier else setting
            said_last[direction] = path
    for direction, setting in found.items():
        _check(setting, said_last[direction])
    return tuple(found.values())


def _check(setting: PathSetting, entry: Entry) -> None:
    """What one value must know of another; where the places decide the delay, the plan checks."""
    steps = setting.trace.steps if setting.trace else ()
    values = dict(setting.values)
    for _, changed in ((0, {}), *steps):
        values |= changed
        if values.get("jitter_ns", 0) > values.get("delay_ns", values.get("jitter_ns", 0)):
            jitter, delay = show_ms(values["jitter_ns"]), show_ms(values["delay_ns"])
            what = f"a jitter of {jitter} exceeds the delay of {delay}"
            entry.problem(what, "the delay varies by +- the jitter and cannot go below 0")
            break
    if setting.values.get("aqm") and not any("rate_bps" in v for _, v in ((0, values), *steps)):
        what = f"{setting.values['aqm']} looks after a queue, and without a rate there is none"
        entry.problem(what, "write for example rate: 10mbit")


def _read_path(name: str, entry: Entry, sites: Collection[str]) -> Iterator[PathSetting]:
    fields = entry.fields(PATH_KEYS)
    try:
        source, target, is_pair = read_path_name(name)
    except ValueError as error:
        what, _, hint = str(error).partition("; ")
        entry.problem(what, hint)
        return
    for site in (source, target):
        if site not in sites:
            hint = suggest(site, sites) or f"sites here: {', '.join(sites)}"
            entry.problem(f"leads to nowhere: no site is called {site!r}", hint)
    if source == target:
        entry.problem("leads from a site to itself", "a site's own network has no delay to set")
    trace = fields.get("trace")
    setting = PathSetting(
        source=source,
        target=target,
        line=entry.line,
        values=read_values(fields, name),
        trace=read_trace(trace, name) if trace else None,
    )
    yield setting
    if is_pair and source != target:
        yield replace(setting, source=target, target=source)


def _merge(earlier: PathSetting, later: PathSetting, entry: Entry) -> PathSetting:
    twice = list(words_of(earlier.values.keys() & later.values.keys()))
    twice += ["trace"] if earlier.trace and later.trace else []
    if twice:
        what = f"{', '.join(twice)} of {later.source}->{later.target} is said twice"
        entry.problem(what, f"line {earlier.line} says it first; keep one")
    values = {**earlier.values, **later.values}
    return replace(earlier, values=values, trace=later.trace or earlier.trace)
