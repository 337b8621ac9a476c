"""`depends_on:`: whose servers must be well before a service's containers start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulator.errors import suggest
from emulator.topology.images import has_image
from emulator.topology.model import Region, Service
from emulator.yamlfile import Entry


def read_depends_on(entry: Entry) -> tuple[str, ...]:
    """Names of services, one or a list."""
    items = entry.items() if entry.is_list() else [entry]
    return tuple(dict.fromkeys(item.text() or "" for item in items))


def check_depends_on(
    services: Sequence[Service], written: Mapping[str, Entry], regions: Sequence[Region]
) -> None:
    """Each names another service of the file, nobody waits for himself, and who waits is an image:
    a built-in server needs nobody."""
    needs = {service.name: service.depends_on for service in services}
    for service in services:
        if not service.depends_on:
            continue
        entry = written[service.name].named()["depends_on"]
        if not has_image(service, regions):
            entry.problem("is for an image, and there is none", "image: my/api:1.2")
        for name in service.depends_on:
            if name not in needs:
                others = [other for other in needs if other != service.name]
                hint = suggest(name, others) or f"services here: {', '.join(others) or 'no other'}"
                entry.problem(f"no service is called {name!r}", hint)
        if circle := _circle(service.name, needs):
            entry.problem(f"it waits for itself: {' -> '.join(circle)}", "leave one out")


def _circle(begin: str, needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A way from this service back to it; nothing where there is none."""
    ways, seen = [[begin]], {begin}
    while ways:
        way = ways.pop()
        for name in needs.get(way[-1], ()):
            if name == begin:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []
