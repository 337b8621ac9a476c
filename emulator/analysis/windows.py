"""From one client's requests to: unaffected, recovered, not recovered, or nobody can tell."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from emulator.analysis.measurements import State
from emulator.clock import NS_PER_S
from emulator.events import Request

WINDOW_NS = 3 * NS_PER_S
WINDOW_REQUESTS = 10
# Requests whose outcome is unknown may be this share of an episode before it says nothing.
UNKNOWN_SHARE = 0.01


# 10 minutes at 200/s are 120,000 requests; a longer gap is a broken history, and as undecidable.
_GAP_MAX = 120_000

_Episode = tuple[int, int | None, int | None]  # fault, heal, horizon

_PLAN = attrgetter("planned")
_START = attrgetter("t")


class Evidence:
    """What may be judged of one client: its requests in the order of their starts, up to the
    first that may still be in flight. It grows with the list that it was made for.

    A request is told of when it ends, so the quick ones are known first: from the first gap in
    their numbers on, as far as it may still fill, nothing is judged.
    """

    def __init__(self, told: Sequence[Request]) -> None:
        self.requests: list[Request] = []
        self.missing: list[int] = []  # starts after which a request never told its end
        self.courses: dict[_Episode, tuple[Course, int]] = {}  # each with how far it has come
        self._told = told
        self._longest_ns = 0
        self._taken = 0
        self._waiting: list[Request] = []  # by plan; after a gap
        self._last: Request | None = None  # by plan, of those that may be judged

    @property
    def end(self) -> int:
        """Every request that started up to here is accounted for."""
        return self.requests[-1].t if self.requests else 0

    @property
    def fixed(self) -> int:
        """How many of the requests will keep their places: none starts before its plan."""
        return self.place(self._last.planned) if self._last else 0

    def place(self, t: int) -> int:
        """How many requests started before an instant."""
        return bisect_left(self.requests, t, key=_START)

    def between(self, since: int, until: int | None) -> list[Request]:
        """Those that started then."""
        return self.requests[self.place(since) : None if until is None else self.place(until)]

    def open_at(self, t: int) -> int:
        """The place of the first request that may have been open then."""
        return self.place(t - self._longest_ns)

    def advanced(self, last_ns: int, patience_ns: int) -> Evidence:
        """With what was told since, when the history is known up to `last_ns`. Another one when
        something came at last that had been given up."""
        new = self._told[self._taken :]
        if self._last and any(r.planned < self._last.planned for r in new):
            return Evidence(self._told).advanced(last_ns, patience_ns)
        self._taken += len(new)
        waiting = sorted([*self._waiting, *new], key=_PLAN)
        ready = self._ready(waiting, last_ns - patience_ns)
        self._waiting = waiting[ready:]
        if ready:
            self._last = waiting[ready - 1]
            self._add(waiting[:ready])
        return self

    def _ready(self, waiting: Sequence[Request], given_up_ns: int) -> int:
        """How many come before a gap that may still fill."""
        n = self._last.n if self._last else None
        for index, this in enumerate(waiting):
            if n is not None and this.n > n + 1:
                if this.planned > given_up_ns:
                    return index
                self.missing.extend([this.t] * min(this.n - n - 1, _GAP_MAX))
            n = this.n
        return len(waiting)

    def _add(self, batch: list[Request]) -> None:
        longest_ns = max([(r.end or r.t) - r.t for r in batch])
        self._longest_ns = max(self._longest_ns, longest_ns)
        at = self.place(min(map(_START, batch)))
        if any(at < come for _, come in self.courses.values()):
            self.courses.clear()  # one started before its plan
        self.requests[at:] = sorted(self.requests[at:] + batch, key=_START)


@dataclass(slots=True)
class Course:
    """What one client went through from a fault to a horizon, request by request."""

    began: int
    healed: int | None
    requests: int = 0  # up to the heal
    judged: int = 0  # also after it
    unknown: int = 0
    relapses: int = 0
    failed: list[Request] = field(default_factory=list)  # the fault's
    failed_after_heal: list[Request] = field(default_factory=list)
    window: Request | None = None  # start of the last proven window
    run: list[Request] = field(default_factory=list)  # ok since the last failure, while unproven
    longest_broken_ns: int = 0
    last: int = 0

    def copy(self) -> Course:
        """Another that goes its own way from here."""
        return replace(
            self,
            failed=[*self.failed],
            failed_after_heal=[*self.failed_after_heal],
            run=[*self.run],
        )

    def take(self, request: Request) -> None:
        """The next request by start."""
        self.last = request.t
        self.judged += request.outcome != "unknown"
        if request.t >= self.began and not self._healed_before(request):
            self.requests += 1
        if request.outcome == "unknown":
            self.unknown += 1
        elif request.outcome == "ok":
            self._ok(request)
        else:
            self._failure(request)

    def _ok(self, request: Request) -> None:
        if not self.failed or self.window or request.t < self.began:
            return
        self.run.append(request)
        if len(self.run) >= WINDOW_REQUESTS and request.t - self.run[0].t >= WINDOW_NS:
            self.window = self.run[0]
            self.run = []

    def _failure(self, request: Request) -> None:
        if self._healed_before(request):
            self.failed_after_heal.append(request)
            if self.window:
                return
        else:
            self.failed.append(request)
            self.relapses += self.window is not None
            self.window = None
        if self.run:
            self.longest_broken_ns = max(self.longest_broken_ns, self.run[-1].t - self.run[0].t)
            self.run = []

    def _healed_before(self, request: Request) -> bool:
        return self.healed is not None and request.t >= self.healed

    @property
    def with_heal(self) -> bool:
        """Whether the window's first request started after the heal, or was answered only then: a
        handshake that is tried again and again waits for it."""
        first = self.window
        return (
            first is not None and self.healed is not None and (first.end or first.t) >= self.healed
        )


def follow(seen: Evidence, began: int, healed: int | None, horizon: int | None) -> Course:
    """The course of one client: requests from the fault on, and those in flight when it struck
    that failed; up to `horizon` (None: as far as the history goes).

    Asked again later, it goes on where it was: only what may still change is gone through twice.
    """
    until = len(seen.requests) if horizon is None else seen.place(horizon)
    fixed = min(seen.fixed, until)
    first = min(seen.open_at(began), fixed)
    episode = (began, healed, horizon)
    steady, come = seen.courses.get(episode) or (Course(began, healed), first)
    _take_all(steady, seen.requests[come:fixed])
    seen.courses[episode] = steady, max(come, fixed)
    course = steady.copy()
    _take_all(course, seen.requests[max(come, fixed) : until])
    end = horizon if horizon is not None else seen.end
    course.unknown += sum(began <= t < end for t in seen.missing)
    return course


def _take_all(course: Course, requests: Sequence[Request]) -> None:
    for request in requests:
        if request.t >= course.began or (
            is_failed(request) and (request.end or request.t) >= course.began
        ):
            course.take(request)


def is_failed(request: Request) -> bool:
    """True for a request that its user did not get an answer to."""
    return request.outcome in ("error", "timeout")


def judge(course: Course, bound_s: float | None) -> tuple[State, str]:
    """The state that a course proves, with the reason when it is not plain.

    Not recovered is only said when a recovery could have been seen: of too few requests, or of a
    history that ends before the bound, nothing is said.
    """
    if course.unknown > max(1, UNKNOWN_SHARE * course.requests):
        return "inconclusive", f"{course.unknown} requests have no known outcome"
    if not course.failed:
        if course.requests < WINDOW_REQUESTS:
            return "inconclusive", f"only {_count(course.requests)} after the fault"
        return "unaffected", ""
    if course.window:
        return "recovered", "only once the fault was healed" if course.with_heal else ""
    return _unrecovered(course, bound_s)


def _unrecovered(course: Course, bound_s: float | None) -> tuple[State, str]:
    tail_ns = course.run[-1].t - course.run[0].t if course.run else 0
    if course.run and (tail_ns > course.longest_broken_ns or not course.longest_broken_ns):
        tail = f"{_count(len(course.run))} in {tail_ns / NS_PER_S:.1f} s"
        return "inconclusive", f"only {tail} after the last failure; it takes 10 in 3 s to tell"
    followed_ns = course.last - course.began
    if course.judged < WINDOW_REQUESTS or followed_ns < WINDOW_NS:
        told = f"{_count(course.judged)} in {followed_ns / NS_PER_S:.1f} s"
        return "inconclusive", f"only {told} after the fault; it takes 10 in 3 s to tell"
    if course.healed is None and bound_s is not None and followed_ns < bound_s * NS_PER_S:
        ends = f"{followed_ns / NS_PER_S:.1f} s after the fault"
        return "inconclusive", f"the history ends {ends}, before the bound of {bound_s:.1f} s"
    return "not_recovered", f"no 3 s without a failure in {followed_ns / NS_PER_S:.1f} s"


def _count(requests: int) -> str:
    return f"{requests} request" + ("" if requests == 1 else "s")
