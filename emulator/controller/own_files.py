"""Files of this machine that are copied into containers of the user's before they start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from emulator.engine.base import Executable
from emulator.errors import UsageError
from emulator.plan.model import Plan

MOST = 100_000_000  # bytes for one container; what is larger belongs into its image
_RUN_BY_OWNER = 0o100


def own_files(plan: Plan) -> dict[str, dict[str, bytes]]:
    """By container of the user's: path in it -> content. Raises UsageError for what cannot be
    read, and where a container would be given more than 100 MB."""
    read: dict[tuple[tuple[str, str], ...], dict[str, bytes]] = {}
    found = {}
    for host in plan.hosts:
        if host.own is not None and host.own.files:
            wanted = tuple(host.own.files.items())  # the servers of a service want the same
            if wanted not in read:
                read[wanted] = _files_of(host.name, host.own.files)
            found[host.own.name] = read[wanted]
    return found


def _files_of(host: str, wanted: Mapping[str, str]) -> dict[str, bytes]:
    with _told(f"copy files into the image of {host}"):
        found = {
            inside: file
            for path, outside in wanted.items()
            for inside, file in _below(PurePosixPath(path), Path(outside))
        }
        size = sum(file.stat().st_size for file in found.values())
        if size > MOST:
            raise UsageError(
                f"cannot copy files into the image of {host}: they are {size / 1e6:.0f} MB, and "
                f"{MOST / 1e6:.0f} MB is the most; put them into the image, by its Dockerfile"
            )
        return {str(inside): _content(file) for inside, file in found.items()}


def _below(inside: PurePosixPath, outside: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """The file itself, or every file of a directory, each with its place in the container."""
    if not outside.is_dir():
        yield inside, outside
        return
    files = sorted(file for file in outside.rglob("*") if file.is_file())
    if not files:
        raise UsageError(f"cannot copy {outside} to {inside}: there is no file in it")
    for file in files:
        yield inside / file.relative_to(outside).as_posix(), file


def _content(file: Path) -> bytes:
    """Executable where it is so for its owner here."""
    content = file.read_bytes()
    return Executable(content) if file.stat().st_mode & _RUN_BY_OWNER else content


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot {what}: {error.filename}: {error.strerror}; look at `files:`"
        ) from error
