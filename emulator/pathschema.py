"""The JSON Schema of what a path can be set to, for the schemas of topologies and scenarios."""

from __future__ import annotations

from typing import Any

from emulator.impairment import DISTRIBUTIONS, MTU_MIN

Schema = dict[str, Any]
_UNSIGNED = r"[0-9]+(\.[0-9]+)?\s*"
_TIME = rf"{_UNSIGNED}(ns|us|ms|s|m|min|h)"
_SHARE = f"{_UNSIGNED}%"
_RATE = rf"{_UNSIGNED}[kKmMgG]?([bB][iI][tT]|[bB][pP][sS])"
_SIZE = rf"{_UNSIGNED}[kKMG]?i?B"


def path_properties() -> Schema:
    """Each word and what it may be."""
    kinds = "|".join(DISTRIBUTIONS)
    return {
        "one_way": _text(_TIME, "Delay of each direction, like 40ms."),
        "rtt": _text(_TIME, "Round trip, only of a..b; each direction has half of it."),
        "jitter": _or_none(rf"{_TIME}(\s+({kinds}))?", "The delay varies within +- this; "
                           "with normal or pareto: the standard deviation."),
        "reorder": _or_none(_SHARE, "Part of the segments that overtakes those that wait."),
        "loss": {"oneOf": [_loss_text(), _lengths(), _model()]},
        "duplicate": _or_none(_SHARE, "Part of the segments that arrives twice."),
        "corrupt": _or_none(_SHARE, "Part of the segments that arrives with one bit flipped."),
        "rate": _or_none(_RATE, "Like 100mbit."),
        "queue": _text(f"({_TIME}|{_SIZE})", "Longest wait for the rate, or bytes that wait, like "
                       "50ms or 64kB; default 1s."),
        "aqm": {"enum": ["codel", "none"], "description": "Drops early what would wait for long."},
        "mtu": {
            "oneOf": [{"type": "integer", "minimum": MTU_MIN, "maximum": 65535}, {"const": "none"}],
            "description": "Most bytes of an IP packet, 576 to 65535.",
        },
    }  # fmt: skip


def trace_schema() -> Schema:
    """Steps, a file, or either of them with `repeat`."""
    named = _object({"at": _text(_TIME, "From when on.")} | path_properties(), ("at",))
    step = {"oneOf": [_text(rf"{_TIME}\s+{_TIME}", "When, and the one-way delay."), named]}
    steps = {"type": "array", "items": step, "minItems": 1}
    repeat = _text(_TIME, "It begins again so long after its start.")
    file = {"type": "string", "description": "A table beside this file: at,one_way,loss,..."}
    return {
        "description": "How values change in time, like [0s 40ms, 10s 200ms].",
        "oneOf": [
            file,
            steps,
            _object({"steps": {"oneOf": [file, steps]}, "repeat": repeat}, ("steps",)),
            _object({"file": file, "repeat": repeat}, ("file",)),
        ],
    }


def _loss_text() -> Schema:
    return _or_none(rf"{_SHARE}(\s+burst\s+{_UNSIGNED})?", "Like 0.1%, or 2% burst 8.")


def _lengths() -> Schema:
    length = {"type": "number", "minimum": 1, "description": "Segments of a burst, on average."}
    average = _text(_SHARE, "Lost in all.")
    return _object({"average": average, "burst": length}, ("average", "burst"))


def _model() -> Schema:
    return _object(
        {
            "enter": _text(_SHARE, "Chance of a segment to begin a burst."),
            "leave": _text(_SHARE, "Chance of a segment to end it."),
            "good": _text(_SHARE, "Lost outside of bursts; default 0%."),
            "bad": _text(_SHARE, "Lost within bursts; default 100%."),
        },
        ("enter", "leave"),
    )


def _text(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": rf"^\s*{pattern}\s*$", "description": description}


def _or_none(pattern: str, description: str) -> Schema:
    return _text(f"({pattern}|none)", description)


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})
