"""What several commands share: the engine, the lab that is meant, JSON out, a progress bar."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from emulator.controller.lab import Lab, attach, bring_up, lab_names, remove_lab
from emulator.controller.lab import Progress as ProgressCall
from emulator.controller.signals import undisturbed
from emulator.engine.base import Engine
from emulator.engine.build import ensure_images
from emulator.engine.docker import DockerEngine
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.plan.own import builds
from emulator.topology.model import Topology
from emulator.wan.remote import RemoteWan

_STOPPING = "netemu.stopping"

lab_option = click.option("--lab", "name", metavar="LAB", help="Which lab; not needed for one.")
json_option = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")


def quantity(parse: Callable[[str], float]) -> Callable[..., float | None]:
    """A callback for an option that takes a value with a unit."""

    def convert(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
        try:
            return None if value is None else float(parse(value))
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return convert


def console() -> Console:
    """Colours on a terminal, plain 100 columns elsewhere."""
    probe = Console(highlight=False)
    return probe if probe.is_terminal else Console(highlight=False, width=100, no_color=True)


def the_name(engine: Engine, name: str | None) -> str:
    """The lab that was named, or the only one there is."""
    if name:
        return name
    names = lab_names(engine)
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageError("no lab runs here; start one: netemu up topologies/two-region.yaml")
    raise UsageError(f"several labs run here ({', '.join(names)}); name one (--lab NAME)")


def when_stopped(words: str) -> None:
    """What Ctrl-C from now on is answered with, at once: what happens next, what stays."""
    click.get_current_context().meta[_STOPPING] = words


def on_stop() -> str:
    """What the command that runs now wants said when it is stopped; often nothing."""
    context = click.get_current_context(silent=True)
    return "" if context is None else context.meta.get(_STOPPING, "")


class Stopwatch:
    """A progress call that also keeps how long each stage took, in ms, in order."""

    def __init__(self, progress: ProgressCall) -> None:
        self.timings: dict[str, int] = {}
        self._progress = progress
        self._stage = ""
        self._began = time.monotonic()

    def __call__(self, stage: str, done: float | None) -> None:
        if stage != self._stage:
            self.lap(self._stage)
            self._stage = stage
        self._progress(stage, done)

    def lap(self, stage: str) -> None:
        """What went by since the last lap belongs to `stage`; of no stage: to nothing."""
        now = time.monotonic()
        if stage:
            self.timings[stage] = round((now - self._began) * 1000)
        self._began = now


@contextmanager
def attached(name: str | None) -> Iterator[Lab]:
    """The lab that is meant, for the length of one command."""
    engine = DockerEngine()
    lab = attach(the_name(engine, name), engine, RemoteWan)
    try:
        yield lab
    finally:
        lab.wan.close()
        engine.close()


@contextmanager
def own_lab(topology: Topology) -> Iterator[Lab]:
    """A lab for the length of one run, removed however that ends."""
    own = f"{topology.name}-{random.SystemRandom().randrange(16**4):04x}"
    engine = DockerEngine()
    when_stopped("stopping: the lab is removed, what was recorded is kept")
    try:
        with progress_bar() as progress:
            plan = make_plan(topology, own)
            image = ensure_images(builds(plan), progress)
            lab = bring_up(plan, engine, RemoteWan, image, progress)
        yield lab
    finally:
        with undisturbed():
            remove_lab(engine, own)


@contextmanager
def progress_bar() -> Iterator[ProgressCall]:
    """A bar on a terminal; elsewhere one line a stage, so that a CI log can be read."""
    out = Console(stderr=True, highlight=False)
    if not out.is_terminal:
        said: list[str] = []

        def line(stage: str, done: float | None) -> None:
            if stage not in said:
                said.append(stage)
                out.print(f"  … {stage}")

        yield line
        return
    columns = (TextColumn("{task.description:34}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def move(stage: str, done: float | None) -> None:
            bar.update(task, description=stage, completed=done, total=None if done is None else 1.0)

        yield move


def echo_json(data: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(data, indent=2, default=str))
