"""`paths:`: what the file says of single directions, `a->b`, and of pairs, `a..b`.

The result holds one setting at most for each direction: what several entries say of one direction
is put together, and a value said twice is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from emulator.errors import suggest
from emulator.scalars import duration, rate, share
from emulator.topology.model import PathSetting
from emulator.yamlfile import Entry, Fields

PATH_KEYS = ("one_way", "rtt", "jitter", "loss", "rate", "queue")
_PATH = re.compile(r"\s*(\S+?)\s*(->|\.\.)\s*(\S+?)\s*")
_VALUES = ("one_way_s", "jitter_s", "loss", "rate_bps", "queue_s")
_ONE_WAY = duration("0s", "10s")  # above 10 s nothing on a network is still waiting
_RTT = duration("0s", "20s")


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
        _check_jitter(setting, said_last[direction])
    return tuple(found.values())


def _check_jitter(setting: PathSetting, entry: Entry) -> None:
    one_way_s, jitter_s = setting.one_way_s, setting.jitter_s
    if one_way_s is not None and jitter_s is not None and jitter_s > one_way_s:
        what = f"a jitter of {jitter_s * 1e3:g} ms exceeds the delay of {one_way_s * 1e3:g} ms"
        entry.problem(what, "the delay varies by +- the jitter and cannot go below 0")


def _read_path(name: str, entry: Entry, sites: Collection[str]) -> Iterator[PathSetting]:
    fields = entry.fields(PATH_KEYS)
    parts = _PATH.fullmatch(name)
    if parts is None:
        entry.problem(f"{name!r} is no path", "write us-east->eu-west, or us-east..eu-west")
        return
    source, arrow, target = parts.groups()
    for site in (source, target):
        if site not in sites:
            hint = suggest(site, sites) or f"sites here: {', '.join(sites)}"
            entry.problem(f"leads to nowhere: no site is called {site!r}", hint)
    if source == target:
        entry.problem("leads from a site to itself", "a site's own network has no delay to set")
    if arrow == "->" and "rtt" in fields:
        entry.problem("rtt speaks of a pair", f"write one_way, or {source}..{target}")
    setting = _read_setting(source, target, entry, fields)
    yield setting
    if arrow == ".." and source != target:
        yield replace(setting, source=target, target=source)


def _read_setting(source: str, target: str, entry: Entry, fields: Fields) -> PathSetting:
    one_way_s = fields.value("one_way", _ONE_WAY, None)
    if "rtt" in fields:
        if "one_way" in fields:
            entry.problem("rtt and one_way speak of the same delay", "keep one of them")
        rtt_s = fields.value("rtt", _RTT, 0.0)
        one_way_s = rtt_s / 2
    return PathSetting(
        source=source,
        target=target,
        line=entry.line,
        one_way_s=one_way_s,
        jitter_s=fields.value("jitter", duration("0s", "10s"), None),
        loss=fields.value("loss", share, None),
        rate_bps=fields.value("rate", rate("1kbit", "100gbit"), None),
        queue_s=fields.value("queue", duration("1ms", "60s"), None),
    )


def _merge(earlier: PathSetting, later: PathSetting, entry: Entry) -> PathSetting:
    said = {key: getattr(later, key) for key in _VALUES if getattr(later, key) is not None}
    twice = [key for key in said if getattr(earlier, key) is not None]
    if twice:
        keys = ", ".join(key.removesuffix("_s").removesuffix("_bps") for key in twice)
        what = f"{keys} of {later.source}->{later.target} is said twice"
        entry.problem(what, f"line {earlier.line} says it first; keep one")
    return replace(earlier, **said)
