"""Drawings of a topology: complete, readable, the same everywhere. No Docker."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from emulator.errors import Exit
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.report.graph_mermaid import graph_mermaid
from emulator.report.graph_svg import graph_svg, graph_svg_of_run
from emulator.topology.parse import load_topology
from tests.analysis.stories import region_loss
from tests.cli import MINIMAL, ROOT, TWO_REGION, caller
from tests.plan.worlds import plan_of, wide

PLACES = ("Paris/FR", "Berlin", "Osaka", "Mumbai", "Sydney", "Cairo", "Lima", "Oslo")
SVG = "{http://www.w3.org/2000/svg}"


def world(regions: int, cities: int) -> Plan:
    """Names of twenty letters, the longest there are."""
    return plan_of(
        "netemu: 1\nname: world\nregions:\n"
        + "".join(
            f"  a-very-long-region-{n}: {{location: city:{PLACES[n]}}}\n" for n in range(regions)
        )
        + "clients:\n"
        + "".join(
            f"  a-city-with-a-name-{n}: {{location: city:{PLACES[n]}}}\n" for n in range(cities)
        )
    )


def of_file(path) -> Plan:
    topology = load_topology(path)
    return make_plan(topology, topology.name)


WORLDS = {
    "minimal": of_file(MINIMAL),
    "two-region": of_file(TWO_REGION),
    "three-region": of_file(ROOT / "topologies" / "three-region.yaml"),
    "wide": wide(),
    "six by eight": world(6, 8),
    "one by eight": world(1, 8),
    "six by one": world(6, 1),
}


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - we wrote it


def picture(plan: Plan) -> ET.Element:
    return parsed(graph_svg(plan))


def words(element: ET.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{SVG}text")]


def boxes(root: ET.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of every text, taken generously wide."""
    found = []
    for text in root.iter(f"{SVG}text"):
        kinds = (text.get("class") or "").split()
        size = 17 if "title" in kinds else 14 if "name" in kinds else 11
        wide = len(text.text or "") * size * 0.56
        x, y = float(text.get("x", 0)), float(text.get("y", 0))
        centred, ended = {"rtt", "middle"} & {*kinds}, text.get("text-anchor") == "end"
        left = x - wide / 2 if centred else x - wide if ended else x
        top = y - size / 2 if "rtt" in kinds else y - size * 0.8
        found.append((left, top, left + wide, top + size * 0.95))
    return found


