"""Objectives: the bounds that a run must keep, each a line of text.

    recovery_s.p100 <= 15 s from paris over http
    requests_lost == 0 over keepalive
    availability >= 99.9 %
    region_share(eu-west) >= 99 % during us-east-down
    p99_ms <= 250 outside faults
    predicted recovery_s.p90 <= 10 s from new-york
    recovery_s.p90 <= predicted.p100
    dns_queries_per_s <= 2.5 from paris
    recovery_s <= 40 s from paris over own
    exit_code == 0 from paris
    writes_lost == 0
    rpo_s <= 1 s

A time has a unit and a statistic over all the clients it speaks of (the worst, `p100`, if none is
said); shares are in percent; latencies in ms, or with a unit; counts are plain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from emulator.errors import suggest
from emulator.events import OWN_CLIENT
from emulator.scalars import choice, decimal, duration, label, share, whole
from emulator.scenario.model import Comparison, Objective, Period

CLIENTS = ("http", "keepalive", "stream", "udp")  # that make traffic
MEASURED = (*CLIENTS, OWN_CLIENT)
PARTS = ("detection_s", "publish_s", "cache_s", "client_s", "connect_s", "resume_s")
TIMES = ("recovery_s", "outage_s", "reversion_s", "rpo_s", *PARTS)
COUNTS = ("requests_lost", "resets", "relapses", "writes_lost")
SHARES = ("availability", "region_share")
RATES = ("dns_queries_per_s",)  # of name servers, so no kind of client's
EXIT_CODE = "exit_code"  # of a client of the user's
WRITES = ("writes_lost", "rpo_s")  # of what own clients were told, and of a count
FIGURES = (*TIMES, *COUNTS, *SHARES, *RATES, EXIT_CODE)
RUN_FIGURES = (*RATES, EXIT_CODE, *WRITES)  # that no window of the steady state has
# What one fault did: `during NAME-down` chooses the fault, no other period says anything of them.
FAULT_FIGURES = (*TIMES, "relapses")
LATENCY = "latency_ms"  # as the model calls p99_ms and its like
EXAMPLE = "recovery_s.p100 <= 15 s from paris over http"

_SIDES = re.compile(r"(.*?)\s*(<=|>=|==|<|>)\s*(\S.*)")
_FIGURE = re.compile(r"(predicted )?(\w[\w.]*?)(?:\s?\(\s?(\S*)\s?\))?(?:\.(\w[\w.]*))?")
_SCOPE = re.compile(r"\s(from|over|during|outside|before|after)\s+(\S+)")
_DOWN = re.compile(r"([a-z0-9-]+(?:/[a-z0-9-]+)?)-down")
_LATENCY = re.compile(r"(p[\d.]+|min|median|max)_ms")
_STATISTIC = re.compile(r"p(\d{1,3}(?:\.\d{1,3})?)")
_STATISTICS = {"min": "p0", "median": "p50", "max": "p100"}
_PERIODS = {
    ("during", "faults"): Period("faults"),
    ("outside", "faults"): Period("outside"),
    ("before", "faults"): Period("before"),
    ("after", "heal"): Period("after"),
}


def parse_objective(text: str) -> Objective:
    """The objective that `text` states; times in seconds, latencies in ms, shares 0 to 1.
    ValueError, with what to write instead, if it states none."""
    said = " ".join(text.split())
    sides = _SIDES.fullmatch(_SCOPE.sub("", said))
    left = _FIGURE.fullmatch(sides[1]) if sides else None
    if sides is None or left is None:
        raise ValueError(f"{text!r} is no objective; write for example {EXAMPLE}")
    figure, statistic = _figure(left[2], left[4])
    is_predicted = left[1] is not None
    bound, bound_predicted = _bound(figure, sides[3])
    if (is_predicted or bound_predicted) and figure != "recovery_s":
        raise ValueError(f"{figure} is not predicted; only recovery_s is")
    if is_predicted and bound_predicted:
        raise ValueError("compares the prediction with itself; leave one 'predicted' out")
    scope = _scope(said)
    _check_period(figure, scope.period)
    if figure in RATES and scope.client:
        raise ValueError(f"{figure} is of resolvers, not of a kind of client; leave over out")
    _check_own(figure, scope)
    return Objective(
        text=said,
        figure=figure,
        statistic=statistic,
        comparison=cast(Comparison, sides[2]),
        bound=bound,
        city=scope.city,
        client=scope.client,
        region=_region(figure, left[3]),
        period=scope.period,
        is_predicted=is_predicted,
        bound_predicted=bound_predicted,
    )


def _figure(name: str, statistic: str | None) -> tuple[str, str]:
    """The figure and its statistic, whose name in a latency comes first: `p99.9_ms`."""
    whole_name = f"{name}.{statistic}" if statistic else name
    if latency := _LATENCY.fullmatch(whole_name):
        return LATENCY, _statistic(latency[1])
    if _LATENCY.fullmatch(name):
        raise ValueError(f"{name} is one number, it has no {statistic!r}; write {name}")
    if name not in FIGURES:
        known = (*FIGURES, "p99_ms", "p50_ms")
        advice = suggest(name, known) or f"figures are {', '.join(FIGURES)} and p99_ms"
        raise ValueError(f"{name!r} is not measured; {advice}")
    if name in TIMES:
        return name, _statistic(statistic or "p100")
    if statistic:
        raise ValueError(f"{name} is one number, it has no {statistic!r}; write {name}")
    return name, ""


def _statistic(text: str) -> str:
    """`p99.9`, `p0`; min, median and max by their shares."""
    text = _STATISTICS.get(text, text)
    match = _STATISTIC.fullmatch(text)
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{text!r} is no statistic; write p0 to p100, min, median or max")
    return f"p{float(match[1]):g}"


def _bound(figure: str, text: str) -> tuple[float, str]:
    """The bound in the figure's unit, or the statistic of the prediction that is the bound."""
    word, dot, statistic = text.partition(".")
    if word == "predicted":
        return 0.0, _statistic(statistic if dot else "p100")
    if figure in TIMES:
        return duration("0s", "24h")(text), ""
    if figure == LATENCY:
        return _milliseconds(text), ""
    if figure in RATES:
        return decimal(0, 10**6)(text.removesuffix("/s")), ""
    most = 255 if figure == EXIT_CODE else 10**9
    return (share(text) if figure in SHARES else float(whole(0, most)(text))), ""


