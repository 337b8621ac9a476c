"""The timeline of a city: every request a mark, over what was true at the time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.analysis.moments import Moment
from emulator.analysis.timeline import Client, History
from emulator.analysis.words import kind_name
from emulator.clock import NS_PER_S
from emulator.events import OWN_CLIENT, Request
from emulator.report.page.figures import (
    Figure,
    Trace,
    figure,
    hidden_axis,
    plain,
    seconds_axis,
    show_ms,
    words,
)
from emulator.report.page.lanes import Lane, answer_lane, end_s, fault_lanes, health_lanes
from emulator.report.page.marks import COLUMNS, Marks, failure_of, took_s
from emulator.report.page.palette import (
    DOWN,
    FAILURES,
    FAULT,
    GROUND,
    GUIDE,
    INK,
    LINE,
    MUTED,
    UNKNOWN,
    UP,
    Look,
)

_ROW_PX = 92
_LANE = 0.32  # of a row
_TOP = 0.3  # above the first row: the numbers of the moments
_FLOOR, _CEILING = 0.05, 0.72  # of a row; its name stands above
_CLOSE = 1 / 12  # of the width: on a phone, a number would reach into the next
_HEAP = 8  # marks in a column of a row
_GOLDEN = 0.6180339887  # its multiples fall evenly between 0 and 1, however many there are
_SAME_MOMENT = 1 / 60  # of the width: numbers closer than that share a place


@dataclass(frozen=True, slots=True)
class Scene:
    """What the timelines of all cities share."""

    history: History
    marks: Marks
    moments: tuple[Moment, ...]
    colours: Mapping[str, str]  # by region
    decades: tuple[int, int]  # of the latencies in a row, powers of 10 of a second
    faults: Sequence[Lane]
    health: Sequence[Lane]
    end_s: float

    @classmethod
    def of(
        cls,
        history: History,
        marks: Marks,
        moments: tuple[Moment, ...],
        colours: Mapping[str, str],
    ) -> Scene:
        shown = [request for own in marks.shown.values() for request in own]
        took = [s for request in shown if (s := took_s(request))]
        answered = [s for request in shown if request.outcome == "ok" and (s := took_s(request))]
        low = math.floor(math.log10(max(min(answered, default=0.001), 1e-4)))
        high = math.ceil(math.log10(max(max(took, default=1.0), 1e-3)))
        return cls(
            history, marks, moments, colours, (low, max(high, low + 1)),
            fault_lanes(history), health_lanes(history), end_s(history),
        )  # fmt: skip

    def height(self, took: float | None) -> float:
        """Where in its row a mark stands, by how long the request took."""
        low, high = self.decades
        exponent = math.log10(took) if took and took > 0 else low
        share = (min(max(exponent, low), high) - low) / (high - low)
        return _FLOOR + share * (_CEILING - _FLOOR)


def city_figure(scene: Scene, city: str) -> Figure:
    """A row for each client kind, latency inside the row; below it DNS, name servers, faults."""
    clients = [c for c in scene.marks.shown if c.city == city]
    answers = answer_lane(scene.history, city)
    lanes = [*([answers] if answers else []), *scene.health, *scene.faults]
    rows = len(clients)
    low, high = -0.06 - _LANE * len(lanes), rows + _TOP
    height = round((high - low) * _ROW_PX) + 40
    data = [
        *_requests(scene, clients),
        *_lanes(scene, lanes),
        _numbers(scene, city, rows + _TOP / 2),
    ]
    return figure(
        data,
        height,
        xaxis=seconds_axis(scene.end_s),
        yaxis=hidden_axis(low, high),
        shapes=[*_bands(scene, rows), *_guides(scene, rows), *_lines(scene, city, answers, rows)],
        annotations=[*_row_names(scene, clients), *_lane_names(lanes)],
        barmode="overlay",
        meta="clock",
    )


def _requests(scene: Scene, clients: Sequence[Client]) -> list[Trace]:
    """A trace for each region that answered, then for each kind of failure, on top."""
    groups: defaultdict[str, list[tuple[Request, int]]] = defaultdict(list)
    for index, client in enumerate(clients):
        row = len(clients) - 1 - index
        for request in scene.marks.shown[client]:
            failure = failure_of(request)
            served = "served " + request.region if request.outcome == "ok" else "unknown"
            groups[failure or served].append((request, row))
    looks: dict[str, Look] = {
        f"served {region}": Look(f"answered by {region}", "circle", colour)
        for region, colour in {**scene.colours, "": MUTED}.items()
    }
    looks |= {"unknown": UNKNOWN, **FAILURES}
    return [_marks(scene, looks[name], groups[name]) for name in looks if name in groups]


def _marks(scene: Scene, look: Look, group: Sequence[tuple[Request, int]]) -> Trace:
    origin, region_of = scene.history.origin_ns, scene.history.region_of
    is_fine = look.symbol == "circle"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plain(look.words),
        "x": [round((r.t - origin) / NS_PER_S, 3) for r, _ in group],
        "y": [round(row + _spread(r, scene.height(took_s(r))), 3) for r, row in group],
        "customdata": [_details(r, region_of(r.address)) for r, _ in group],
        "hovertemplate": "<b>%{customdata[0]}</b> at %{x:.3f} s<br>%{customdata[1]}<extra></extra>",
        "marker": {
            "color": look.colour,
            "symbol": look.symbol,
            "size": 3.2 if is_fine else 6.5,
            "opacity": 0.55 if is_fine else 1,
            "line": {"width": 0 if is_fine else _outline(scene, group), "color": GROUND},
        },
    }


def _outline(scene: Scene, group: Sequence[tuple[Request, int]]) -> float:
    """Marks that overlap are told apart by a thin edge; where they are heaped up, edges would be
    all that is left of them."""
    column_ns = max(1.0, scene.end_s * NS_PER_S / COLUMNS)
    places = {(row, request.t // column_ns) for request, row in group}
    return 0.35 if len(group) < _HEAP * len(places) else 0.0


def _spread(request: Request, height: float) -> float:
    """Marks of one latency are spread a little, so that they do not hide each other: failures
    more, since a time limit puts all of them at one height."""
    width = 0.03 if request.outcome == "ok" else 0.28
    place = height + ((request.n * _GOLDEN) % 1.0 - 0.5) * width
    if request.outcome == "ok":
        return place
    return place + max(0.0, _FLOOR + width / 2 - height) - max(0.0, height + width / 2 - _CEILING)


def _details(request: Request, region: str) -> list[str]:
    """What is told of a request under the pointer; `region` owns the address that it asked."""
    took = took_s(request)
    ended = f"{request.outcome} after {show_ms(took * 1000)}" if took else request.outcome
    detail = f": {request.detail}" if request.detail else ""
    closed = f" ({request.closed_by})" if request.closed_by else ""
    where = f"asked {region} ({request.address})" if request.address else "asked nobody"
    if request.outcome == "ok":
        where = f"answered by {request.server or request.region}"
    port = f", local port {request.port}" if request.port else ""
    number = "" if request.client == OWN_CLIENT else f" #{request.n}"
    named = f"{kind_name(request.client)}{number}"
    return [plain(named), f"{plain(ended + detail + closed)}<br>{plain(where + port)}"]


def _lanes(scene: Scene, lanes: Sequence[Lane]) -> list[Trace]:
    fills = {"up": UP, "down": DOWN, "fault": FAULT}
    traces = []
    for index, lane in enumerate(lanes):
        spans = lane.spans
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": plain(lane.name),
                "y": [_lane_y(index)] * len(spans),
                "base": [round(span.start_s, 3) for span in spans],
                "x": [round(span.end_s - span.start_s, 3) for span in spans],
                "width": 0.12,
                "marker": {
                    "color": [
                        fills.get(span.kind, scene.colours.get(span.kind, MUTED)) for span in spans
                    ],
                    "line": {"width": 0},
                },
                "customdata": [
                    [plain(span.words), f"{span.start_s:.2f} to {span.end_s:.2f} s"]
                    for span in spans
                ],
                "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
            }
        )
    return traces


def _lane_y(index: int) -> float:
    return round(-0.06 - _LANE * (index + 1) + 0.08, 3)


def _lane_names(lanes: Sequence[Lane]) -> list[dict[str, Any]]:
    small = {"size": 11, "color": MUTED}
    return [
        words(lane.name, 0, _lane_y(index) + 0.15, font=small) for index, lane in enumerate(lanes)
    ]


def _numbers(scene: Scene, city: str, y: float) -> Trace:
    """The moments of the list below, by their numbers; those at one place share it."""
    placed: list[tuple[float, list[int], list[str]]] = []
    for number, moment in own_moments(scene, city):
        at = scene.history.seconds(moment.t)
        if placed and at - placed[-1][0] < _SAME_MOMENT * scene.end_s:
            placed[-1][1].append(number)
            placed[-1][2].append(f"{at:.1f} s  {moment.text}")
        else:
            placed.append((at, [number], [f"{at:.1f} s  {moment.text}"]))
    return {
        "type": "scatter",
        "mode": "text",
        "x": [round(at, 3) for at, _, _ in placed],
        "y": _staggered([at for at, _, _ in placed], y, scene.end_s),
        "text": [_range(numbers) for _, numbers, _ in placed],
        "textposition": "middle right",
        "textfont": {"size": 11, "color": INK},
        "customdata": [["<br>".join(map(plain, texts))] for _, _, texts in placed],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
        "cliponaxis": False,
    }


def _staggered(places: Sequence[float], y: float, end: float) -> list[float]:
    """Numbers that stand close to the one before are raised in turn."""
    raised = [False] * len(places)
    for index in range(1, len(places)):
        is_close = places[index] - places[index - 1] < _CLOSE * end
        raised[index] = is_close and not raised[index - 1]
    return [round(y + 0.09 if up else y - 0.05, 3) for up in raised]


def own_moments(scene: Scene, city: str) -> list[tuple[int, Moment]]:
    """The moments that concern a city, with their numbers in the list of all."""
    others = {client.city for client in scene.marks.shown} - {city}
    return [
        (number, moment)
        for number, moment in enumerate(scene.moments, 1)
        if not moment.text.startswith(tuple(f"{other}{end}" for other in others for end in "': "))
        and not moment.text.startswith(tuple(f"all of {other} " for other in others))
    ]


def _range(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    joined = "-" if numbers[-1] - numbers[0] == len(numbers) - 1 else ".."
    return f"{numbers[0]}{joined}{numbers[-1]}"


def _bands(scene: Scene, rows: int) -> list[dict[str, Any]]:
    return [
        _box(span.start_s, span.end_s, 0, rows, fillcolor=FAULT, opacity=0.07)
        for lane in scene.faults
        for span in lane.spans
    ]


def _guides(scene: Scene, rows: int) -> list[dict[str, Any]]:
    """A line under every row and at every decade of latency in it."""
    low, high = scene.decades
    heights = [scene.height(10.0**decade) for decade in range(low + 1, high + 1)]
    return [
        {
            "type": "line", "layer": "below", "xref": "paper", "x0": 0, "x1": 1,
            "y0": row + at, "y1": row + at,
            "line": {"color": LINE if at == 0 else GUIDE, "width": 1},
        }
        for row in range(rows)
        for at in (0.0, *heights)
    ]  # fmt: skip


def _lines(scene: Scene, city: str, answers: Lane | None, rows: int) -> list[dict[str, Any]]:
    """A thin line at every moment, a dotted one where the city's DNS answer changed."""
    at = [scene.history.seconds(moment.t) for _, moment in own_moments(scene, city)]
    thin = [_line(t, 0, rows + _TOP, color=MUTED, width=0.8) for t in at if t > 0]
    changed = [] if answers is None else [span.start_s for span in answers.spans[1:]]
    return thin + [_line(t, -_LANE, rows, color=INK, width=1.4, dash="dot") for t in changed]


