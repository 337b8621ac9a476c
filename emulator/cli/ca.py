"""ca: the root that the lab's https is trusted by, and programs that find it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

import click

from emulator.cli.common import attached, lab_option
from emulator.controller.lab import Lab
from emulator.errors import UsageError
from emulator.plan.tls import trusting


@click.command("ca")
@lab_option
def ca(name: str | None) -> None:
    """Print the root certificate that the lab's https is trusted by, in PEM.

    For programs and browsers of this machine, behind `netemu proxy`. Every lab has one of its own,
    made at `up`, and nothing more can be signed with it: its key was forgotten there.

    \b
    netemu ca > root.pem
    netemu proxy paris -- curl -s --cacert root.pem https://www.shop.test/
    """
    with attached(name) as lab:
        if not lab.certificates.root:
            raise UsageError(f"no service of {lab.name} is tls, so there is nothing to trust")
        click.echo(lab.certificates.root, nl=False)


@contextmanager
def trust_here(lab: Lab) -> Iterator[dict[str, str]]:
    """The environment in which programs of this machine trust the lab; a file lasts as long."""
    if not lab.certificates.root:
        yield {}
        return
    with NamedTemporaryFile("w", prefix="netemu-", suffix=".pem") as file:
        file.write(lab.certificates.root)
        file.flush()
        yield trusting(file.name)
