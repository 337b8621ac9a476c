"""A first topology from four answers, with comments: what `netemu init` writes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from emulator.scalars import is_label, whole_seconds, zone_name
from emulator.topology.places import locate

_TTL = whole_seconds("0s", "24h")  # as `dns: {ttl}` does

_TEXT = """\
# Written by netemu init; every line may be changed. `netemu validate {file}` says what is wrong,
# `netemu plan {file}` what it would become, `netemu up {file}` brings it up.
netemu: 1  # the version of this language
name: {name}
zone: {zone}  # clients ask for {service}.{zone}

# A region is a datacenter: a load balancer (HAProxy) and this many servers behind it. Round-trip
# times follow from where places are on earth; what you have measured goes under `paths:`, as
#   paths:
#     {first}..{second}: {{rtt: 80ms, loss: 0.1%}}
regions:
{regions}

# A city is a crowd of clients behind one recursive resolver (Unbound).
clients:
{cities}

# Two name servers, ns1 and ns2, send every city to the nearest healthy region. They ask each region
# every `interval` whether it is well; `fall` failures in a row mean DOWN, `rise` successes UP.
# Resolvers keep an answer for `ttl`: a dead region is in their caches for up to that long.
dns: {{ttl: {ttl}, policy: latency, health_check: {{interval: 1s, timeout: 1s, fall: 3, rise: 2}}}}

services:
  {service}: {{port: 80, balance: l7}}  # l7: the balancer reads HTTP; l4: it passes TCP through
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """Each has been read by its function below."""

    regions: tuple[str, ...]  # places, as `locate` takes them
    cities: tuple[str, ...]
    fqdn: str  # www.shop.test
    ttl: str  # 5s


def read_places(text: str) -> tuple[str, ...]:
    """Places between commas. Raises ValueError for one that is not known or that is named twice."""
    places = tuple(word.strip() for word in text.split(",") if word.strip())
    if not places:
        raise ValueError("name at least one place")
    for place in places:
        locate(place)
    names = [name_of(place) for place in places]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is there twice")
    return places


def read_fqdn(text: str) -> str:
    """`service.zone`. Raises ValueError."""
    service, _, zone = text.strip().partition(".")
    if not zone:
        raise ValueError(
            f"{service!r} is a service without a zone; write for example www.shop.test"
        )
    if not is_label(service):
        raise ValueError(f"{service!r} cannot be a name: letters, digits and dashes")
    zone_name(zone)
    return f"{service}.{zone}"


def read_ttl(text: str) -> str:
    """A time as a file's `ttl` takes it, like `5s`. Raises ValueError."""
    _TTL(text.strip())
    return text.strip()


def name_of(place: str) -> str:
    """What a site there is called: `new-york` of `city:New York/US`."""
    word = place.rpartition(":")[2].partition("/")[0]
    plain = unicodedata.normalize("NFKD", word.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def starter(file: str, name: str, answers: Answers) -> str:
    """The file's text."""
    service, _, zone = answers.fqdn.partition(".")
    regions = [f"  {name_of(p)}: {{location: {_scalar(p)}, servers: 2}}" for p in answers.regions]
    cities = [f"  {name_of(place)}: {{location: {_scalar(place)}}}" for place in answers.cities]
    names = [name_of(place) for place in (*answers.regions, *answers.cities)]
    return _TEXT.format(
        file=file,
        name=name,
        zone=zone,
        service=service,
        first=names[0],
        second=names[1],
        regions="\n".join(regions),
        cities="\n".join(cities),
        ttl=answers.ttl,
    )


def _scalar(place: str) -> str:
    """As YAML takes it within braces."""
    return place if re.fullmatch(r"[\w:/ .-]+", place, re.ASCII) else f'"{place}"'


def clashes(answers: Answers) -> Sequence[str]:
    """Names that a region and a city would share."""
    cities = {name_of(place) for place in answers.cities}
    return sorted(cities & {name_of(place) for place in answers.regions})
