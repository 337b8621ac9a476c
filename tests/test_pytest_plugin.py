"""The plugin where no lab comes up: cheap, quiet, out of the way; and what it says of mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import NO_ENGINE

pytest_plugins = ["pytester"]

TOPOLOGIES = Path(__file__).parents[1] / "topologies"
LOSS = """\
netemu: 1
name: loss
topology: {topology}
steps: [{{at: 5s, kill: {target}}}]
end: 9s
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No option of the run around, and no engine."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)


def test_the_plugin_imports_nothing_that_it_may_not_need():
    """It is loaded in every pytest run there is: no Docker SDK, no YAML, of ours only errors."""
    show = "import sys, emulator.pytest_plugin; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, check=True
    )
    modules = loaded.stdout.split()
    assert {name for name in modules if name.startswith("emulator")} == {
        "emulator", "emulator.errors", "emulator.pytest_plugin",
    }  # fmt: skip
    assert not {"docker", "yaml", "rich", "click", "requests"}.intersection(modules)


def test_the_harness_needs_no_pytest():
    """Any script may use it."""
    show = "import sys, emulator.harness; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", show], check=True)


def test_a_suite_without_labs_does_not_notice(pytester):
    """Warnings are errors there, markers strict, a fixture `lab` and a fixture `netemu` its own."""
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = "--strict-markers --strict-config"
        filterwarnings = ["error"]
        """
    )
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def lab():
            return "their own lab"

        @pytest.fixture
        def netemu():
            return "their own fixture"
        """
    )
    pytester.makepyfile(
        """
        def test_own(lab, netemu):
            assert (lab, netemu) == ("their own lab", "their own fixture")
        """
    )
    pytester.makefile(".yaml", ordinary="netemu: nonsense")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert "warning" not in result.stdout.str()


@pytest.mark.parametrize(
    "asks",
    [
        'def test_lab(netemu): netemu.up("two-region.yaml")',
        '@pytest.mark.netemu("two-region.yaml")\ndef test_lab(lab): pass',
        '@pytest.mark.netemu("two-region.yaml", scope="module")\ndef test_lab(lab): pass',
    ],
    ids=["up", "marker", "module"],
)
def test_where_there_is_no_engine_a_test_fails(pytester, asks):
    """It says what to do, without a traceback of ours; it never skips."""
    pytester.makepyfile(f"import pytest\n{asks}\n")
    result = pytester.runpytest_inprocess("--strict-markers")
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    assert "skipped" not in outcomes
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ocker*"])
    result.stdout.no_fnmatch_line("*harness*labs.py*")


def test_a_topology_that_there_is_not_names_the_places(pytester):
    """Beside the test, pytest's root directory, the shipped ones."""
    pytester.makepyfile('def test_lab(netemu): netemu.up("nosuch.yaml")')
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines([f"*no topology 'nosuch.yaml' in {pytester.path}*{TOPOLOGIES}*"])


def test_a_topology_with_mistakes_lists_them(pytester):
    """All of them, by line."""
    pytester.makefile(".yaml", bad="netemu: 1\nname: bad\nregoins: {}\nclients: {}\n")
    pytester.makepyfile('def test_lab(netemu): netemu.up("bad.yaml")')
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(["*bad.yaml:3: *regoins*"])


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("def test_lab(lab): pass", '*Mark the test: @pytest.mark.netemu("two-region.yaml")*'),
        (
            '@pytest.mark.netemu("minimal.yaml", scope="class")\ndef test_lab(lab): pass',
            "*scope is function, module or session, not 'class'*",
        ),
        ('def test_lab(netemu): netemu.up("minimal.yaml", name="Not a name")', "*is no name*"),
    ],
    ids=["no marker", "scope", "name"],
)
def test_a_wrong_question_is_answered_with_the_right_one(pytester, asks, said):
    """In one message."""
    pytester.makepyfile(f"import pytest\n{asks}\n")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([said])


def test_scenario_files_are_collected_and_no_other_yaml(pytester):
    """One test a file, by the scenario's name; the scenarios of other tools are left to them."""
    text = LOSS.format(topology=TOPOLOGIES / "two-region.yaml", target="us-east")
    for name in ("loss.scenario.yaml", "loss.yaml"):
        (pytester.path / name).write_text(text)
    (pytester.path / "theirs.scenario.yaml").write_text("feature: login\nsteps: [open, type]\n")
    result = pytester.runpytest_inprocess("--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == ["loss.scenario.yaml::loss"]


def test_a_scenario_file_with_mistakes_cannot_be_collected(pytester):
    """Every problem with its line, those of its names too; that is an error of the run."""
    text = LOSS.format(topology=TOPOLOGIES / "two-region.yaml", target="us-eats")
    (pytester.path / "names.scenario.yaml").write_text(text)
    (pytester.path / "words.scenario.yaml").write_text(text.replace("end:", "ends:"))
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*names.scenario.yaml:4: *'us-eats' is not in the lab (did you mean us-east?)",
            "*words.scenario.yaml:*end*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_scenario_without_an_engine_fails(pytester):
    """As any test of a lab does."""
    text = LOSS.format(topology=TOPOLOGIES / "two-region.yaml", target="us-east")
    (pytester.path / "loss.scenario.yaml").write_text(text)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ocker*"])


def test_a_comparison_that_fails_is_told_in_one_line(pytester):
    """What happened, and what was wanted: no chain of attributes, whichever side the figure is on.
    Other comparisons are told as ever."""
    pytester.makepyfile(
        """
        from emulator.harness import Count, Seconds

        STORY = "paris recovered after 31.2 s: DNS TTL 30 s held the old answer for 24.8 s"
        LOST = "requests_lost from paris was 9 %s"

        class recovery:
            p100 = Seconds(31.2, STORY)

        def test_left(): assert recovery.p100 < 15
        def test_right(): assert 15 >= recovery.p100
        def test_count(): assert Count(9, LOST) <= 5
        def test_other(): assert recovery.p100 and 1 == 2
        """
    )
    result = pytester.runpytest_inprocess("-vv")
    result.assert_outcomes(failed=4)
    told = [line for line in result.outlines if line.startswith("E  ")]
    story = "E   AssertionError: paris recovered after 31.2 s: DNS TTL 30 s held the old answer"
    assert told[:3] == [
        f"{story} for 24.8 s; wanted < 15",
        f"{story} for 24.8 s; wanted <= 15",
        "E   AssertionError: requests_lost from paris was 9 %s; wanted <= 5",
    ]
    assert "1 == 2" in told[3]
