"""The one image of every host: found by the hash of what goes into it, built when it is missing.

`ensure_node_image` is the way in. Its base is `debian:trixie-slim` where the engine can reach the
public registry, otherwise the same thing made here from Debian's packages by `compose/base.sh`.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from emulator.engine.docker import attempt, connect
from emulator.errors import EngineError, Exit, NetemuError

Progress = Callable[[str, float | None], None]
"""Told of each stage by name and how much of it is done, 0 to 1; None where nobody can know."""

BaseSource = Literal["ours", "local", "registry", "recipe"]

IMAGE_LABEL = "netemu.image"
NODE_REPOSITORY = "netemu/node"
BASE_REPOSITORY = "netemu/base"
PUBLIC_BASE = "debian:trixie-slim"
REGISTRY_DEADLINE_S = 5.0
BUILD_TIMEOUT_S = 600.0
KEPT_S = 3600  # an outdated image younger than this may be in use by a lab that is starting

PACKAGE = Path(__file__).resolve().parent.parent
BUILD_FILES = ("Dockerfile", "dpkg-excludes", "packages.txt")
BASE_FILES = ("base.sh", "dpkg-excludes")
CORE = "node/wan/core"  # in C
INSIDE = (
    "__init__.py",
    "errors.py",
    "units.py",
    "clock.py",
    "events.py",
    "drivers.py",
    "channels.py",
    "impairment.py",
    "steering.py",
)
"""The bottom floor, which the programs inside containers import; all of node/ goes beside it."""


@dataclass(frozen=True, slots=True)
class ImageReport:
    """What there is to say about the node image on this engine."""

    tag: str
    present: bool
    size_mb: float  # 10^6 bytes, all layers
    created: str  # ISO 8601, as the engine says; "" if there is none


@dataclass(frozen=True, slots=True)
class _Image:
    id: str
    tags: tuple[str, ...]
    created: int  # seconds since 1970, by the engine's clock


@dataclass(frozen=True, slots=True)
class _BuildInput:
    base: str
    content: Mapping[str, bytes]


def ensure_node_image(progress: Progress) -> str:
    """The tag of the image made of exactly the code at hand; builds it if it is missing.

    Raises EngineError if the engine does not answer, no base can be had or the build fails.
    """
    content = context()  # read once: what is hashed is what is built, also while somebody edits
    tag = _node_tag(content)
    with _connected(BUILD_TIMEOUT_S) as client:
        if _present(client, tag):
            return tag
        base = _ensure_base(client, progress)
        _build_node(client, tag, _BuildInput(base, content), progress)
        _remove_outdated(client, tag)
    return tag


def ensure_base(progress: Progress) -> str:
    """The tag of a Debian 13 that images can be built on; made or pulled if it is missing."""
    with _connected(BUILD_TIMEOUT_S) as client:
        return _ensure_base(client, progress)


def node_tag() -> str:
    """`netemu/node:<hash of all that goes into the image>`. Needs no engine."""
    return _node_tag(context())


def image_report() -> ImageReport:
    """Size and age of the image that a lab would use now."""
    tag = node_tag()
    with _connected(30.0) as client:
        try:
            facts = client.images.get(tag).attrs
        except ImageNotFound:
            return ImageReport(tag, present=False, size_mb=0.0, created="")
        size_mb = facts["Size"] / 1e6
        return ImageReport(tag, present=True, size_mb=size_mb, created=facts["Created"])


def remove_images() -> tuple[str, ...]:
    """Remove every image of netemu's, by label, but those in use; the tags of those that went."""
    removed: list[str] = []
    with _connected(60.0) as client:
        for kind in ("own", "node", "compiler", "base"):
            for image in _labelled(client, kind):
                if _remove(client, image):
                    removed.extend(image.tags or (image.id,))
    return tuple(removed)


def base_source() -> BaseSource:
    """Where the base would come from now: made before, pulled before, the registry, our recipe."""
    with _connected(30.0) as client:
        return _base_source(client)


