"""A scenario's words must mean something in its lab; groups and tags become sites and hosts."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from emulator.controller.prepare import names_of
from emulator.errors import UsageError
from emulator.impairment import Impairment
from emulator.plan import make_plan
from emulator.scenario.model import Heal, Kill, Scenario
from emulator.scenario.parse import parse_scenario
from emulator.scenario.targets import check_targets, resolve_targets
from emulator.topology.parse import parse_topology

TOPOLOGY = """
netemu: 1
name: lab
regions:
  us-east: {location: aws:us-east-1, servers: 1, tags: edge}
  eu-west: {location: aws:eu-west-1, tags: [edge, europe]}
clients:
  paris: {location: city:Paris/FR, tags: europe}
  new-york: {location: city:New York}
dns: {servers: {ns1: {location: aws:us-east-1, tags: names}}}
"""
NAMES = names_of(make_plan(parse_topology(TOPOLOGY, "lab.yaml"), "lab"))
HEAD = "netemu: 1\nname: x\ntopology: lab.yaml\nend: +10s\n"


def scenario(text: str) -> Scenario:
    """What `text` says, after four lines that every file needs."""
    return parse_scenario(HEAD + text, "x.yaml")


def test_a_lab_has_sites_hosts_and_tags() -> None:
    """With what each of them is; a name server is one name, not a site and a host."""
    assert NAMES.kinds["us-east"] == "region"
    assert NAMES.kinds["paris"] == "client"
    assert NAMES.kinds["ns1"] == "dns"
    assert NAMES.kinds["us-east/www-1"] == "host"
    assert NAMES.tags == {
        "edge": ("us-east", "eu-west"),
        "europe": ("eu-west", "paris"),
        "names": ("ns1",),
    }


def test_groups_and_tags_become_names_each_once() -> None:
    """In kills, heals, peers; in the order of the file."""
    resolved = resolve_targets(
        scenario(
            "groups: {west: [new-york, us-east/www-1], all: [tag:edge, us-east, paris]}\n"
            "steps:\n"
            "  - {at: 1s, kill: [west, ns1]}\n"
            "  - {at: 2s, partition: tag:names, from: all}\n"
            "  - {at: 3s, heal: west}\n"
            "  - {wait_until: recovered, within: 1s}\n"
        ),
        NAMES,
    )
    first, second, third, _ = resolved.steps
    assert isinstance(first, Kill)
    assert isinstance(second, Kill)
    assert isinstance(third, Heal)
    assert first.target == ("new-york", "us-east/www-1", "ns1")
    assert (second.target, second.peers) == (("ns1",), ("us-east", "eu-west", "paris"))
    assert third.target == ("new-york", "us-east/www-1")


def test_a_load_of_a_group_comes_from_its_cities() -> None:
    """A group can hold a region and the cities beside it; everybody's load names nobody."""
    resolved = resolve_targets(
        scenario(
            "groups: {europe: [eu-west, paris]}\n"
            "traffic:\n"
            "  - {over: http, rate: 1/s}\n"
            "  - {from: europe, over: udp, rate: 1/s}\n"
            "  - {from: [tag:europe, new-york], over: stream, rate: 1/s}\n"
            "steps: []\n"
        ),
        NAMES,
    )
    loads = resolved.traffic.loads
    assert [load.cities for load in loads] == [(), ("paris",), ("paris", "new-york")]


def test_what_is_not_in_the_lab_is_not_resolved() -> None:
    """A scenario that was not checked cannot break the wrong thing."""
    with pytest.raises(UsageError, match="did you mean us-east"):
        resolve_targets(scenario("steps: [{at: 1s, kill: us-eest}]\n"), NAMES)
    with pytest.raises(UsageError, match="no city among them"):
        read = scenario("traffic: [{from: us-east, rate: 1/s}]\nsteps: []\n")
        resolve_targets(read, NAMES)


