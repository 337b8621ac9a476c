"""Quantities with their units, as people write them, and back."""

from __future__ import annotations

import re

_DURATION = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_RATE = {"bps": 1, "kbps": 10**3, "mbps": 10**6, "gbps": 10**9}
_RATE |= {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_SIZE = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%/]*)\s*")


def _split(text: str, wants: str) -> tuple[float, str]:
    match = _NUMBER.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not {wants}")
    return float(match[1]), match[2]


def parse_duration(text: str) -> float:
    """Seconds. `38ms`, `1.5s`, `2m`; a bare number has no unit and is refused."""
    number, unit = _split(text, "a duration like 250ms or 5s")
    if not unit:
        raise ValueError(f"{text!r} has no unit; write {text}ms or {text}s")
    if unit not in _DURATION:
        raise ValueError(f"{unit!r} is not a unit of time; use ns, us, ms, s, m or h")
    return number * _DURATION[unit]


def parse_rate(text: str) -> int:
    """Bits a second. `100mbit`, `1gbps`."""
    number, unit = _split(text, "a rate like 100mbit")
    if unit.lower() not in _RATE:
        raise ValueError(f"{text!r} is not a rate; use bit, kbit, mbit or gbit (per second)")
    return round(number * _RATE[unit.lower()])


def parse_share(text: str) -> float:
    """A share between 0 and 1, written in percent: `0.1%`."""
    number, unit = _split(text, "a share like 0.1%")
    if unit != "%":
        wrong = f"has the unit {unit!r}" if unit else "has no unit"
        raise ValueError(f"{text!r} {wrong}; write {number:g}%")
    if number > 100:
        raise ValueError(f"{text!r} is more than 100%")
    return round(number / 100, 12)  # 99.9% is 0.999, not the float above it


def parse_frequency(text: str) -> float:
    """Times a second. `200/s`, `30/min`."""
    number, unit = _split(text, "a rate of requests like 200/s")
    if unit not in {"/s", "/min"}:
        raise ValueError(f"{text!r} is not a rate of requests; write {number:g}/s")
    return number / (60 if unit == "/min" else 1)


def parse_size(text: str) -> int:
    """Bytes. `1500B`, `64kB` (1000), `64KiB` (1024)."""
    number, unit = _split(text, "a size like 64kB")
    if unit not in _SIZE:
        wrong = f"has the unit {unit!r}" if unit else "has no unit"
        raise ValueError(f"{text!r} {wrong}; use {', '.join(_SIZE)}")
    return round(number * _SIZE[unit])


def show_duration(seconds: float) -> str:
    """`9.0 ms`, `3.4 s`: three figures at most, the unit that reads best."""
    if abs(seconds) < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def show_rate(bps: int) -> str:
    """`100 Mbit/s`."""
    for size, name in ((10**9, "Gbit/s"), (10**6, "Mbit/s"), (10**3, "kbit/s")):
        if bps >= size:
            return f"{bps / size:g} {name}"
    return f"{bps} bit/s"
