"""What a path can be set to, read from a file: the words of a mapping, bursts of losses, traces.

Everything wrong is a problem at its place. A trace that stands in a file of its own is taken into
the document, so that whoever has its text needs nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from emulator.errors import Problem, UsageError, suggest
from emulator.impairment import Trace
from emulator.pathvalues import (
    BURST_MAX,
    READ,
    Step,
    Values,
    is_steps,
    lost_in_bursts,
    make_trace,
    read_at,
    read_step,
    read_steps,
    read_table,
)
from emulator.scalars import decimal, duration, is_label, label, share
from emulator.yamlfile import Document, Entry, Fields, read_text

VALUE_KEYS = tuple(READ)
BURST_KEYS = ("average", "burst")
MODEL_KEYS = ("enter", "leave", "good", "bad")
TRACE_KEYS = ("steps", "file", "repeat")
_PATH = re.compile(r"\s*(\S+?)\s*(->|\.\.)\s*(\S+?)\s*")
_REPEAT = duration("1ms", "24h")
_NOTHING: Values = {}
_NO_STEP: Step = (0, _NOTHING)


def read_path_name(text: str) -> tuple[str, str, bool]:
    """Source, target, and whether both directions are meant: `a->b`, `a..b`. ValueError."""
    parts = _PATH.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is no path; write us-east->eu-west, or us-east..eu-west")
    return parts[1], parts[3], parts[2] == ".."


def path_text(text: str) -> str:
    """A path or a site, its name without spaces. ValueError where it can be neither."""
    if is_label(text.strip()):
        return text.strip()
    source, target, is_pair = read_path_name(text)
    return f"{label(source)}{'..' if is_pair else '->'}{label(target)}"


def named_paths(name: str, sites: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The directions that `a->b`, `a..b` or `a`, all of a site, means; beside each the way back.
    ValueError with what was perhaps meant."""
    is_site = "->" not in name and ".." not in name
    source, target, is_pair = (name, "", True) if is_site else read_path_name(name)
    for site in (source,) if is_site else (source, target):
        if site not in sites:
            advice = suggest(site, sites) or f"there are {', '.join(sites)}"
            raise ValueError(f"no site is called {site!r}; {advice}")
    if source == target:
        raise ValueError(f"{name} leads from a site to itself; name two sites")
    targets = [site for site in sites if site != source] if is_site else [target]
    return tuple(
        path
        for other in targets
        for path in ((source, other), (other, source))[: 2 if is_pair else 1]
    )


def read_values(fields: Fields, name: str) -> Values:
    """All that a mapping sets of the path `name`. A delay said twice is a problem, and `rtt` of
    one direction."""
    if "rtt" in fields and "one_way" in fields:
        fields.owner.problem("rtt and one_way speak of the same delay", "keep one of them")
    if "rtt" in fields and "->" in name:
        both = name.replace("->", "..")
        fields.owner.problem("rtt speaks of a pair", f"write one_way, or {both}")
    values: Values = {}
    for key, read in READ.items():
        entry = fields.get(key)
        if entry is not None:
            is_model = key == "loss" and entry.is_mapping()
            values |= _read_loss(entry) if is_model else entry.value(read, _NOTHING)
    return values


def _read_loss(entry: Entry) -> Values:
    """Bursts by their length, or the four numbers of Gilbert and Elliott."""
    fields = entry.fields((*BURST_KEYS, *MODEL_KEYS))
    by_length = [key for key in BURST_KEYS if key in fields]
    by_model = [key for key in MODEL_KEYS if key in fields]
    if by_length and by_model:
        hint = "keep average and burst, or enter, leave, good and bad"
        entry.problem("says in two ways how losses come", hint)
        return {}
    return _read_model(fields) if by_model else _read_bursts(fields)


def _read_bursts(fields: Fields) -> Values:
    average = fields.required("average", "average: 2%")
    length = fields.required("burst", "burst: 8")
    if average is None or length is None:
        return {}
    mean = average.value(share, 0.0)
    segments = length.value(decimal(1, BURST_MAX), 1.0)
    try:
        return lost_in_bursts(mean, segments)
    except ValueError as error:
        fields.owner.problem(str(error), "write a smaller average or a longer burst")
        return {}