@pytest.mark.parametrize(
    ("text", "line", "path", "what", "hint"),
    [
        ("{at: 1s, kill: us-eest}", 6, "steps[0]", "'us-eest' is not", "did you mean us-east?"),
        ("{at: 1s, kill: us-east/www-9}", 6, "steps[0]", "is not in the lab", "us-east/www-1"),
        ("{at: 1s, heal: elsewhere}", 6, "steps[0]", "is not", "sites here: us-east, eu-west, par"),
        ("{at: 1s, kill: tag:edgy}", 6, "steps[0]", "'tag:edgy' is not", "did you mean tag:edge?"),
        ("{at: 1s, partition: ns1, from: pari}", 6, "steps[0]", "'pari'", "did you mean paris?"),
        ("{at: 1s, partition: ns1, from: us-east/edge}", 6, "steps[0]", "is a host", "name a "),
        ("{at: 1s, kill: paris, how: drain}", 6, "steps[0]", "is no region", "balancer"),
        ("{at: 1s, kill: mixed, how: brownout}", 6, "steps[0]", "whole sites", "name a region"),
        ("{at: 1s..9s, kill: x, every: 2s, for: 1s}", 6, "steps[0]", "'x' is not", "sites here"),
        ("{wait_until: paris up, within: 1s}", 6, "steps[0]", "no region", "regions here: us-ea"),
        ("{wait_until: ny served by us-east, within: 1s}", 6, "steps[0]", "no city", "cities here"),
        ("{wait_until: paris served by ns1, within: 1s}", 6, "steps[0]", "no region", "regions"),
    ],
)
def test_a_step_names_what_is_there(text: str, line: int, path: str, what: str, hint: str) -> None:
    """And what the fault or the condition is about; the line and the advice are said."""
    read = scenario(f"groups: {{mixed: [us-east, us-east/edge]}}\nsteps: [\n{text}]\n")
    (problem,) = check_targets(read, NAMES)
    assert (problem.line, problem.path) == (line + 1, path)
    assert what in problem.what
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "path", "what", "hint"),
    [
        ("groups: {us-east: [paris]}", "groups.us-east", "is a region of the lab too", "own"),
        ("groups: {a: [parris]}", "groups.a", "'parris' is not", "did you mean paris?"),
        ("groups: {a: [paris], b: [a]}", "groups.b", "'a' is a group itself", "members"),
        ("traffic: [{from: ns1, rate: 1/s}]", "traffic[0].from", "is no city", "paris, new-york"),
        ("traffic: [{from: oslo, rate: 1/s}]", "traffic[0].from", "not in the lab", "sites here"),
        ("objectives: [resets == 0 from oslo]", "objectives[0]", "no city", "cities here: paris"),
        ("objectives: [resets == 0 from us-east]", "objectives[0]", "no city", "cities here"),
        ("objectives: [region_share(eu) >= 1%]", "objectives[0]", "no region", "regions here"),
        (
            "objectives: [resets == 0 during nowhere-down]",
            "objectives[0]",
            "'nowhere'",
            "sites here",
        ),
        ("objectives: [resets == 0 during ns1-down]", "objectives[0]", "no step", "us-east"),
        ("steady_state: [resets == 0 from oslo]", "steady_state[0]", "no city", "cities here"),
        ("steady_state: {hold: [resets == 0 from x]}", "steady_state.hold[0]", "no city", "cities"),
    ],
)
def test_the_rest_of_the_file_names_what_is_there(
    text: str, path: str, what: str, hint: str
) -> None:
    """Groups, cities of traffic, cities, regions and periods of objectives and steady state."""
    read = scenario(f"{text}\nsteps: [{{at: 1s, kill: us-east}}]\n")
    (problem,) = check_targets(read, NAMES)
    assert (problem.line, problem.path) == (5, path)
    assert what in problem.what
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("kill", "heal", "hint"),
    [
        ("kill: both", "us-east", "steps break us-east and eu-west"),
        ("kill: us-east", "[us-east, ns1]", "steps break us-east"),
        ("partition: ns1, from: both", "eu-west", "steps break ns1; us-east and eu-west"),
    ],
)
def test_a_heal_undoes_something(kill: str, heal: str, hint: str) -> None:
    """A fault is healed whole: a heal of a part of it would do nothing, and nobody would know."""
    steps = f"[{{at: 1s, {kill}}}, {{at: 2s, heal: {heal}}}]"
    (problem,) = check_targets(scenario(f"groups: {{both: tag:edge}}\nsteps: {steps}\n"), NAMES)
    assert "heals nothing" in problem.what
    assert problem.hint == hint
    whole = steps.replace(f"heal: {heal}", f"heal: {kill.split()[1].strip(',')}")
    assert check_targets(scenario(f"groups: {{both: tag:edge}}\nsteps: {whole}\n"), NAMES) == []


