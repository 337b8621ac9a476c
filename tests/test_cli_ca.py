"""`netemu ca`, and what a command of `netemu proxy` finds of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.cli.ca import trust_here
from emulator.controller.ca import Certificates
from emulator.errors import Exit
from tests.cli import caller

ROOT_PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


def lab(root: str) -> Any:
    return SimpleNamespace(name="shop", certificates=Certificates(root, {"www": "a secret"}))


def ca(monkeypatch, capsys, root: str) -> Any:
    @contextmanager
    def attached(_name: str | None) -> Iterator[Any]:
        yield lab(root)

    monkeypatch.setattr(sys.modules["emulator.cli.ca"], "attached", attached)
    return caller(monkeypatch, capsys)("ca")


def test_the_root_and_nothing_else_is_printed(monkeypatch, capsys):
    """So that `> root.pem` is a file that programs take."""
    said = ca(monkeypatch, capsys, ROOT_PEM)
    assert (said.code, said.out, said.err) == (Exit.PASSED, ROOT_PEM, "")


def test_a_lab_in_the_clear_has_nothing_to_trust(monkeypatch, capsys):
    """An empty file would be trusted by nobody, and nobody would know why."""
    said = ca(monkeypatch, capsys, "")
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert "no service of shop is tls" in said.err


@pytest.mark.parametrize("variable", ["NETEMU_CA", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_a_command_finds_the_root_in_a_file_for_as_long_as_it_runs(variable):
    with trust_here(lab(ROOT_PEM)) as environment:
        file = Path(environment[variable])
        assert file.read_text() == ROOT_PEM
    assert not file.exists()


def test_without_tls_a_command_trusts_whom_it_trusts_anyway():
    with trust_here(lab("")) as environment:
        assert environment == {}
