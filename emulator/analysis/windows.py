"""From one client's requests to: unaffected, recovered, not recovered, or nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from emulator.analysis.measurements import State
from emulator.clock import NS_PER_S
from emulator.events import Request

WINDOW_NS = 3 * NS_PER_S
WINDOW_REQUESTS = 10
# Requests whose outcome is unknown may be this share of an episode before it says nothing.
UNKNOWN_SHARE = 0.01


# 10 minutes at 200/s are 120,000 requests; a longer gap is a broken history, and as undecidable.
_GAP_MAX = 120_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Requests in the order of their starts, up to the first that may still be in flight."""

    requests: tuple[Request, ...]
    missing: tuple[int, ...] = ()  # starts after which a request never told its end

    @property
    def end(self) -> int:
        """Every request that started up to here is accounted for."""
        return self.requests[-1].t if self.requests else 0


def evidence(requests: Sequence[Request], last_ns: int, patience_ns: int) -> Evidence:
    """What may be judged of a client when its history is known up to `last_ns`.

    A request is told of when it ends, so the quick ones are known first: from the first gap in
    their numbers on, as far as it may still fill, nothing is judged.
    """
    ordered = sorted(requests, key=lambda r: r.planned)
    missing: list[int] = []
    for index in range(1, len(ordered)):
        previous, this = ordered[index - 1], ordered[index]
        gap = this.n - previous.n - 1
        if gap > 0:
            if this.planned > last_ns - patience_ns:
                ordered = ordered[:index]
                break
            missing.extend([this.t] * min(gap, _GAP_MAX))
    return Evidence(tuple(sorted(ordered, key=lambda r: r.t)), tuple(missing))


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
        return self.window is not None and self._healed_before(self.window)


def follow(seen: Evidence, began: int, healed: int | None, horizon: int | None) -> Course:
    """The course of one client: requests from the fault on, and those in flight when it struck
    that failed; up to `horizon` (None: as far as the history goes)."""
    course = Course(began, healed)
    for request in seen.requests:
        if horizon is not None and request.t >= horizon:
            break
        if request.t >= began or (is_failed(request) and (request.end or request.t) >= began):
            course.take(request)
    until = horizon if horizon is not None else seen.end
    course.unknown += sum(began <= t < until for t in seen.missing)
    return course


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
