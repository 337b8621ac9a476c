"""The steady state: what of it does not hold in a window, and the two classic promises about it.

Two ways to look at a window. Live, some of its requests have not told their end: `problems` counts
one as a problem when it began more than `SETTLE_S` before the window's end, or when a client has
told nothing for that long. Afterwards everything has been told: `kept` looks at every window, one
beginning each quarter of a window's length, which lies whole in the time that the promise is about.

A client of the user's breaks it by requests that failed, never by its silence: it asks as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emulator.analysis.figures import (
    holds,
    objectives_of,
    read_requests,
    show_figure,
    speaks_of,
)
from emulator.analysis.periods import Interval, has_ended, run_interval
from emulator.analysis.series import UNKNOWN, Columns, Sample, Series, series
from emulator.analysis.timeline import Client, FaultLife, History
from emulator.analysis.windows import UNKNOWN_SHARE
from emulator.clock import NS_PER_S
from emulator.events import OWN_CLIENT, Run
from emulator.scenario.model import Expectation, Objective, SteadyState

# A lookup, a handshake and an answer half around the earth and back take no longer; the way of an
# event into the history is in it.
SETTLE_S = 1.0
WINDOW_REQUESTS = 3  # a window of a slow client is as long as this many take
_WINDOWS_A_LENGTH = 4

Samples = Mapping[Client, Sample]


def steady_state_of(run: Run) -> SteadyState:
    """The steady state in a run's header; the default one where it has none."""
    if not run.steady_state:
        return SteadyState()
    said = run.steady_state
    return SteadyState(float(said["over_s"]), objectives_of(said.get("hold", ())))


def expectation_of(run: Run) -> Expectation | None:
    """What a run's header promises."""
    return Expectation(**run.expect) if run.expect else None


def problems(history: History, steady: SteadyState, end_ns: int) -> tuple[str, ...]:
    """What of the steady state does not hold in the window that ends at `end_ns`, as far as is
    told; () if all of it does. A slow client's window is longer: 3 requests."""
    samples: dict[Client, Sample] = {}
    found: list[str] = []
    for client, rate in planned(history.run).items():
        length_ns = round(_length_s(steady, rate) * NS_PER_S)
        start, settled = end_ns - length_ns, end_ns - round(SETTLE_S * NS_PER_S)
        told = series(
            (r for r in history.requests.get(client, ()) if start <= r.t < end_ns),
            history.connections.get(client, ()),
        )
        samples[client] = Sample.of([told], [(start, end_ns)])
        if (silent := _silence(told, settled, rate)) and samples[client].count:
            found.append(f"{_name(client)}: {silent}")
    samples |= _own_samples(history, (end_ns - round(steady.over_s * NS_PER_S), end_ns))
    return (*found, *_broken(steady, samples))


def _own_samples(history: History, window: Interval) -> Samples:
    return {
        client: Sample.of([series(r for r in requests if window[0] <= r.t < window[1])], [window])
        for client, requests in history.requests.items()
        if client.kind == OWN_CLIENT
    }


def _silence(told: Series, settled: int, rate: float) -> str:
    """Requests that should have told their end by now, and have not."""
    waiting = sum(
        took == UNKNOWN and t < settled for t, took in zip(told.starts, told.took_ns, strict=True)
    )
    if waiting:
        plural = "requests are" if waiting > 1 else "request is"
        return f"{waiting} {plural} without an answer"
    if told.starts and told.starts[-1] < settled - WINDOW_REQUESTS / rate * NS_PER_S:
        return f"no request was answered in the last {SETTLE_S + WINDOW_REQUESTS / rate:.1f} s"
    return ""


def planned(run: Run | None) -> dict[Client, float]:
    """The clients that a run's traffic makes, with their rates in requests/s."""
    if run is None:
        return {}
    if run.loads:
        rates = {
            city: {k: x["rate"] for k, x in kinds.items()} for city, kinds in run.loads.items()
        }
    else:
        rates = dict.fromkeys(run.preferred, run.rates)
    return {
        Client(c, kind): rate for c, kinds in rates.items() for kind, rate in kinds.items() if rate
    }


def _length_s(steady: SteadyState, rate: float) -> float:
    return max(steady.over_s, WINDOW_REQUESTS / rate)


def _name(client: Client) -> str:
    return f"{client.city} over {client.kind}"


def _broken(steady: SteadyState, samples: Samples) -> tuple[str, ...]:
    """What does not hold among the requests of one window."""
    silent = [c for c, sample in samples.items() if not sample.count and c.kind != OWN_CLIENT]
    empty = [f"{_name(client)}: no requests" for client in silent]
    if not steady.hold:
        return (*empty, *_failures(samples))
    return (*empty, *(said for hold in steady.hold if (said := _missed(hold, samples))))


def _failures(samples: Samples) -> Iterator[str]:
    for client, sample in samples.items():
        if failed := sample.failed:
            yield f"{_name(client)}: {failed} of {sample.count} requests failed"


