"""docs/first-failover-test.md, followed word for word in an empty directory and environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import ROOT
from tests.page import Run, Write, steps

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
PAGE = ROOT / "docs" / "first-failover-test.md"


def test_the_page_can_be_followed_word_for_word(tmp_path: Path, image: str):
    """Every file is written, every block of commands ends as the page says it does."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))},
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "NETEMU": str(ROOT),
    }
    for step in steps(PAGE):
        if isinstance(step, Write):
            path = work / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text)
        else:
            follow(step, work, environment)
    assert "<testsuites" in (work / "report.xml").read_text()
    assert (work / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert (work / "shop.svg").read_text().startswith("<svg")


def follow(step: Run, work: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", step.script],
        check=False, cwd=work, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    said = f"{step.script}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == step.code, said
    if step.code:
        assert re.search("new-york over [a-z]+ recovered after", said), said
        assert "TTL 20 s" in said, said
