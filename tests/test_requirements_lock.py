"""The lock file: what the set-up installs is exactly known, and is all that is asked for."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not PIN.fullmatch(pin)] == []
    return {canonicalize_name(name): version for name, version in (p.split("==") for p in pins)}


def asked_for() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_what_pyproject_asks_for_is_locked(requirement: Requirement) -> None:
    """Each direct dependency has one version in the lock, and that version satisfies it."""
    version = locked()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_what_the_locked_packages_ask_for_is_locked_too() -> None:
    """The lock is closed: no package pulls in another whose version nobody chose."""
    pins = locked()
    missing = {
        f"{name} needs {needed.name}"
        for name in pins
        for needed in needs(name)
        if canonicalize_name(needed.name) not in pins
    }
    assert missing == set()


def needs(name: str) -> list[Requirement]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        pytest.fail(f"{name} is locked but not installed: compose/setup.sh python")
    found = [Requirement(line) for line in lines]
    return [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]
