"""The topologies and scenarios that come with netemu, found by their bare names."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
# Beside the package in a checkout, inside it once installed.
PLACES = (_PACKAGE.parent / "topologies", _PACKAGE / "shipped" / "topologies")


def found(path: Path) -> Path:
    """`path`; where there is no such file and it is a bare name, the example of that name."""
    if path.exists() or path.name != str(path):
        return path
    parts = ("", "scenarios", f"examples/{path.stem}")
    candidates = (place / part / path for place in PLACES for part in parts)
    return next((candidate for candidate in candidates if candidate.is_file()), path)
