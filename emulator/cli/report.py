"""report: a finished run, or many of one scenario, looked at again."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult
from emulator.analysis.sweep import Sweep, Tried
from emulator.analysis.timeline import History, read_history
from emulator.analysis.verdict import verdicts
from emulator.cli.common import console, json_option
from emulator.cli.outputs import Done, Finished, Outputs, exit_of, report_text, show
from emulator.controller.sweep import value_names, vary_in
from emulator.errors import UsageError
from emulator.scenario.model import Vary

_file = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=_file)
@json_option
@click.option("--html", "page", metavar="FILE", type=_file, help="A page with charts.")
@click.option("--junit", "junit", metavar="FILE", type=_file, help="Verdicts for CI systems.")
def report(run: Path, as_json: bool, page: Path | None, junit: Path | None) -> int:  # noqa: FBT001
    """Analyse and show a finished RUN directory again. Needs no Docker, on any machine.

    RUN may also be the directory of many runs of one scenario, or of all values of what varies in
    it. The exit code is that of the run: 0 passed, 1 an objective was missed, 3 inconclusive.

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
    if not as_json:
        outputs.say_pages(finished, console())
    return exit_of(finished)


def _read(run: Path) -> Done:
    """A run's directory or its history; a directory that holds run-01, run-02 ...; a sweep's."""
    if runs := _runs_in(run):
        return Finished(run.name, run, runs, 0.0)
    if vary := vary_in(run):
        return _sweep(run, vary)
    history = history_of(run)
    gc.freeze()  # a million requests are no garbage: to look for some takes 0.3 s, again and again
    return Finished(run.name, run, (_judged(history, run),), 0.0, history)


def _sweep(run: Path, vary: Vary) -> Sweep:
    tried = []
    for value, name in zip(vary.values, value_names(vary), strict=True):
        results = _runs_in(run / name)
        error = "" if results else "it has no run"
        tried.append(Tried(value, str(run / name), results, error=error))
    return Sweep(run.parent.name, str(run), vary.setting, tuple(tried))


def _runs_in(directory: Path) -> tuple[RunResult, ...]:
    many = sorted(directory.glob("run-[0-9]*")) if directory.is_dir() else []
    return tuple(_judged(history_of(one), one) for one in many)


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
