"""The `steps:` of a scenario file: what is done to the lab, and what is waited for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from emulator.pathentries import VALUE_KEYS
from emulator.scalars import choice, duration, is_label, label, rate, share
from emulator.scenario.commandsteps import read_exec
from emulator.scenario.model import (
    FLAP,
    FORCED,
    KILL_KINDS,
    ClearPath,
    Condition,
    Exec,
    FaultKind,
    Heal,
    Kill,
    SetPath,
    Step,
    WaitUntil,
)
from emulator.scenario.order import Order
from emulator.scenario.pathsteps import read_clear, read_set_path
from emulator.scenario.times import Moment, read_moment
from emulator.yamlfile import Entry, Fields

VERBS = (
    "kill", "heal", "partition", "flap", "force", "path", "clear", "exec", "count", "wait_until",
)  # fmt: skip
# Which faults, or which other step, each setting of a step belongs to.
_BOTH = ("jitter", "loss", "duplicate", "corrupt", "reorder", "rate")
SETTINGS_OF: Mapping[str, tuple[str, ...]] = {
    "from": ("partition",),
    "direction": ("partition",),
    "down": ("flap",),
    "delay": ("brownout",),
    **{key: ("brownout", "path") if key in _BOTH else ("path",) for key in (*VALUE_KEYS, "trace")},
    "state": ("force",),
    "service": ("force",),
    "command": ("exec", "count"),
}
STEP_KEYS = ("at", *VERBS, "how", *SETTINGS_OF, "for", "every", "within")
SITE_FAULTS = frozenset({"drain", "partition", "flap", "brownout", "force"})  # of whole sites
DIRECTIONS = {"both": 0.0, "out": 1.0, "in": -1.0}  # as Kill.settings says it
REPETITIONS_MAX = 1000
_HOW: Callable[[str], FaultKind] = choice(*KILL_KINDS)
_NEVER = Moment(math.nan)  # neither before nor after; stands in for a time with a problem
_SPAN = duration("100ms", "24h")  # injecting and healing alone take tens of milliseconds
_RHYTHM = duration("2ms", "24h")
_LASTING = ("for", "every")
_NO_SIDES: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
_OWN_STEP: Mapping[str, FaultKind] = {"partition": "partition", "flap": "flap", "force": "force"}
_UNDOES = {
    "heal": "heal undoes every fault of its target",
    "clear": "clear undoes all that was set on its path",
}
_PLAIN = {
    "ready": Condition("ready", "ready"),
    "recovered": Condition("recovered", "recovered"),
    "steady": Condition("steady", "steady"),
}
_SERVED = re.compile(r"(\S+) served by (\S+)")
_STATE = re.compile(r"(\S+) (up|down)")
_CONDITIONS = "ready, recovered, steady, us-east up, us-east down or paris served by eu-west"


@dataclass(frozen=True, slots=True)
class Written:
    """One member of `steps:` and what it stands for: `every` makes many of one."""

    entry: Entry
    steps: tuple[Step, ...]


def read_steps(entry: Entry) -> tuple[Step, ...]:
    """All steps, in the order of time; what is out of order is a problem."""
    order = Order()
    for written in written_steps(entry):
        order.take(written.entry, written.steps)
    return order.steps()


def written_steps(entry: Entry) -> tuple[Written, ...]:
    """The steps as they stand in the file."""
    return tuple(Written(step, _read_step(step)) for step in entry.items())


def _read_step(entry: Entry) -> tuple[Step, ...]:
    fields = entry.fields(STEP_KEYS)
    verbs = [verb for verb in VERBS if verb in fields]
    if len(verbs) != 1:
        if entry.is_mapping():
            entry.problem(f"a step does one of {', '.join(VERBS)}", "split it")
        _read_at(fields)
        return ()
    verb = verbs[0]
    if verb == "wait_until":
        return (_read_wait(fields),)
    if verb in {"exec", "count"}:
        return (_read_command(fields, verb),)
    _refuse(fields, ("within",), "only wait_until, exec and count have patience")
    if verb in {"heal", "clear"}:
        return (_read_undoing(fields, verb),)
    if verb == "path":
        return (_read_path(fields),)
    how: FaultKind = "power"
    if verb == "kill":
        how = fields.value("how", _how, "power")
    else:
        _refuse(fields, ("how",), "the step says already what it does")
        how = _OWN_STEP[verb]
    if how == "force":
        fields.required("state", "state: drain")
    kill = _read_kill(fields, fields.members[verb], how)
    return _read_flap(fields, kill) if how == "flap" else _repeat(fields, kill)


def _read_command(fields: Fields, verb: str) -> Exec:
    others = [key for key, owners in SETTINGS_OF.items() if verb not in owners]
    _refuse(fields, ("how", *others, *_LASTING), f"{verb} runs a program once and breaks nothing")
    return read_exec(fields, verb, _read_instant(fields, "a program is started at one moment"))


def _read_undoing(fields: Fields, verb: str) -> Heal | ClearPath:
    others = ("how", *SETTINGS_OF, *_LASTING)
    _refuse(fields, others, _UNDOES[verb])
    at = _read_instant(fields, f"{verb} is done at one moment")
    if verb == "clear":
        return read_clear(fields, at)
    return Heal(at.at_s, read_targets(fields.members["heal"]), at.is_after)


def _read_path(fields: Fields) -> SetPath:
    others = [key for key, owners in SETTINGS_OF.items() if "path" not in owners]
    _refuse(fields, ("how", *others), "a path has no such value")
    _refuse(fields, ("every",), "a path is set once; what comes again is a trace")
    at = _read_at(fields)
    return read_set_path(fields, at, _lasting_s(fields, at))


def _lasting_s(fields: Fields, at: Moment) -> float | None:
    """For how long, as `for` says it or the end of `at`; both at once is a problem."""
    lasts = fields.get("for")
    spans_s = None if at.until_s is None else at.until_s - at.at_s
    if lasts and spans_s is not None:
        lasts.problem("its end is said twice", "leave for out, or write at: without an end")
    return lasts.value(_SPAN, None) if lasts else spans_s


def _read_flap(fields: Fields, kill: Kill) -> tuple[Step, ...]:
    """One fault with a rhythm: its `every` is no repetition of the step."""
    at = Moment(kill.at_s, kill.is_after, None if kill.for_s is None else kill.at_s + kill.for_s)
    for_s = _lasting_s(fields, at)
    if for_s is None:
        fields.owner.problem("how long it goes on is missing", "write at: 10s..40s or for: 30s")
        return (kill,)
    every_s = fields.value("every", _RHYTHM, FLAP["every_s"])
    down_s = fields.value("down", _RHYTHM, None)
    try:
        settings = read_rhythm(every_s, down_s, for_s)
    except ValueError as error:
        what, _, hint = str(error).partition("; ")
        fields.owner.problem(what, hint)
        settings = {}
    return (replace(kill, settings=settings, for_s=for_s),)


def _how(text: str) -> FaultKind:
    if text == "flap":
        raise ValueError("flap is a step of its own; write {at: 10s..40s, flap: paris, every: 2s}")
    if text == "force":
        raise ValueError("force is a step of its own; write {at: 10s, force: us-east, state: down}")
    return _HOW(text)


def _read_at(fields: Fields) -> Moment:
    at = fields.required("at", "at: 10s")
    return at.value(read_moment, _NEVER) if at else _NEVER


def _read_instant(fields: Fields, why: str) -> Moment:
    moment = _read_at(fields)
    if moment.until_s is not None:
        fields.members["at"].problem(f"{why}, not over a time", "write when it begins only")
    return moment


def _read_wait(fields: Fields) -> WaitUntil:
    others = ("how", *SETTINGS_OF, *_LASTING)
    _refuse(fields, others, "wait_until breaks nothing")
    within = fields.required("within", "within: 30s")
    at = Moment(0.0, is_after=True)
    if "at" in fields:
        at = _read_instant(fields, "a wait begins at one moment")
    return WaitUntil(
        at_s=at.at_s,
        condition=fields.members["wait_until"].value(read_condition, _PLAIN["ready"]),
        within_s=within.value(duration("100ms", "1h"), 0.0) if within else 0.0,
        is_after=at.is_after,
    )


def read_condition(text: str) -> Condition:
    """What `wait_until` waits for. ValueError, with what to write instead, for anything else."""
    said = " ".join(text.split())
    if said in _PLAIN:
        return _PLAIN[said]
    if served := _SERVED.fullmatch(said):
        return Condition(said, "served", label(served[1]), label(served[2]))
    if state := _STATE.fullmatch(said):
        return Condition(said, "up" if state[2] == "up" else "down", label(state[1]))
    raise ValueError(f"{text!r} cannot be waited for; write {_CONDITIONS}")


def _read_kill(fields: Fields, targets: Entry, how: FaultKind) -> Kill:
    others = [key for key, owners in SETTINGS_OF.items() if how not in owners]
    _refuse(fields, others, f"{how} has no such setting")
    target, peers = _read_sides(fields, targets, how)
    if how in SITE_FAULTS:
        for name in [name for name in target if "/" in name]:
            targets.problem(f"{how} is for whole sites, and {name!r} is a host", instead(how))
    at = _read_at(fields)
    return Kill(
        at_s=at.at_s,
        target=target,
        how=how,
        peers=peers,
        settings=_read_settings(fields),
        for_s=None if at.until_s is None else at.until_s - at.at_s,
        is_after=at.is_after,
    )


def _read_sides(
    fields: Fields, targets: Entry, how: FaultKind
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The target, and the other side of a partition or the service of which a region is forced."""
    if "service" in fields:
        return read_targets(targets), (fields.value("service", label, ""),)
    peers = fields.get("from")
    if how == "partition" and "|" in (targets.text() or "" if _is_scalar(targets) else ""):
        if peers:
            peers.problem("the other side is said twice", "leave from out, or the bar and its side")
        return targets.value(read_sides, _NO_SIDES)
    return read_targets(targets), read_targets(peers) if peers else ()


