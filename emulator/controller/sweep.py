"""One scenario once for each value of a setting of its topology, each in a lab of its own.

A sweep's directory holds the scenario and its topology as they are, and a directory a value
(`ttl-1s`), in which the runs lie as those of any scenario, with the topology changed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from emulator.analysis.repeated import RunResult
from emulator.analysis.sweep import Sweep, Tried
from emulator.controller.prepare import Variant
from emulator.controller.repeat import Told
from emulator.controller.runner import SCENARIO, keep_files
from emulator.errors import NetemuError
from emulator.scenario.model import Scenario, Vary
from emulator.scenario.parse import load_scenario
from emulator.topology.model import Topology

RunValue = Callable[[Variant, Path, Told], object]
"""All runs of one value below this directory; each is told when it is over."""


def value_names(vary: Vary) -> tuple[str, ...]:
    """What each value's directory is called: `ttl-1s`; a second one of that name gets a number."""
    key = vary.setting.rpartition(".")[2]
    names: list[str] = []
    for value in vary.values:
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", f"{key}-{value}").strip("-.")
        same = sum(name == plain or name.startswith(f"{plain}.") for name in names)
        names.append(f"{plain}.{same + 1}" if plain in names else plain)
    return tuple(names)


def vary_in(directory: Path) -> Vary | None:
    """What varies in the sweep that this directory holds; None: it holds none."""
    file = directory / SCENARIO
    return load_scenario(file).vary if file.is_file() else None


def run_sweep(
    scenario: Scenario,
    topology: Topology,
    variants: Sequence[Variant],
    directory: Path,
    run_value: RunValue,
) -> Sweep:
    """Every value in its turn. What stops one is kept as its error and does not stop the others.
    Raises ValueError for a scenario in which nothing varies."""
    if scenario.vary is None:
        raise ValueError(f"nothing varies in {scenario.name}")
    keep_files(directory, scenario, topology)
    tried = tuple(
        _try(variant, directory / name, run_value)
        for variant, name in zip(variants, value_names(scenario.vary), strict=True)
    )
    return Sweep(scenario.name, str(directory), scenario.vary.setting, tried)


def _try(variant: Variant, directory: Path, run_value: RunValue) -> Tried:
    began, error = time.monotonic(), ""
    results: list[RunResult] = []
    try:
        run_value(variant, directory, results.append)
    except NetemuError as failure:
        error = str(failure)
    seconds = time.monotonic() - began
    return Tried(variant.value, str(directory), tuple(results), seconds, error)
