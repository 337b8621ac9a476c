"""`files:` and `volumes:`: what a container of the user's has on its disk beside its image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from emulator.scalars import is_label
from emulator.topology.model import Volume
from emulator.yamlfile import Entry

# The engine mounts files of its own there; the kernel's are no files.
_TAKEN = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/proc", "/sys", "/dev")


def read_files(entry: Entry) -> dict[str, str]:
    """Where in the container -> the file or directory to copy there, beside the topology's file.

    A lab keeps the whole path, which is not looked for: a lab outlives the files that it copied.
    """
    found = {}
    for inside, source in entry.named().items():
        text = source.text()
        if text is None:
            continue
        whole = str((source.document.folder / text).resolve())
        if not text or (not Path(text).is_absolute() and not Path(whole).exists()):
            source.problem(f"there is no {text!r} beside the file", "name a file or a directory")
        if _is_path(source, inside):
            source.document.take_in(source, whole)
            found[inside] = whole
    return found


def read_volumes(entry: Entry) -> tuple[Volume, ...]:
    """`/path` or `name:/path`, in the file's order."""
    found: dict[str, Volume] = {}
    for item in entry.items():
        volume = _read_volume(item, item.text() or "")
        if volume is not None and volume.path in found:
            item.problem(f"{volume.path} has a volume already", "keep one")
        elif volume is not None:
            found[volume.path] = volume
    return tuple(found.values())


def _read_volume(entry: Entry, text: str) -> Volume | None:
    before, colon, path = text.rpartition(":")
    if colon and before.startswith(("/", ".", "~")):
        what = f"{before} is a directory of this machine, which a lab's containers cannot reach"
        entry.problem(what, f"files: {{{path}: {before}}} copies it")
        return None
    if colon and not is_label(before):
        entry.problem(f"{before!r} is no name of a volume", "use 1 to 20 of a-z, 0-9 and -")
        return None
    if path == "/":
        entry.problem("/ is the image's", "name a directory")
        return None
    return Volume(path, before) if _is_path(entry, path) else None


def _is_path(entry: Entry, inside: str) -> bool:
    """Whether it may be a path in a container; else there is a problem."""
    path = PurePosixPath(inside)
    if not path.is_absolute() or str(path) != inside or ".." in path.parts:
        entry.problem(f"{inside!r} is no path in a container", "write one like /srv/app")
    elif any(path.is_relative_to(taken) for taken in _TAKEN):
        entry.problem(f"{inside} is the engine's own", "choose another path")
    else:
        return True
    return False
