"""Says at the end of a test run what became of the netem driver's suite."""

from __future__ import annotations

import pytest

NETEM_SUITE = pytest.StashKey[list[str]]()

pytest.register_assert_rewrite("tests.contracts.paths")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NETEM_SUITE] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(NETEM_SUITE, []):
        terminalreporter.write_line(f"netem: {line}")
