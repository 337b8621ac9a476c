"""`policy:` as a file says it: one word, or a tree of policies over regions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import get_args

from emulator.errors import suggest
from emulator.scalars import choice, whole
from emulator.steering import MULTIVALUE_MAX, Policy, PolicyKind
from emulator.yamlfile import Entry, Fields

KINDS: tuple[PolicyKind, ...] = get_args(PolicyKind)
OPTION_KEYS = ("count",)
WEIGHED_KEYS = ("to", "weight")
WEIGHT_MAX = 1000
DEFAULT_AREA = "default"
TAG = "tag:"
DEPTH_MAX = 4  # of policies inside policies: geo, weighted, failover, multivalue
MEMBERS_MAX = 500  # of all nodes of a tree together: aliases multiply in little text


@dataclass(frozen=True, slots=True)
class Known:
    """Names that the rest of the file defines."""

    regions: tuple[str, ...]  # that a policy may name here
    sites: tuple[str, ...]
    tags: tuple[str, ...]
    without: frozenset[str] = frozenset()  # regions without servers of the service

    def check_site(self, name: str, where: Entry) -> None:
        if name not in self.sites:
            hint = suggest(name, self.sites) or f"sites here: {', '.join(self.sites)}"
            where.problem(f"no site is called {name!r}", hint)


def read_policy(entry: Entry, known: Known) -> Policy:
    """A policy whose areas are still called as the file calls them: a site, `tag:x`, and "" for
    `default`. Without members: all regions."""
    if not entry.is_mapping():
        return entry.value(_plain, Policy("latency"))
    return _Reader(known).read(entry, 1) or Policy("latency")


def _plain(text: str) -> Policy:
    return Policy(choice(*KINDS)(text))


class _Reader:
    """One tree; it counts what it reads, so that no text of a few lines takes forever."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._left = MEMBERS_MAX

    def read(self, entry: Entry, depth: int) -> Policy | None:
        """None, with a problem, where this is no policy."""
        if depth > DEPTH_MAX:
            entry.problem("is a policy inside too many others", f"{DEPTH_MAX} is the most")
            self._left = 0  # one such problem says it all
            return None
        fields = entry.fields((*KINDS, *OPTION_KEYS))
        said = [kind for kind in KINDS if kind in fields]
        if len(said) != 1:
            if entry.is_mapping():
                entry.problem("a policy needs exactly one kind", f"one of {', '.join(KINDS)}")
            return None
        kind = said[0]
        return self._node(kind, fields, fields.members[kind], depth)

    def _node(self, kind: PolicyKind, fields: Fields, body: Entry, depth: int) -> Policy | None:
        count = fields.value("count", whole(1, MULTIVALUE_MAX), MULTIVALUE_MAX)
        if kind != "multivalue" and "count" in fields:
            fields.members["count"].problem(f"{kind} has no count", "multivalue has")
        if kind == "geo" and body.is_mapping():
            return self._by_area(body, depth)
        if kind in {"weighted", "sticky"} and body.is_mapping():
            return self._by_weight(kind, body)
        members, weights = self._listed(kind, body, depth)
        return Policy(kind, members, weights, count) if members else None

    def _listed(
        self, kind: PolicyKind, body: Entry, depth: int
    ) -> tuple[tuple[str | Policy, ...], tuple[int, ...]]:
        has_weights = kind in {"weighted", "sticky"}
        if not (body.is_list() or body.is_empty()):
            map_too = has_weights or kind == "geo"
            body.problem("names no members", _example(kind, map_too=map_too))
            return (), ()
        members: list[str | Policy] = []
        weights: list[int] = []
        for item in body.items():
            member, weight = self._weighed(item, depth) if has_weights else (item, 1)
            read = self._member(member, depth) if member else None
            if read is not None:
                self._add(members, read, item)
                weights.append(weight)
        if body.is_list() and not body.items():
            body.problem("names no members", "name one region at least")
        _check_weights(body, weights)
        return tuple(members), tuple(weights) if has_weights else ()

    def _weighed(self, item: Entry, depth: int) -> tuple[Entry | None, int]:
        """`{to: us-east, weight: 3}`, or the member alone."""
        if not (item.is_mapping() and any(key in item.named() for key in WEIGHED_KEYS)):
            return item, 1
        fields = item.fields(WEIGHED_KEYS)
        return fields.required("to", "to: us-east"), fields.value("weight", whole(0, WEIGHT_MAX), 1)

    def _by_weight(self, kind: PolicyKind, body: Entry) -> Policy | None:
        """`{us-east: 3, eu-west: 1}`."""
        named = body.named()
        for name, entry in named.items():
            self._check_region(name, entry)
        weights = [entry.value(whole(0, WEIGHT_MAX), 1) for entry in named.values()]
        if not named:
            body.problem("names no members", _example(kind, map_too=True))
            return None
        _check_weights(body, weights)
        return Policy(kind, tuple(named), tuple(weights))

    def _by_area(self, body: Entry, depth: int) -> Policy | None:
        """`{paris: eu-west, "tag:americas": us-east, default: us-east}`."""
        members: list[str | Policy] = []
        areas: dict[str, tuple[int, ...]] = {}
        for key, entry in body.named().items():
            self._check_area(key, entry)
            member = self._member(entry, depth)
            if member is not None:
                if member not in members:
                    members.append(member)
                areas["" if key == DEFAULT_AREA else key] = (members.index(member),)
        if DEFAULT_AREA not in body.named():
            what = "says nothing of everybody else"
            body.problem(what, f"add {DEFAULT_AREA}: and a region, or all of them by failover")
        return Policy("geo", tuple(members), areas=areas) if members else None

    def _check_area(self, key: str, entry: Entry) -> None:
        tags = self._known.tags
        if key == DEFAULT_AREA:
            return
        if not key.startswith(TAG):
            self._known.check_site(key, entry)
        elif key.removeprefix(TAG) not in tags:
            options = f"tags here: {', '.join(tags)}" if tags else "no site has a tag"
            hint = suggest(key.removeprefix(TAG), tags) or options
            entry.problem(f"no site has the tag {key.removeprefix(TAG)!r}", hint)

    def _member(self, entry: Entry, depth: int) -> str | Policy | None:
        if self._left == 0:
            return None
        self._left -= 1
        if self._left == 0:
            entry.problem(f"this policy has over {MEMBERS_MAX} members in all", "make it smaller")
        if entry.is_mapping():
            return self.read(entry, depth + 1)
        name = entry.text()
        if name is not None:
            self._check_region(name, entry)
        return name

    def _check_region(self, name: str, entry: Entry) -> None:
        known = self._known
        if name in known.without:
            entry.problem(f"{name} has no servers of this service", "leave it out of the policy")
        elif name not in known.regions:
            hint = suggest(name, known.regions) or f"regions here: {', '.join(known.regions)}"
            entry.problem(f"no region is called {name!r}", hint)

    def _add(self, members: list[str | Policy], member: str | Policy, entry: Entry) -> None:
        if isinstance(member, str) and member in members:
            entry.problem(f"{member!r} is named twice", "keep one")
        members.append(member)


def _check_weights(body: Entry, weights: Collection[int]) -> None:
    if weights and not any(weights):
        body.problem("every weight is 0, so nobody is ever chosen", "give one of them 1 or more")


def _example(kind: PolicyKind, *, map_too: bool) -> str:
    pairs = "{us-east: 3, eu-west: 1}" if kind != "geo" else "{paris: eu-west, default: us-east}"
    return f"write {kind}: {pairs if map_too else '[us-east, eu-west]'}"
