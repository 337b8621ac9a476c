"""path: what the WAN is like now, and values that are set while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from emulator.cli.common import attached, console, echo_json, json_option
from emulator.controller.paths import change_paths, clear_paths, look_at_paths
from emulator.errors import UsageError
from emulator.impairment import Trace
from emulator.pathentries import trace_of
from emulator.pathvalues import READ, Values, told_trace
from emulator.report.paths import render_changed, render_paths
from emulator.scalars import duration

_HELP = {
    "rtt": "Round trip; each direction gets half of it. Not for one direction.",
    "one_way": "Delay of each direction, 40ms.",
    "jitter": "Delay varies within +- this, 2ms; or '2ms normal', '2ms pareto'.",
    "reorder": "Part that overtakes those that wait, 1%.",
    "loss": "Part that is lost, 2%; in bursts of 8 segments: '2% burst 8'.",
    "duplicate": "Part that arrives twice, 0.1%.",
    "corrupt": "Part that arrives with one bit flipped, 0.01%.",
    "rate": "Bits a second, 10mbit.",
    "queue": "Longest wait for the rate, or bytes that wait: 50ms, 64kB.",
    "aqm": "codel: drops early what would wait for long.",
    "mtu": "Most bytes of an IP packet, 1400.",
}
Command = Callable[..., Any]


def _value_options(command: Command) -> Command:
    for word, said in reversed(_HELP.items()):
        name = f"--{word.replace('_', '-')}"
        command = click.option(name, word, metavar="VALUE", help=said)(command)
    return command


@click.command("path")
@click.argument("name", required=False, metavar="[PATH]")
@_value_options
@click.option("--trace", metavar="STEPS|FILE",
              help="How values change in time: '0s 40ms, 10s 200ms', or a table.")  # fmt: skip
@click.option("--repeat", metavar="TIME", help="The trace begins again so long after its start.")
@click.option("--clear", "is_clearing", is_flag=True,
              help="As the topology file says again; without PATH: every path.")  # fmt: skip
@click.option("--lab", "lab_name", metavar="LAB", help="Which lab; not needed for one.")
@json_option
def path_(
    name: str | None,
    trace: str | None,
    repeat: str | None,
    is_clearing: bool,  # noqa: FBT001
    lab_name: str | None,
    as_json: bool,  # noqa: FBT001
    **words: str | None,
) -> None:
    """Show what paths are like, or change them while the lab runs.

    PATH is us-east..paris (both directions), 'us-east->paris' (one, in quotes), or a site: all of
    its paths. Only what is named changes, at once; what is on its way arrives. `none` switches a
    value off. What a fault does comes on top.

    \b
    netemu path
    netemu path us-east..paris
    netemu path us-east..paris --rtt 200ms --loss 2%
    netemu path 'us-east->paris' --rate 5mbit --queue 64kB --aqm codel
    netemu path us-east..paris --trace '0s 40ms, 10s 200ms, 20s 40ms' --repeat 30s
    netemu path us-east..paris --clear
    netemu path --clear

    `measured` is the least one-way delay of five probes, now; packets and drops are counted since
    the lab is up, dropped ones included in packets. --json: a list of paths with set, now and file
    (values in ns, shares, bit/s), changed, plays, faults, measured_ms, packets, bytes, drops by
    cause, corrupted, duplicated, reordered, queue_ms; of a change: path, was, now.
    """
    values = _values({word: text for word, text in words.items() if text is not None}, name)
    played = _trace(trace, repeat, name)
    if values or played is not None:
        if is_clearing:
            raise UsageError("--clear ends changes; change values in a command of its own")
        if not name:
            raise UsageError("say which path to change: netemu path us-east..paris --loss 2%")
        _change(name, values, played, lab_name, as_json=as_json)
    elif is_clearing:
        with attached(lab_name) as lab:
            changed = [asdict(path) for path in clear_paths(lab, name)]
        if changed or as_json:
            echo_json(changed) if as_json else render_changed(changed, console())
        else:
            click.echo("nothing was changed there by hand")
    else:
        with attached(lab_name) as lab:
            rows = look_at_paths(lab, name)
        echo_json(rows) if as_json else render_paths(rows, console())


def _change(
    name: str, values: Values, trace: Trace | None, lab_name: str | None, *, as_json: bool
) -> None:
    with attached(lab_name) as lab:
        changed = [asdict(path) for path in change_paths(lab, name, values, trace)]
    if as_json:
        echo_json(changed)
        return
    render_changed(changed, console())
    if trace is not None:
        click.echo(f"{told_trace(trace)} plays from now on")
    quoted = f"'{name}'" if "->" in name else name
    which = f" --lab {lab_name}" if lab_name else ""
    click.echo(f"as the file says again: netemu path {quoted} --clear{which}")


def _values(words: dict[str, str], name: str | None) -> Values:
    if "rtt" in words and "one_way" in words:
        raise UsageError("--rtt and --one-way speak of the same delay; keep one of them")
    if "rtt" in words and "->" in str(name):
        both = str(name).replace("->", "..")
        raise UsageError(f"--rtt speaks of a pair; write --one-way, or {both}")
    values: Values = {}
    for word, text in words.items():
        try:
            values |= READ[word](text)
        except ValueError as error:
            raise UsageError(f"--{word.replace('_', '-')}: {error}") from error
    return values


def _trace(text: str | None, repeat: str | None, name: str | None) -> Trace | None:
    if text is None:
        if repeat is not None:
            raise UsageError("--repeat is of a trace; write --trace '0s 40ms, 10s 200ms' too")
        return None
    try:
        repeat_s = None if repeat is None else duration("1ms", "24h")(repeat)
        return trace_of(text, repeat_s, is_pair="->" not in str(name))
    except ValueError as error:
        raise UsageError(f"--trace: {error}") from error
