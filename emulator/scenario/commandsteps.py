"""Steps that run a program in a container: `exec`, `count`."""

from __future__ import annotations

from emulator.scalars import duration, is_label, words
from emulator.scenario.model import Count, Exec
from emulator.scenario.times import Moment
from emulator.yamlfile import Entry, Fields

WITHIN_S = 30.0  # a command's patience, where nothing is said
OWN = ":image"  # behind a host's name: the user's container there
_EXAMPLES = {
    "exec": "command: redis-cli replicaof no one",
    "count": "command: redis-cli --raw keys '*'",
}


def read_exec(fields: Fields, verb: str, at: Moment) -> Exec:
    """A program to run in one container, or one that prints what the service holds."""
    command = fields.required("command", _EXAMPLES[verb])
    make = Count if verb == "count" else Exec
    return make(
        at_s=at.at_s,
        host=fields.members[verb].value(container, ""),
        argv=_read_command(command) if command else (),
        within_s=fields.value("within", duration("100ms", "1h"), WITHIN_S),
        is_after=at.is_after,
    )


def _read_command(entry: Entry) -> tuple[str, ...]:
    if entry.is_list():
        argv = tuple(item.text() or "" for item in entry.items())
    else:
        argv = entry.value(words, ("",))
    if not argv:
        entry.problem("runs nothing", "name a program, like command: date")
    return argv


def container(text: str) -> str:
    """`eu-west/db-1:image`, the user's container on a host, or `eu-west/db-1`, ours beside it.
    ValueError, with what to write instead, for anything else."""
    site, slash, host = text.removesuffix(OWN).partition("/")
    if not is_label(site) or (slash and not is_label(host)):
        raise ValueError(f"{text!r} names no container; write one like eu-west/db-1{OWN}")
    return text