def compose_directory() -> Path:
    """`compose/` of a checkout, or the copy that an installed package carries."""
    for directory in (PACKAGE.parent / "compose", PACKAGE / "shipped" / "compose"):
        if (directory / "Dockerfile").is_file():
            return directory
    raise EngineError(
        "cannot build the node image: this installation carries no compose/Dockerfile; "
        "install netemu-lab again"
    )


def context() -> Mapping[str, bytes]:
    """The build context: the name and content of each file that goes into the image."""
    inside = [PACKAGE / name for name in INSIDE] + sorted((PACKAGE / "node").rglob("*.py"))
    code = {f"emulator/{p.relative_to(PACKAGE).as_posix()}": p.read_bytes() for p in inside}
    code |= {f"core/{p.name}": p.read_bytes() for p in sorted((PACKAGE / CORE).glob("*.[ch]"))}
    return _recipe_files(BUILD_FILES) | code


def base_tag() -> str:
    """The tag of a base made by our recipe."""
    return f"{BASE_REPOSITORY}:trixie-{_digest(_recipe_files(BASE_FILES))}"


def _recipe_files(names: Iterable[str]) -> dict[str, bytes]:
    compose = compose_directory()
    return {name: (compose / name).read_bytes() for name in names}


def _node_tag(content: Mapping[str, bytes]) -> str:
    return f"{NODE_REPOSITORY}:{_digest(content)}"


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


# --- the base ---


def _ensure_base(client: docker.DockerClient, progress: Progress) -> str:
    source = _base_source(client)
    if source == "registry":
        _pull_base(client, progress)
    elif source == "recipe":
        _make_base(client, progress)
    return base_tag() if source in ("ours", "recipe") else PUBLIC_BASE


def _base_source(client: docker.DockerClient) -> BaseSource:
    if _present(client, base_tag()):
        return "ours"
    if _present(client, PUBLIC_BASE):
        return "local"
    return "registry" if _registry_answers() else "recipe"


def _registry_answers() -> bool:
    """Asks the engine, not our own network: it is the engine that would pull."""
    with _connected(REGISTRY_DEADLINE_S) as client:
        try:
            client.images.get_registry_data(PUBLIC_BASE)
        except (DockerException, OSError):
            return False
        return True


def _pull_base(client: docker.DockerClient, progress: Progress) -> None:
    stage = f"base image: pulling {PUBLIC_BASE}"
    progress(stage, None)
    repository, tag = PUBLIC_BASE.split(":")
    for line in client.api.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise EngineError(f"cannot pull {PUBLIC_BASE}: {line['error']}")
        sizes = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and sizes.get("total"):
            progress(stage, sizes["current"] / sizes["total"])


