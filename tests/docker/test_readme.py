"""Every `netemu` command of README's code blocks, in its order but `down` last, on one lab.

Each is run as it stands there, but for a lab of the test's own name (others may run here) and the
main scenario with its times cut short.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emulator.errors import Exit
from tests.cli import ROOT, Said, netemu
from tests.readme import commands

pytestmark = pytest.mark.docker

REGION_LOSS = "topologies/scenarios/region-loss.yaml"
NAMED_BY = {  # how each command is told which lab
    "up": ["--name"],
    "kill": ["--lab"],
    "heal": ["--lab"],
    "exec": ["--lab"],
    "proxy": ["--lab"],
    "logs": ["--lab"],
    "path": ["--lab"],
    "flows": ["--lab"],
    "pcap": ["--lab"],
    "status": [],
    "down": [],
}


def shortened(target: Path) -> Path:
    text = (ROOT / REGION_LOSS).read_text().replace("../", f"{ROOT}/topologies/")
    for long, short in (("at: 10s", "at: 3s"), ("at: 40s", "at: 9s"), ("end: 60s", "end: 12s")):
        assert long in text
        text = text.replace(long, short)
    target.write_text(text)
    return target


def assert_written(folder: Path) -> None:
    """The files that the page's commands write."""
    assert (folder / "us-east.pcapng").stat().st_size > 1000
    assert (folder / "report.json").read_text().startswith("{")
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert "<testsuite " in (folder / "report.xml").read_text()


def test_every_command_does_what_the_page_says(engine, image, lab_name, tmp_path):
    """Each succeeds; the run is judged by its objectives or found inconclusive, and its report
    is made again."""
    judged = {Exit.PASSED, Exit.MISSED, Exit.INCONCLUSIVE}
    scenario = shortened(tmp_path / "region-loss.yaml")
    said: dict[str, Said] = {}
    try:
        of_netemu = [c[1:] for c in commands() if c[0] == "netemu"]
        for name, *words in sorted(of_netemu, key=lambda words: words[0] == "down"):
            given = [*NAMED_BY[name], lab_name, *words] if name in NAMED_BY else words
            if name == "dns":
                which = [lab_name, "--once"] if words[0] == "top" else ["--lab", lab_name]
                given = [*words, *which]
            elif name == "pcap":
                given = [str(tmp_path / w) if w.endswith(".pcapng") else w for w in given]
            elif name == "run":
                outputs = [w if w.startswith("-") else str(tmp_path / w) for w in words[1:]]
                given = [str(scenario), *outputs, "--directory", str(tmp_path)]
            elif name == "report":
                given = re.findall(r"history: (\S+)", said["run"].out)
            said[name] = netemu(name, *given)
            allowed = judged if name in {"run", "report"} else {Exit.PASSED}
            assert said[name].code in allowed, (name, said[name])
    finally:
        engine.remove(engine.containers(lab_name))
    for name in ("exec", "proxy"):
        assert '"region": "eu-west"' in said[name].out
    assert "13 containers removed" in said["down"].out
    assert_written(tmp_path)
    body = [said[name].out.partition("inconclusive:")[0] for name in ("run", "report")]
    assert body[1].splitlines()[2:20] == body[0][body[0].index(body[1][:40]) :].splitlines()[2:20]
