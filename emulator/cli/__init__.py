"""The command line: words in, one call down, words out. Exit codes are those of the design."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from emulator.cli.files import doctor, image, plan, report, schema, validate
from emulator.cli.hosts import exec_, logs, pcap, shell
from emulator.cli.labs import down, status, up
from emulator.cli.live import heal, kill, traffic, watch
from emulator.cli.run import run
from emulator.errors import Exit, NetemuError


class Terminated(BaseException):
    """SIGTERM: clean up as after Ctrl-C, then say so in the exit code."""


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
    """


for command in (up, status, watch, traffic, kill, heal, down, run, report, plan, validate, schema,
                doctor, image, exec_, shell, logs, pcap):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Entry point of `netemu`."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(_run())


def _run() -> int:
    try:
        outcome = cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except NetemuError as error:
        return _say(f"netemu: {error}", error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", Exit.INTERRUPTED)
    except Terminated:
        return _say("terminated", Exit.TERMINATED)
    return outcome if isinstance(outcome, int) else Exit.PASSED


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.stderr.isatty():
        click.echo("\nstopping, cleaning up …", err=True)
