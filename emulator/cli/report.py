"""report: a finished run, or many of one scenario, looked at again."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult
from emulator.analysis.timeline import History, read_history
from emulator.analysis.verdict import verdicts
from emulator.cli.common import console, json_option
from emulator.cli.outputs import Finished, Outputs, exit_of, report_text, show
from emulator.errors import UsageError

_file = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_file)
@json_option
@click.option("--html", "page", metavar="FILE", type=_file, help="A page with charts.")
@click.option("--junit", "junit", metavar="FILE", type=_file, help="Verdicts for CI systems.")
def report(run: Path, as_json: bool, page: Path | None, junit: Path | None) -> int:  # noqa: FBT001
    """Analyse and show a finished RUN directory again. Needs no Docker, on any machine.

    RUN may also be the directory of many runs of one scenario. The exit code is that of the run:
    0 passed, 1 an objective was missed, 3 inconclusive.

    \b
    netemu report runs/region-loss/2026-01-31T12-00-00
    netemu report runs/region-loss/2026-01-31T12-00-00 --json
    netemu report runs/region-loss/2026-01-31T12-00-00 --html report.html

    --html: one file to look at, to print, to pass on; it needs no network.
    --json: the same as `netemu run --json` writes; emulator/report/json.py documents it.
    """
    outputs = Outputs(html=page, junit=junit)
    outputs.check(1)
    finished = _read(run)
    outputs.write(finished)
    outputs.write_junit([finished])
    click.echo(report_text(finished)) if as_json else show(finished, console())
    return exit_of(finished)


def _read(run: Path) -> Finished:
    """A run's directory or its history; or a directory that holds run-01, run-02 ..."""
    many = sorted(run.glob("run-[0-9]*")) if run.is_dir() else []
    if many:
        results = [_judged(history_of(one), one) for one in many]
        return Finished(run.name, run, tuple(results), 0.0)
    history = history_of(run)
    gc.freeze()  # a million requests are no garbage: to look for some takes 0.3 s, again and again
    return Finished(run.name, run, (_judged(history, run),), 0.0, history)


def _judged(history: History, directory: Path) -> RunResult:
    measured = measure(history)
    return RunResult(str(directory), history.run, measured, verdicts(measured, history))


def history_of(run: Path) -> History:
    """The history of a run's directory, or of the file itself. Raises UsageError."""
    path = run / "history.jsonl" if run.is_dir() else run
    if not path.exists():
        raise UsageError(f"{run} holds no history.jsonl; give the directory of a run, as in runs/")
    try:
        history = read_history(path)
    except ValueError as error:
        raise UsageError(f"{error}; the history is damaged, or this is another file") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if history.run is None and history.first_ns is None:
        raise UsageError(f"{path} holds no event; the run ended before it began")
    return history
