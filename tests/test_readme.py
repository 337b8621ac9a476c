"""README.md promises nothing that is not there. The commands that need a lab: tests/docker."""

from __future__ import annotations

import re

import pytest

from emulator.cli import cli
from emulator.errors import Exit
from emulator.scenario.model import FAULT_KINDS
from tests.cli import ROOT, caller
from tests.readme import README, blocks, commands


def test_every_command_of_a_code_block_is_one_that_tests_run():
    """Two programs, and no third that nobody tries."""
    assert {words[0] for words in commands()} == {"make", "netemu"}


def test_every_make_line_names_a_target():
    """With the words by which `make help` lists it."""
    makefile = (ROOT / "Makefile").read_text()
    for words in commands():
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:.*## ", makefile, re.MULTILINE), words


def test_every_netemu_command_that_is_named_exists():
    """In code blocks and in running text."""
    named = set(re.findall(r"`?netemu ([a-z]+)", " ".join(re.findall(r"`[^`]+`", README))))
    named |= {words[1] for words in commands() if words[0] == "netemu"}
    assert named <= set(cli.commands) | {"image"}
    changelog = README.partition("## Changelog")[2]
    assert {name for name in cli.commands if f"`{name}" not in changelog} <= {"up"}


def test_the_files_that_are_shown_are_good_files(tmp_path, monkeypatch, capsys):
    """Copied from the page the topology can be planned, and the scenario fits it."""
    topology, scenario = blocks("yaml")
    (tmp_path / "two-region.yaml").write_text(topology)
    (tmp_path / "shown.yaml").write_text(scenario)
    netemu = caller(monkeypatch, capsys)
    said = netemu("plan", tmp_path / "two-region.yaml")
    assert (said.code, "two-region" in said.out) == (Exit.PASSED, True)
    assert netemu("validate", tmp_path / "shown.yaml").code == Exit.PASSED


def test_every_fault_has_its_row():
    """No fault that is not explained, none explained that is not there."""
    table = README.partition("## What can break")[2].partition("##")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(FAULT_KINDS)


@pytest.mark.parametrize("code", [int(code) for code in Exit])
def test_every_exit_code_is_named(code):
    """Scripts are written from this page."""
    sentence = README.partition("Exit codes: ")[2].partition("\n")[0]
    assert re.search(rf"\b{code}\b", sentence)
