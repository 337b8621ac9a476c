"""The last section: the lab, and everything that it takes to run this again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.analysis.words import listed
from emulator.events import Run
from emulator.report.graph_svg import graph_svg_of_run
from emulator.report.page.markup import Child, Html, el, join
from emulator.report.page.sheet import Sheet
from emulator.report.page.summary import show_wall


def setup(sheet: Sheet) -> Html:
    """The lab, and everything that it takes to run this again."""
    run = sheet.history.run
    if run is None:
        said = "The history has no header: the lab and its settings are not known."
        return el("section", el("h2", "Setup"), el("p", said), id="setup")
    facts: list[tuple[str, Child]] = [
        ("run again with", el("code", run.command)),
        ("seed", str(run.seed)),
        *((f"phase of {name}", f"{value:.3f} s") for name, value in run.phase.items()),
        ("scenario", run.scenario or "-"),
        ("begun", show_wall(run.wall)),
        *((f"traffic of {cities}", said) for said, cities in _traffic(run).items()),
        *_promises(run),
        *((_spoken(name), value) for name, value in run.environment.items()),
    ]
    if sheet.directory:
        facts.append(("history", el("code", sheet.directory)))
    told = join(join([el("dt", name), el("dd", value)]) for name, value in facts)
    picture = el("div", Html(graph_svg_of_run(run)), class_="picture")
    columns = el("div", picture, el("dl", told, class_="facts"), class_="columns")
    return el("section", el("h2", "Setup"), columns, id="setup")


def _traffic(run: Run) -> dict[str, str]:
    """What is sent -> by which cities."""
    if not run.loads:
        told = ", ".join(f"{kind} {rate:g}/s" for kind, rate in run.rates.items())
        return {told: "each city"} if told else {}
    senders: dict[str, list[str]] = {}
    for city, loads in run.loads.items():
        told = ", ".join(_load(kind, load) for kind, load in loads.items())
        senders.setdefault(told or "none", []).append(city)
    if len(senders) == 1:
        return dict.fromkeys(senders, "each city")
    return {told: listed(cities) for told, cities in senders.items()}


def _load(kind: str, load: Mapping[str, Any]) -> str:
    held = load.get("connections")
    cached = load.get("cache_s", 0.0)
    more = [f"{held} connections"] if held else []
    if cached != 0.0:
        more.append(f"a DNS answer kept {_kept(cached)}")
    if (believed := load.get("negative_s", 0.0)) != 0.0:
        more.append(f"a failed lookup believed {_kept(believed)}")
    if (life := load.get("lifetime_s")) is not None:
        more.append(f"connections live {life:g} s")
    return f"{kind} {load['rate']:g}/s" + (f" ({', '.join(more)})" if more else "")


def _promises(run: Run) -> list[tuple[str, Child]]:
    told: list[tuple[str, Child]] = []
    hold = [str(one.get("text", "")) for one in run.steady_state.get("hold", ())]
    if run.steady_state:
        over = f" over {run.steady_state.get('over_s', 0):g} s"
        told.append(("steady state", f"{'; '.join(hold) or 'no request fails'}{over}"))
    if run.expect:
        within = f" within {run.expect['within_s']:g} s" if run.expect.get("within_s") else ""
        told.append(("expected", f"{run.expect.get('kind', '')}{within}"))
    return told


def _spoken(name: str) -> str:
    """`congestion control`; a sysctl keeps its name."""
    return name if "." in name else name.replace("_", " ")


def _kept(cache_s: float | None) -> str:
    if cache_s is None:
        return "for ever"
    return "for its TTL" if cache_s < 0 else f"for {cache_s:g} s"
