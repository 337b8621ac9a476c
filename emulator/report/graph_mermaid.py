"""A topology as a Mermaid flowchart, for places that draw those: wikis, READMEs, pull requests.

Thick lines lead to where DNS sends a city, dotted ones are health checks; what stands on a line is
the round trip. Ids are made by us (r1, c1, n1): a name may be a word of Mermaid's, such as `end`.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.analysis.words import plural
from emulator.plan.model import Plan
from emulator.report.graph import Graph, RegionNode, graph_of_plan


def graph_mermaid(plan: Plan) -> str:
    """The topology of a plan as the text of one flowchart."""
    graph = graph_of_plan(plan)
    lines = [f"%% {graph.name}: {graph.summary}; times are round trips", "flowchart LR"]
    return "\n".join([*lines, *_nodes(graph), *_links(graph)]) + "\n"


def _nodes(graph: Graph) -> Iterator[str]:
    for number, city in enumerate(graph.cities, 1):
        yield f'  c{number}["{_title(city.name, city.place)}<br/>client and resolver"]'
    for number, region in enumerate(graph.regions, 1):
        yield from _region(f"r{number}", region)
    for number, server in enumerate(graph.name_servers, 1):
        yield f'  n{number}(["{_title(server.name, server.place)}"])'


def _region(node: str, region: RegionNode) -> Iterator[str]:
    yield f'  subgraph {node}["{_title(region.name, region.place)}"]'
    yield f'    {node}balancer["balancer"]'
    for number, (service, count) in enumerate(region.servers, 1):
        words = _plain(f"{service}: {plural(count, 'server')}")
        yield f'    {node}balancer --> {node}s{number}["{words}"]'
    yield "  end"


def _links(graph: Graph) -> Iterator[str]:
    for site, name, nearest in (
        *((f"c{n}", city.name, city.nearest) for n, city in enumerate(graph.cities, 1)),
        *((f"n{n}", server.name, None) for n, server in enumerate(graph.name_servers, 1)),
    ):
        for number, region in enumerate(graph.regions, 1):
            if (name, region.name) not in graph.rtts_ms:
                continue
            rtt = graph.rtt(name, region.name)
            yield f"  {site} {_arrow(rtt, region.name, nearest)} r{number}balancer"


def _arrow(rtt: str, region: str, nearest: str | None) -> str:
    if nearest is None:
        return f'-. "{rtt}" .->'
    return f'== "{rtt}" ==>' if region == nearest else f'-- "{rtt}" -->'


def _title(name: str, place: str) -> str:
    return _plain(f"{name} ({place})" if place else name)


def _plain(words: str) -> str:
    """Without what would end a quoted text or begin a tag or an entity: a subgraph's title shows
    Mermaid's own entities as they are written."""
    marks = {'"': "'", "`": "'", "<": "(", ">": ")", "#": "no. ", "&": "and", ";": ","}
    return "".join(marks.get(letter, letter) for letter in words)