def _milliseconds(text: str) -> float:
    if text[-1].isalpha():
        return round(duration("0s", "10m")(text) * 1e3, 9)  # 250 ms, not the float beside it
    return decimal(0, 600_000)(text)


def _region(figure: str, text: str | None) -> str | None:
    if figure == "region_share":
        if not text:
            raise ValueError("region_share of which region?; write region_share(eu-west) >= 99 %")
        return label(text)
    if text is not None:
        raise ValueError(f"{figure} has nothing in brackets; write {figure}")
    return None


@dataclass(slots=True)
class _Scope:
    city: str | None = None
    client: str | None = None
    period: Period = field(default_factory=Period)


def _scope(text: str) -> _Scope:
    """What stands behind from, over and the words of a period."""
    scope = _Scope()
    seen: set[str] = set()
    for word, name in _SCOPE.findall(text):
        part = word if word in {"from", "over"} else "a period"
        if part in seen:
            what = f"{word!r} stands twice" if part == word else "two periods stand here"
            raise ValueError(f"{what}; write an objective for each")
        seen.add(part)
        if word == "from":
            scope.city = label(name)
        elif word == "over":
            scope.client = choice(*MEASURED)(name)
        else:
            scope.period = _period(word, name)
    return scope


def _period(word: str, name: str) -> Period:
    if period := _PERIODS.get((word, name)):
        return period
    if word == "during" and (down := _DOWN.fullmatch(name)):
        return Period("down", down[1])
    written = " ".join((word, name))
    example = name if _DOWN.fullmatch(f"{name}-down") else "us-east"
    periods = (f"during {example}-down", *(" ".join(words) for words in _PERIODS))
    advice = suggest(written, periods) or f"periods are {', '.join(periods)}"
    raise ValueError(f"{written!r} is no period; {advice}")


def _check_period(figure: str, period: Period) -> None:
    if figure in WRITES and period != Period():
        raise ValueError(
            f"{figure} is of all that was written before the count; leave the period out"
        )
    if figure in FAULT_FIGURES and period.kind not in {"run", "down"}:
        what = f"{figure} is of a fault, not of a time"
        raise ValueError(f"{what}; leave the period out or write during us-east-down")


def _check_own(figure: str, scope: _Scope) -> None:
    """What a client of the user's tells, and what only it does."""
    if figure == "resets" and scope.client == OWN_CLIENT:
        raise ValueError("a client of yours tells of failures, not of resets; write requests_lost")
    if figure == EXIT_CODE and scope.client not in {None, OWN_CLIENT}:
        raise ValueError(f"{figure} is of a client of yours; leave over {scope.client} out")
    if figure in WRITES and scope.client:
        raise ValueError(f"{figure} is of clients of your own, not of a kind; leave over out")
    if figure == EXIT_CODE and scope.period != Period():
        raise ValueError(f"{figure} is of the end of the run; leave the period out")
