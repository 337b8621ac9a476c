"""The verdict on a region: a vote of those who check it, and how long DOWN lasts at least.

Every checker has thresholds of its own. A region is UP while more than `quorum` of the checkers
with a fresh opinion say UP. An opinion is fresh for two intervals and a timeout from the end of
the check it rests on; with no fresh one at all the last verdict stays. The first verdict waits
until every checker was heard, or for as long as an opinion is fresh from when the first was. A
server that checks for itself is the only voter, and its opinion never ages.

Hold-down: once the verdict went from UP to DOWN it stays DOWN for `hold_down_s`, counted from
that change. Good checks count meanwhile, a bad one starts a checker's count anew, but nobody's
opinion rises. At the hold's end the opinions whose latest `rise` checks were all good rise
together, by the clock, with no further check; the others rise when their counts are full. A
first verdict of DOWN holds nothing: nobody saw the region go down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from emulator.clock import NS_PER_S
from emulator.node.dns.config import HealthCheck, Service
from emulator.node.dns.health import HealthState
from emulator.node.dns.values import Checked, State

OWN = ""  # the name of a server's own checks among the checkers
MAJORITY = 0.5


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one checker holds of a region, and its latest check of it."""

    health: HealthState
    checked: Checked | None = None


@dataclass(frozen=True, slots=True)
class RegionHealth:
    """What one name server believes of one region of one service, and why."""

    check: HealthCheck
    quorum: float
    opinions: Mapping[str, Opinion]
    state: State = "UNKNOWN"
    since_ns: int = 0  # of `state`; 0: UNKNOWN from the start
    reason: str = ""  # for the latest change
    flaps: int = 0  # changes after the first verdict
    held_until_ns: int = 0  # the end of the latest hold-down
    first_heard_ns: int = 0  # 0: nobody was heard yet

    @classmethod
    def of(cls, service: Service) -> Self:
        """Of any region of this service, before the first check."""
        opinions = {c: Opinion(HealthState(service.check)) for c in service.checkers or (OWN,)}
        return cls(service.check, service.quorum if service.checkers else MAJORITY, opinions)

    def after(self, checker: str, checked: Checked, now_ns: int) -> RegionHealth:
        """Once a checker's check was heard of. KeyError: it is none of the checkers."""
        health = self.opinions[checker].health.after(ok=checked.ok)
        opinions = {**self.opinions, checker: Opinion(health, checked)}
        first = self.first_heard_ns or now_ns
        return replace(self, opinions=opinions, first_heard_ns=first).at(now_ns)

    def at(self, now_ns: int) -> RegionHealth:
        """The verdict as time alone makes it; call it at `due_ns` at the latest."""
        if now_ns < self.held_until_ns:
            return self
        risen = {c: replace(o, health=o.health.risen()) for c, o in self.opinions.items()}
        counted = replace(self, opinions=risen)
        verdict = counted.vote(now_ns)
        if verdict == self.state:
            return counted
        is_fall = (self.state, verdict) == ("UP", "DOWN")
        hold_ns = round(self.check.hold_down_s * NS_PER_S)
        return replace(
            counted,
            state=verdict,
            since_ns=now_ns,
            reason=_because(counted, verdict, now_ns),
            flaps=self.flaps + (self.state != "UNKNOWN"),
            held_until_ns=now_ns + hold_ns if is_fall and hold_ns else 0,
        )

    def due_ns(self, now_ns: int) -> int | None:
        """When time alone may change the verdict next: a hold ends, or an opinion grows stale."""
        if now_ns < self.held_until_ns:
            return self.held_until_ns
        if len(self.opinions) == 1:
            return None
        heard = [o.checked.end_ns for o in self.opinions.values() if o.checked]
        if self.state == "UNKNOWN" and self.first_heard_ns:
            heard.append(self.first_heard_ns)
        due = [instant + self._fresh_ns for instant in heard]
        return min((instant for instant in due if instant > now_ns), default=None)

    def is_suspect(self, now_ns: int) -> bool:
        """It is UP, and the latest check of somebody with a fresh opinion contradicted that."""
        fresh = self.fresh(now_ns).values()
        return self.state == "UP" and any(health.good == 0 for health in fresh)

    def bearing(self, now_ns: int) -> tuple[State, bool, int | None]:
        """All that answers and timers depend on: where it is the same, nothing changes."""
        return self.state, self.is_suspect(now_ns), self.due_ns(now_ns)

    @property
    def _fresh_ns(self) -> int:
        return round((2 * self.check.interval_s + self.check.timeout_s) * NS_PER_S)

    def fresh(self, now_ns: int) -> dict[str, HealthState]:
        """Whose opinion counts now, and what it is."""
        return {
            checker: opinion.health
            for checker, opinion in self.opinions.items()
            if opinion.checked
            and (len(self.opinions) == 1 or now_ns < opinion.checked.end_ns + self._fresh_ns)
        }

    def vote(self, now_ns: int) -> State:
        """What the opinions that count now come to."""
        fresh = self.fresh(now_ns)
        is_early = now_ns < self.first_heard_ns + self._fresh_ns
        is_first_open = self.state == "UNKNOWN" and is_early
        if not fresh or (is_first_open and any(not o.checked for o in self.opinions.values())):
            return self.state
        up = sum(health.state == "UP" for health in fresh.values())
        return "UP" if up > self.quorum * len(fresh) else "DOWN"


def _because(region: RegionHealth, verdict: State, now_ns: int) -> str:
    """Why `region`, whose opinions have changed already, changes to this verdict."""
    held = f", after a hold-down of {region.check.hold_down_s:g} s" if region.held_until_ns else ""
    if OWN not in region.opinions:
        return _votes(region, verdict, now_ns) + held
    own = region.opinions[OWN]
    said = own.checked.detail if own.checked else ""
    if region.state == "UNKNOWN":
        return f"first check: {said}"
    if verdict == "UP":
        return f"{_checks(own.health.good, 'good')} in a row{held}, the last: {said}"
    clear = region.check.clear
    how = f"with no {clear} good ones in a row between" if clear else "in a row"
    return f"{_checks(region.check.fall, 'failed')} {how}, the last: {said}"


def _votes(region: RegionHealth, verdict: State, now_ns: int) -> str:
    fresh = region.fresh(now_ns)
    agree = [checker for checker, health in fresh.items() if health.state == verdict]
    others = [checker for checker in fresh if checker not in agree]
    silent = [checker for checker in region.opinions if checker not in fresh]
    text = f"{len(agree)} of {len(fresh)} vantages {_say(agree)} {verdict}: {', '.join(agree)}"
    if others:
        opposite = "DOWN" if verdict == "UP" else "UP"
        text += f"; {', '.join(others)} {_say(others)} {opposite}"
    return text + (f"; not heard of late: {', '.join(silent)}" if silent else "")


def _checks(count: int, quality: str) -> str:
    return f"{count} {quality} check{'' if count == 1 else 's'}"


def _say(names: list[str]) -> str:
    return "says" if len(names) == 1 else "say"
