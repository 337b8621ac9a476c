"""Scalars of a file, typed and kept in range.

Each converter takes the text as the user wrote it and raises ValueError as
`what is wrong; what to do`, which `yamlfile.Entry.value` turns into a problem with its place.
Durations are seconds, rates bits a second, shares 0 to 1, frequencies times a second.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import TypeVar

from emulator.errors import suggest
from emulator.units import (
    parse_duration,
    parse_frequency,
    parse_rate,
    parse_share,
    parse_size,
)

Word = TypeVar("Word", bound=str)
Number = TypeVar("Number", int, float)
# At most 20 characters, so that names of hosts and containers made from them stay readable.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?")
_DECIMAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,11}")


def is_label(text: str) -> bool:
    """Whether `text` may be a name: a DNS label of 1 to 20 lower-case characters."""
    return _LABEL.fullmatch(text) is not None


def label(text: str) -> str:
    """A name of the user's own."""
    if not is_label(text):
        raise ValueError(f"{text!r} is no name; use 1 to 20 of a-z, 0-9 and, between them, -")
    return text


def words(text: str) -> tuple[str, ...]:
    """A command as a shell would take it apart, quotes and all; nothing else is expanded."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{str(error).lower()}; write a list of words") from error


def zone_name(text: str) -> str:
    """A DNS zone under `.test`, which no real resolver is ever asked for (RFC 6761)."""
    *labels, last = text.split(".")
    if last != "test" or not labels or not all(is_label(part) for part in labels):
        raise ValueError(f"{text!r} is no zone under .test; write for example shop.test")
    return text


def choice(*options: Word) -> Callable[[str], Word]:
    """One of a few words."""

    def convert(text: str) -> Word:
        for option in options:
            if option == text:
                return option
        advice = suggest(text, options) or f"write {' or '.join(options)}"
        raise ValueError(f"{text!r} is none of {', '.join(options)}; {advice}")

    return convert


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number. `010` is refused: some readers take it for eight."""

    def convert(text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"{text!r} is not a whole number; write {low} to {high} in digits")
        return _within(int(text), low, high, text, (str(low), str(high)))

    return convert


def decimal(low: float, high: float) -> Callable[[str], float]:
    """A number without a unit."""

    def convert(text: str) -> float:
        if not _DECIMAL.fullmatch(text):
            raise ValueError(f"{text!r} is not a number; write {low:g} to {high:g}")
        return _within(float(text), low, high, text, (f"{low:g}", f"{high:g}"))

    return convert


def duration(low: str, high: str) -> Callable[[str], float]:
    """Seconds, within bounds that are written like durations too."""

    def convert(text: str) -> float:
        value = parse_duration(_not_negative(text, "time"))
        return _within(value, parse_duration(low), parse_duration(high), text, (low, high))

    return convert


def whole_seconds(low: str, high: str) -> Callable[[str], int]:
    """A duration with no fraction of a second, as DNS counts TTLs."""

    def convert(text: str) -> int:
        if text.isdigit():
            raise ValueError(f"{text!r} has no unit; write {text}s")
        seconds = duration(low, high)(text)
        if seconds != round(seconds):
            raise ValueError(f"{text!r} is not in whole seconds; write for example 1s")
        return round(seconds)

    return convert


def rate(low: str, high: str) -> Callable[[str], int]:
    """Bits a second."""

    def convert(text: str) -> int:
        value = parse_rate(_not_negative(text, "rate"))
        return _within(value, parse_rate(low), parse_rate(high), text, (low, high))

    return convert


def size(low: str, high: str) -> Callable[[str], int]:
    """Bytes."""

    def convert(text: str) -> int:
        value = parse_size(_not_negative(text, "size"))
        return _within(value, parse_size(low), parse_size(high), text, (low, high))

    return convert


def share(text: str) -> float:
    """A part of the whole, in percent."""
    return parse_share(_not_negative(text, "share"))


def frequency(low: str, high: str) -> Callable[[str], float]:
    """Times a second."""

    def convert(text: str) -> float:
        value = parse_frequency(_not_negative(text, "rate"))
        return _within(value, parse_frequency(low), parse_frequency(high), text, (low, high))

    return convert


def _not_negative(text: str, kind: str) -> str:
    if text.startswith("-"):
        raise ValueError(f"{text!r} is negative; no {kind} is below 0")
    return text


def _within(value: Number, low: float, high: float, text: str, ends: tuple[str, str]) -> Number:
    if not low <= value <= high:
        raise ValueError(f"{text!r} is out of range; write {ends[0]} to {ends[1]}")
    return value
