"""The command line explains itself and ends in the exit codes of the design. No Docker."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from emulator.cli import cli
from emulator.errors import Exit
from tests.cli import Netemu, caller


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")


COMMANDS = dict(_commands(cli))


@pytest.fixture
def call(monkeypatch, capsys) -> Netemu:
    return caller(monkeypatch, capsys)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example(call, name):
    """An example is a line that could be typed."""
    said = call(*name.split(), "--help")
    assert said.code == Exit.PASSED
    assert f"\n  netemu {name}" in said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_fits_a_terminal(call, name):
    """Eighty columns are what a terminal has at least; and no escape codes into a pipe."""
    said = call(*name.split(), "--help")
    assert [line for line in said.out.splitlines() if len(line) > 100] == []
    assert "\x1b" not in said.out


def test_json_is_explained_where_it_is_offered():
    """A flag for scripts says what it writes."""
    offered = {
        name: command.help or ""
        for name, command in COMMANDS.items()
        if any(option.name == "as_json" for option in command.params)
    }
    assert set(offered) == {
        "up",
        "status",
        "kill",
        "path",
        "proxy",
        "report",
        "compare",
        "plan",
        "validate",
        "doctor",
        "dns explain",
        "flap",
        "partition",
        "flows",
    }
    assert [name for name, text in offered.items() if "--json" not in text.split("\b")[-1]] == []


def test_the_help_of_all_names_the_exit_codes(call):
    """What a script must know stands where it is looked for."""
    said = call("--help")
    for code in (0, 1, 2, 3, 4, 130, 143):
        assert str(code) in said.out.partition("Exit codes")[2]


MISTAKES = [
    ("nosuch",),
    ("up",),
    ("up", "a.yaml", "b.yaml"),
    ("plan", "--bad", "x"),
    ("run", "--seed", "x", "y"),
    ("validate",),
    ("kill", "us-east", "--loss", "lots"),
    ("kill", "us-east", "--how", "magic"),
    ("kill", "us-east", "--how", "force"),
    ("kill", "us-east", "--delay", "3s"),
    ("kill", "us-east", "--how", "drain", "--from", "paris"),
    ("pcap", "us-east", "--seconds", "-1"),
    ("pcap", "us-east", "--snap", "1"),
    ("pcap", "us-east", "paris"),
    ("flows", "us-east", "paris"),
    ("traffic", "start", "--rate", "bla"),
    ("traffic", "start", "--rate", "0/s"),
    ("traffic", "start", "--rate", "100000/s"),
    ("heal",),
    ("heal", "us-east", "--all"),
    ("down", "one", "--all"),
    ("dns", "force", "us-east"),
    ("dns", "force", "us-east", "sideways"),
    ("dns", "force", "us-east", "down", "--for", "10"),
    ("dns", "force", "us-east", "down", "--for", "0s"),
    ("dns", "force", "us-east", "down", "--for", "800h"),
    ("dns", "force", "us-east", "auto", "--for", "10s"),
    ("dns", "explain", "www.shop.test"),
    ("dns", "top", "--interval", "1ms"),
    ("dns", "metrics"),
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistaken_command_line_is_a_usage_error(call, monkeypatch, words):
    """Also click's own errors end in 2, say what is wrong, and ask no engine first."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    said = call(*words)
    assert said.code == Exit.USAGE
    assert said.err.strip() and "engine" not in said.err and "Traceback" not in said.err


def test_a_mistyped_command_is_answered_with_the_nearest(call):
    """A person errs by a letter."""
    assert "kill" in call("kil").err


def test_an_error_of_our_own_is_never_mistaken_for_a_missed_objective(call, monkeypatch):
    """A bug ends in 4, with its traceback for the report."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("emulator.cli.files.topology_schema", broken)
    said = call("schema")
    assert said.code == Exit.ENVIRONMENT
    assert "a bug" in said.err and "report it" in said.err