def _missed(hold: Objective, samples: Samples) -> str:
    """What an objective of the steady state was instead; empty if it holds."""
    parts = (s.parts for client, s in samples.items() if speaks_of(hold, client))
    reading = read_requests(hold, Sample(tuple(part for some in parts for part in some)))
    if reading is None or reading.measured is None:
        return f"{hold.text}: no request tells"
    if holds(hold.comparison, reading.measured, hold.bound):
        return ""
    return f"{hold.text}: it is {show_figure(hold.figure, reading.measured)}"


Outcome = Literal["passed", "failed", "inconclusive"]
_SHOWN = 2  # problems of a window that a reason names


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a run kept what it promised about its steady state."""

    outcome: Outcome
    steady_s: float | None = None  # recovery: the longest that it took until it held for good
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Break:
    """A window in which the steady state did not hold."""

    start: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Course:
    """What the windows showed that lie between a fault and the next, or the end of the run."""

    life: FaultLife
    windows: range  # their starts
    breaks: tuple[_Break, ...]
    requests: int
    unknown: int

    @property
    def steady_s(self) -> float | None:
        """After so long it held for good; None: not by the end."""
        if not self.breaks:
            return 0.0
        after = self.breaks[-1].start + self.windows.step
        return (after - self.life.began) / NS_PER_S if after in self.windows else None


def kept(history: History, steady: SteadyState, expected: Expectation, columns: Columns) -> Kept:
    """Whether the steady state held as expected.

    isolation: in every window from the first fault to the end of the run. recovery: for each
    fault, in every window from `within_s` after it until the next fault, or the end of the run:
    what a heal breaks again has not stayed so. A fault that another follows sooner is not judged,
    the last one has to be. `columns` are of every client.
    """
    lives = history.injected()
    if not lives:
        return Kept("inconclusive", reason="no fault took effect")
    isolated = expected.kind == "isolation"
    within_ns = 0 if isolated else round(expected.within_s * NS_PER_S)
    end = run_interval(history)[1]
    if not has_ended(history):
        end -= max((history.patience_ns(city) for city, _ in columns), default=0)
    ends = [end] if isolated else [*(life.began for life in lives[1:]), end]
    own = (client for client in columns if client.kind == OWN_CLIENT)
    wanted = {c: columns.get(c) or series(()) for c in (*planned(history.run), *own)}
    look = _Look(steady, _common_length_ns(history, steady), wanted)
    courses = [
        look.course(life, until, within_ns) for life, until in zip(lives, ends, strict=False)
    ]
    outcome, reason = _judge(history, courses, within_ns)
    spans = [course.steady_s for course in courses if course.windows]
    known = [span for span in spans if span is not None]
    longest = max(known, default=None) if len(known) == len(spans) and not isolated else None
    return Kept(outcome, longest, reason)


def _judge(history: History, courses: Sequence[_Course], within_ns: int) -> tuple[Outcome, str]:
    for course in courses:
        late = [b for b in course.breaks if b.start >= course.life.began + within_ns]
        if late:
            return "failed", _told(history, course.life, late[0])
    last = courses[-1]
    if not last.windows or last.windows[-1] < last.life.began + within_ns:
        return "inconclusive", f"the run ends too soon after {last.life.name} to tell"
    unknown, requests = (
        sum(n) for n in zip(*((c.unknown, c.requests) for c in courses), strict=True)
    )
    if unknown > max(1, UNKNOWN_SHARE * requests):
        return "inconclusive", f"{unknown} of {requests} requests have no known outcome"
    return "passed", ""


def _told(history: History, life: FaultLife, broken: _Break) -> str:
    after = (broken.start - life.began) / NS_PER_S
    shown, more = broken.problems[:_SHOWN], len(broken.problems) - _SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    at = f"at {history.seconds(broken.start):.1f} s, {after:.1f} s after {life.name}"
    return f"{at}: {'; '.join(shown)}{rest}"


def _common_length_ns(history: History, steady: SteadyState) -> int:
    """Afterwards all clients share their windows: as long as the slowest of them needs."""
    lengths = [_length_s(steady, rate) for rate in planned(history.run).values()]
    return round(max(lengths, default=steady.over_s) * NS_PER_S)


@dataclass(frozen=True, slots=True)
class _Look:
    """A run seen through windows of one length."""

    steady: SteadyState
    length_ns: int
    columns: Columns

    def course(self, life: FaultLife, until: int, within_ns: int) -> _Course:
        """The windows from a fault to an instant; one of them begins `within_ns` after it."""
        step = max(1, self.length_ns // _WINDOWS_A_LENGTH)
        first = life.began + within_ns % step
        windows = range(first, until - self.length_ns + 1, step)
        seen = ((start, self._window(start)) for start in windows)
        breaks = tuple(_Break(start, found) for start, found in seen if found)
        whole = Sample.of(self.columns.values(), [(life.began, until)])
        return _Course(life, windows, breaks, whole.count, whole.unknown)

    def _window(self, start: int) -> tuple[str, ...]:
        window = (start, start + self.length_ns)
        return _broken(self.steady, {c: Sample.of([s], [window]) for c, s in self.columns.items()})
