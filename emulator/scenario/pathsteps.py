"""Steps that set paths while the lab runs: `path`, `clear`."""

from __future__ import annotations

from emulator.pathentries import path_text, read_trace, read_values
from emulator.scenario.model import ClearPath, SetPath
from emulator.scenario.times import Moment
from emulator.yamlfile import Fields

EVERY_PATH = "all"


def read_set_path(fields: Fields, at: Moment, for_s: float | None) -> SetPath:
    """Values, a trace, or both; what names neither is a problem."""
    written = fields.members["path"]
    name = written.value(path_text, "")
    trace = fields.get("trace")
    before = len(written.document.problems)
    values = read_values(fields, name)
    played = read_trace(trace, name) if trace else None
    if not values and played is None and len(written.document.problems) == before:
        fields.owner.problem("sets nothing", "name a value, like rtt: 200ms or loss: 2%")
    return SetPath(
        at_s=at.at_s, path=name, values=values, trace=played, for_s=for_s, is_after=at.is_after
    )


def read_clear(fields: Fields, at: Moment) -> ClearPath:
    """One path, all of a site, or `all`."""
    return ClearPath(at.at_s, fields.members["clear"].value(_which, ""), at.is_after)


def _which(text: str) -> str:
    return "" if text == EVERY_PATH else path_text(text)
