"""What a test says, in the words of a scenario file, as the model's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulator.errors import UsageError
from emulator.plan.model import Plan
from emulator.scenario.model import Load, Traffic
from emulator.scenario.objectives import CLIENTS
from emulator.scenario.steps import DIRECTIONS, SETTINGS_OF
from emulator.scenario.traffic import CACHES, SHARES
from emulator.units import parse_duration, parse_frequency, parse_rate, parse_share

Words = str | Sequence[str]
Quantity = str | float


def words_of(names: Words | None) -> tuple[str, ...]:
    """One name, or several in a list, or in one text with commas between."""
    if names is None:
        return ()
    if isinstance(names, str):
        return tuple(name.strip() for name in names.split(",") if name.strip())
    return tuple(names)


def quantity(value: Quantity, parse: Callable[[str], float], what: str) -> float:
    """A number as it is; a text by its unit. Raises UsageError."""
    try:
        return float(parse(value)) if isinstance(value, str) else float(value)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def seconds(value: Quantity, what: str) -> float:
    """Seconds, or a text like `30s`."""
    return quantity(value, parse_duration, what)


def traffic_of(
    rate: Quantity,
    cities: tuple[str, ...],
    over: Words | None,
    connections: int | None,
    cache: Quantity | None,
) -> Traffic:
    """`rate` is the total of each city: requests a second, shared out among the kinds."""
    total = quantity(rate, parse_frequency, "rate")
    kinds = words_of(over) or tuple(SHARES)
    if unknown := [kind for kind in kinds if kind not in CLIENTS]:
        raise UsageError(f"there is no traffic over {unknown[0]!r}; there is {', '.join(CLIENTS)}")
    if total <= 0:
        raise UsageError("no traffic, nothing to measure; write for example rate=50")
    if connections is not None and not {"keepalive", "stream"}.intersection(kinds):
        raise UsageError("only keepalive and stream keep connections")
    parts = sum(SHARES[kind] for kind in kinds)
    kept = {"keepalive": connections, "stream": connections}
    return Traffic(
        tuple(
            Load(kind, total * SHARES[kind] / parts, cities, kept.get(kind), *_cache(cache))
            for kind in dict.fromkeys(kinds)
        )
    )


def _cache(cache: Quantity | None) -> tuple[float, float]:
    if cache is None:
        return CACHES["none"]
    if isinstance(cache, str) and cache in CACHES:
        return CACHES[cache]
    return seconds(cache, f"cache (a time, or one of {', '.join(CACHES)})"), 0.0


def cities_of(plan: Plan, names: tuple[str, ...]) -> tuple[str, ...]:
    """The cities of these names; () for all of them."""
    if names in {(), ("all",)}:
        return ()
    known = [city.name for city in plan.topology.cities]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"traffic comes from cities, and {unknown[0]!r} is none of"
                         f" {', '.join(known)}")  # fmt: skip
    return names


def settings_of(how: str, given: dict[str, Quantity | None]) -> dict[str, float]:
    """The numbers of a brown-out or a partition; `given` by their words in a step.
    Raises UsageError for one that `how` does not have."""
    said = {word: value for word, value in given.items() if value is not None}
    for word in said:
        if word not in SETTINGS_OF:
            raise UsageError(f"{how} has no {word!r}")
        if how not in SETTINGS_OF[word]:
            raise UsageError(f"{word} is for {SETTINGS_OF[word][0]}, not for {how}")
    return dict(_setting(word, value) for word, value in said.items())


def _setting(word: str, value: Quantity) -> tuple[str, float]:
    if word in {"delay", "jitter"}:
        return f"{word}_s", seconds(value, word)
    if word == "rate":
        return "rate_bps", quantity(value, parse_rate, word)
    if word != "direction":
        return word, quantity(value, parse_share, word)
    if value not in DIRECTIONS:
        raise UsageError(f"direction is {' or '.join(DIRECTIONS)}, not {value!r}")
    return "direction", DIRECTIONS[str(value)]