def test_a_scenario_that_fits_has_no_problems() -> None:
    """Whatever it uses of the language."""
    read = scenario(
        "groups: {west: [us-east, new-york], hosts: us-east/edge}\n"
        "traffic: [{from: west, over: http, rate: 1/s}, {over: udp, rate: 1/s}]\n"
        "steady_state: {over: 1s, hold: [region_share(us-east) >= 99% from new-york]}\n"
        "steps:\n"
        "  - {wait_until: paris served by eu-west, within: 1s}\n"
        "  - {at: +1s, kill: west, for: 1s}\n"
        "  - {at: +1s, kill: hosts, how: crash}\n"
        "  - {wait_until: us-east down, within: 1s}\n"
        "objectives: [relapses == 0 during new-york-down, resets == 0 during us-east/edge-down]\n"
    )
    assert check_targets(read, NAMES) == []


def problems_of(step: str) -> list[str]:
    return [str(p) for p in check_targets(scenario(f"steps: [{step}]\n"), NAMES)]


def test_regions_are_forced_for_services_that_are_there() -> None:
    """A group or tag of regions too; what is no region has no answers to be forced."""
    assert problems_of("{at: 1s, force: tag:edge, state: up, service: www}") == []
    (city,) = problems_of("{at: 1s, force: paris, state: up}")
    assert "'paris' is no region" in city
    (service,) = problems_of("{at: 1s, force: us-east, state: up, service: ww}")
    assert "no service of the lab is called 'ww' (did you mean www?)" in service


def test_a_forced_service_is_no_site() -> None:
    """It stays as it is where groups and tags become names, and nothing is healed by it."""
    text = "steps:\n  - {at: 1s, force: tag:edge, state: up, service: www}\n"
    (step,) = resolve_targets(scenario(text), NAMES).steps
    assert isinstance(step, Kill)
    assert (step.target, step.peers, step.sides) == (
        ("us-east", "eu-west"), ("www",), (("us-east", "eu-west"),),
    )  # fmt: skip


PATHS = {
    (a, b): Impairment(40_000_000)
    for a, b in permutations(("us-east", "eu-west", "paris", "new-york", "ns1"), 2)
}


def path_problems(*steps: str) -> list[str]:
    names = replace(NAMES, paths=PATHS)
    return [str(p) for p in check_targets(scenario(f"steps: [{', '.join(steps)}]\n"), names)]


def test_paths_lead_from_site_to_site() -> None:
    """One that does not is told with what was perhaps meant."""
    assert path_problems("{at: 1s, path: us-east..paris, loss: 2%}", "{at: 2s, clear: paris}") == []
    (typo,) = path_problems("{at: 1s, path: us-eats..paris, loss: 2%}")
    assert "no site is called 'us-eats' (did you mean us-east?)" in typo
    (site,) = path_problems("{at: 1s, clear: moon}")
    assert "no site is called 'moon' (there are us-east" in site


def test_what_a_path_is_set_to_goes_with_what_it_is_then() -> None:
    """By the file and by the steps before; a trace's steps too."""
    (jitter,) = path_problems("{at: 1s, path: us-east->paris, jitter: 50ms}")
    assert "us-east->paris: a jitter of 50 ms exceeds the delay of 40 ms (set a longer" in jitter
    slow, wild = "{at: 1s, path: paris, one_way: 80ms}", "{at: 2s, path: paris, jitter: 50ms}"
    assert path_problems(slow, wild) == []
    assert len(path_problems(slow, "{at: 2s, clear: all}", wild)) == 8
    (trace,) = path_problems("{at: 1s, path: us-east->paris, jitter: 9ms, trace: [0s 1ms]}")
    assert "a jitter of 9 ms exceeds the delay of 1 ms" in trace
    (codel,) = path_problems("{at: 1s, path: us-east->paris, aqm: codel}")
    assert "without a rate there is none (set a rate too)" in codel


