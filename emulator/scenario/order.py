"""Steps in the order of time: a file reads as it happens, and a slip in a time shows instead of
moving a step elsewhere.

A wait ends when its condition is met, a command when its program does, so what follows it has an
earliest and a latest moment. A time said in seconds must lie behind the latest; one like `+5s`
always does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from emulator.scenario.model import Exec, Kill, Step, WaitUntil, patience_s
from emulator.yamlfile import Entry

_IN_ORDER = "write steps in the order of time"


@dataclass(slots=True)
class Order:
    """The steps read so far, and when the next one may begin."""

    _steps: list[Step] = field(default_factory=list)
    _latest_s: float = 0.0  # the step above has happened by then; of a repeated one the first time
    _waits: str = ""  # what lasts until `_latest_s` at most: "wait", "command"; "": nothing
    _repeats_s: float = 0.0  # the last time of what repeats above
    _follows_repeats: bool = False  # the step above is the one that repeats

    def take(self, entry: Entry, steps: tuple[Step, ...]) -> None:
        """One written step, and all that it stands for."""
        if not steps:
            return
        first, last = steps[0], steps[-1]
        if first.is_after:
            self._check_relative(entry)
        else:
            self._check_absolute(entry, first)
        begins_s = self._moment_s(first)
        self._waits = _lasting(first) or (self._waits if first.is_after else "")
        self._latest_s = begins_s + patience_s(first)
        self._follows_repeats = len(steps) > 1
        if self._follows_repeats:
            self._repeats_s = max(self._repeats_s, last.at_s)
        self._place(steps)

    def steps(self) -> tuple[Step, ...]:
        """All of them, each after what happens before it."""
        return tuple(self._steps)

    def _moment_s(self, step: Step) -> float:
        above_s = max(self._latest_s, self._repeats_s if self._follows_repeats else 0.0)
        return above_s + step.at_s if step.is_after else step.at_s

    def _check_relative(self, entry: Entry) -> None:
        if self._latest_s < self._repeats_s and not self._follows_repeats:
            what = f"counts from the step above, while another repeats until {self._repeats_s:g} s"
            entry.problem(what, "write its time without the +")

    def _check_absolute(self, entry: Entry, step: Step) -> None:
        at_s = step.at_s
        if at_s < self._latest_s and self._waits:
            lasts = f"the {self._waits} above may last until {self._latest_s:g} s"
            what = f"happens at {at_s:g} s, but {lasts}"
            entry.problem(what, f"write {self._latest_s:g}s or later, or a time like +5s")
        elif at_s < self._latest_s:
            what = f"happens at {at_s:g} s, before the step above it ({self._latest_s:g} s)"
            entry.problem(what, _IN_ORDER)
        if (lasting := _lasting(step)) and at_s < self._repeats_s:
            what = f"waits while a step above repeats until {self._repeats_s:g} s"
            entry.problem(what, "wait after that" if lasting == "wait" else "run it after that")

    def _place(self, steps: tuple[Step, ...]) -> None:
        """Behind all others, but before repetitions that come later."""
        for step in steps:
            place = len(self._steps)
            if not step.is_after:
                while place and _is_later(self._steps[place - 1], step.at_s):
                    place -= 1
            self._steps.insert(place, step)


def _lasting(step: Step) -> str:
    if isinstance(step, WaitUntil):
        return "wait"
    return "command" if isinstance(step, Exec) else ""


def _is_later(step: Step, at_s: float) -> bool:
    return not step.is_after and step.at_s > at_s


@dataclass(frozen=True, slots=True)
class Latest:
    """When the last of each is, in seconds, if every wait lasts as long as it may."""

    step_s: float = 0.0  # it is over
    fault_s: float = 0.0  # it is injected
    healed_s: float = 0.0  # a fault heals by itself; 0: none does


def latest(steps: Iterable[Step]) -> Latest:
    """The end of the steps, as far as it is known beforehand."""
    at_s = fault_s = healed_s = 0.0
    for step in steps:
        at_s = at_s + step.at_s if step.is_after else max(at_s, step.at_s)
        at_s += patience_s(step)
        if isinstance(step, Kill):
            fault_s = at_s
            healed_s = healed_s if step.for_s is None else max(healed_s, at_s + step.for_s)
    return Latest(at_s, fault_s, healed_s)
