"""A topology as an SVG picture.

Two columns: on the left who talks (cities, then name servers), on the right the regions. Each card
on the left has a port for each region, with the round trip written where the line leaves; since
ports stand one line of text apart and lines only bend behind the labels, no label can meet
another, however many regions and cities there are. About 440 wide, so that a phone shows it
without shrinking the words away; light, dark and printed by its own style sheet, whose rules all
begin with `.netemu-graph`, so that it can stand inside a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten, wrap
from xml.etree import ElementTree as ET

from emulator.events import Run
from emulator.plan.model import Plan
from emulator.report.graph import Graph, RegionNode, SiteNode, graph_of_plan, graph_of_run
from emulator.report.graph_style import COLOURS, NAME_PX, SMALL_PX, style_sheet

_MARGIN = 16
_GAP = 12  # between two cards
_HEADING = 26  # above the first card of a group
_LANE = 68  # beside a card, for the round trips
_BEND = 92  # where the lines find their way
_PORT = 17  # a line of text and some air
_SQUARES_MAX = 6  # servers drawn one by one; more are counted
_SERVICES_MAX = 6  # of one region
_PLACE_MAX = 20  # letters of a location
# Widths of a character in shares of the font size: no face in use by browsers is wider on average.
_WIDE, _BOLD = 0.57, 0.69


@dataclass(frozen=True, slots=True)
class _Card:
    """A box that has found its place."""

    node: RegionNode | SiteNode
    x: float
    y: float
    width: float
    height: float

    def port(self, index: int, count: int) -> float:
        """Where the line number `index` of `count` meets the card's side."""
        return (
            self.y
            + self.height / 2
            + (index - (count - 1) / 2) * min(_PORT, (self.height - 10) / count)
        )


def graph_svg(plan: Plan) -> str:
    """The topology of a plan as one SVG document."""
    return _draw(graph_of_plan(plan))


def graph_svg_of_run(run: Run) -> str:
    """The lab of a run, from its history's first line, as one SVG document."""
    return _draw(graph_of_run(run))


def _draw(graph: Graph) -> str:
    talkers = [*graph.cities, *graph.name_servers]
    left_width = max([130, *(_name_width(site) for site in talkers)])
    right_width = max([132, *(_region_width(region) for region in graph.regions)])
    right_x = _MARGIN + left_width + _LANE + _BEND
    width = right_x + right_width + _MARGIN
    head = _head(graph, width - 2 * _MARGIN)
    top = 46 + 15 * len(head) + _HEADING
    left, right, bottom = _place(graph, top, left_width, (right_x, right_width))
    legend = list(_legend(graph, width - 2 * _MARGIN))
    height = bottom + 20 + sum(16 * len(lines) for _, lines in legend) + 14
    root = _root(graph, width, height)
    _titles(root, graph, head)
    _headings(root, left, right)
    _lines(root, graph, left, right)
    for card in left:
        _site_card(root, card)
    for index, card in enumerate(right):
        _region_card(root, card, index)
    _labels(root, graph, left, right)
    _draw_legend(root, legend, bottom + 26)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode") + "\n"


def _name_width(node: RegionNode | SiteNode) -> float:
    place = min(len(node.place), _PLACE_MAX) * SMALL_PX * _WIDE
    return max(len(node.name) * NAME_PX * _BOLD, place) + 28


def _region_width(region: RegionNode) -> float:
    """Wide enough for its services, within reason: what is longer is cut."""
    rows = [
        len(name) * SMALL_PX * _WIDE + _squares_width(count) + 32 for name, count in region.servers
    ]
    return max(_name_width(region), min(max(rows, default=0), 190))


def _place(
    graph: Graph, top: float, left_width: float, right: tuple[float, float]
) -> tuple[list[_Card], list[_Card], float]:
    """The cards of both columns, the shorter one spread over the length of the longer; its end."""
    ports = len(graph.regions) * _PORT + 10
    cities = [(city, max(_city_height(city), ports)) for city in graph.cities]
    servers = [(server, max(_server_height(server), ports)) for server in graph.name_servers]
    regions = [(region, _region_height(region)) for region in graph.regions]
    break_ = _HEADING if cities and servers else 0
    length = max(_length(cities + servers) + break_, _length(regions))
    slack = (length - _length(cities + servers) - break_) / max(1, len(cities + servers))
    cards, y = [], top
    for index, (node, height) in enumerate([*cities, *servers]):
        y += break_ if index == len(cities) else 0
        cards.append(_Card(node, _MARGIN, y + slack / 2, left_width, height))
        y += height + _GAP + slack
    slack = (length - _length(regions)) / max(1, len(regions))
    boxes, y = [], top
    for region, height in regions:
        boxes.append(_Card(region, right[0], y + slack / 2, right[1], height))
        y += height + _GAP + slack
    return cards, boxes, top + length


def _length(column: Sequence[tuple[RegionNode | SiteNode, float]]) -> float:
    return sum(height for _, height in column) + _GAP * max(0, len(column) - 1)


