"""exec, shell: programs inside one host."""

from __future__ import annotations

import sys

import click

from emulator.cli.common import attached, lab_option
from emulator.controller.inject import host_named
from emulator.engine.interactive import run_program


def _is_terminal() -> bool:
    """Both ends: with one of them in a pipe, a far terminal would only garble the bytes."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stdout.isatty())


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@lab_option
def exec_(host: str, command: tuple[str, ...], name: str | None) -> int:
    """Run COMMAND in a host's container; its exit code is ours. A city means its client, HOST:image
    the container of your own there.

    \b
    netemu exec paris -- curl -s http://www.shop.test/
    netemu exec us-east/edge -- ip route
    netemu exec us-east/api-1:image -- env
    echo hello | netemu exec paris -- cat
    """
    with attached(name) as lab:
        return run_program(lab.name, host_named(lab, host), command, tty=_is_terminal())


@click.command()
@click.argument("host")
@lab_option
def shell(host: str, name: str | None) -> int:
    """A shell in a host's container. Your own container's, HOST:image, is its sh.

    \b
    netemu shell us-east/edge
    """
    with attached(name) as lab:
        where = host_named(lab, host)
        program = "sh" if ":" in where else "bash"
        return run_program(lab.name, where, (program,), tty=_is_terminal())