def _is_scalar(entry: Entry) -> bool:
    return not (entry.is_list() or entry.is_mapping() or entry.is_empty())


def instead(how: str) -> str:
    """What to do to a host, which a fault of whole sites is not for."""
    if how == "force":
        return "name a region"
    return "name a region or city, or use crash, freeze or power"


def _repeat(fields: Fields, kill: Kill) -> tuple[Step, ...]:
    """The kill once, for as long as it says; or again and again over the time it spans."""
    lasts, every = fields.get("for"), fields.get("every")
    for_s = lasts.value(_SPAN, None) if lasts else None
    if every is not None:
        return _repeat_every(every, kill, lasts, for_s)
    if lasts and kill.for_s is not None:
        lasts.problem("its end is said twice", "leave for out, or write at: without an end")
    return (replace(kill, for_s=for_s) if lasts else kill,)


def _repeat_every(
    every: Entry, kill: Kill, lasts: Entry | None, for_s: float | None
) -> tuple[Step, ...]:
    if kill.for_s is None:
        every.problem("repeated for ever", "say until when, for example at: 10s..60s")
        return (kill,)
    every_s = every.value(_SPAN, kill.for_s)
    if lasts is None:
        every.problem("how long each fault lasts is missing", "write for example for: 3s")
    elif for_s is not None and for_s >= every_s:
        what = f"still lasts when the next begins, {every_s:g} s on"
        lasts.problem(what, f"write less than {every_s:g}s")
    count = math.ceil(kill.for_s / every_s - 1e-9)  # 60 s / 0.1 s is 600 times, not 601
    if count > REPETITIONS_MAX:
        every.problem(f"repeats {count} times", f"{REPETITIONS_MAX} is the most")
        count = 1
    return tuple(replace(kill, at_s=kill.at_s + n * every_s, for_s=for_s) for n in range(count))


