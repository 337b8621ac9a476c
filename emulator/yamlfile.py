"""YAML read without YAML's own types: every scalar is the text the user wrote, with its line.

Plain YAML turns `no` into False, `1:30` into 90 and `010` into 8, and keeps the last of two equal
keys in silence. Here nothing is typed before our schema types it, and nothing is dropped: a wrong
value, an unknown key or a key given twice becomes a `Problem`, reading goes on with a stand-in,
and `Document.raise_problems` reports all of them at once.

Only the places the schema names are ever visited, so aliases that blow up when expanded cost
nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml

from emulator.errors import FileProblems, Problem, UsageError, suggest

T = TypeVar("T")
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "null", "bool", "int", "float", "timestamp", "value", "merge", "map", "seq")
}
_ANCHOR = re.compile(r"&\S+\s+")
_BIGGEST_FILE = 1_000_000  # bytes; a lab of the largest size allowed is described in about 20 kB


def read_text(path: Path) -> str:
    """The file's text. UsageError where there is none to read, with what to do."""
    try:
        if path.stat().st_size > _BIGGEST_FILE:
            raise UsageError(f"cannot read {path}: it is over 1 MB; this is no file of netemu's")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"cannot read {path}: no such file; {_others(path)}") from None
    except IsADirectoryError:
        raise UsageError(f"cannot read {path}: it is a directory; {_others(path / 'x')}") from None
    except UnicodeDecodeError:
        raise UsageError(f"cannot read {path}: it is not UTF-8 text; name a YAML file") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot read {path}: {reason}; check the path and its rights") from error


def _others(path: Path) -> str:
    """What the user may have meant instead of `path`."""
    if not path.parent.is_dir():
        return f"{path.parent} does not exist either"
    names = sorted(p.name for p in path.parent.iterdir() if p.suffix in {".yaml", ".yml"})
    if not names:
        return f"there is no YAML file in {path.parent}"
    return suggest(path.name, names) or f"{path.parent} has {', '.join(names[:8])}"