def _row_names(scene: Scene, clients: Sequence[Client]) -> list[dict[str, Any]]:
    low, high = scene.decades
    named = []
    for index, client in enumerate(clients):
        row = len(clients) - 1 - index
        named.append(words(f"<b>{kind_name(client.kind)}</b>", 0.004, row + 0.87))
        named[-1]["text"] = f"<b>{plain(kind_name(client.kind))}</b>"
        named += [
            words(
                show_ms(1000 * 10.0**decade), 1.004, row + scene.height(10.0**decade),
                font={"size": 9, "color": MUTED},
            )
            for decade in range(low, high + 1)
            if (high - decade) % 2 == 0
        ]  # fmt: skip
    return named


def _box(x0: float, x1: float, y0: float, y1: float, **more: Any) -> dict[str, Any]:
    return {
        "type": "rect", "layer": "below", "x0": round(x0, 3), "x1": round(x1, 3),
        "y0": y0, "y1": y1, "line": {"width": 0}, **more,
    }  # fmt: skip


def _line(x: float, y0: float, y1: float, **line: Any) -> dict[str, Any]:
    return {
        "type": "line", "layer": "below", "x0": round(x, 3), "x1": round(x, 3),
        "y0": y0, "y1": y1, "line": line,
    }  # fmt: skip
