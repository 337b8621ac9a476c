"""init: a first topology, from four questions or from a compose file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from emulator.errors import UsageError
from emulator.scalars import is_label
from emulator.topology.compose import from_compose
from emulator.topology.parse import parse_topology
from emulator.topology.starter import (
    Answers,
    clashes,
    read_fqdn,
    read_places,
    read_ttl,
    starter,
)

Read = TypeVar("Read")

_REGIONS, _CITIES = "aws:us-east-1, aws:eu-west-1", "New York, Paris/FR"
_FQDN, _TTL = "www.shop.test", "5s"


@click.command()
@click.argument("file", default="lab.yaml", type=click.Path(path_type=Path))
@click.option("--regions", metavar="PLACES", help=f"As {_REGIONS}.")
@click.option("--cities", metavar="PLACES", help=f"As {_CITIES}.")
@click.option("--service", metavar="NAME", help=f"As {_FQDN}.")
@click.option("--ttl", metavar="TIME", help=f"As {_TTL}.")
@click.option(
    "--from-compose",
    "compose",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take over a docker-compose.yaml: each of its services in every region.",
)
def init(
    file: Path,
    regions: str | None,
    cities: str | None,
    service: str | None,
    ttl: str | None,
    compose: Path | None,
) -> None:
    """Ask four questions and write a commented topology to FILE, lab.yaml unless said. What an
    option answers is not asked; of a compose file nothing is asked, and what cannot be carried over
    is told.

    \b
    netemu init
    netemu init shop.yaml --regions 'aws:us-east-1, aws:eu-west-1' --cities Tokyo,Lagos
    netemu init shop.yaml --from-compose docker-compose.yaml
    """
    if not is_label(file.stem):
        raise UsageError(f"{file.stem} cannot be a lab's name: small letters, digits and dashes")
    if file.exists():
        raise UsageError(f"{file} is there already; name another file, or remove it")
    if compose is not None:
        regions, cities, ttl = regions or _REGIONS, cities or _CITIES, ttl or _TTL
        service = service or f"www.{file.stem}.test"
    answers = Answers(
        _answer("Where are your regions? (places, with commas between)", regions, _REGIONS,
                read_places),
        _answer("In which cities are your clients?", cities, _CITIES, read_places),
        _answer("What do clients ask for?", service, _FQDN, read_fqdn),
        _answer("For how long may resolvers keep an answer?", ttl, _TTL, read_ttl),
    )  # fmt: skip
    if shared := clashes(answers):
        raise UsageError(f"{', '.join(shared)} would be a region and a city; write the region as"
                         " aws:, gcp: or azure:, or choose a city nearby")  # fmt: skip
    if compose is None:
        text, notes = starter(str(file), file.stem, answers), list[str]()
    else:
        text, notes = from_compose(compose, file, answers)
    parse_topology(text, str(file))
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    for note in notes:
        click.echo(f"not carried over: {note}")
    click.echo(f"{file} is written; look at it, then: netemu plan {file}, netemu up {file}")


def _answer(question: str, given: str | None, default: str, read: Callable[[str], Read]) -> Read:
    """Asked again as long as it cannot be read; a wrong option is a UsageError."""
    if given is not None:
        try:
            return read(given)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def value(text: str) -> Read:
        try:
            return read(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    answer: Read = click.prompt(question, default=default, value_proc=value)
    return answer
