"""The plugin with real labs, each test a pytest run of its own, as users start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.controller.lab import lab_names, remove_lab
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from tests.cli import PATIENCE_S, TWO_REGION, netemu

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

USUAL_S = 30.0  # the promise: from `pytest` to green with one kill; 14 s on two idle cores
# What a short failover needs: 1.5 s of checks and a timeout, 2 s of caches, and a stream's stall.
QUICK = {"ttl: 5s": "ttl: 2s", "interval: 1s, timeout: 1s": "interval: 500ms, timeout: 500ms"}
REGION_LOSS = """
def test_region_loss(netemu):
    lab = netemu.up("two-region.yaml", name="{name}")
    with lab.traffic(rate=50, sites="all"):
        lab.kill("us-east", how="power")
        lab.wait_recovered(timeout=30)
        assert lab.recovery("{city}").p100 < {bound}
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    """The real one, with the image that the runs inside would otherwise wait for."""
    found = DockerEngine()
    ensure_node_image(lambda _stage, _done: None)
    yield found
    found.close()


@pytest.fixture
def name(engine: DockerEngine) -> Iterator[str]:
    """The beginning of the names of a test's labs, which are all gone after it."""
    begin = f"pt{uuid.uuid4().hex[:6]}"
    yield begin
    for left in labs(engine, begin):
        remove_lab(engine, left)


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory with a quick topology in it."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    text = TWO_REGION.read_text()
    for usual, quick in QUICK.items():
        assert usual in text
        text = text.replace(usual, quick)
    (pytester.path / "two-region.yaml").write_text(text)
    return pytester


def labs(engine: DockerEngine, begin: str) -> list[str]:
    return [each for each in lab_names(engine) if each.startswith(begin)]


def test_a_region_loss_from_pytest_to_green(run, engine, name):
    """The design's usage word for word, within the promised time, and nothing left behind."""
    run.makepyfile(REGION_LOSS.format(name=name, city="paris", bound=15))
    result = run.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert result.duration < USUAL_S
    assert labs(engine, name) == []


def test_a_missed_bound_says_what_happened(run, engine, name):
    """In one line; the report is attached, with what does it again; the kept lab is still there,
    and the run says how to look at it."""
    run.makepyfile(REGION_LOSS.format(name=name, city="new-york", bound=0.5))
    words = ("--netemu-keep", "--netemu-directory", "kept-runs")
    result = run.runpytest_subprocess(*words)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    (kept,) = labs(engine, name)
    text = result.stdout.str()
    happened = r"^E +AssertionError: new-york.* recovered after [\d.]+ s: .+; wanted < 0.5$"
    assert len(re.findall(happened, text, re.MULTILINE)) == 1
    assert not re.search(r"^E +\+ ", text, re.MULTILINE)
    result.stdout.fnmatch_lines(
        [
            f"*netemu lab {kept}*",
            "*recovery from power us-east",
            "Why: us-east lost power*",
            "history: kept-runs/test_region_loss/*",
            "to do it again: netemu run kept-runs/*/scenario.yaml --seed *",
            f"*netemu lab kept: {kept}*",
            f"netemu status {kept}",
            f"netemu down {kept} *",
        ]
    )
    again = re.search(r"to do it again: netemu run (\S+)", text)
    assert again is not None
    assert netemu("validate", again[1], cwd=run.path).code == 0
    assert "power on us-east" in netemu("status", kept).out
    assert netemu("down", kept).code == 0


def test_a_lab_of_a_module_is_whole_for_each_test(run, engine, name):
    """A test that leaves faults and traffic behind, or takes the lab down, is no bother for the
    next one; the lab is the same wherever it can be, and goes with its module."""
    run.makepyfile(
        f"""
        import json, subprocess
        import pytest

        pytestmark = pytest.mark.netemu("two-region.yaml", scope="module", name="{name}")
        names = []

        def test_leaves_a_mess(lab):
            names.append(lab.name)
            lab.kill("us-east", how="power")
            lab.kill("eu-west/www-1", how="freeze")
            lab.kill("paris", how="brownout", delay="300ms")
            lab.wait_until("us-east down", timeout=20)

        def test_finds_a_whole_lab(lab):
            assert lab.name == names[0]
            assert lab.lab.wan.journal() == ()
            page = lab.exec("new-york", "curl", "-s", "-m", "2", "http://www.shop.test/")
            assert json.loads(page.stdout)["region"] == "us-east"
            assert lab.exec("eu-west/www-1", "true").returncode == 0
            subprocess.run(["docker", "kill", f"{{lab.name}}-wan"], check=True)

        def test_finds_a_new_lab(lab, netemu):
            assert lab.name != names[0]
            assert netemu.lab is lab
            assert lab.exec("paris", "true").returncode == 0
        """
    )
    result = run.runpytest_subprocess()
    result.assert_outcomes(passed=3)
    assert labs(engine, name) == []


