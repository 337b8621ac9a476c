"""`wan:` in a topology file: what moves the packets, and whether it can do what `paths:` wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from emulator.clock import NS_PER_S
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
        if why := refusal(driver, _impairment_values(setting)):
            refused[setting.line] = why
    for line, why in refused.items():
        what, _, remedy = why.partition("; ")
        by_line.get(line, paths).problem(what, remedy)


def _impairment_values(setting: PathSetting) -> Mapping[str, Any]:
    """What is said, by the names and in the units of an Impairment."""
    said = {name: value for name, value in asdict(setting).items() if value is not None}
    return {
        f"{name[:-2]}_ns" if name.endswith("_s") else name: (
            round(value * NS_PER_S) if name.endswith("_s") else value
        )
        for name, value in said.items()
    }


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
