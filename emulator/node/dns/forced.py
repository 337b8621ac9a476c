"""Forced states on disk: what an operator said must outlive the server that was told.

One JSON file, replaced as a whole, so that a server killed at any instant leaves the old or the
new one. Nothing is synced to the disk itself: hosts die here, their kernel does not, and a sync
would stop the answers. Ends are instants of the kernel's monotonic clock, which starts anew with
the machine; so its boot id stands beside them, and an end of another boot is not believed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from emulator.clock import NS_PER_S
from emulator.steering import ForcedState

UNTIL_MAX_S = 30 * 86400  # no maintenance takes longer; what does is forced without an end
UNTIL_MAX_NS = UNTIL_MAX_S * NS_PER_S

Key = tuple[str, str]  # service, region

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forcing:
    """What a region is held for, and until when (ns of the clock; None: until told otherwise)."""

    state: ForcedState
    until_ns: int | None = None


def this_boot() -> str:
    """The running kernel's boot id; "" where it has none to tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def store(path: Path, forced: Mapping[Key, Forcing], boot: str) -> None:
    """Replace the file. A disk that does not take it is logged: the states hold all the same."""
    entries = [
        {"service": service, "region": region, "state": f.state, "until": f.until_ns}
        for (service, region), f in forced.items()
    ]
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"boot": boot, "forced": entries}), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        log.warning("forced states are not kept: %s", error)


def load(path: Path, boot: str, now_ns: int) -> dict[Key, Forcing]:
    """What the file says, also what has expired. Nothing for a file that is not there; what
    cannot be believed (damaged, an end of another boot or too far ahead) is logged and left out."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        forced = {(e["service"], e["region"]): _parse(e) for e in data["forced"]}
        same_boot = data["boot"] == boot
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("forced states of %s are not believed: %r", path, error)
        return {}
    believed = {}
    for key, forcing in forced.items():
        until = forcing.until_ns
        if until is None or (same_boot and until <= now_ns + UNTIL_MAX_NS):
            believed[key] = forcing
        else:
            log.warning("the end of forced %s of %s is not believed", forcing.state, key)
    return believed


def _parse(entry: Mapping[str, Any]) -> Forcing:
    state, until = entry["state"], entry["until"]
    if state not in get_args(ForcedState) or not isinstance(until, int | None):
        raise ValueError(f"{state!r} until {until!r}")
    return Forcing(state, until)
