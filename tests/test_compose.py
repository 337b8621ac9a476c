"""`netemu init --from-compose`: what a compose file says of its services, in every region."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.errors import Exit, UsageError
from emulator.plan import make_plan
from emulator.topology.compose import from_compose
from emulator.topology.model import Service, Topology, Volume
from emulator.topology.parse import parse_topology
from emulator.topology.starter import Answers
from tests.cli import caller

ANSWERS = Answers(("aws:us-east-1", "aws:eu-west-1"), ("Tokyo",), "www.shop.test", "5s")
SHOP = """\
services:
  db:
    image: postgres:16
    environment: {POSTGRES_PASSWORD: "${SECRET:-geheim}", FSYNC: true}
    volumes: [my_data:/var/lib/postgresql/data:ro, /anonymous]
    secrets: [password]
  user_api:
    build: {context: ./api, args: {A: 1}}
    command: ["serve", "--db", "db:5432"]
    env_file: api.env
    environment: [LOG=debug, MARK, DOLLAR=$$5]
    ports: ["127.0.0.1:8080:9000/tcp", "9001"]
    entrypoint: /entry.sh --fast
    depends_on:
      db: {condition: service_healthy}
      worker: {condition: service_completed_successfully}
    volumes:
      - ./conf:/etc/api/
      - ./absent:/absent
      - /var/run/docker.sock:/var/run/docker.sock
      - {type: bind, source: api.env, target: /srv/env, read_only: true}
      - {type: volume, source: my_data, target: /data}
      - {type: tmpfs, target: /scratch}
    configs: [{source: motd, target: /etc/motd}, inline]
    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:9000/ready?deep=1"]}
    deploy: {replicas: 3, resources: {limits: {cpus: "0.5", memory: 256M}}}
    restart: always
    privileged: true
  web:
    image: nginx
    depends_on: [user_api]
    ports: [{target: 80, published: 8080}]
  worker:
    image: my/worker
