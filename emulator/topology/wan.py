"""`wan:` in a topology file: what moves the packets, and whether it can do what `paths:` wants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emulator.drivers import DRIVERS, DriverName, refusal
from emulator.errors import suggest
from emulator.topology.model import PathSetting
from emulator.yamlfile import Entry

WAN_KEYS = ("driver",)


def read_driver(entry: Entry | None) -> DriverName:
    """Of `wan: {driver: ...}`; our own wire where nothing is said."""
    return entry.fields(WAN_KEYS).value("driver", _driver, "userspace") if entry else "userspace"


def _driver(text: str) -> DriverName:
    for name in DRIVERS:
        if name == text:
            return name
    hint = suggest(text, DRIVERS) or f"there are: {', '.join(DRIVERS)}"
    raise ValueError(f"{text!r} is no driver of the WAN; {hint}")


def check_paths(driver: DriverName, paths: Entry, settings: Iterable[PathSetting]) -> None:
    """A problem for every direction with a value that the driver cannot set."""
    by_line = {entry.line: entry for entry in paths.named().values()}
    refused = {}
    for setting in settings:
        if why := _refusal(driver, setting):
            refused[setting.line] = why
    for line, why in refused.items():
        what, _, remedy = why.partition("; ")
        by_line.get(line, paths).problem(what, remedy)


def _refusal(driver: DriverName, setting: PathSetting) -> str:
    """Of what is said at once, or of what any step of its trace makes of it."""
    steps = setting.trace.steps if setting.trace else ()
    said = [setting.values, *(values for _, values in steps)]
    return next(filter(None, (refusal(driver, values) for values in said)), "")


def wan_schema() -> dict[str, Any]:
    """JSON Schema of the section."""
    text = (
        "userspace: our own wire, for any kernel (default); netem: the kernel's, where it has it."
    )
    return {
        "type": "object",
        "description": "What moves packets between sites.",
        "properties": {"driver": {"enum": list(DRIVERS), "description": text}},
        "additionalProperties": False,
    }
