"""What kill, partition and flap have in common: break, follow, say how to undo it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import click

from emulator.analysis.recovery import measure
from emulator.cli.common import console, echo_json, when_stopped
from emulator.controller.follow import follow_fault
from emulator.controller.inject import find_active, inject, resolve
from emulator.controller.lab import Lab
from emulator.report.json import report_json
from emulator.report.live import Narrator
from emulator.report.terminal import render_report

detach_option = click.option("--detach", "is_detached", is_flag=True, help="Return at once.")


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault, as it was asked for on the command line."""

    command: str  # as the report calls it
    how: str
    target: tuple[str, ...]
    peers: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    announcement: str = ""  # said before anything is broken


def strike(lab: Lab, blow: Blow, *, is_detached: bool, as_json: bool) -> None:
    """Break it and follow what happens, unless it is broken so already."""
    target = " ".join(blow.target)
    wanted = resolve(lab, blow.target, blow.how, blow.peers, blow.settings)
    undo = f"undo it: netemu heal {target} --lab {lab.name}"

    def break_it() -> str:
        broken = inject(lab, blow.target, blow.how, blow.peers, blow.settings).id
        when_stopped(f"following ends here, {blow.how} on {target} stays; {undo}")
        return broken

    if find_active(lab, wanted):
        click.echo(f"{blow.how} on {target} is active already; {undo}", err=as_json)
        return
    if blow.announcement:
        click.echo(blow.announcement, err=as_json)
    if is_detached:
        break_it()
        click.echo(f"{blow.how} on {target} is active; {undo}", err=as_json)
    else:
        _follow(lab, break_it, blow.command, as_json=as_json)


def _follow(lab: Lab, break_it: Callable[[], str], command: str, *, as_json: bool) -> None:
    when_stopped("stopped before anything was broken")
    out = console()
    narrator = Narrator(out, lab.plan, quiet=as_json)
    history = follow_fault(lab, break_it, narrator.feed, command)
    if as_json:
        echo_json(report_json(measure(history), history))
    else:
        out.print()
        render_report(measure(history), history, out)
