"""What comes with netemu is found by its bare name, where nothing of the user's is called so."""

from __future__ import annotations

from pathlib import Path

from emulator.controller.prepare import prepare
from emulator.examples import found
from emulator.topology.parse import load_topology


def test_an_example_is_found_by_its_bare_name(tmp_path, monkeypatch):
    """From anywhere: a topology, and a scenario with the topology beside it."""
    monkeypatch.chdir(tmp_path)
    assert load_topology(Path("two-region.yaml")).name == "two-region"
    scenario, topology = prepare(Path("region-loss.yaml"))
    assert (scenario.name, topology.name) == ("region-loss", "two-region")


def test_a_file_of_the_users_own_comes_first(tmp_path, monkeypatch):
    """Even one of the same name; and a path is never looked for elsewhere."""
    monkeypatch.chdir(tmp_path)
    own = Path("two-region.yaml")
    own.write_text("netemu: 1\n")
    assert found(own) == own
    elsewhere = Path("no/such/two-region.yaml")
    assert found(elsewhere) == elsewhere
