"""Traces in files of their own: read once, and part of the topology's text from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.errors import FileProblems, UsageError
from emulator.plan import make_plan
from emulator.topology.model import Topology
from emulator.topology.parse import load_topology, parse_topology

TABLE = """\
# A drive through a tunnel.
at,one_way,loss,rate
0s,20ms,0%,10mbit

10s,200ms,5% burst 4,1mbit
20.5s,20ms,0%,
"""


def written(folder: Path, paths: str, table: str = TABLE) -> Path:
    """A topology with these `paths`, beside the table lte.csv."""
    (folder / "lte.csv").write_text(table)
    file = folder / "mobile.yaml"
    file.write_text(
        "netemu: 1\nname: mobile\nregions: {us: {location: aws:us-east-1}}\n"
        f"clients: {{paris: {{location: paris}}}}\npaths:\n{paths}"
    )
    return file


def problems(file: Path) -> str:
    with pytest.raises(FileProblems) as refused:
        load_topology(file)
    return str(refused.value)


def traces(topology: Topology) -> list[object]:
    return [(s.source, s.target, s.trace.to_json()) for s in topology.paths if s.trace]


@pytest.mark.parametrize(
    "paths",
    [
        "  us..paris: {trace: lte.csv}\n",
        "  us->paris: {trace: {file: lte.csv, repeat: 30s}}\n",
        "  us->paris:\n    trace: &lte lte.csv\n  paris->us: {trace: *lte}\n",
        '  us->paris: {trace: "lte.csv"}\n  paris->us: {loss: 1%, trace: {steps: lte.csv}}\n',
    ],
)
def test_a_trace_file_travels_with_the_topologys_text(tmp_path, paths):
    """Whoever attaches has the text alone, and makes the same plan of it; lines stay in place."""
    topology = load_topology(written(tmp_path, paths))
    again = parse_topology(topology.source, "lab mobile")
    assert traces(again) == traces(topology) != []
    assert again.source == topology.source
    assert make_plan(again, "mobile") == make_plan(topology, "mobile")
    assert [s.line for s in again.paths] == [s.line for s in topology.paths]


def test_another_table_is_another_plan(tmp_path):
    """So `up` does not take a lab for the same that plays something else."""
    paths = "  us..paris: {trace: lte.csv}\n"
    plan = make_plan(load_topology(written(tmp_path, paths)), "mobile")
    other = make_plan(load_topology(written(tmp_path, paths, "at,one_way\n0s,1ms\n")), "mobile")
    assert plan.digest != other.digest


def test_everything_wrong_with_a_table_is_said_with_its_file_and_line(tmp_path):
    """All at once, each with what to do; the place in the topology is said as well."""
    table = "at,one_way,los\n0s,40ms,1%\n1s,1ms,0%\n"
    said = problems(written(tmp_path, "  us..paris: {trace: lte.csv}\n", table))
    assert said == (
        f"{tmp_path}/mobile.yaml:6: paths.us..paris.trace: lte.csv, line 1: no trace has a column"
        " 'los' (did you mean loss?)"
    )
    table = "at,one_way,loss\n0s,40,1\n1s,1ms\n"
    said = problems(written(tmp_path, "  us..paris: {trace: lte.csv}\n", table))
    assert [line.split("trace: ")[1] for line in said.splitlines()] == [
        "lte.csv, line 2: loss: '1' has no unit (write 1%)",
        "lte.csv, line 2: one_way: '40' has no unit (write 40ms or 40s)",
        "lte.csv, line 3: 2 values stand under 3 columns (write at,one_way,loss)",
    ]


def test_a_table_that_is_not_there_is_said_with_one_that_is(tmp_path):
    """Most often it is a slip."""
    said = problems(written(tmp_path, "  us..paris: {trace: let.csv}\n"))
    assert "cannot read" in said and "no such file (did you mean lte.csv?)" in said


def test_tables_that_make_the_file_too_long_are_refused(tmp_path):
    """A lab must be attached to from its text in no time."""
    rows = "".join(f"{n}ms,{n % 90 + 10}ms,1% burst 8,10mbit,64kB\n" for n in range(5000))
    table = f"at,one_way,loss,rate,queue\n{rows}"
    sites = "".join(f"  us->paris{n}: {{trace: lte.csv}}\n" for n in range(6))
    file = written(tmp_path, sites, table)
    cities = ", ".join(f"paris{n}: {{location: paris}}" for n in range(6))
    file.write_text(file.read_text().replace("paris: {location: paris}", cities))
    assert "with all that its files hold, it is 1.1 MB long (1 MB is the most)" in problems(file)


def test_a_jitter_that_exceeds_a_predicted_delay_is_refused_by_the_plan(tmp_path):
    """The file does not say the delay, so only the plan can tell; every such path is named."""
    topology = load_topology(written(tmp_path, "  us..ns1: {jitter: 90ms}\n"))
    with pytest.raises(UsageError, match=r"us->ns1: a jitter of 90 ms exceeds the delay of .* ms"):
        make_plan(topology, "mobile")
