"""What the Docker API says of containers, volumes and logs, as the seam's values."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from typing import Any

from emulator.clock import NS_PER_S
from emulator.engine.base import (
    HOST_LABEL,
    LAB_LABEL,
    ContainerHandle,
    ContainerState,
    LogLine,
    VolumeHandle,
)

STATES = {
    "created": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "restarting": ContainerState.RUNNING,
    "paused": ContainerState.PAUSED,
}


def inspected(facts: Mapping[str, Any]) -> ContainerHandle:
    labels = facts["Config"]["Labels"]
    return ContainerHandle(
        lab=labels[LAB_LABEL],
        host=labels.get(HOST_LABEL, ""),
        name=facts["Name"].lstrip("/"),
        id=facts["Id"],
        state=STATES.get(facts["State"]["Status"], ContainerState.EXITED),
        pid=facts["State"]["Pid"],
        ended=_how_it_ended(facts["State"]),
        labels=labels,
    )


def _how_it_ended(state: Mapping[str, Any]) -> str:
    if state["Status"] in STATES:
        return ""
    if state.get("OOMKilled"):
        return "out of memory"
    return str(state.get("Error") or f"exit {state['ExitCode']}")


def log_line(line: str) -> LogLine:
    """`2026-11-30T05:42:49.123456789Z text`."""
    stamp, _, text = line.partition(" ")
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return LogLine(seconds * NS_PER_S + int(fraction.ljust(9, "0")[:9] or 0), text)


def listed(facts: Mapping[str, Any]) -> ContainerHandle:
    return ContainerHandle(
        lab=facts["Labels"][LAB_LABEL],
        host=facts["Labels"].get(HOST_LABEL, ""),
        name=facts["Names"][0].lstrip("/") if facts["Names"] else facts["Id"][:12],
        id=facts["Id"],
        state=STATES.get(facts["State"], ContainerState.EXITED),
        pid=0,
        labels=facts["Labels"],
    )


def volume(facts: Mapping[str, Any]) -> VolumeHandle:
    return VolumeHandle(lab=facts["Labels"][LAB_LABEL], name=facts["Name"])