def _city_height(city: SiteNode) -> float:
    return 58 + (15 if city.place else 0)


def _server_height(server: SiteNode) -> float:
    return 32 + (15 if server.place else 0)


def _region_height(region: RegionNode) -> float:
    return 66 + (15 if region.place else 0) + 18 * min(len(region.servers), _SERVICES_MAX + 1)


def _root(graph: Graph, width: float, height: float) -> ET.Element:
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg", "class": "netemu-graph", "role": "img",
            "viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}",
            "height": f"{height:g}", "style": "max-width:100%;height:auto",
        },
    )  # fmt: skip
    ET.SubElement(root, "title").text = f"{graph.name}: {graph.summary}"
    ET.SubElement(root, "desc").text = _described(graph)
    ET.SubElement(root, "style").text = style_sheet()
    _rect(root, (0, 0, width, height), "ground", radius=0)
    return root


def _described(graph: Graph) -> str:
    """The picture for those who cannot see it."""
    return " ".join(
        f"{city.name} is sent to {city.nearest}, {graph.rtt(city.name, city.nearest)} away."
        for city in graph.cities
        if (city.name, city.nearest) in graph.rtts_ms
    )


def _head(graph: Graph, width: float) -> list[str]:
    columns = int(width / (SMALL_PX * _WIDE))
    services = shorten(", ".join(graph.services), 3 * columns, placeholder=" …")
    return [*wrap(graph.summary, columns), *wrap(services, columns, break_on_hyphens=False)]


def _titles(root: ET.Element, graph: Graph, head: Sequence[str]) -> None:
    _text(root, (_MARGIN, 32), graph.name, "title")
    for index, line in enumerate(head):
        _text(root, (_MARGIN, 51 + 15 * index), line, "soft")


def _headings(root: ET.Element, left: Sequence[_Card], right: Sequence[_Card]) -> None:
    """Over the first card of each group."""
    cities = [card for card in left if _is_city(card)]
    servers = [card for card in left if not _is_city(card)]
    for cards, heading in ((cities, "cities"), (servers, "name servers"), (right, "regions")):
        if cards:
            _text(root, (cards[0].x + 1, cards[0].y - 8), heading.upper(), "heading soft")


def _is_city(card: _Card) -> bool:
    return isinstance(card.node, SiteNode) and card.node.role == "city"


def _ways(
    graph: Graph, left: Sequence[_Card], right: Sequence[_Card]
) -> Iterator[tuple[str, str, float, tuple[float, float], str]]:
    """Every line: between whom, where its port is, where it ends, and its classes."""
    for row, talker in enumerate(left):
        for column, region in enumerate(right):
            site = talker.node
            if (site.name, region.node.name) not in graph.rtts_ms or isinstance(site, RegionNode):
                continue
            kind = "other" if site.role == "city" else "check"
            if site.nearest == region.node.name:
                kind = f"near line{column % len(COLOURS)}"
            end = (region.x, region.port(row, len(left)))
            yield site.name, region.node.name, talker.port(column, len(right)), end, kind


def _lines(root: ET.Element, graph: Graph, left: Sequence[_Card], right: Sequence[_Card]) -> None:
    """Those that matter on top of those that do not."""
    rank = {"check": 0, "other": 1}
    for site, region, y, (end_x, end_y), kind in sorted(
        _ways(graph, left, right), key=lambda way: rank.get(way[4], 2)
    ):
        start = left[0].x + left[0].width
        bend, half = start + _LANE, (end_x - start - _LANE) / 2
        path = ET.SubElement(
            root,
            "path",
            {
                "class": kind,
                "d": f"M{start:g} {y:g}H{bend:g}C{bend + half:g} {y:g} "
                f"{end_x - half:g} {end_y:g} {end_x:g} {end_y:g}",
            },
        )
        ET.SubElement(path, "title").text = f"{site}..{region}: {graph.rtt(site, region)}"


def _labels(root: ET.Element, graph: Graph, left: Sequence[_Card], right: Sequence[_Card]) -> None:
    """The round trips; a dot at the port says by its colour where its line goes."""
    colours = {card.node.name: index % len(COLOURS) for index, card in enumerate(right)}
    x = left[0].x + left[0].width + _LANE / 2 if left else 0
    for site, region, y, _, kind in _ways(graph, left, right):
        words = graph.rtt(site, region)
        wide = len(words) * SMALL_PX * (_BOLD if kind.startswith("near") else _WIDE) + 8
        dot = {"class": f"fill{colours[region]}", "cx": f"{x - _LANE / 2:g}", "cy": f"{y:g}"}
        ET.SubElement(root, "circle", {**dot, "r": "3"})
        _rect(root, (x - wide / 2, y - 7, wide, 14), "ground", radius=2)
        tone = kind.replace("line", "fill") if kind.startswith("near") else "soft"
        _text(root, (x, y), words, f"rtt {tone}")


