"""What a test says of a path, as values; and values as a scenario's step says them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from emulator.errors import UsageError
from emulator.harness.words import Quantity
from emulator.impairment import DISTRIBUTIONS, Trace
from emulator.pathentries import trace_of
from emulator.pathvalues import OFF, READ, Values, make_trace, read_at
from emulator.scalars import duration

_SECONDS = ("one_way", "rtt", "jitter", "queue")
_WHOLE = ("rate", "mtu")
Steps = str | list[tuple[Quantity, Mapping[str, Quantity]]]


def values_of(given: Mapping[str, Quantity]) -> Values:
    """By the words of a step: texts with units, or numbers of seconds, shares, bits a second.
    Raises UsageError."""
    values: Values = {}
    for word, value in given.items():
        if word not in READ:
            raise UsageError(f"a path has no {word}; it has {', '.join(READ)}")
        try:
            values |= READ[word](_text(word, value))
        except ValueError as error:
            raise UsageError(f"{word}: {error}") from error
    if "rtt" in given and "one_way" in given:
        raise UsageError("rtt and one_way speak of the same delay; keep one of them")
    return values


def _text(word: str, value: Quantity) -> str:
    if isinstance(value, str):
        return value
    if word in _SECONDS:
        return f"{value * 1e3:.6f}ms"
    if word in _WHOLE:
        return f"{value:.0f}" + ("bit" if word == "rate" else "")
    return f"{value * 100:.9f}%"


def played(trace: Steps | None, repeat: Quantity | None, *, is_pair: bool) -> Trace | None:
    """Steps as text (`0s 40ms, 10s 200ms`), as (when, values), or the name of a table's file."""
    if trace is None:
        return None
    try:
        repeat_s = None if repeat is None else duration("1ms", "24h")(_text("rtt", repeat))
        if isinstance(trace, str):
            return trace_of(trace, repeat_s, is_pair=is_pair)
        steps = [(read_at(_text("rtt", at)), values_of(values)) for at, values in trace]
        return make_trace(steps, repeat_s)
    except ValueError as error:
        raise UsageError(f"trace: {error}") from error


def written(values: Mapping[str, Any]) -> Iterator[str]:
    """`one_way: 40ms`, `loss: 2%`: these values in a step."""
    for name, write in _WRITE.items():
        if name in values and (text := write(values)):
            yield text


def _jitter(values: Mapping[str, Any]) -> str:
    return f"jitter: {_ms(values['jitter_ns'])} {values.get('distribution', DISTRIBUTIONS[0])}"


def _loss(values: Mapping[str, Any]) -> str:
    if not values.get("burst_enter"):
        return f"loss: {_percent(values['loss'])}"
    keys = {"enter": "burst_enter", "leave": "burst_leave", "good": "loss", "bad": "burst_loss"}
    model = [f"{word}: {_percent(values[key])}" for word, key in keys.items()]
    return f"loss: {{{', '.join(model)}}}"


def _share(word: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda values: f"{word}: {_percent(values[word])}"


def _or_off(word: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda values: f"{word}: {values[word] or OFF}"


def _rate(values: Mapping[str, Any]) -> str:
    return f"rate: {values['rate_bps'] / 1000:.6g}kbit" if values["rate_bps"] else "rate: none"


def _queue(values: Mapping[str, Any]) -> str:
    size = values.get("queue_bytes")
    return f"queue: {size}B" if size else f"queue: {_ms(values['queue_ns'])}"


_WRITE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "delay_ns": lambda values: f"one_way: {_ms(values['delay_ns'])}",
    "jitter_ns": _jitter,
    "loss": _loss,
    **{word: _share(word) for word in ("reorder", "duplicate", "corrupt")},
    "rate_bps": _rate,
    "queue_ns": _queue,
    **{word: _or_off(word) for word in ("aqm", "mtu")},
}


def written_trace(trace: Trace) -> str:
    """`trace: [{at: 0ms, one_way: 40ms}]`, with `repeat` where it begins again."""
    steps = [f"{{{', '.join([f'at: {_ms(at)}', *written(v)])}}}" for at, v in trace.steps]
    inside = f"[{', '.join(steps)}]"
    if not trace.repeat_ns:
        return f"trace: {inside}"
    return f"trace: {{steps: {inside}, repeat: {_ms(trace.repeat_ns)}}}"


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.6f}".rstrip("0").rstrip(".") + "ms"


def _percent(part: float) -> str:
    return f"{part * 100:.9f}".rstrip("0").rstrip(".") + "%"
