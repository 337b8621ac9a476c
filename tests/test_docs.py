"""The CI files that we hand out fit the program and what their systems ask of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from emulator.cli.run import run
from tests.cli import ROOT
from tests.page import Write, steps

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "docs" / "gitlab-ci.yml").read_text())
PAGES = sorted((ROOT / "docs").glob("*.md"))


def options_of(script: str) -> set[str]:
    """The long options of every `netemu run` in a shell script."""
    joined = script.replace("\\\n", " ")
    words = [line for line in joined.splitlines() if re.search(r"netemu\"? run", line)]
    return set(re.findall(r"--[a-z]+", " ".join(words)))


def test_the_action_is_a_composite_action():
    """What GitHub requires of one: name, description, steps that say their shell."""
    assert {"name", "description", "runs"} <= ACTION.keys()
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert "uses" in step or step["shell"] == "bash"


def test_every_input_of_the_action_is_used_and_declared():
    """An input that is misspelt in a step is silently empty."""
    used = set(re.findall(r"inputs\.(\w+)", (ROOT / "action.yml").read_text()))
    assert used == ACTION["inputs"].keys()


def test_the_page_gives_the_action_what_it_asks_for():
    """The workflow on the page names only inputs that there are, and all that are required."""
    page = ROOT / "docs" / "first-failover-test.md"
    (workflow,) = [
        yaml.safe_load(step.text)
        for step in steps(page)
        if isinstance(step, Write) and step.name.startswith(".github/")
    ]
    (given,) = [s["with"] for s in workflow["jobs"]["failover"]["steps"] if "with" in s]
    required = {name for name, spec in ACTION["inputs"].items() if spec.get("required")}
    assert required <= given.keys() <= ACTION["inputs"].keys()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(ACTION["runs"]["steps"][1]["run"], id="action"),
        pytest.param("\n".join(GITLAB["failover"]["script"]), id="gitlab"),
    ],
)
def test_ci_files_use_options_that_there_are(script):
    """A renamed option must not break everybody's CI."""
    known = {name for option in run.params for name in option.opts}
    assert options_of(script)
    assert options_of(script) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_pages_lead_somewhere(page):
    """Relative links, from where the page lies."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_action_says_how_the_run_went(tmp_path: Path):
    """Its second step, with a netemu that exits as told: the verdict, and the same exit code."""
    program = tmp_path / "netemu" / "bin" / "netemu"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nexit "$CODE"\n')
    program.chmod(0o755)
    for code, verdict in ((0, "passed"), (1, "missed"), (3, "inconclusive"), (4, "error")):
        outputs = tmp_path / f"outputs-{code}"
        environment = {
            "PATH": "/usr/bin:/bin", "CODE": str(code), "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(outputs), "SCENARIO": "x.yaml", "RUNS": "1",
            "REPORT": str(tmp_path / "report"),
        }  # fmt: skip
        script = ACTION["runs"]["steps"][1]["run"]
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], env=environment, check=False
        )
        assert done.returncode == code
        assert outputs.read_text() == f"verdict={verdict}\n"
