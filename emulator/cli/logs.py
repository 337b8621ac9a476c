"""logs: what daemons wrote."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

import click

from emulator.cli.common import attached, lab_option
from emulator.controller.inject import sites_and_hosts
from emulator.controller.lab import WAN, Lab
from emulator.controller.logs import LogReader, Source, Written
from emulator.engine.interactive import running_container
from emulator.errors import UsageError
from emulator.plan.model import HostSpec
from emulator.plan.own import IMAGE

_PAUSE_S = 0.5


@click.command()
@click.argument("words", nargs=-1, metavar="[HOST [DAEMON]...]...")
@click.option("-f", "--follow", "is_following", is_flag=True, help="Go on as it grows.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Begin with so many of each.")
@lab_option
def logs(
    words: tuple[str, ...],
    is_following: bool,  # noqa: FBT001
    lines: int | None,
    name: str | None,
) -> None:
    """What daemons wrote: those of every HOST that is named, or of its DAEMONs alone. A site means
    all of its hosts; without a word: everything in the lab. `image` is a container of your own.

    \b
    netemu logs us-east/edge haproxy
    netemu logs paris ns1 -f
    netemu logs us-east/api-1 image
    netemu logs -f -n 0

    Lines of several daemons begin with who wrote them.
    """
    with attached(name) as lab:
        sources = named_sources(lab, words)
        hosts = {source.host for source in sources}
        if len(hosts) == 1:
            running_container(lab.name, *hosts)
        reader = LogReader(lab, sources)
        for written in _last(list(reader.new()), lines):
            _show(written, sources)
        while is_following:
            time.sleep(_PAUSE_S)
            for written in reader.new():
                _show(written, sources)


def named_sources(lab: Lab, words: Sequence[str]) -> list[Source]:
    """Every word is a site or a host, or else a daemon of what was named before it. Raises
    UsageError for one that is neither."""
    places = {site.name for site in lab.plan.sites} | {host.name for host in lab.plan.hosts}
    runs = {host.name: [*(d.name for d in host.daemons), *_own(host)] for host in lab.plan.hosts}
    groups: list[tuple[list[str], list[str]]] = []  # hosts, and daemons if not all are meant
    for word in words:
        if word == WAN:
            raise UsageError(f"the WAN has no daemons; see: docker logs {lab.name}-{WAN}")
        if word in places or not groups:
            groups.append((_hosts(lab, word), []))
            continue
        hosts, daemons = groups[-1]
        known = dict.fromkeys(daemon for host in hosts for daemon in runs[host])
        if word not in known:
            raise UsageError(
                f"{word} is no host, and no daemon of {' and '.join(hosts)}, which runs"
                f" {', '.join(known)}"
            )
        daemons.append(word)
    named = {
        Source(host, daemon): None
        for hosts, daemons in groups or [(list(runs), [])]
        for host in hosts
        for daemon in runs[host]
        if daemon in daemons or not daemons
    }
    return list(named)


def _own(host: HostSpec) -> list[str]:
    return [] if host.own is None else [IMAGE]


def _hosts(lab: Lab, word: str) -> list[str]:
    sites_and_hosts(lab, word)  # raises, with a suggestion
    return [host.name for host in lab.plan.hosts if word in {host.name, host.site}]


def _last(written: list[Written], lines: int | None) -> list[Written]:
    """The last lines of each source."""
    if lines is None:
        return written
    groups = [list(group) for _, group in groupby(written, lambda one: one.source)]
    return [one for group in groups for one in (group[-lines:] if lines else [])]


def _show(written: Written, sources: Sequence[Source]) -> None:
    host, daemon = written.source
    if not daemon:
        click.echo(f"{host}: {written.line}", err=True)
    elif len(sources) == 1:
        click.echo(written.line)
    elif len({source.host for source in sources}) == 1:
        click.echo(f"{daemon}: {written.line}")
    else:
        click.echo(f"{host} {daemon}: {written.line}")
