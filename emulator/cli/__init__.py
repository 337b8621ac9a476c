"""The command line: words in, one call down, words out. Exit codes are those of the design."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

import click

from emulator.cli.ca import ca
from emulator.cli.common import on_stop
from emulator.cli.cuts import flap, partition
from emulator.cli.dns import dns
from emulator.cli.files import doctor, image, plan, schema, validate
from emulator.cli.flows import flows
from emulator.cli.hosts import exec_, shell
from emulator.cli.init import init
from emulator.cli.labs import down, status, up
from emulator.cli.live import heal, kill, traffic, watch
from emulator.cli.logs import logs
from emulator.cli.look import compare, graph
from emulator.cli.paths import path_
from emulator.cli.pcap import pcap
from emulator.cli.proxy import proxy_
from emulator.cli.report import report
from emulator.cli.run import run
from emulator.errors import Exit, NetemuError

PIPE_CLOSED = 128 + signal.SIGPIPE  # what a shell reports of any program that its reader left


class Terminated(BaseException):
    """SIGTERM, or the terminal was closed: clean up as after Ctrl-C, then say so in the code."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="netemu-lab", prog_name="netemu")
def cli() -> None:
    """A true small model of a multi-region service, and what a failover does to it.

    \b
    netemu up topologies/two-region.yaml    bring the world up, with light traffic
    netemu kill us-east                     take a region's power; watch what happens
    netemu heal us-east                     give it back
    netemu down                             remove everything
    netemu run topologies/scenarios/region-loss.yaml    all of that, measured and reported

    \b
    Exit codes: 0 passed; 1 an objective was missed; 2 usage or file error; 3 inconclusive;
    4 environment or internal error; 130 and 143 interrupted, after clean-up.
    """


for command in (up, status, watch, traffic, path_, kill, partition, flap, heal, down, run, report,
                compare, init, plan, graph, validate, schema, doctor, image, exec_, shell, proxy_,
                ca, logs, pcap, flows, dns):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Entry point of `netemu`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants us to go on
            signal.signal(number, _terminate)
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(_guarded())


def _guarded() -> int:
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        return _say(f"netemu: cannot write the output: {error}", Exit.ENVIRONMENT)
    except Exception:  # noqa: BLE001 - an error of our own is told as one, with its own exit code
        traceback.print_exc()
        return _say("netemu: this is an error in netemu itself, please report it", Exit.ENVIRONMENT)
    return code


def _run() -> int:
    try:
        return _invoke()
    except NetemuError as error:
        return _say(_told(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", Exit.INTERRUPTED)
    except Terminated:
        return _say("terminated", Exit.TERMINATED)


def _invoke() -> int:
    """The command's exit code; click's own use of 1, for a mistaken command line, becomes 2."""
    try:
        outcome = cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except SystemExit as leave:
        # How click and rich end on a reader that has gone, as with `netemu plan FILE | head -1`.
        return _pipe_closed() if leave.code == 1 else int(leave.code or 0)
    return outcome if isinstance(outcome, int) else Exit.PASSED


def _told(error: NetemuError) -> str:
    """The message, and whatever went wrong besides; a file's problems speak for themselves."""
    lines = [str(error), *getattr(error, "__notes__", ())]
    return "\n".join(lines) if hasattr(error, "problems") else f"netemu: {'; '.join(lines)}"


def _pipe_closed() -> int:
    """Quiet, also when Python flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _say(text: str, code: Exit) -> int:
    click.echo(text, err=True)
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    _finish_cleaning()
    raise KeyboardInterrupt


def _terminate(number: int, frame: FrameType | None) -> None:
    _finish_cleaning()
    raise Terminated


def _finish_cleaning() -> None:
    """A second signal must not stop the clean-up that the first one began."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    words = on_stop()
    new_line = "\n" if sys.stderr.isatty() else ""  # after the terminal's own ^C
    click.echo(f"{new_line}{words}" if words else new_line, err=True, nl=bool(words))
