"""pcap: the packets of the WAN, or of one host's port on its LAN."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from emulator.analysis.words import amount, plural
from emulator.cli.common import attached, lab_option
from emulator.cli.where import chosen
from emulator.controller.lab import WAN, Lab
from emulator.engine.base import Stream
from emulator.errors import EngineError, Exit, UsageError, WanError

_TAP = ("python3", "-m", "emulator.node.wan.tap")
_SNAP_MAX = 262_144  # all of any frame
_DAY_S = 86_400
_COULD_NOT = "cannot capture"  # how the program says so


@click.command()
@click.argument("where", required=False, metavar="[PATH|SITE|HOST]")
@click.option("-w", "file", metavar="FILE", help="Write pcapng here; - is stdout.")
@click.option("--text", is_flag=True, help="Lines, though stdout is no terminal.")
@click.option("--seconds", type=click.FloatRange(min=0.1, max=_DAY_S), help="End after these.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many packets.")
@click.option("--snap", type=click.IntRange(min=14, max=_SNAP_MAX), default=_SNAP_MAX,
              metavar="BYTES", help="Keep this much of each packet; without: all.")  # fmt: skip
@click.option("--dropped", is_flag=True, help="Only what the WAN dropped.")
@click.option("--delays", is_flag=True, help="Say of each packet when it arrives.")
@lab_option
def pcap(
    where: str | None,
    file: str | None,
    text: bool,  # noqa: FBT001
    name: str | None,
    **wishes: Any,
) -> int:
    """Packets as they enter the WAN, and which of them it drops. Ctrl-C ends it.

    \b
    us-east..paris      a PATH, both directions
    'us-east->paris'    a PATH, one direction; quoted, since > is the shell's
    us-east             a SITE: every path from and to it; without a word: all paths
    us-east/www-1       a HOST: its port on the site's LAN, which is no part of the WAN, by tcpdump

    On a terminal it prints a line a packet; to a pipe or with -w it writes pcapng for Wireshark
    and tcpdump, where each path is an interface and a dropped packet has a comment: dropped: loss,
    cut, queue, overload or mtu.

    \b
    netemu pcap us-east
    netemu pcap us-east..paris -w here.pcapng --seconds 30
    netemu pcap --dropped
    netemu pcap us-east | wireshark -k -i -

    Times are those of entering the WAN, at the sender's site. Frozen and dead hosts do not
    matter: the WAN sees their packets, or none. What the kernel hands over as one frame of up to
    64 KB is shown as the segments of a real wire, with their checksums; if that becomes too slow,
    such frames are written whole and the summary on stderr says how many.
    """
    with attached(name) as lab:
        is_text = text or (file is None and sys.stdout.isatty())
        argv = _argv(lab, where, wishes, is_text=is_text)
        stream = lab.engine.stream(lab.name, WAN, argv)
        with contextlib.closing(stream), _ending(stream) as was_terminated:
            size = _save(stream, file, lab)
        told = stream.stderr()
        if told:  # else the reader left, and we with it
            click.echo(_summary(told, file, size), err=True)
        return Exit.TERMINATED if was_terminated() else Exit.PASSED


def _argv(lab: Lab, where: str | None, wishes: dict[str, Any], *, is_text: bool) -> tuple[str, ...]:
    """The program in the WAN container. Raises UsageError for a place that is not there."""
    flags = ("dropped", "delays")
    options = [f"--{key}={value}" for key, value in wishes.items() if value and key not in flags]
    options += [f"--{key}" for key in flags if wishes[key]]
    options += ["--text"] if is_text else []
    if where is not None and (port := _lan_port(lab, where)):
        if wishes["dropped"] or wishes["delays"]:
            raise UsageError(
                "--dropped, --delays: there a kernel carries the frames, and tells none"
            )
        return (*_TAP, f"--port={port}", *options)
    if lab.plan.topology.driver == "netem":
        raise UsageError(
            "under `wan: {driver: netem}` name a site or a host: paths have no capture"
        )
    paths, site = chosen(lab.plan, where)
    numbers = {s.name: s.number for s in lab.plan.sites}
    pairs = ",".join(f"{numbers[source]}-{numbers[target]}" for source, target in paths)
    sites = json.dumps({number: name for name, number in numbers.items()})
    options += [f"--site={numbers[site]}"] if site else []
    return (*_TAP, f"--lab={lab.name}", f"--sites={sites}", f"--paths={pairs}", *options)


def _lan_port(lab: Lab, where: str) -> str:
    """The WAN's end of a host's link to its LAN; empty for a word that is not such a host. Under
    netem, where no wire of ours sees the frames, also a site's."""
    numbers = {site.name: site.number for site in lab.plan.sites}
    if lab.plan.topology.driver == "netem" and where in numbers:
        return f"w{numbers[where]}"
    if where in numbers:
        return ""
    ports = (i.port for h in lab.plan.hosts if h.name == where for i in h.interfaces
             if i.name == "lan0")  # fmt: skip
    return next(ports, "")


@contextmanager
def _ending(stream: Stream) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C or SIGTERM asks the program to end: what it saw still comes. A second one
    is as everywhere. Yields whether it was SIGTERM."""
    came: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        came.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)
        with contextlib.suppress(EngineError):  # it has ended by itself
            stream.write(b"end\n")

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: signal.SIGTERM in came
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _save(stream: Stream, file: str | None, lab: Lab) -> int:
    """Everything to the file or to stdout; how many bytes. A reader that leaves ends it."""
    if file in {None, "-"}:
        with contextlib.suppress(BrokenPipeError):
            return _copy(stream, _write_out, lab)
        return 0
    try:
        with Path(str(file)).open("wb", buffering=0) as out:
            return _copy(stream, out.write, lab)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error


def _copy(stream: Stream, write: Callable[[bytes], object], lab: Lab) -> int:
    size = 0
    try:
        while chunk := stream.read(1 << 16):
            write(chunk)
            size += len(chunk)
    except EngineError as error:
        if _COULD_NOT in stream.stderr():
            raise WanError(f"{stream.stderr().strip()} (lab {lab.name})") from error
        raise
    return size


def _write_out(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


def _summary(told: str, file: str | None, size: int) -> str:
    """How many packets, what was dropped, and what is missing."""
    last = told.strip().rpartition("\n")[2]
    where = f"{file}: {amount(size)}, " if file not in {None, "-"} else ""
    try:
        counts = json.loads(last)
    except ValueError:  # a LAN's: tcpdump's own words
        return f"{where}{told.strip()}"
    lines = [f"{where}{plural(counts['packets'], 'packet')}"]
    if dropped := counts["dropped"]:
        causes = ", ".join(f"{count} by {cause}" for cause, count in sorted(dropped.items()))
        lines[0] += f"; dropped on the WAN: {causes}"
    if counts["whole"]:
        lines.append(f"{plural(counts['whole'], 'frame')} of many segments were written whole")
    if counts["lost"]:
        lines.append(
            f"{plural(counts['lost'], 'frame')} came faster than they could be written and are"
            " missing; name fewer paths, or keep less of each: --snap 128"
        )
    return "\n".join(lines)
