"""A page in the making: what it shows, and the charts it has so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from emulator.analysis.measurements import Measurements
from emulator.analysis.repeated import Repeated
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict
from emulator.analysis.words import listed
from emulator.report.page.figures import Figure
from emulator.report.page.markup import Html, el
from emulator.report.page.palette import DARK, region_colours
from emulator.report.strip import regions_of

_CITIES_SHOWN = 4


class Key(NamedTuple):
    """An entry of a legend."""

    words: str
    colour: str
    symbol: str = "bar"


@dataclass(slots=True)
class Sheet:
    """What all sections read, and the figures that they add."""

    measured: Measurements
    history: History
    repeated: Repeated | None
    directory: str
    verdicts: tuple[Verdict, ...]
    figures: list[Figure] = field(default_factory=list)
    colours: dict[str, str] = field(default_factory=dict)  # by region

    def __post_init__(self) -> None:
        self.colours = region_colours(regions_of(self.history))

    @property
    def senders(self) -> dict[str, str]:
        """A colour for every site, regions first."""
        sites = [str(site["name"]) for site in self.history.run.sites] if self.history.run else []
        return region_colours(list(dict.fromkeys([*self.colours, *sites])))

    def chart(self, figure: Figure, caption: str = "", *, label: str) -> Html:
        """A place for a figure; `label` says what it is to those who do not see it."""
        self.figures.append(figure)
        height = figure["layout"]["height"]
        on_clock = {"data_clock": "run"} if figure["layout"].get("meta") == "clock" else {}
        place = el(
            "div", class_="plot", role="img", aria_label=label, style=f"height:{height}px",
            data_figure=str(len(self.figures) - 1), **on_clock,
        )  # fmt: skip
        words = el("figcaption", caption) if caption else None
        return el("figure", place, words, class_="chart needs-charts")

    def fold(self, by_city: Mapping[str, Html], class_: str = "") -> list[Html]:
        """Every city's part; those of cities that no fault touched behind a line, if many."""
        hit = {row.client.city for row in self.measured.rows() if row.state != "unaffected"}
        calm = [city for city in by_city if city not in hit]
        if len(by_city) <= _CITIES_SHOWN or not hit or not calm:
            return list(by_city.values())
        summary = el("summary", f"unaffected: {listed(calm)}")
        rest = el("details", summary, *(by_city[city] for city in calm), class_=class_)
        return [*(part for city, part in by_city.items() if city in hit), rest]

    def origin(self, t: int | None) -> str:
        """An instant as `10.0 s` of the report's clock."""
        return "" if t is None else f"{self.history.seconds(t):.1f} s"


def legend(keys: Iterable[Key]) -> Html:
    """What colours and shapes mean."""
    entries = [
        el(
            "li",
            _glyph(key.symbol),
            key.words,
            style=f"--light:{key.colour};--dark:{DARK.get(key.colour, key.colour)}",
        )
        for key in keys
    ]
    return el("ul", *entries, class_="legend needs-charts")


_SHAPES = {
    "bar": '<rect x="0" y="3" width="14" height="8" rx="1"/>',
    "circle": '<circle cx="7" cy="7" r="3.4"/>',
    "circle-open": '<circle cx="7" cy="7" r="3.6" fill="none" stroke="currentColor"/>',
    "x": '<path d="M4 2 7 5 10 2 12 4 9 7 12 10 10 12 7 9 4 12 2 10 5 7 2 4z"/>',
    "cross": '<path d="M5.5 2h3v3.5H12v3H8.5V12h-3V8.5H2v-3h3.5z"/>',
    "diamond": '<path d="M7 1.5 12.5 7 7 12.5 1.5 7z"/>',
    "triangle-down": '<path d="M1.5 3h11L7 12z"/>',
    "triangle-up": '<path d="M1.5 11h11L7 2z"/>',
    "square": '<rect x="2.5" y="2.5" width="9" height="9"/>',
    "star": '<path d="M7 1l1.6 4h4.2l-3.4 2.8L10.7 12 7 9.5 3.3 12l1.3-4.2L1.2 5h4.2z"/>',
    "tick": '<rect x="6" y="0" width="2.5" height="14"/>',
    "dots": '<path d="M7 0v3M7 5.5v3M7 11v3" stroke="currentColor" stroke-width="2"/>',
    "dash": '<path d="M0 7h4M6 7h4M12 7h2" stroke="currentColor" stroke-width="2"/>',
}


def _glyph(symbol: str) -> Html:
    return Html(
        '<svg width="14" height="14" viewBox="0 0 14 14" fill="currentColor" aria-hidden="true">'
        f"{_SHAPES[symbol]}</svg>"
    )
