"""exec, shell, logs: look inside one host."""

from __future__ import annotations

import sys
import time

import click

from emulator.cli.common import attached, lab_option
from emulator.controller.inject import host_named
from emulator.controller.lab import WAN, Lab
from emulator.engine.interactive import run_program, running_container
from emulator.errors import UsageError


def _is_terminal() -> bool:
    """Both ends: with one of them in a pipe, a far terminal would only garble the bytes."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stdout.isatty())


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@lab_option
def exec_(host: str, command: tuple[str, ...], name: str | None) -> int:
    """Run COMMAND in a host's container; its exit code is ours. A city means its client.

    \b
    netemu exec paris -- curl -s http://www.shop.test/
    netemu exec us-east/edge -- ip route
    echo hello | netemu exec paris -- cat
    """
    with attached(name) as lab:
        return run_program(lab.name, host_named(lab, host), command, tty=_is_terminal())


@click.command()
@click.argument("host")
@lab_option
def shell(host: str, name: str | None) -> int:
    """A shell in a host's container.

    \b
    netemu shell us-east/edge
    """
    with attached(name) as lab:
        return run_program(lab.name, host_named(lab, host), ("bash",), tty=_is_terminal())


@click.command()
@click.argument("host")
@click.argument("daemon", required=False)
@click.option("-f", "--follow", "is_following", is_flag=True, help="Go on as it grows.")
@lab_option
def logs(host: str, daemon: str | None, is_following: bool, name: str | None) -> None:  # noqa: FBT001
    """What a host's daemons wrote: all of them, or one.

    \b
    netemu logs us-east/edge haproxy
    netemu logs paris/access -f
    """
    with attached(name) as lab:
        if host == WAN:
            raise UsageError(f"the WAN has no daemons; see: docker logs {lab.name}-{WAN}")
        spec = lab.spec(host_named(lab, host))
        running_container(lab.name, spec.name)
        names = [d.name for d in spec.daemons]
        if daemon and daemon not in names:
            raise UsageError(f"{spec.name} runs no {daemon}; it runs {', '.join(names)}")
        shown: dict[str, str] = {}
        while True:
            for each in [daemon] if daemon else names:
                _show_new(lab, spec.name, each, shown, labelled=not daemon)
            if not is_following:
                return
            time.sleep(0.5)


def _show_new(lab: Lab, host: str, daemon: str, shown: dict[str, str], *, labelled: bool) -> None:
    """Whole lines only: a line that is being written comes with the next look."""
    text = lab.wan.host(host, "logs", daemon=daemon, bytes=200_000).get("text", "")
    text = text[: text.rfind("\n") + 1]
    before = shown.get(daemon, "")
    new = text[len(before) :] if text.startswith(before) else text
    shown[daemon] = text
    for line in new.splitlines():
        click.echo(f"{daemon}: {line}" if labelled else line)
