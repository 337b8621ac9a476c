"""When a step happens, as its `at:` says it."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.scalars import duration

DAY = duration("0s", "24h")


@dataclass(frozen=True, slots=True)
class Moment:
    """`10s`, `+5s` (after the step above) or `10s..40s`."""

    at_s: float
    is_after: bool = False
    until_s: float | None = None


def read_moment(text: str) -> Moment:
    """ValueError, with what to write instead, where `text` says no time."""
    first, dots, last = text.partition("..")
    if not dots:
        return read_instant(text)
    if "+" in text:
        raise ValueError(f"{text!r} is from a + time to an end; write at: +5s and for: 10s")
    span = Moment(DAY(first), until_s=DAY(last))
    if span.until_s is None or span.until_s <= span.at_s:
        raise ValueError(f"{text!r} ends before it begins; write the earlier time first")
    return span


def read_instant(text: str) -> Moment:
    """A time without an end: `10s` or `+5s`."""
    later = text.removeprefix("+")
    return Moment(DAY(later), is_after=later != text)