@pytest.mark.parametrize("name", WORLDS)
def test_no_two_texts_overlap_and_all_stand_inside(name):
    """Up to six regions and eight cities, with the longest names there are."""
    root = picture(WORLDS[name])
    width, height = (float(side) for side in root.get("viewBox", "").split()[2:])
    found = boxes(root)
    assert [
        (a, b)
        for a, b in combinations(found, 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ] == []
    assert all(a[0] >= 0 and a[2] <= width and a[3] <= height for a in found)


@pytest.mark.parametrize("name", WORLDS)
def test_everything_of_the_topology_is_drawn(name):
    """Every site by its name, a round trip for every city and name server to every region."""
    plan, shown = WORLDS[name], words(picture(WORLDS[name]))
    assert {site.name for site in plan.sites} <= {*shown}
    regions = [site for site in plan.sites if site.kind == "region"]
    talkers = len(plan.sites) - len(regions)
    assert sum(word.endswith(" ms") for word in shown) == talkers * len(regions)


def test_each_city_has_one_thick_line_to_its_nearest_region():
    """What DNS does is what catches the eye."""
    near = [
        path.findtext(f"{SVG}title", "")
        for path in picture(WORLDS["two-region"]).iter(f"{SVG}path")
        if "near" in (path.get("class") or "") and path.find(f"{SVG}title") is not None
    ]
    assert sorted(line.split(":")[0] for line in near) == ["new-york..us-east", "paris..eu-west"]


def test_a_phone_is_wide_enough():
    """Words stay at eight points or more on 360 pixels, where names are short."""
    for name in ("minimal", "two-region", "three-region"):
        assert float(picture(WORLDS[name]).get("width", 0)) * 8 / 11 <= 360


def test_a_picture_inside_a_page_leaves_the_page_alone():
    """Every rule of its style sheet is about itself; there are no ids to collide."""
    root = picture(WORLDS["wide"])
    style = root.findtext(f"{SVG}style", "")
    selectors = re.findall(r"^([^@\s}][^{]*)\{", style, re.MULTILINE)
    assert selectors
    assert all(part.strip().startswith(".netemu-graph") for s in selectors for part in s.split(","))
    assert not [element for element in root.iter() if element.get("id")]


def test_paper_is_never_dark():
    """Dark is for screens only."""
    assert "@media screen and (prefers-color-scheme:dark)" in graph_svg(WORLDS["minimal"])


def test_the_same_topology_is_the_same_picture():
    """Byte for byte, so that a drawing can be kept beside its file."""
    assert graph_svg(of_file(TWO_REGION)) == graph_svg(of_file(TWO_REGION))


def test_a_run_draws_its_lab_from_the_header():
    """Elsewhere, without the file: the same sites, round trips, thick lines."""
    run = region_loss().history().run
    assert run is not None
    shown = words(parsed(graph_svg_of_run(run)))
    assert {"us-east", "eu-west", "new-york", "paris", "ns1", "ns2"} <= {*shown}
    assert {"9.0 ms", "76 ms", "11 ms", "83 ms"} <= {*shown}


def test_many_servers_are_counted_not_drawn():
    """Twenty squares would not fit a card."""
    plan = plan_of(
        "netemu: 1\nname: many\nregions: {here: {location: city:Oslo, servers: 20}}\n"
        "clients: {oslo: {location: city:Oslo}}\n"
    )
    assert "20 servers" in words(picture(plan))


def test_mermaid_has_every_node_and_line():
    """A flowchart: thick to the nearest region, dotted for checks."""
    text = graph_mermaid(WORLDS["two-region"])
    lines = [line.strip() for line in text.splitlines()]
    assert lines[1] == "flowchart LR"
    assert 'c1 == "6.1 ms" ==> r1balancer' in lines
    assert 'c1 -- "76 ms" --> r2balancer' in lines
    assert 'n1 -. "1.0 ms" .-> r1balancer' in lines
    assert 'r1balancer --> r1s1["www: 2 servers"]' in lines
    assert sum(line.startswith("subgraph") for line in lines) == lines.count("end") == 2


def test_mermaid_is_given_names_that_it_cannot_misread():
    """Nothing in a name ends a quoted text or begins a tag or an entity."""
    plan = WORLDS["minimal"]
    (city,) = plan.topology.cities
    odd = replace(city, location=replace(city.location, label='a "b" <i> #1; `c` & end'))
    text = graph_mermaid(replace(plan, topology=replace(plan.topology, cities=(odd,))))
    assert "berlin (a 'b' (i) no. 1, 'c' and end)" in text


def test_xml_is_given_names_that_it_cannot_misread():
    """The picture stays a document, whatever a place is called."""
    plan = WORLDS["minimal"]
    (city,) = plan.topology.cities
    odd = replace(city, location=replace(city.location, label='<b>&"'))
    root = picture(replace(plan, topology=replace(plan.topology, cities=(odd,))))
    assert '<b>&"' in words(root)


@pytest.fixture
def call(monkeypatch, capsys):
    """With an engine that nobody may ask."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return caller(monkeypatch, capsys)


def test_graph_writes_where_it_is_told(call, tmp_path):
    """To a file, in the form its name says; else to stdout."""
    assert parsed(call("graph", TWO_REGION).out).tag == f"{SVG}svg"
    said = call("graph", TWO_REGION, "-o", tmp_path / "a.mmd")
    assert (said.code, said.out) == (Exit.PASSED, "")
    assert "flowchart LR" in (tmp_path / "a.mmd").read_text(encoding="utf-8")
    assert "flowchart LR" in call("graph", TWO_REGION, "--format", "mermaid").out


def test_graph_refuses_what_it_cannot_draw_or_write(call, tmp_path):
    """A scenario is no topology; a directory is no file."""
    scenario = ROOT / "topologies" / "scenarios" / "region-loss.yaml"
    assert call("graph", scenario).code == Exit.USAGE
    said = call("graph", TWO_REGION, "-o", tmp_path)
    assert (said.code, "cannot write" in said.err) == (Exit.USAGE, True)


def test_a_city_that_is_sent_to_several_regions_has_no_thick_line():
    """Under weights no single line is where DNS sends it."""
    text = TWO_REGION.read_text(encoding="utf-8")
    assert "==>" in graph_mermaid(plan_of(text))
    drawn = text.replace("policy: latency", "policy: {weighted: {us-east: 3, eu-west: 1}}")
    assert "==>" not in graph_mermaid(plan_of(drawn))
    assert drawn != text
