"""Places by name, and the round-trip time two places should have.

`places.csv` names public regions of three clouds and large cities. A cloud region stands at the
centre of the city its operator names for it (for AWS's states: Ashburn, Columbus, San Jose and
Boardman), a city at its own centre, to 0.01 degrees (about 1 km).

The table was written by hand and then held against other sources in November 2026. Names: every
AWS region, every Google region but europe-north2, and 42 of 46 Azure regions stand in
github.com/tal66/cloud-regions (of January 2025, read from the operators' own interfaces); the
other five are newer than that list. Coordinates: 34 of those 42 Azure regions lie within 25 km of
what Azure states, the other 8 differ because Azure gives another point of the country or city;
the 122 cities that tzdata's `zone.tab` has lie within 21 km of it. The other cities were compared
with nothing.

**Prediction.** Light in fibre covers 204,190 km/s (the speed of light over the refractive index
1.4682 of standard single-mode fibre). Cables do not follow great circles and routers add a
little, so

    rtt = 1 ms + 1.5 * 2 * distance / 204,190 km/s

Both constants were fitted to the 97 published round-trip times between 10 cities and 5 cloud
regions in `tests/data/rtt-published.csv`: half of them are met within 8.3 %, nine in ten within
41 %. What is missed most is missed for one reason: from Europe or Japan to Sao Paulo, and between
Europe and Japan, the cables take detours that no rule of distance knows. State such a pair in
`paths:`. The 1 ms is also what two sites in one city have between them.
"""

from __future__ import annotations

import csv
import math
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from emulator.errors import suggest
from emulator.topology.model import Location

FIBRE_KM_PER_S = 204_190.0
PATH_STRETCH = 1.5
NEAREST_RTT_S = 0.001
_EARTH_RADIUS_KM = 6371.0  # the mean radius; the ellipsoid differs by 0.5 % at most


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the table."""

    kind: str  # aws, gcp, azure, city
    name: str  # "us-east-1", "Paris"
    country: str  # ISO 3166 two letters
    latitude: float
    longitude: float
    where: str  # the city a cloud region is in

    @property
    def full_name(self) -> str:
        """What names this place and no other."""
        country = f"/{self.country}" if self.kind == "city" else ""
        return f"{self.kind}:{self.name}{country}"

    def names(self) -> set[str]:
        """All that a user may call it, folded; the short ones need not be unique."""
        names = {self.name, f"{self.kind}:{self.name}", self.full_name}
        names.add(self.full_name.removeprefix("city:"))
        return {_fold(name) for name in names}


def locate(text: str) -> Location:
    """The place called `text`: `aws:us-east-1`, `gcp:`, `azure:`, `city:Paris/FR`, or a shorter
    form where only one place has it. Case and accents do not matter.

    ValueError, with what to write instead, if no place or several are called so.
    """
    found = _by_name().get(_fold(text), ())
    if len(found) == 1:
        return Location(text, found[0].latitude, found[0].longitude)
    if found:
        options = ", ".join(place.full_name for place in found)
        raise ValueError(f"{text!r} may be several places; write one of {options}")
    advice = suggest(_fold(text), {place.full_name for place in _places()})
    raise ValueError(
        f"no place is called {text!r}; "
        + (advice or "write aws:us-east-1, city:Paris/FR or {lat: 48.9, lon: 2.4}")
    )


def distance_km(a: Location, b: Location) -> float:
    """Along the great circle."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat = (lat_b - lat_a) / 2
    half_lon = math.radians(b.longitude - a.longitude) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


def predicted_rtt_s(a: Location, b: Location) -> float:
    """The round-trip time, in seconds, that the internet would likely have from `a` to `b`."""
    return NEAREST_RTT_S + PATH_STRETCH * 2 * distance_km(a, b) / FIBRE_KM_PER_S


def _fold(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@cache
def _places() -> tuple[Place, ...]:
    table = files("emulator.topology").joinpath("places.csv").read_text(encoding="utf-8")
    return tuple(
        Place(
            kind=row["kind"],
            name=row["name"],
            country=row["country"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            where=row["where"],
        )
        for row in csv.DictReader(table.splitlines())
    )


@cache
def _by_name() -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    for place in _places():
        for name in place.names():
            found[name] = (*found.get(name, ()), place)
    return found
