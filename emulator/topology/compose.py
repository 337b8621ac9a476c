"""A `docker-compose.yaml` as a topology: each of its services in every region.

What a topology can say of a service is carried over, what it cannot is told by name, and what is
about Docker alone (restart, container_name) means nothing here. Source: the Compose specification.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from emulator.errors import UsageError
from emulator.scalars import is_label
from emulator.topology.compose_disk import Disk, as_label
from emulator.topology.starter import Answers, starter

Values = Mapping[str, Any]

SILENT = {"container_name", "restart", "labels", "logging", "tty", "stdin_open", "init", "platform",
          "pull_policy", "profiles", "stop_grace_period", "stop_signal", "annotations",
          "attach", "networks"}  # fmt: skip
CARRIED = {"image", "build", "command", "environment", "env_file", "ports", "expose", "healthcheck",
           "deploy", "scale", "cpus", "mem_limit", "entrypoint", "depends_on", "volumes",
           "configs", "secrets"}  # fmt: skip
NO_MORE_RIGHTS = {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "security_opt"}
# What images of that name listen on, where the file does not say it.
USUAL_PORTS = {
    "postgres": 5432, "postgis": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379,
    "valkey": 6379, "memcached": 11211, "mongo": 27017, "rabbitmq": 5672, "nats": 4222,
    "elasticsearch": 9200, "nginx": 80, "httpd": 80, "caddy": 80, "traefik": 80,
}  # fmt: skip
HTTP_PORTS = {80, 3000, 4000, 5000, 8000, 8008, 8080, 8081, 8888, 9200}
_VARIABLE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)(?:(:?-)([^}]*))?\})")
_URL_PATH = re.compile(r"https?://[^/\s\"']+(/[!-~]*?)?(?=[\s\"']|$)")
_HEAD = "# Taken over from {source} by netemu init. Not carried over:\n{notes}"


@dataclass(slots=True)
class Takeover:
    """A compose file on its way: what has been noted of it so far. `written_in`: the folder of the
    topology that it becomes."""

    folder: Path
    written_in: Path
    environment: Mapping[str, str]
    whole: Values  # the file
    notes: list[str] = field(default_factory=list)

    def note(self, where: str, what: str) -> None:
        """Something that the topology does not say."""
        self.notes.append(f"{where}: {what}")


def from_compose(
    compose: Path, file: Path, answers: Answers, environment: Mapping[str, str] = os.environ
) -> tuple[str, list[str]]:
    """The text of the topology `file`, and what it does not say of `compose`. Raises UsageError for
    a file that is none, or of which no service can be taken over."""
    said = _read(compose)
    takeover = Takeover(compose.parent, file.parent, environment, said)
    services: dict[str, dict[str, Any]] = {}
    for name, values in _services(compose, said).items():
        label = _label(takeover, name)
        if taken := _service(takeover, name, _interpolated(takeover, name, values or {})):
            services[label] = taken
    if not services:
        raise UsageError(f"{compose}: none of its services can be taken over: "
                         + "; ".join(takeover.notes))  # fmt: skip
    for name, taken in services.items():
        _keep_depends_on(takeover, name, taken, services)
    ordered = dict(sorted(services.items(), key=lambda item: item[1]["balance"] != "l7"))
    first = next(iter(ordered))
    zone = answers.fqdn.partition(".")[2]
    whole = starter(
        str(file), file.stem,
        Answers(answers.regions, answers.cities, f"{first}.{zone}", answers.ttl),
    )  # fmt: skip
    head = whole[: whole.index("\nservices:\n") + 1].replace("servers: 2", "servers: 1")
    text = head + yaml.safe_dump({"services": ordered}, sort_keys=False, width=100)
    if ordered[first]["balance"] != "l7":
        text += "traffic: none  # the built-in clients speak HTTP\n"
    notes = "".join(f"#   {note}\n" for note in takeover.notes) or "#   nothing\n"
    return _HEAD.format(source=compose.name, notes=notes) + text, takeover.notes


def _read(compose: Path) -> Values:
    try:
        said = yaml.safe_load(compose.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {compose}: {error}") from error
    return said if isinstance(said, dict) else {}


def _services(compose: Path, whole: Values) -> dict[str, Values]:
    services = whole.get("services")
    if not isinstance(services, dict) or not services:
        raise UsageError(f"{compose} names no services, so it is no compose file")
    if not all(isinstance(values, dict | None) for values in services.values()):
        raise UsageError(f"{compose}: every service is a mapping")
    return {str(name): values for name, values in services.items()}


def _label(takeover: Takeover, name: str) -> str:
    label = as_label(name)
    if not is_label(label):
        raise UsageError(f"{name!r} cannot be a service's name; use letters, digits and dashes")
    if label != name:
        takeover.note(name, f"is called {label} here, also by those that ask for it")
    return label


def _interpolated(takeover: Takeover, where: str, value: Any) -> Any:
    """With the environment's variables in place, as Compose does it."""
    if isinstance(value, dict):
        return {key: _interpolated(takeover, f"{where}.{key}", v) for key, v in value.items()}
    if isinstance(value, list):
        return [_interpolated(takeover, where, each) for each in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        dollar, plain, braced, dash, default = found.groups()
        if dollar:
            return "$"
        name = plain or braced
        given = takeover.environment.get(name)
        if given is None and not dash:
            takeover.note(where, f"the variable {name} is not set; it is empty")
        is_default = given is None or (dash == ":-" and not given)
        return (default or "") if is_default else str(given)

    return _VARIABLE.sub(variable, value)


def _service(takeover: Takeover, name: str, values: Values) -> dict[str, Any] | None:
    """As `services:` takes it; None, with a note, where it cannot be one."""
    for key in values:
        if key not in CARRIED | SILENT and not key.startswith("x-"):
            rights = "containers have Docker's default rights"
            takeover.note(f"{name}.{key}", rights if key in NO_MORE_RIGHTS else "has no place here")
    port = _port(takeover, name, values)
    if port is None:
        takeover.note(name, "is left out: it listens on no port that the file names (expose: [80])")
        return None
    path = _health_path(takeover, name, values)
    is_http = port in HTTP_PORTS or path is not None
    limits = ((values.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    disk = Disk(
        takeover.folder, takeover.written_in, lambda said: takeover.note(f"{name}.disk", said)
    )
    disk.take(values, takeover.whole)
    taken = {
        **_image(takeover, name, values),
        "entrypoint": values.get("entrypoint"),
        "command": values.get("command"),
        "env": _environment(takeover, name, values),
        "port": port,
        "balance": "l7" if is_http else "l4",
        "health": path,
        "cpus": _number(limits.get("cpus", values.get("cpus"))),
        "memory": _size(limits.get("memory", values.get("mem_limit"))),
        "files": disk.files,
        "volumes": disk.volumes,
        "depends_on": _depends_on(takeover, name, values.get("depends_on") or []),
    }
    if "image" not in taken and "build" not in taken:
        takeover.note(name, "is left out: it has neither image nor build")
        return None
    count = (values.get("deploy") or {}).get("replicas", values.get("scale", 1))
    if count != 1:
        takeover.note(f"{name}.replicas", f"write {{servers: {count}}} for it in each region")
    return {key: value for key, value in taken.items() if value not in (None, {}, [], "")}


def _depends_on(takeover: Takeover, name: str, said: Any) -> list[str]:
    """Their names here, of a list or of a mapping with conditions."""
    for other, values in said.items() if isinstance(said, dict) else ():
        condition = (values or {}).get("condition", "service_started")
        if condition == "service_completed_successfully":
            takeover.note(f"{name}.depends_on", f"{other} must be well, it does not have to end")
    return [as_label(str(other)) for other in said]


def _keep_depends_on(
    takeover: Takeover, name: str, taken: dict[str, Any], services: Values
) -> None:
    """Only those that were taken over too."""
    wanted = taken.pop("depends_on", [])
    for other in wanted:
        if other not in services:
            takeover.note(f"{name}.depends_on", f"{other} is not here")
    if kept := [other for other in wanted if other in services]:
        taken["depends_on"] = kept


def _image(takeover: Takeover, name: str, values: Values) -> dict[str, str]:
    build = values.get("build")
    if build is None:
        return {"image": str(values["image"])} if values.get("image") else {}
    said = build if isinstance(build, dict) else {"context": build}
    for key in said.keys() - {"context"}:
        takeover.note(f"{name}.build.{key}", "only a directory with a Dockerfile can be built")
    context = takeover.folder / str(said.get("context", "."))
    return {"build": os.path.relpath(context.resolve(), takeover.written_in.resolve())}


def _port(takeover: Takeover, name: str, values: Values) -> int | None:
    """The first one inside the container: by it others of the file know it too."""
    ports = [*_inside(values.get("ports") or []), *_inside(values.get("expose") or [])]
    if len(set(ports)) > 1:
        takeover.note(f"{name}.ports", f"only {ports[0]} of {', '.join(map(str, ports))}")
    image = str(values.get("image", "")).rpartition("/")[2].partition(":")[0]
    return ports[0] if ports else USUAL_PORTS.get(image)


def _inside(ports: list[Any]) -> Iterator[int]:
    """Of `80`, `"8080:80"`, `"127.0.0.1:8080:80/tcp"`, `{target: 80}`; of a range the first."""
    for port in ports:
        text = str(port.get("target", "")) if isinstance(port, dict) else str(port)
        inside = text.rpartition(":")[2].partition("/")[0].partition("-")[0]
        if inside.isdigit():
            yield int(inside)


def _health_path(takeover: Takeover, name: str, values: Values) -> str | None:
    """What its own check asks over HTTP; None: it does not, or has none."""
    test = (values.get("healthcheck") or {}).get("test")
    if not test:
        return None
    words = " ".join(map(str, test)) if isinstance(test, list) else str(test)
    if found := _URL_PATH.search(words):
        return found[1] or "/"
    takeover.note(f"{name}.healthcheck", "the balancer only connects; it runs no command")
    return None


def _environment(takeover: Takeover, name: str, values: Values) -> dict[str, str]:
    said = values.get("environment") or {}
    if isinstance(said, list):
        pairs = [str(line).partition("=") for line in said]
        said = {key: value if equals else None for key, equals, value in pairs}
    found = dict(_env_files(takeover, name, values.get("env_file")))
    for key, value in said.items():
        given = takeover.environment.get(key) if value is None else value
        if given is None:
            takeover.note(f"{name}.environment.{key}", "is not set here; it is left out")
        else:
            found[str(key)] = str(given).lower() if isinstance(given, bool) else str(given)
    return found


def _env_files(takeover: Takeover, name: str, said: Any) -> Iterator[tuple[str, str]]:
    files = said if isinstance(said, list) else [said] if said else []
    for file in files:
        path = takeover.folder / str(file.get("path", "") if isinstance(file, dict) else file)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            takeover.note(f"{name}.env_file", f"{path.name} cannot be read: {error.strerror}")
            continue
        for line in lines:
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                yield key.removeprefix("export ").strip(), value.strip().strip("\"'")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _size(value: Any) -> str | None:
    """Compose's `512m`, `1g`, `64kb`, bytes; ours have units of 1024 then."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9.]+)\s*([bkmg]?)b?", str(value).strip().lower())
    unit = {"": "B", "b": "B", "k": "KiB", "m": "MiB", "g": "GiB"}
    return f"{found[1]}{unit[found[2]]}" if found else None