def test_no_site_is_on_both_sides_of_a_partition() -> None:
    """Not by a tag or a group either."""
    assert path_problems("{at: 1s, partition: 'paris | us-east, ns1'}") == []
    (both,) = path_problems("{at: 1s, partition: 'tag:edge, paris | us-east'}")
    assert "us-east is on both sides" in both


def test_an_objective_over_own_needs_a_client_of_the_users_there() -> None:
    """In that city, or in any; a misspelt city is told of once."""
    said = scenario(
        "steps:\n  - {at: 1s, kill: us-east}\n"
        "objectives:\n"
        "  - recovery_s <= 9 s over own\n"
        "  - recovery_s <= 9 s from new-york over own\n"
        "  - recovery_s <= 9 s from pariss over own\n"
        "  - exit_code == 0 from new-york\n"
        "  - writes_lost == 0\n"
        "  - rpo_s <= 1 s from new-york\n"
    )
    nowhere = {p.line for p in check_targets(said, NAMES) if "a client of yours" in p.what}
    assert nowhere == {8, 9, 10, 11, 12, 13}
    own = replace(NAMES, own_clients=("paris",))
    problems = [(p.line, p.what, p.hint) for p in check_targets(said, own)]
    assert problems == [
        (9, "no client of yours is in 'new-york'", "there is one in paris"),
        (10, "no city of the lab is called 'pariss'", "did you mean paris?"),
        (11, "no client of yours is in 'new-york'", "there is one in paris"),
        (13, "no client of yours is in 'new-york'", "there is one in paris"),
    ]


OWN = """
netemu: 1
name: own
regions:
  us-east: {location: aws:us-east-1}
  eu-west: {location: aws:eu-west-1}
clients: {paris: {location: city:Paris/FR, image: my/client}}
services:
  www: {port: 80}
  db: {image: my/db, port: 5432, balance: l4}
"""


def commands(*hosts: str) -> list[str]:
    """What is wrong with programs in these, and what to do."""
    names = names_of(make_plan(parse_topology(OWN, "own.yaml"), "own"))
    steps = "".join(f"  - {{at: +1s, exec: '{host}', command: date}}\n" for host in hosts)
    found = check_targets(scenario(f"steps:\n{steps}"), names)
    return [f"{problem.path}: {problem.what} ({problem.hint})" for problem in found]


def test_a_program_runs_where_there_is_a_container() -> None:
    """A region means its first host, a city its client; `:image` is for hosts that have one."""
    assert commands("paris", "us-east", "ns1", "us-east/db-1", "us-east/db-1:image") == []
    own = "us-east/db-1:image, eu-west/db-1:image, paris/client:image"
    hint = f"containers of yours: {own}; without :image it is ours"
    assert commands("us-east/db-9", "eu-west/dc-1:image", "us-east/www-1:image", "oslo:image") == [
        "steps[0]: 'us-east/db-9' is not in the lab (did you mean us-east/db-1 or us-east/edge?)",
        "steps[1]: 'eu-west/dc-1' is not in the lab (did you mean eu-west/db-1 or us-east/db-1?)",
        f"steps[2]: no container of yours is on 'us-east/www-1' ({hint})",
        "steps[3]: 'oslo' is not in the lab (sites here: us-east, eu-west, paris, ns1, ns2)",
    ]


def test_a_lab_without_images_says_so() -> None:
    """Where somebody expects one."""
    read = scenario("steps: [{at: 1s, count: 'us-east/www-1:image', command: date}]\n")
    (problem,) = check_targets(read, NAMES)
    assert problem.hint == "containers of yours: none here; without :image it is ours"
