"""`python -m benchmarks [NAME...]`: all of them, or those that are named."""

from __future__ import annotations

import sys
from types import ModuleType

import click
from rich.console import Console

from benchmarks import (
    delay,
    dns,
    history,
    killed,
    memory,
    own,
    proxy,
    recovery,
    repeatable,
    schedule,
    soak,
    up,
    wan,
)
from benchmarks.table import machine, render
from emulator.errors import Exit, NetemuError

MODULES = (up, delay, memory, schedule, recovery, repeatable, proxy, own, history, dns, wan,
           killed, soak)  # fmt: skip
BENCHMARKS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module for module in MODULES
}
# Only when named: two need programs that nothing else does, three take some ten minutes.
LONG = ("dns", "wan", "killed", "soak")
EPILOG = "\b\n" + "\n".join(
    f"{name:10} {(module.__doc__ or '').splitlines()[0]}" for name, module in BENCHMARKS.items()
)


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(list(BENCHMARKS)))
def main(names: tuple[str, ...]) -> None:
    """Measure the bounds that netemu promises on this machine; exit 1 when one is not kept.

    Each makes what it needs, mostly labs, and removes it. Let nothing else run meanwhile.
    """
    out = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    out.print(machine())
    lines = []
    for name in names or [name for name in BENCHMARKS if name not in LONG]:
        out.print(f"{name} …", style="dim")
        found = BENCHMARKS[name].measure(lambda text: out.print(f"  {text}"))
        lines += found
    render(lines, out)
    sys.exit(Exit.PASSED if all(line.kept for line in lines) else Exit.MISSED)


if __name__ == "__main__":
    try:
        main()
    except NetemuError as error:
        click.echo(f"benchmarks: {error}", err=True)
        sys.exit(error.exit_code)