def _make_base(client: docker.DockerClient, progress: Progress) -> None:
    progress("base image: made here from Debian's packages, no registry answers", None)
    tag = base_tag()
    name, version = tag.split(":")
    try:
        recipe = subprocess.run(
            ["/bin/sh", str(compose_directory() / "base.sh")],
            capture_output=True,
            check=True,
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.SubprocessError as error:
        log = getattr(error, "stderr", None) or str(error).encode()
        raise EngineError(_recipe_failed(log.decode(errors="replace"))) from error
    try:
        client.api.import_image_from_data(
            recipe.stdout, repository=name, tag=version, changes=[f"LABEL {IMAGE_LABEL}=base"]
        )
    except (APIError, OSError) as error:
        raise EngineError(f"cannot import the base image as {tag}: {error}") from error


def _recipe_failed(log: str) -> str:
    tail = "\n".join(log.strip().splitlines()[-8:])
    return (
        f"cannot get a base image: the engine reaches no registry that has {PUBLIC_BASE}, and "
        f"making one from Debian's packages failed:\n{tail}\n"
        f"needed is one of: a registry (docker pull {PUBLIC_BASE}), or mmdebstrap and Debian's "
        "keys (sudo apt-get install mmdebstrap debian-archive-keyring; sudo netemu image build)"
    )


# --- the node image ---


def _build_node(
    client: docker.DockerClient, tag: str, given: _BuildInput, progress: Progress
) -> None:
    log: list[str] = []
    try:
        lines = client.api.build(
            fileobj=io.BytesIO(_archive(given.content)),
            custom_context=True,
            tag=tag,
            buildargs={"BASE": given.base},
            labels={IMAGE_LABEL: "node"},
            rm=True,
            forcerm=True,
            decode=True,
        )
        for line in cast(Iterable[dict[str, Any]], lines):
            if "error" in line:
                raise EngineError(_build_failed(tag, str(line["error"]), log))
            log.append(str(line.get("stream", "")))
            for stage, fraction in _stages(log):
                progress(stage, fraction)
    except (APIError, OSError) as error:
        raise EngineError(_build_failed(tag, str(error), log)) from error


def _stages(log: list[str]) -> Iterator[tuple[str, float | None]]:
    """What the newest line of the build says: which step, and how many packages are unpacked."""
    newest = log[-1]
    if step := re.match(r"Step (\d+)/(\d+) : (\w+) (\S*)", newest):
        yield f"node image: step {step[1]} of {step[2]}, {step[3]} {step[4]}".rstrip(), None
    elif newest.startswith(("Unpacking ", "Setting up ")):
        text = "".join(log)
        total = re.search(r"(\d+) newly installed", text)
        done = len(re.findall(r"^(?:Unpacking|Setting up) ", text, re.MULTILINE))
        if total:
            yield "node image: installing packages", min(1.0, done / (2 * int(total[1])))


def _build_failed(tag: str, error: str, log: list[str]) -> str:
    tail = "\n".join("".join(log).strip().splitlines()[-8:])
    hint = (
        "the engine's disk is full: docker system df shows what fills it"
        if "no space" in error
        else ("the build needs Debian's package mirror from the engine's default network")
    )
    return f"cannot build {tag}: {error}\n{tail}\n{hint}"


def _archive(content: Mapping[str, bytes]) -> bytes:
    """A tar without times or owners, so that the same files hit the same layers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _remove_outdated(client: docker.DockerClient, current: str) -> None:
    """Node images of earlier code go, but not what another process may be about to start."""
    nodes = _labelled(client, "node")
    newest = max(image.created for image in nodes)
    # The newest compiler's stage is the build's cache.
    compilers = sorted(_labelled(client, "compiler"), key=lambda image: image.created)[:-1]
    for image in [*nodes, *compilers]:
        if current not in image.tags and image.created < newest - KEPT_S:
            _remove(client, image)


def _labelled(client: docker.DockerClient, kind: str) -> list[_Image]:
    found = client.api.images(filters={"label": f"{IMAGE_LABEL}={kind}"})
    return [_Image(i["Id"], _tags(i), i["Created"]) for i in found]


def _tags(image: Mapping[str, Any]) -> tuple[str, ...]:
    """An image without a tag has none, or one of no name, by the engine's version."""
    return tuple(tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>")


def _remove(client: docker.DockerClient, image: _Image) -> bool:
    """Whether it is gone; the engine refuses (409) while a container or a child image needs it."""
    try:
        for name in image.tags or (image.id,):
            client.api.remove_image(name)
    except NotFound:
        return True
    except APIError as error:
        if error.status_code == 409:
            return False
        raise
    return True


def _present(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _connected(timeout_s: float) -> Iterator[docker.DockerClient]:
    client = connect(timeout_s)
    try:
        with attempt("look after the images"):
            yield client
    finally:
        client.close()


def main(arguments: list[str]) -> int:
    """`build`, `remove` or `source`, for the set-up, which runs before there is a `netemu`."""
    try:
        if arguments == ["build"]:
            _print(f"node image: {ensure_node_image(lambda stage, _: _print_once(stage))}")
        elif arguments == ["remove"]:
            _print(f"images removed: {', '.join(remove_images()) or 'none'}")
        elif arguments == ["source"]:
            _print(base_source())
        else:
            _print("usage: python -m emulator.engine.image build|remove|source")
            return Exit.USAGE
    except NetemuError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return Exit.PASSED


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@cache
def _print_once(line: str) -> None:
    _print(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
