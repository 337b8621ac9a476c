"""Small changes to the text of a YAML file that leave all the rest as it is, comments and all."""

from __future__ import annotations

import math
import re

import yaml

# Without quotes it means the same in every place where a scalar may stand.
_PLAIN = re.compile(r"[A-Za-z0-9_./%+-]+(?: [A-Za-z0-9_./%+-]+)*")


def set_value(text: str, path: str, value: str) -> str:
    """`text` with the scalar at `path`, keys with dots between, set to `value`; keys that are not
    there are added. ValueError where something else than a mapping is in the way."""
    node, keys = _root(text), path.split(".")
    for depth, key in enumerate(keys):
        where = ".".join(keys[:depth])
        if isinstance(node, yaml.ScalarNode) and _is_empty(node):
            return _replaced(text, node, f" {_nested(keys[depth:], value)}")
        if not isinstance(node, yaml.MappingNode):
            raise ValueError(f"{where} is no mapping, so it has no {key}")
        member = next((pair for pair in node.value if pair[0].value == key), None)
        if member is None:
            return _added(text, node, f"{key}: {_nested(keys[depth + 1 :], value)}")
        name, node = member
        if node.start_mark.index < name.end_mark.index:  # where its anchor stands
            raise ValueError(f"{'.'.join(keys[: depth + 1])} is an alias; write it out there")
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        raise ValueError(f"{path} holds several lines; write its setting in one, like {{a: b}}")
    return _replaced(text, node, f" {_scalar(value)}" if _is_empty(node) else _scalar(value))


def without(text: str, key: str) -> str:
    """`text` without this key of its outermost mapping; as it is where there is none."""
    root = _root(text)
    members = root.value if isinstance(root, yaml.MappingNode) else []
    for name, value in members:
        if name.value == key:
            line_ends = text.find("\n", _end(value)) + 1
            return text[: name.start_mark.index] + text[line_ends or len(text) :]
    return text


def _end(node: yaml.Node) -> int:
    """Behind its last character: a block's own mark lies behind the comments that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def _root(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        raise ValueError("the file is empty")
    return node


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and not node.value


def _nested(keys: list[str], value: str) -> str:
    """`{health_check: {fall: 3}}` for two keys, the value itself for none."""
    inside = _scalar(value)
    for key in reversed(keys):
        inside = f"{{{key}: {inside}}}"
    return inside


def _scalar(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return str(yaml.safe_dump(value, default_style='"', width=math.inf)).rstrip("\n")


def _replaced(text: str, node: yaml.Node, by: str) -> str:
    return text[: node.start_mark.index] + by + text[node.end_mark.index :]


def _added(text: str, node: yaml.MappingNode, member: str) -> str:
    """A first member: behind the bracket, or on a line of its own above the others."""
    at = node.start_mark.index
    if node.flow_style:
        at = text.index("{", at) + 1
        return f"{text[:at]}{member}{', ' if node.value else ''}{text[at:]}"
    first = node.value[0][0].start_mark
    return f"{text[: first.index]}{member}\n{' ' * first.column}{text[first.index :]}"