def _read_settings(fields: Fields) -> dict[str, float]:
    """The numbers that are said, by their names in `Kill`."""
    settings: dict[str, float] = {}
    for key, name in (("delay", "delay_s"), ("jitter", "jitter_s")):
        if key in fields:
            settings[name] = fields.value(key, duration("0s", "10s"), 0.0)
    for key in ("loss", "duplicate", "corrupt", "reorder"):
        if key in fields:
            settings[key] = fields.value(key, share, 0.0)
    if "rate" in fields:
        settings["rate_bps"] = float(fields.value("rate", rate("1kbit", "100gbit"), 0))
    direction = fields.value("direction", choice(*DIRECTIONS), "both")
    if direction != "both":
        settings["direction"] = DIRECTIONS[direction]
    if "state" in fields:
        settings["state"] = FORCED[fields.value("state", choice(*FORCED), "down")]
    return settings


def _refuse(fields: Fields, keys: Iterable[str], why: str) -> None:
    for key in keys:
        entry = fields.get(key)
        if entry is not None:
            belongs = SETTINGS_OF.get(key)
            hint = f"{key} belongs to {' and '.join(belongs)}" if belongs else f"leave {key} out"
            entry.problem(why, hint)


def read_sides(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`{us-east, new-york} | {eu-west}`, or one side alone: cut from everyone else. The braces may
    be left out. ValueError, with what to write instead, for anything else."""
    sides = [_side(part) for part in text.split("|")]
    if len(sides) > 2 or not all(sides):
        what = f"{text!r} is no partition"
        raise ValueError(f"{what}; write for example 'us-east,new-york | eu-west'")
    target, peers = sides[0], sides[1] if len(sides) == 2 else ()
    if both := [name for name in target if name in peers]:
        raise ValueError(f"{', '.join(both)} is on both sides of {text!r}; keep it on one")
    return target, peers


def _side(text: str) -> tuple[str, ...]:
    inside = text.strip()
    if inside.startswith("{") and inside.endswith("}"):
        inside = inside[1:-1]
    return tuple(_target(name.strip()) for name in inside.split(",") if name.strip())


def read_rhythm(every_s: float, down_s: float | None, for_s: float) -> dict[str, float]:
    """The settings of a flap. ValueError for a rhythm that there cannot be."""
    if down_s is not None and down_s >= every_s:
        what = f"down for {down_s:g} s of every {every_s:g} s, it is never up"
        raise ValueError(f"{what}; write a shorter down or a longer every")
    if for_s < every_s:
        what = f"it ends after {for_s:g} s, before its second cut at {every_s:g} s"
        raise ValueError(f"{what}; write a longer time or a shorter every")
    settings = {"every_s": every_s, "for_s": for_s}
    return settings if down_s is None else settings | {"down_s": down_s}


def read_targets(entry: Entry) -> tuple[str, ...]:
    """One name or a list of names: sites, hosts, groups, `tag:x`."""
    written = entry.items() if entry.is_list() else [entry]
    if not written:
        entry.problem("names no target", "name a region, a city, a name server or a host")
    return tuple(target.value(_target, "") for target in written)


def _target(text: str) -> str:
    if text.startswith("tag:") and is_label(text.removeprefix("tag:")):
        return text
    site, slash, host = text.partition("/")
    if not is_label(site) or (slash and not is_label(host)):
        raise ValueError(f"{text!r} names nothing; write a site like us-east or a host like ns1")
    return text