def _site_card(root: ET.Element, card: _Card) -> None:
    """A name; where it is; for a city, what runs there."""
    assert isinstance(card.node, SiteNode)  # noqa: S101 - the left column holds nothing else
    wanted = _city_height(card.node) if _is_city(card) else _server_height(card.node)
    y = _card(root, card, wanted)
    if _is_city(card):
        room = card.width - 28
        _pill(root, (card.x + 11, y, 0.56 * room, 18), "resolver")
        _pill(root, (card.x + 17 + 0.56 * room, y, 0.44 * room, 18), "client")


def _region_card(root: ET.Element, card: _Card, index: int) -> None:
    """A name; where it is; the balancer; a square for each server."""
    region = card.node
    assert isinstance(region, RegionNode)  # noqa: S101 - the right column holds nothing else
    tone = f"fill{index % len(COLOURS)}"
    y = _card(root, card, card.height)
    _rect(root, (card.x, card.y + 8, 4, card.height - 16), tone, radius=2)
    _pill(root, (card.x + 14, y, card.width - 26, 18), "balancer")
    for row, (service, count) in enumerate(region.servers[:_SERVICES_MAX]):
        line = y + 36 + 18 * row
        room = card.width - 32 - _squares_width(count)
        _text(root, (card.x + 14, line), service, "soft", room=room)
        _squares(root, card.x + card.width - 12, line, count, tone)
    if len(region.servers) > _SERVICES_MAX:
        more = f"and {len(region.servers) - _SERVICES_MAX} more services"
        _text(root, (card.x + 14, y + 36 + 18 * _SERVICES_MAX), more, "soft")


def _card(root: ET.Element, card: _Card, wanted: float) -> float:
    """The box with its name and place; where the rest of its content begins."""
    _rect(root, (card.x, card.y, card.width, card.height), "card", radius=8)
    y = card.y + (card.height - wanted) / 2 + 22
    indent = 11 if isinstance(card.node, SiteNode) else 14
    _text(root, (card.x + indent, y), card.node.name, "name")
    if card.node.place:
        y += 15
        _text(root, (card.x + indent, y), card.node.place, "soft", room=card.width - 2 * indent)
    return y + 9


def _squares_width(count: int) -> float:
    return 11 * count if count <= _SQUARES_MAX else 10 * SMALL_PX * _WIDE


def _squares(root: ET.Element, right: float, y: float, count: int, tone: str) -> None:
    if count > _SQUARES_MAX:
        _text(root, (right, y), f"{count} servers", "soft").set("text-anchor", "end")
        return
    for index in range(count):
        _rect(root, (right - 9 - 11 * index, y - 9, 9, 9), tone, radius=2)


def _legend(graph: Graph, width: float) -> Iterator[tuple[str, list[str]]]:
    """A line's classes and what it means, wrapped."""
    columns = int((width - 36) / (SMALL_PX * _WIDE))
    if graph.cities:
        yield "near line0", wrap("the region that DNS sends the city to", columns)
    if graph.cities and len(graph.regions) > 1:
        yield "other", wrap("the other regions, where it goes when that one is DOWN", columns)
    if graph.name_servers:
        checks = shorten(f"health checks {graph.checks}", 3 * columns, placeholder=" …")
        yield "check", wrap(checks, columns)
    yield (
        "",
        wrap(
            "Times are round trips. A dot has the colour of the region its line goes to.", columns
        ),
    )


def _draw_legend(root: ET.Element, legend: Sequence[tuple[str, list[str]]], y: float) -> None:
    for kind, lines in legend:
        if kind:
            ET.SubElement(root, "path", {"class": kind, "d": f"M{_MARGIN} {y - 4:g}h26"})
        for line in lines:
            _text(root, (_MARGIN + (36 if kind else 0), y), line, "soft")
            y += 16


def _pill(root: ET.Element, box: tuple[float, float, float, float], word: str) -> None:
    _rect(root, box, "pill", radius=9)
    x, y, width, height = box
    _text(root, (x + width / 2, y + height / 2 + 4), word, "middle soft")


def _rect(
    parent: ET.Element, box: tuple[float, float, float, float], kind: str, *, radius: float
) -> None:
    sides = dict(zip(("x", "y", "width", "height"), (f"{side:g}" for side in box), strict=True))
    ET.SubElement(parent, "rect", {"class": kind, **sides, "rx": f"{radius:g}"})


def _text(
    parent: ET.Element, at: tuple[float, float], words: str, kind: str, room: float | None = None
) -> ET.Element:
    """Words; those that do not fit in `room` are cut."""
    fits = len(words) if room is None else int(room / (SMALL_PX * _WIDE))
    shown = words if len(words) <= fits else f"{words[: fits - 1]}…"
    text = ET.SubElement(parent, "text", {"class": kind, "x": f"{at[0]:g}", "y": f"{at[1]:g}"})
    text.text = shown
    return text
