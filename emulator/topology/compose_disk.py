"""What a compose file puts on its containers' disks: volumes, bind mounts, configs and secrets.

Source: the Compose specification, 05-services, "volumes", "configs", "secrets".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Note = Callable[[str], None]
Values = Mapping[str, Any]
_PATHS = (".", "/", "~")
_WHERE = {"configs": "/{}", "secrets": "/run/secrets/{}"}  # where there is no target


class Disk:
    """The volumes and files of one service, as a topology has them; `written_in`: its folder."""

    def __init__(self, folder: Path, written_in: Path, note: Note) -> None:
        self.files: dict[str, str] = {}
        self.volumes: list[str] = []
        self._folder, self._written_in, self._note = folder, written_in, note

    def take(self, service: Values, whole: Values) -> None:
        """All that the service says; `whole` is its file."""
        for mount in service.get("volumes") or []:
            self._mount(mount)
        for kind, where in _WHERE.items():
            for source, target in _named(service.get(kind) or []):
                said = (whole.get(kind) or {}).get(source) or {}
                self._copy(said.get("file"), target or where.format(source), f"the {kind[:-1]}")

    def _mount(self, mount: Any) -> None:
        kind, source, target, is_read_only = _parts(mount)
        target = target.rstrip("/")
        if kind == "bind":
            self._copy(source, target, "the mount")
        elif kind != "volume":
            self._note(f"the mount of {target} is no volume and no file")
        else:
            label = as_label(source)
            self.volumes.append(f"{label}:{target}" if label else target)
            if is_read_only:
                self._note(f"{target} can be written to here")

    def _copy(self, source: str | None, target: str, what: str) -> None:
        """As a file or directory beside the compose file."""
        path = self._folder / source if source else None
        if path is None or not path.exists() or Path(str(source)).is_absolute():
            said = source or "what is no file"
            self._note(f"{what} of {target}: only what is beside the file is copied, not {said}")
            return
        self.files[target] = os.path.relpath(path.resolve(), self._written_in.resolve())
        self._note(f"what becomes of {source} after netemu up: {target} is a copy")


def as_label(name: str) -> str:
    """As near to a name of a compose file as a topology's names can be."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:20].strip("-")


def _parts(mount: Any) -> tuple[str, str, str, bool]:
    """Kind, source, target, whether it is read-only; of the long form and of `source:target:ro`."""
    if isinstance(mount, dict):
        kind, source = str(mount.get("type", "volume")), str(mount.get("source") or "")
        return kind, source, str(mount.get("target")), bool(mount.get("read_only"))
    first, *rest = str(mount).split(":")
    if not rest:
        return "volume", "", first, False
    kind = "bind" if first.startswith(_PATHS) else "volume"
    return kind, first, rest[0], "ro" in ",".join(rest[1:]).split(",")


def _named(said: list[Any]) -> Iterator[tuple[str, str]]:
    """Of a list of names, or of mappings with source and target."""
    for each in said:
        if isinstance(each, dict):
            yield str(each.get("source")), str(each.get("target") or "")
        else:
            yield str(each), ""