def _read_model(fields: Fields) -> Values:
    enter, leave = fields.required("enter", "enter: 0.5%"), fields.required("leave", "leave: 10%")
    values = {
        "loss": fields.value("good", share, 0.0),
        "burst_enter": enter.value(share, 0.0) if enter else 0.0,
        "burst_leave": leave.value(share, 1.0) if leave else 1.0,
        "burst_loss": fields.value("bad", share, 1.0),
    }
    if leave and not values["burst_leave"]:
        leave.problem("a burst that begins never ends", "write more than 0%")
        return {}
    return values


def read_trace(entry: Entry, name: str) -> Trace | None:
    """Steps here, a table in a text of several lines, or the name of a file with one; None, with a
    problem, where it is none of them."""
    if not entry.is_mapping():
        return _make(entry, _read_steps(entry, name), None)
    fields = entry.fields(TRACE_KEYS)
    repeat_s = fields.value("repeat", _REPEAT, None)
    written = [fields.members[key] for key in ("steps", "file") if key in fields]
    if len(written) != 1:
        entry.problem("says twice what it plays" if written else "says nothing that it plays",
                      "write steps or file")  # fmt: skip
        return None
    return _make(entry, _read_steps(written[0], name), repeat_s)


def _make(entry: Entry, steps: tuple[Step, ...] | None, repeat_s: float | None) -> Trace | None:
    """None for steps whose own problems have been told."""
    if steps is None:
        return None
    try:
        return make_trace(steps, repeat_s)
    except ValueError as error:
        what, _, hint = str(error).partition("; ")
        entry.problem(what, hint)
        return None


def _read_steps(entry: Entry, name: str) -> tuple[Step, ...] | None:
    before = len(entry.document.problems)
    if entry.is_list():
        steps = tuple(_read_step(item, name) for item in entry.items())
    else:
        text = entry.text() or ""
        if "\n" in text:
            steps = _read_table(entry, text, name, "line {} of it")
        elif is_steps(text):
            steps = entry.value(read_steps, ())
        else:
            steps = _read_file(entry, text, name) if text else ()
    return None if len(entry.document.problems) > before else steps


def _read_step(entry: Entry, name: str) -> Step:
    if not entry.is_mapping():
        return entry.value(read_step, _NO_STEP)
    fields = entry.fields(("at", *VALUE_KEYS))
    at = fields.required("at", "at: 10s")
    values = read_values(fields, name)
    if not values and len(fields.members) < 2:
        entry.problem("changes nothing", "name a value, like one_way: 200ms")
    return at.value(read_at, 0) if at else 0, values


def _read_file(entry: Entry, file: str, name: str) -> tuple[Step, ...]:
    try:
        text = read_text(entry.document.folder / file)
    except UsageError as error:
        entry.problem(str(error).partition("; ")[0], _others(entry.document.folder, file))
        return ()
    steps = _read_table(entry, text, name, file + ", line {}")
    entry.document.take_in(entry, _without_comments(text))
    return steps


def _others(folder: Path, file: str) -> str:
    return _near(folder / file) or "name a table beside this file, like lte.csv"


def _without_comments(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def _read_table(entry: Entry, text: str, name: str, where: str) -> tuple[Step, ...]:
    found: list[Problem] = []
    steps = read_table(text, columns(is_pair="->" not in name), found)
    for problem in found:
        column = f": {problem.path}" if problem.path else ""
        entry.problem(f"{where.format(problem.line)}{column}: {problem.what}", problem.hint)
    return steps


def columns(*, is_pair: bool) -> Iterable[str]:
    """Those that a table may have besides `at`."""
    return [key for key in VALUE_KEYS if is_pair or key != "rtt"]


def trace_of(text: str, repeat_s: float | None, *, is_pair: bool) -> Trace:
    """A trace by hand: steps, or the name of a file. FileProblems, UsageError, ValueError."""
    if is_steps(text):
        return make_trace(read_steps(text), repeat_s)
    document = Document(text)
    steps = read_table(_table_in(Path(text)), columns(is_pair=is_pair), document.problems)
    document.raise_problems()
    return make_trace(steps, repeat_s)


def _table_in(file: Path) -> str:
    try:
        return read_text(file)
    except UsageError as error:
        what = str(error).partition("; ")[0]
        hint = "name a table, or write steps like '0s 40ms, 10s 200ms'"
        raise UsageError(f"{what}; {_near(file) or hint}") from None


def _near(file: Path) -> str:
    return suggest(file.name, [path.name for path in file.parent.glob("*.csv")])
