"""Commands that need files only: what they refuse, what they print, where it goes. No Docker."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from emulator.errors import Exit
from emulator.events import encode
from tests.analysis.stories import region_loss
from tests.cli import MINIMAL, PROGRAM, ROOT, TWO_REGION, Netemu, caller

REGION_LOSS = ROOT / "topologies" / "scenarios" / "region-loss.yaml"
CONTENTS = {
    "empty.yaml": b"",
    "binary.yaml": bytes(range(256)),
    "list.yaml": b"[1, 2]\n",
    "short.yaml": b"netemu: 1\n",
    "torn.yaml": b"netemu: 1\nname: [\n",
    "nul.yaml": b"netemu: 1\0\n",
}


@pytest.fixture
def call(monkeypatch, capsys) -> Netemu:
    """With an engine that nobody may ask."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return caller(monkeypatch, capsys)


@pytest.mark.parametrize("command", ["plan", "up", "run", "validate"])
@pytest.mark.parametrize("name", [*CONTENTS, "missing.yaml", "directory"])
def test_a_wrong_file_is_a_file_error(call, tmp_path, command, name):
    """Named, with what is wrong, exit 2, before any engine is asked."""
    (tmp_path / "directory").mkdir()
    for each, content in CONTENTS.items():
        (tmp_path / each).write_bytes(content)
    said = call(command, tmp_path / name)
    assert said.code == Exit.USAGE
    assert name in said.err and "engine" not in said.err and "Traceback" not in said.err


def test_a_scenario_for_a_topology_and_the_reverse_are_told_apart(call):
    """The other command is what was meant."""
    for command in ("up", "plan"):
        said = call(command, REGION_LOSS)
        assert (said.code, f"netemu run {REGION_LOSS}" in said.err) == (Exit.USAGE, True)
    said = call("run", TWO_REGION)
    assert (said.code, f"netemu up {TWO_REGION}" in said.err) == (Exit.USAGE, True)


@pytest.mark.parametrize("name", ["Bad Name!", "x" * 21, "-", "a_b", ""])
def test_a_name_that_the_engine_would_refuse_is_refused_first(call, name):
    """Container and host names are made of it."""
    said = call("up", MINIMAL, "--name", name or "_")
    assert (said.code, "--name" in said.err) == (Exit.USAGE, True)


def test_plan_validate_and_schema_need_no_engine(call):
    """They are for writing a file, on any machine; their JSON is JSON."""
    assert json.loads(call("plan", TWO_REGION, "--json").out)["lab"] == "two-region"
    assert json.loads(call("schema").out)["type"] == "object"
    said = call("validate", TWO_REGION, REGION_LOSS, "--json")
    assert json.loads(said.out) == {str(TWO_REGION): [], str(REGION_LOSS): []}
    assert said.code == Exit.PASSED


def test_a_plan_names_what_a_newcomer_asks_for(call):
    """Hosts, delays and why, predicted median, p90 and bound by city; plain text into a pipe."""
    said = call("plan", TWO_REGION)
    for word in ("us-east/www-1", "198.18.1.1", "us-east->paris", "km", "predicted"):
        assert word in said.out
    assert re.search(
        r"^  us-east +new-york( +\d+\.\d / \d+\.\d / \d+\.\d){4}$", said.out, re.MULTILINE
    )
    assert "\x1b" not in said.out


def test_a_plan_says_how_names_are_answered(call):
    """Policy, TTL, checks, who checks, whose timings; where cities go; who is never sent anyone."""
    said = call("plan", Path(__file__).parent / "golden" / "valid" / "policies.yml").out
    for word in ("failover:", "https 2 s x 2", "route53-fast", "azure-fast",
                 "nearest by round trip",
                 "us-west never serves hash: no policy names it"):  # fmt: skip
        assert word in said


def test_run_refuses_a_report_that_it_could_not_write(call, tmp_path):
    """Before the minute of traffic, not after it."""
    said = call("run", REGION_LOSS, "--json", tmp_path / "nowhere" / "report.json")
    assert (said.code, "cannot write" in said.err) == (Exit.USAGE, True)


# --- report ---


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run directory as it would be copied from another machine."""
    target = tmp_path / "copied"
    target.mkdir()
    events = region_loss().events
    (target / "history.jsonl").write_bytes(b"".join(encode(event.to_json()) for event in events))
    return target


def test_a_report_is_made_again_from_a_copied_directory(call, finished):
    """Needs no Docker; the exit code is the run's."""
    said = call("report", finished)
    assert said.code in {Exit.PASSED, Exit.MISSED, Exit.INCONCLUSIVE}
    assert "recovery" in said.out
    again = call("report", finished, "--json")
    assert again.code == said.code
    assert json.loads(again.out)["schema"] == 1


def test_a_history_with_a_torn_end_is_reported_up_to_there(call, finished):
    """netemu may have died while it wrote the last line."""
    history = finished / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-20])
    assert call("report", finished).out


def test_what_is_no_history_is_refused(call, finished, tmp_path):
    """A line torn in the middle, an empty file, another file, nothing: each is said, exit 2."""
    history = finished / "history.jsonl"
    lines = history.read_bytes().splitlines(keepends=True)
    history.write_bytes(b"".join([lines[0], lines[1][:10] + b"\n", *lines[2:]]))
    torn = call("report", finished)
    assert (torn.code, "history.jsonl:2" in torn.err) == (Exit.USAGE, True)
    history.write_bytes(b"")
    assert "no event" in call("report", finished).err
    for other in (TWO_REGION, tmp_path, tmp_path / "missing"):
        said = call("report", other)
        assert said.code == Exit.USAGE
        assert said.err.startswith("netemu: ") and "Traceback" not in said.err


# --- where the output goes ---


@pytest.mark.parametrize("words", [("plan", TWO_REGION), ("plan", TWO_REGION, "--json")])
def test_a_reader_that_leaves_early_is_no_error_worth_words(words):
    """`netemu plan FILE | head -1` is quiet, and never ends as a missed objective does."""
    script = 'set -o pipefail; "$@" | head -1'
    done = subprocess.run(
        ["bash", "-c", script, "bash", PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in {0, 141}  # 128 + SIGPIPE, unless all fitted into the pipe


def test_an_output_that_cannot_be_written_is_an_environment_error():
    """A full disk under `> file` is said in one line."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAM, "plan", str(TWO_REGION)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == Exit.ENVIRONMENT
    assert "No space left" in done.stderr and "Traceback" not in done.stderr
