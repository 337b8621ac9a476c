"""What a failover does to data: the examples' scenarios, run as their page says, count acknowledged
writes that a replica elsewhere never got."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.engine.build import ensure_images
from emulator.errors import Exit
from emulator.plan import make_plan
from emulator.plan.own import builds
from emulator.topology.parse import load_topology
from tests.cli import ROOT, netemu
from tests.docker.lab import running_example

pytestmark = [pytest.mark.docker, pytest.mark.timeout(500)]  # the images are built first

EXAMPLES = ROOT / "topologies/examples"
LABS = {
    "three-tier": EXAMPLES / "three-tier/three-tier-writes.yaml",
    "redis": EXAMPLES / "redis/redis-writes.yaml",
}
# What each store holds, a name a line.
HELD = {
    "three-tier": ("eu-west/db-1:image", "psql -Atc 'SELECT name FROM items'"),
    "redis": ("eu-west/redis-1:image", "redis-cli --raw keys '*'"),
}
JUDGED = {Exit.PASSED, Exit.INCONCLUSIVE}  # a busy machine may leave a span open
ENOUGH, PATIENCE_S = 20, 240.0
APART_S = 1.0  # the regions have not seen each other before the blow


@pytest.fixture(params=LABS)
def store(request: pytest.FixtureRequest) -> str:
    """With its images built, which a run would do too, in its own time."""
    name: str = request.param
    ensure_images(builds(make_plan(load_topology(LABS[name]), "x")), lambda _stage, _done: None)
    return name


def run(store: str, scenario: str, work: Path, *options: str) -> dict[str, Any]:
    """The report for programs."""
    file = EXAMPLES / store / f"{scenario}.yaml"
    said = netemu("run", file, "--json", "report.json", *options, cwd=work, patience_s=PATIENCE_S)
    assert said.code in JUDGED, said
    report: dict[str, Any] = json.loads((work / "report.json").read_text())
    return report


def only_count(report: dict[str, Any]) -> dict[str, Any]:
    """Of a run with one, whose commands all ended well."""
    ran = [one for one in report["objectives"] if one["figure"] == "exec_s"]
    assert [one["outcome"] for one in ran] == ["passed"] * len(ran), report["objectives"]
    (count,) = report["writes"]
    print(count["why"])  # noqa: T201 - for the table on the page
    assert count["acknowledged"] > ENOUGH
    return dict(count)


def test_what_was_sent_before_a_loss_of_power_arrives(store: str, tmp_path: Path) -> None:
    """Next to nothing is lost, and that is measured."""
    count = only_count(run(store, "power", tmp_path))
    assert count["fault"] == "power us-east"
    assert (count["lost"] == 0) == (count["rpo_s"] == 0)
    assert count["lost"] < count["acknowledged"] / 2


def test_a_drain_loses_nothing(store: str, tmp_path: Path) -> None:
    """The primary lives, so the replica is whole when it is promoted."""
    report = run(store, "drain", tmp_path)
    assert only_count(report)["lost"] == 0
    assert report["objectives"][0]["outcome"] == "passed"


def test_what_could_not_be_sent_is_lost(store: str, engine, tmp_path: Path) -> None:
    """All of a second; and just that is missing when the replica is asked by hand afterwards."""
    with running_example(engine, LABS[store]) as world:
        report = run(store, "partition-then-power", tmp_path, "--lab", world.lab.name)
        host, command = HELD[store]
        said = netemu("exec", "--lab", world.lab.name, host, "--", "sh", "-c", command)
    assert said.code == 0, said
    count = only_count(report)
    assert 0.7 * APART_S <= count["rpo_s"] < 3 * APART_S
    assert -count["first_lost_s"] >= 0.7 * APART_S
    missing = acknowledged_before_heal(tmp_path) - set(said.out.split())
    assert len(missing) == count["lost"] > 0
    assert set(count["lost_ids"]) <= missing


def acknowledged_before_heal(work: Path) -> set[str]:
    """As the history has it: the primary takes writes for itself once it is back."""
    (history,) = work.glob("runs/*/*/history.jsonl")
    events = [json.loads(line) for line in history.read_text().splitlines()]
    healed = min(e["t"] for e in events if e["kind"] == "fault" and e["phase"] == "healed")
    own = [e for e in events if e["kind"] == "own" and e["t"] < healed]
    return {e["told"]["wrote"] for e in own if "wrote" in e["told"]}


def test_synchronous_replication_loses_no_acknowledged_write(tmp_path: Path) -> None:
    """Where asynchronous does; one scenario tells both apart."""
    report = run("three-tier", "async-or-sync", tmp_path)
    lost = {one["value"]: one["writes_lost"] for one in report["values"]}
    assert lost["sync"] == [0]
    assert lost["async"][0] > 0