def test_two_workers_have_two_labs_of_one_file(run, engine, name):
    """At the same time, each with its worker in the name."""
    run.makepyfile(
        f"""
        import pathlib, time
        import pytest

        @pytest.mark.parametrize("me, other", [("a", "b"), ("b", "a")])
        def test_meets_the_other(netemu, me, other):
            lab = netemu.up("minimal.yaml", name="{name}")
            pathlib.Path(me).write_text(lab.name)
            deadline = time.monotonic() + 60
            while not pathlib.Path(other).exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert lab.exec("berlin", "curl", "-s", "www.minimal.test").returncode == 0
            pathlib.Path(f"{{me}}-met").touch()
            while not pathlib.Path(f"{{other}}-met").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        """
    )
    result = run.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=2)
    both = sorted((run.path / each).read_text() for each in "ab")
    for worker, lab in zip(("gw0", "gw1"), both, strict=True):
        assert re.fullmatch(rf"{name}-{worker}-[0-9a-f]{{4}}", lab)
    assert labs(engine, name) == []


SMALL = """\
netemu: 1
name: {name}
regions:
  here: {{location: city:Frankfurt, servers: 2}}
clients:
  berlin: {{location: city:Berlin}}
dns: {{ttl: 2s}}
"""
SCENARIO = """\
netemu: 1
name: {name}
topology: small.yaml
traffic: {{http: 20/s}}
{steady}
steps: [{{at: 2200ms, kill: here/www-1, how: crash}}]
end: 6s
objectives: [{objective}]
"""


def test_scenario_files_are_tests(run, engine, name):
    """One passes, one misses its objective and says by how much, one is inconclusive, which is no
    pass; those that do not pass have their report."""
    files = {
        "passes": ("", "requests_lost <= 20"),
        "misses": ("", "requests_lost < 0"),
        "unclear": ("steady_state: [p50_ms <= 1]", "requests_lost <= 20"),
    }
    (run.path / "small.yaml").write_text(SMALL.format(name=name))
    for each, (steady, objective) in files.items():
        text = SCENARIO.format(name=each, steady=steady, objective=objective)
        (run.path / f"{each}.scenario.yaml").write_text(text)
    result = run.runpytest_subprocess("-rA", "--junit-xml", "said.xml")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "PASSED passes.scenario.yaml::passes",
            "FAILED misses.scenario.yaml::misses - *",
            "requests_lost < 0: *",
            "FAILED unclear.scenario.yaml::unclear - *",
            "inconclusive: the lab was not steady *",
            "to do it again: netemu run misses.scenario.yaml --seed *",
            "to do it again: netemu run unclear.scenario.yaml --seed *",
        ]
    )
    result.stdout.no_fnmatch_line("*During handling*")
    assert "requests_lost &lt; 0" in (run.path / "said.xml").read_text()
    assert labs(engine, name) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_interrupted_run_leaves_nothing(run, engine, name, number, workers):
    """Ctrl-C, and a CI job that is cancelled; with workers of xdist too."""
    run.makepyfile(
        f"""
        import pathlib, time

        def test_waits(netemu):
            lab = netemu.up("minimal.yaml", name="{name}")
            pathlib.Path("up").touch()
            time.sleep(600)
        """
    )
    words = [sys.executable, "-m", "pytest", "-n", workers, "-p", "no:cacheprovider"]
    with subprocess.Popen(
        words, cwd=run.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
    ) as process:
        try:
            _wait_for(run.path / "up")
            assert len(labs(engine, name)) == 1
            # Ctrl-C reaches everyone at the terminal; a CI's SIGTERM only who was started by it.
            tell = os.killpg if number is signal.SIGINT else os.kill
            tell(process.pid, number)
            process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode != 0
    assert labs(engine, name) == []


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} never came"
        time.sleep(0.05)
