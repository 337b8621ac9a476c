"""Words on the command line that name a part of the WAN: a path, a pair, a site."""

from __future__ import annotations

import re
from typing import NamedTuple

from emulator.errors import UsageError, suggest
from emulator.plan.model import Plan

_PATH = re.compile(r"\s*(\S+?)\s*(->|\.\.)\s*(\S+?)\s*")


class Chosen(NamedTuple):
    """Ordered pairs of site names, and the one site that was named; empty for a path."""

    paths: tuple[tuple[str, str], ...]
    site: str = ""


def chosen(plan: Plan, word: str | None) -> Chosen:
    """`a->b` is one path, `a..b` two, a site all from and to it; None is every path.
    Raises UsageError for what the lab does not have."""
    everything = tuple((path.source, path.target) for path in plan.paths)
    if word is None:
        return Chosen(everything)
    parts = _PATH.fullmatch(word)
    if parts is None:
        if word.endswith("-"):
            raise UsageError(
                f"{word} is half a path: your shell took the rest; write 'a->b' quoted"
            )
        site = _site(plan, word)
        return Chosen(tuple(pair for pair in everything if site in pair), site)
    source, arrow, target = parts.groups()
    pair = (_site(plan, source), _site(plan, target))
    wanted = (pair, pair[::-1]) if arrow == ".." else (pair,)
    if pair[0] == pair[1]:
        raise UsageError(f"{word} leads from a site to itself; its LAN is not on the WAN")
    return Chosen(tuple(path for path in wanted if path in everything))


def _site(plan: Plan, name: str) -> str:
    names = [site.name for site in plan.sites]
    if name in names:
        return name
    near = suggest(name, names) or f"there are {', '.join(names)}"
    raise UsageError(f"{name} is no site of lab {plan.lab}; {near}")