@dataclass(slots=True)
class Document:
    """A file being read and everything found wrong with it so far."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    _taken_in: dict[int, tuple[int, str]] = field(default_factory=dict)  # by where it stands

    @property
    def folder(self) -> Path:
        """Where files that it names are."""
        return Path(self.file).parent

    def take_in(self, entry: Entry, text: str) -> None:
        """What a file that `entry` names holds: `self_contained` says it in the name's place."""
        self._taken_in[entry.node.start_mark.index] = (entry.node.end_mark.index, text)

    def self_contained(self, text: str) -> str:
        """The document's text, no longer in need of any other file; its lines stay where they are.
        What grew too large to be read again is a problem."""
        for start, (end, inside) in sorted(self._taken_in.items(), reverse=True):
            anchor = _ANCHOR.match(text, start, end)
            kept = anchor.end() if anchor else start
            text = f"{text[:kept]}{json.dumps(inside)}{text[end:]}"
        if self._taken_in and len(text) > _BIGGEST_FILE:
            what = f"with all that its files hold, it is {len(text) / 1e6:.1f} MB long"
            self.problems.append(Problem(1, "", what, "1 MB is the most"))
        return text

    def root(self, text: str) -> Entry:
        """The whole file as one entry. FileProblems if it is not YAML at all."""
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise self._broken(error) from None
        except yaml.YAMLError as error:  # a character YAML forbids: no line is given
            line = text[: getattr(error, "position", 0)].count("\n") + 1
            what = "not YAML: a character that text cannot have"
            raise FileProblems(self.file, [Problem(line, "", what, "delete it")]) from None
        except RecursionError:
            what = "not readable: nested hundreds of levels deep"
            raise FileProblems(self.file, [Problem(1, "", what, "flatten it")]) from None
        if node is None:
            raise FileProblems(self.file, [Problem(1, "", "the file is empty", "see topologies/")])
        return Entry(self, node, "", node.start_mark.line + 1)

    def _broken(self, error: yaml.MarkedYAMLError) -> FileProblems:
        mark, start = error.problem_mark or error.context_mark, error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        hint = f"look at column {column}"
        if start and start.line + 1 != line:
            hint += f", and at line {start.line + 1}, where it began"
        if "'\\t'" in (error.problem or ""):
            hint = "indent with spaces, not tabs"
        what = ", ".join(part for part in (error.context, error.problem) if part)
        return FileProblems(self.file, [Problem(line, "", f"not YAML: {what}", hint)])

    def raise_problems(self) -> None:
        """FileProblems with all that was found, each once; nothing if all is well."""
        if self.problems:
            raise FileProblems(self.file, dict.fromkeys(self.problems))


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the file: where it stands, and the ways to read it."""

    document: Document
    node: yaml.Node
    path: str
    line: int

    def problem(self, what: str, hint: str = "") -> None:
        """Note that this value is wrong, and how to mend it."""
        self.document.problems.append(Problem(self.line, self.path, what, hint))

    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    def is_empty(self) -> bool:
        """Whether nothing stands after the key."""
        node = self.node
        return isinstance(node, yaml.ScalarNode) and not node.style and not node.value

    def text(self) -> str | None:
        """The scalar as written; None, with a problem, if this is none."""
        if self._is_unusable() or not isinstance(self.node, yaml.ScalarNode):
            self._wants("a single value")
            return None
        return str(self.node.value)

    def value(self, convert: Callable[[str], T], otherwise: T) -> T:
        """The scalar through `convert`, whose ValueError `what; what to do` becomes a problem."""
        text = self.text()
        if text is None:
            return otherwise
        try:
            return convert(text)
        except ValueError as error:
            message = str(error)
            what, _, hint = message.partition("; ") if "; " not in text else (message, "", "")
            self.problem(what, hint)
            return otherwise

    def items(self) -> list[Entry]:
        """The members of a list."""
        if self._is_unusable() or not isinstance(self.node, yaml.SequenceNode):
            self._wants("a list")
            return []
        return [
            Entry(self.document, node, f"{self.path}[{i}]", node.start_mark.line + 1)
            for i, node in enumerate(self.node.value)
        ]

    def named(self) -> dict[str, Entry]:
        """The members of a mapping whose keys are the user's own names, in the file's order."""
        if self._is_unusable() or not isinstance(self.node, yaml.MappingNode):
            self._wants("a mapping of names")
            return {}
        found: dict[str, Entry] = {}
        for key, entry in self._members(self.node):
            if key in found:
                entry.problem("is given twice", f"first on line {found[key].line}; keep one")
            else:
                found[key] = entry
        return found

    def fields(self, known: Collection[str], later: Collection[str] = ()) -> Fields:
        """The members of a mapping whose keys are ours; keys of `later` are for later versions."""
        if not self._is_unusable() and not isinstance(self.node, yaml.MappingNode):
            self._wants(f"a mapping with {', '.join(known)}")
            return Fields(self, {})
        members = self.named()
        for key in [key for key in members if key not in known]:
            _unknown_key(members.pop(key), key, known, later)
        return Fields(self, members)

    def _members(self, node: yaml.MappingNode) -> Iterator[tuple[str, Entry]]:
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                path = f"{self.path}.{key.value}" if self.path else str(key.value)
                yield str(key.value), Entry(self.document, value, path, line)
            else:
                what = "a list or mapping stands where a name should"
                self.document.problems.append(Problem(line, self.path, what, "write a plain name"))

    def _is_unusable(self) -> bool:
        return self.is_empty() or self.node.tag not in _PLAIN_TAGS

    def _wants(self, what: str) -> None:
        if self.node.tag not in _PLAIN_TAGS:
            self.problem(f"the tag {self.node.tag} means nothing here", "delete it")
        elif self.is_empty():
            self.problem("has no value", "give it one or leave the key out")
        else:
            kinds = {"ScalarNode": "a single value", "SequenceNode": "a list"}
            found = kinds.get(type(self.node).__name__, "a mapping")
            self.problem(f"is {found}", f"write {what}")


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of a mapping by key, and the mapping they stand in."""

    owner: Entry
    members: Mapping[str, Entry]

    def __contains__(self, key: str) -> bool:
        return key in self.members

    def get(self, key: str) -> Entry | None:
        return self.members.get(key)

    def value(self, key: str, convert: Callable[[str], T], default: T) -> T:
        """The member through `convert`, or `default` where it is not given."""
        entry = self.members.get(key)
        return default if entry is None else entry.value(convert, default)

    def required(self, key: str, example: str) -> Entry | None:
        """The member; where it is missing a problem says so, with an example."""
        if key not in self.members and self.owner.is_mapping():
            self.owner.problem(f"{key!r} is missing", f"for example {example}")
        return self.members.get(key)

    def check_version(self) -> None:
        """`netemu: 1`, the version of the language the file is written in."""
        entry = self.required("netemu", "netemu: 1")
        if entry is not None and entry.text() not in {"1", None}:
            entry.problem(f"version {entry.text()!r} is not known", "this netemu reads netemu: 1")


def _unknown_key(entry: Entry, key: str, known: Collection[str], later: Collection[str]) -> None:
    if key in later:
        entry.problem(f"this version of netemu does not have {key!r}", "leave it out")
    else:
        hint = suggest(key, known) or f"known here: {', '.join(known)}"
        entry.problem(f"unknown key {key!r}", hint)