volumes: {my_data: {}}
configs: {motd: {file: ./conf/motd}, inline: {content: hi}}
secrets: {password: {file: api.env}}
"""


def taken(folder: Path, text: str, **environment: str) -> tuple[Topology, list[str]]:
    (folder / "docker-compose.yaml").write_text(text)
    written, notes = from_compose(
        folder / "docker-compose.yaml", folder / "lab" / "shop.yaml", ANSWERS, environment
    )
    return parse_topology(written, str(folder / "lab" / "shop.yaml")), notes


def services(topology: Topology) -> dict[str, Service]:
    return {service.name: service for service in topology.services}


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Topology, list[str]]:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "motd").write_text("hello")
    (tmp_path / "api.env").write_text("# comment\nLOG=info\nexport MODE='fast'\n")
    return taken(tmp_path, SHOP, MARK="t")


def test_each_service_is_in_every_region_and_the_first_speaks_http(shop) -> None:
    """What is published and speaks HTTP comes first: clients ask that one."""
    topology, _ = shop
    assert [s.name for s in topology.services] == ["user-api", "web", "db"]
    assert [region.servers for region in topology.regions] == [
        {"user-api": 1, "web": 1, "db": 1}
    ] * 2
    assert make_plan(topology, "shop").services[0].fqdn == "user-api.shop.test"


def test_what_a_topology_can_say_is_carried_over(shop, tmp_path) -> None:
    """Image or directory, command, environment, the port inside, the check, the limits."""
    api, web, db = services(shop[0]).values()
    assert api.image is not None and db.image is not None and web.image is not None
    assert api.image.build == str(tmp_path / "api")
    assert api.image.command == ("serve", "--db", "db:5432")
    assert api.image.environment == {"LOG": "debug", "MODE": "fast", "MARK": "t", "DOLLAR": "$5"}
    assert (api.port, api.target_port, api.balance) == (9000, 9000, "l7")
    assert api.health == "/ready?deep=1"
    assert api.image.entrypoint == ("/entry.sh", "--fast")
    assert (api.depends_on, web.depends_on, db.depends_on) == (("db",), ("user-api",), ())
    assert (api.image.cpus, api.image.memory) == (0.5, 256 * 2**20)
    assert (web.image.name, web.port, web.health) == ("nginx", 80, "/")
    assert (db.image.name, db.port, db.balance, db.health) == ("postgres:16", 5432, "l4", "tcp")
    assert db.image.environment == {"POSTGRES_PASSWORD": "geheim", "FSYNC": "true"}


def test_disks_are_carried_over(shop, tmp_path) -> None:
    """Volumes by their names, what is beside the file as files, configs and secrets where Compose
    puts them."""
    api, _, db = services(shop[0]).values()
    assert api.image is not None and db.image is not None
    assert api.image.volumes == (Volume("/data", "my-data"),)
    assert api.image.files == {
        "/etc/api": str(tmp_path / "conf"),
        "/srv/env": str(tmp_path / "api.env"),
        "/etc/motd": str(tmp_path / "conf" / "motd"),
    }
    assert db.image.volumes == (
        Volume("/var/lib/postgresql/data", "my-data"), Volume("/anonymous"),
    )  # fmt: skip
    assert db.image.files == {"/run/secrets/password": str(tmp_path / "api.env")}


def test_what_it_cannot_say_is_told(shop) -> None:
    """By name and with the reason; what is about Docker alone is not."""
    said = "\n".join(shop[1])
    for words in (
        "db.disk: /var/lib/postgresql/data can be written to here",
        "db.disk: what becomes of api.env after netemu up: /run/secrets/password is a copy",
        "user_api.disk: the mount of /absent: only what is beside the file is copied, not ./absent",
        "user_api.disk: the mount of /var/run/docker.sock: only what is beside the file is copied",
        "user_api.disk: the mount of /scratch is no volume and no file",
        "user_api.disk: the config of /inline: only what is beside the file is copied",
        "user_api: is called user-api here",
        "user_api.build.args: only a directory",
        "user_api.ports: only 9000 of 9000, 9001",
        "user_api.depends_on: worker must be well, it does not have to end",
        "user-api.depends_on: worker is not here",
        "user_api.privileged: containers have Docker's default rights",
        "user_api.replicas: write {servers: 3}",
        "worker: is left out: it listens on no port",
    ):
        assert words in said
    assert "restart" not in said


def test_a_file_without_http_has_no_built_in_load(tmp_path) -> None:
    """Its clients would only fail; a variable that is not set is told."""
    text = "services: {cache: {image: 'redis:7', environment: {A: '${V}'}}}"
    topology, notes = taken(tmp_path, text)
    assert topology.light_traffic == 0
    assert notes == ["cache.environment.A: the variable V is not set; it is empty"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("services: [a]", "names no services"),
        ("a: [", "cannot read"),
        ("services: {a: 3}", "every service is a mapping"),
        ("services: {a: {image: my/worker}}", "none of its services can be taken over"),
        ("services: {a: {ports: [80]}}", "it has neither image nor build"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, complaint) -> None:
    with pytest.raises(UsageError, match=complaint):
        taken(tmp_path, text)


def test_the_command_writes_the_file_and_asks_nothing(tmp_path, monkeypatch, capsys) -> None:
    """A good file, with the notes at its head and on the terminal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "motd").write_text("hello")
    (tmp_path / "compose.yml").write_text(SHOP.replace("    env_file: api.env\n", ""))
    netemu = caller(monkeypatch, capsys)
    said = netemu("init", "mine.yaml", "--from-compose", "compose.yml", "--cities", "Lagos")
    assert said.code == Exit.PASSED, said.err
    assert "not carried over: worker: is left out" in said.out
    text = (tmp_path / "mine.yaml").read_text()
    assert text.startswith("# Taken over from compose.yml by netemu init. Not carried over:\n#   ")
    assert "lagos: {location: Lagos}" in text
    assert netemu("validate", "mine.yaml").code == Exit.PASSED
    missing = netemu("init", "other.yaml", "--from-compose", "nothing.yml")
    assert (missing.code, "cannot read nothing.yml" in missing.err) == (Exit.USAGE, True)
