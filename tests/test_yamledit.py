"""One value of a YAML text is set or taken away, and nothing else moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.topology.parse import parse_topology
from emulator.yamledit import set_value, without

TEXT = """\
# a lab
a: {b: 5s, c: [1, 2]}  # flow
d:
  e: 1  # one
  f:
    g: x
h:
i: {}
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("a.b", "30s", "b: 5s", "b: 30s"),
        ("a.x", "1", "{b:", "{x: 1, b:"),
        ("a.x.y", "1", "{b:", "{x: {y: 1}, b:"),
        ("d.e", "2", "e: 1", "e: 2"),
        ("d.f.g", "y", "g: x", "g: y"),
        ("d.z", "2", "  e: 1", "  z: 2\n  e: 1"),
        ("h", "1", "h:", "h: 1"),
        ("h.k", "1", "h:", "h: {k: 1}"),
        ("i.k", "1", "{}", "{k: 1}"),
        ("z", "1", "a: {b", "z: 1\na: {b"),
        ("a.b", "50%", "b: 5s", "b: 50%"),
        ("a.b", "x, y: {", "b: 5s", 'b: "x, y: {"'),
        ("a.c", "none", "[1, 2]", "none"),
    ],
)
def test_one_value_is_set_and_all_the_rest_stays(path, value, old, new):
    """Comments, order and spaces too."""
    assert set_value(TEXT, path, value) == TEXT.replace(old, new, 1)


@pytest.mark.parametrize(
    ("path", "said"),
    [("a.b.c", "a.b is no mapping"), ("a.c.x", "a.c is no mapping"), ("d", "several lines")],
)
def test_what_stands_in_the_way_is_named(path, said):
    """Nothing is overwritten that was more than a value."""
    with pytest.raises(ValueError, match=said):
        set_value(TEXT, path, "1")


def test_an_alias_is_not_changed_through_its_anchor():
    """That would change another setting, too."""
    with pytest.raises(ValueError, match="alias"):
        set_value("a: &x {k: 1}\nb: *x\n", "b.k", "2")


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=20))
def test_any_text_is_a_value_that_reads_back(value):
    """Quoted where it must be; what no YAML file may hold is refused by its reader."""
    try:
        text = set_value("a: {b: 1}\n", "a.b", value)
        read = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    assert read is not None
    assert read.value[0][1].value[0][1].value == value


def test_every_setting_of_an_example_can_be_varied():
    """As the library does; the topology reads as if it had been written so."""
    source = Path("topologies/two-region.yaml").read_text(encoding="utf-8")
    varied = parse_topology(set_value(source, "services.www.dns.ttl", "7s"), "x.yaml")
    assert varied.services[0].dns.ttl_s == 7
    assert len(varied.regions) == 2


@pytest.mark.parametrize(
    "written", ["vary: {x: [1,\n  2]}  # c\n", "vary:\n  x:\n    - 1\n    - 2\n", "vary: 1\n"]
)
def test_a_key_is_taken_out_with_its_lines(written):
    """What follows stays, comments too."""
    text = "a: 1\n{}# next\nb: 2\n"
    assert without(text.replace("{}", written), "vary") == text.replace("{}", "")
    assert without(text.replace("{}", ""), "vary") == text.replace("{}", "")
