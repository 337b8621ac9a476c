"""What a path can be set to, as people write it and as reports tell it.

`READ["loss"]("2% burst 8")` gives values of an Impairment by the names of its fields; `told` says
such values in words. The same words serve the topology file, scenarios, traces and `netemu path`.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from emulator.clock import NS_PER_S
from emulator.errors import Problem, suggest
from emulator.impairment import DISTRIBUTIONS, MTU_MIN, Impairment, Trace, bursts
from emulator.scalars import choice, decimal, duration, rate, share, size, whole
from emulator.units import show_rate

Values = dict[str, Any]  # of an Impairment
Step = tuple[int, Mapping[str, Any]]  # of a Trace

OFF = "none"
STEPS_MAX = 5000  # of one trace: 8 minutes at one each 100 ms; a lab is attached to from them
BURST_MAX = 10_000  # segments
_MTU_MAX = 65_535  # what the length of an IPv4 packet can say
_QUEUE_NS_MAX = 60 * NS_PER_S
_ONE_WAY = duration("0s", "10s")  # above 10 s nothing on a network is still waiting
_RTT = duration("0s", "20s")
_AT = duration("0s", "24h")
_QUEUE = duration("1ms", "60s")
_QUEUE_BYTES = size("1kB", "1GB")
_JITTER = re.compile(r"\s*([0-9.]+\s*[a-z]+)(?:\s+([a-z]+))?\s*")
_BURSTS = re.compile(r"\s*([0-9.]+\s*%)\s+burst\s+(\S+)\s*")
_BYTES = re.compile(r".*[0-9]\s*([kKMG]i?[bB]?|B)\s*")


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def _jitter(text: str) -> Values:
    parts = _JITTER.fullmatch(text)
    time, name = (parts[1], parts[2] or DISTRIBUTIONS[0]) if parts else (text, DISTRIBUTIONS[0])
    jitter_ns = 0 if text == OFF else _ns(_ONE_WAY(time))
    return {"jitter_ns": jitter_ns, "distribution": choice(*DISTRIBUTIONS)(name)}


def _loss(text: str) -> Values:
    if text == OFF:
        return lost(0.0)
    if parts := _BURSTS.fullmatch(text):
        return lost_in_bursts(share(parts[1]), decimal(1, BURST_MAX)(parts[2]))
    return lost(share(text))


def lost(mean: float) -> Values:
    """Each segment independently of the others."""
    return {"loss": mean, "burst_enter": 0.0}


def lost_in_bursts(mean: float, length: float) -> Values:
    """`mean` in all, in bursts of `length` segments on average. Raises ValueError."""
    return lost(mean) if length <= 1 or not mean else bursts(mean, length)


def _share_of(field: str) -> Callable[[str], Values]:
    return lambda text: {field: 0.0 if text == OFF else share(text)}


def _rate(text: str) -> Values:
    return {"rate_bps": 0 if text == OFF else rate("1kbit", "100gbit")(text)}


def _queue(text: str) -> Values:
    """One limit or the other: a queue in bytes may take what time it will."""
    if _BYTES.fullmatch(text):
        return {"queue_ns": _QUEUE_NS_MAX, "queue_bytes": _QUEUE_BYTES(text)}
    if not text.strip()[:1].isdigit() and not text.startswith("-"):
        raise ValueError(f"{text!r} is no queue; write a time like 50ms or a size like 64kB")
    return {"queue_ns": _ns(_QUEUE(text)), "queue_bytes": 0}


def _aqm(text: str) -> Values:
    name = choice("codel", OFF)(text)
    return {"aqm": "" if name == OFF else name}


def _mtu(text: str) -> Values:
    return {"mtu": 0 if text == OFF else whole(MTU_MIN, _MTU_MAX)(text)}


READ: Mapping[str, Callable[[str], Values]] = {
    "one_way": lambda text: {"delay_ns": _ns(_ONE_WAY(text))},
    "rtt": lambda text: {"delay_ns": _ns(_RTT(text) / 2)},
    "jitter": _jitter,
    "reorder": _share_of("reorder"),
    "loss": _loss,
    "duplicate": _share_of("duplicate"),
    "corrupt": _share_of("corrupt"),
    "rate": _rate,
    "queue": _queue,
    "aqm": _aqm,
    "mtu": _mtu,
}
# By which word a value is set.
WORD_OF: Mapping[str, str] = {
    "delay_ns": "one_way",
    "jitter_ns": "jitter",
    "distribution": "jitter",
    "burst_enter": "loss",
    "burst_leave": "loss",
    "burst_loss": "loss",
    "rate_bps": "rate",
    "queue_ns": "queue",
    "queue_bytes": "queue",
    **{name: name for name in ("reorder", "loss", "duplicate", "corrupt", "aqm", "mtu")},
}


def words_of(values: Iterable[str]) -> tuple[str, ...]:
    """The words that set these values, each once."""
    return tuple(dict.fromkeys(WORD_OF[name] for name in values))


def misfit(path: Impairment) -> str:
    """What of a path does not go together, and what to do; "" where all does."""
    if path.jitter_ns > path.delay_ns:
        what = (
            f"a jitter of {show_ms(path.jitter_ns)} exceeds the delay of {show_ms(path.delay_ns)}"
        )
        return f"{what}; set a longer delay too, or a smaller jitter"
    if path.aqm and not path.rate_bps:
        what = f"{path.aqm} looks after a queue, and without a rate there is none"
        return f"{what}; set a rate too"
    return ""


# Traces


def is_steps(text: str) -> bool:
    """Whether `text` looks like steps of a trace, and not like the name of a file."""
    return re.match(r"\s*[0-9][^\s,]*\s+[0-9]", text) is not None


def read_step(text: str) -> Step:
    """`10s 200ms`: from when on, and the one-way delay."""
    at, _, one_way = text.strip().partition(" ")
    if not one_way:
        raise ValueError(f"{text!r} is no step; write when and the one-way delay, like 10s 200ms")
    return read_at(at), READ["one_way"](one_way.strip())


def read_at(text: str) -> int:
    """When a step comes, ns from the start of its trace."""
    return _ns(_AT(text))


def read_steps(text: str) -> tuple[Step, ...]:
    """`0s 40ms, 10s 200ms, 20s 40ms`."""
    return tuple(read_step(part) for part in text.split(",") if part.strip())


def make_trace(steps: Sequence[Step], repeat_s: float | None = None) -> Trace:
    """Raises ValueError, with what to write instead, for steps that make none."""
    if not steps:
        raise ValueError("a trace has one step at least; write for example 0s 40ms")
    if len(steps) > STEPS_MAX:
        raise ValueError(f"{len(steps)} steps are too many; {STEPS_MAX} is the most")
    for (earlier, _), (later, _) in itertools.pairwise(steps):
        if later <= earlier:
            what = f"the step at {later / NS_PER_S:g} s follows one at {earlier / NS_PER_S:g} s"
            raise ValueError(f"{what}; write steps in the order of time")
    last_s = steps[-1][0] / NS_PER_S
    if repeat_s is not None and repeat_s <= last_s:
        raise ValueError(f"it begins again before its last step at {last_s:g} s; repeat later")
    return Trace(tuple(steps), _ns(repeat_s or 0.0))


def read_table(text: str, known: Iterable[str], problems: list[Problem]) -> tuple[Step, ...]:
    """The steps of a table with a header line, `at,one_way,loss`; an empty cell says nothing, `#`
    begins a comment. `known`: the columns besides `at` that there may be. What is wrong is added
    to `problems`, each with its line of the table."""
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    header: list[str] = []
    steps: list[Step] = []
    is_known = False
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if not header:
            header = cells
            wrong = _wrong_header(header, tuple(known), rows.line_num)
            problems += wrong
            is_known = not wrong
        elif len(cells) != len(header):
            what = f"{len(cells)} values stand under {len(header)} columns"
            problems.append(Problem(rows.line_num, "", what, f"write {','.join(header)}"))
        elif is_known:
            steps += _read_row(dict(zip(header, cells, strict=True)), rows.line_num, problems)
    if not header:
        problems.append(Problem(1, "", "the table is empty", "begin it with at,one_way"))
    return tuple(steps)


def _wrong_header(header: list[str], known: tuple[str, ...], line: int) -> list[Problem]:
    if "at" not in header or len(header) < 2:
        hint = "begin with a line like at,one_way,loss"
        return [Problem(line, "", f"{','.join(header)!r} names no columns of a trace", hint)]
    wrong = [name for name in header if name not in ("at", *known)]
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    found = [
        Problem(line, "", f"no trace has a column {name!r}",
                suggest(name, known) or f"there are at, {', '.join(known)}")
        for name in wrong
    ]  # fmt: skip
    return found + [Problem(line, "", f"the column {name!r} is there twice") for name in twice]


def _read_row(cells: Mapping[str, str], line: int, problems: list[Problem]) -> list[Step]:
    values: Values = {}
    at: int | None = None
    for name, text in cells.items():
        if not text and name != "at":
            continue
        try:
            if name == "at":
                at = read_at(text)
            elif name in READ:
                values |= READ[name](text)
        except ValueError as error:
            what, _, hint = str(error).partition("; ")
            problems.append(Problem(line, name, what, hint))
    if not any(text for name, text in cells.items() if name != "at"):
        problems.append(Problem(line, "", "changes nothing", "name a value, or delete the line"))
    return [] if at is None else [(at, values)]


# In words

_NEUTRAL = Impairment(0).to_json()


def describe(values: Mapping[str, Any]) -> str:
    """All of an Impairment in words: `40 ms +-2 ms, loss 2 %, 10 Mbit/s`."""
    special = {name: value for name, value in values.items() if value != _NEUTRAL[name]}
    said = told({"delay_ns": values["delay_ns"], **special})
    return f"cut ({said} without)" if values["cut"] else said


def told(values: Mapping[str, Any]) -> str:
    """Those values of an Impairment that are named, in words: `200 ms, loss 2 %`."""
    says = (_say_delay, _say_loss, *_SAY_SHARES, _say_rate, _say_queue, _say_aqm, _say_mtu)
    return ", ".join(part for say in says if (part := say(values)))


def show_ms(ns: float) -> str:
    """`40 ms`, `0.25 ms`; seconds from 1 s on."""
    return f"{ns / 1e6:.4g} ms" if ns < NS_PER_S else f"{ns / 1e9:.4g} s"


def _percent(part: float) -> str:
    return f"{part * 100:.3g} %"


def _say_delay(values: Mapping[str, Any]) -> str:
    delay = show_ms(values["delay_ns"]) if "delay_ns" in values else ""
    if "jitter_ns" not in values:
        return delay
    if not values["jitter_ns"]:
        return f"{delay}, no jitter".removeprefix(", ")
    name = values.get("distribution", DISTRIBUTIONS[0])
    kind = "" if name == DISTRIBUTIONS[0] else f" ({name})"
    jitter = f"+-{show_ms(values['jitter_ns'])}{kind}"
    return f"{delay} {jitter}" if delay else f"jitter {jitter}"


def _say_loss(values: Mapping[str, Any]) -> str:
    enter, leave = values.get("burst_enter", 0.0), values.get("burst_leave", 0.0)
    good, bad = values.get("loss", 0.0), values.get("burst_loss", 1.0)
    if not enter or not leave:
        return f"loss {_percent(good)}" if "loss" in values else ""
    mean = Impairment(0, loss=good, burst_enter=enter, burst_leave=leave, burst_loss=bad).mean_loss
    if (good, bad) == (0.0, 1.0):
        return f"loss {_percent(mean)} in bursts of {1 / leave:.3g}"
    between = f"{_percent(bad)} in bursts of {1 / leave:.3g}, {_percent(good)} between them"
    return f"loss {_percent(mean)} ({between})"


def _say_share(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda values: f"{name} {_percent(values[name])}" if name in values else ""


_SAY_SHARES = tuple(_say_share(name) for name in ("reorder", "duplicate", "corrupt"))


def _say_rate(values: Mapping[str, Any]) -> str:
    if "rate_bps" not in values:
        return ""
    return show_rate(values["rate_bps"]) if values["rate_bps"] else "no limit of the rate"


def _say_queue(values: Mapping[str, Any]) -> str:
    if values.get("queue_bytes"):
        return f"queue {values['queue_bytes'] / 1000:.4g} kB"
    return f"queue {show_ms(values['queue_ns'])}" if "queue_ns" in values else ""


def _say_aqm(values: Mapping[str, Any]) -> str:
    return "" if "aqm" not in values else values["aqm"] or "no aqm"


def _say_mtu(values: Mapping[str, Any]) -> str:
    if "mtu" not in values:
        return ""
    return f"mtu {values['mtu']}" if values["mtu"] else "no limit of the mtu"


def told_trace(trace: Trace) -> str:
    """`a trace of 3 steps in 20 s, again every 30 s`."""
    count, last_s = len(trace.steps), trace.steps[-1][0] / NS_PER_S if trace.steps else 0.0
    again = f", again every {trace.repeat_ns / NS_PER_S:g} s" if trace.repeat_ns else ""
    return f"a trace of {count} step{'s' * (count != 1)} in {last_s:g} s{again}"
