"""docs/wan.md, followed word for word but for the lab's name (others may run here)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from tests.cli import ROOT
from tests.docker.reader import Reader, followed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
LAB = f"radio-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def reader(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    yield from followed(ROOT / "docs" / "wan.md", LAB, tmp_path_factory.mktemp("page"))


def test_the_page_says_what_happens(reader):
    """Its words about paths, changes, cuts and their ends are what the commands print."""
    planned = reader.read("plan radio.yaml")
    assert "30 ms +-8 ms; a trace of 3 steps in 20 s, again every 30 s" in " ".join(planned.split())
    shown = reader.read("netemu path new-york")
    assert "trace plays" in shown and re.search(r"us-east->new-york +\d", shown)
    changed = reader.read("--rtt 200ms")
    assert "100 ms, loss 2 %" in changed and "5 Mbit/s, queue 50 ms" in changed
    assert re.search(r"min/avg/max/mdev = 20\d\.", changed)
    played = reader.read("--repeat 6s")
    assert "a trace of 3 steps in 4 s, again every 6 s plays from now on" in played
    assert "did you mean new-york?" in reader.read("new-yrk")
    cut = reader.read("netemu partition")
    assert "cutting us-east, new-york <-> eu-west" in cut and "partition new-york" in cut
    assert "partition on new-york us-east healed" in cut
    assert "cutting new-york -> us-east" in cut
    flapped = reader.read("netemu flap")
    assert flapped.index("flap on us-east") < flapped.index("no fault is active")
