"""The lab's own authority: what it signs is trusted by its root alone, and outlives its maker."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import pytest

from emulator.controller.ca import Certificates, certify
from emulator.controller.inject import heal, inject
from emulator.controller.lab import attach, configuration, host_spec
from emulator.controller.status import world as shown
from emulator.plan.model import Plan
from emulator.plan.tls import ROOT_FILE, certificate_file
from tests.controller.world import IMAGE, World
from tests.plan.worlds import host_of, plan_of, two_region

TEXT = """\
netemu: 1
name: two-region
zone: shop.test
regions:
  us-east: {location: aws:us-east-1}
  eu-west: {location: aws:eu-west-1}
clients:
  paris: {location: city:Paris/FR, image: my/client}
services:
  www: {tls: yes, names: ["@"]}
  plain: {}
"""
KEY = "PRIVATE KEY"
OURS = "paris/client:image"


@pytest.fixture
def world() -> World:
    world = World()
    world.plan = plan_of(TEXT, "two-region")
    return world


def secured() -> Plan:
    return plan_of(TEXT, "two-region")


def verify(certificates: Certificates, root: str, tmp_path: Path, *options: str) -> str:
    """What openssl says of www's certificate under this root."""
    leaf, ca = tmp_path / "leaf.pem", tmp_path / "ca.pem"
    leaf.write_text(certificates.chains["www"])
    ca.write_text(root)
    argv = ["openssl", "verify", "-x509_strict", "-CAfile", str(ca), "-purpose", "sslserver"]
    done = subprocess.run([*argv, *options, str(leaf)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["www.shop.test", "shop.test", "www"])
def test_a_certificate_is_good_for_every_name_of_its_service(name, tmp_path):
    """By openssl's strictest reading of RFC 5280."""
    made = certify(secured())
    said = verify(made, made.root, tmp_path, "-verify_hostname", name)
    assert said.endswith("leaf.pem: OK\n")


@pytest.mark.parametrize("name", ["plain.shop.test", "a.www.shop.test", "test"])
def test_and_for_no_other_name(name, tmp_path):
    made = certify(secured())
    assert "hostname mismatch" in verify(made, made.root, tmp_path, "-verify_hostname", name)


def test_another_labs_root_does_not_trust_it(tmp_path):
    """Every lab has an authority of its own, the same topology twice too."""
    one, other = certify(secured()), certify(secured())
    assert one.root != other.root
    assert "error" in verify(one, other.root, tmp_path)


def test_a_key_belongs_to_its_certificate(tmp_path):
    """As a server loads them, from one file."""
    path = tmp_path / "www.pem"
    path.write_text(certify(secured()).chains["www"])
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)


def test_only_tls_services_get_one():
    assert certify(secured()).chains.keys() == {"www"}
    assert certify(two_region()) == Certificates()


def test_no_key_is_in_what_may_be_printed():
    """Neither of the authority, which nobody has any more, nor of a service."""
    made = certify(secured())
    assert KEY not in made.root
    assert KEY not in repr(made)
    assert "".join(made.told().values()).count(KEY) == 2  # begin and end of www's


def test_only_an_edge_is_given_keys():
    """Everybody gets the root."""
    plan, made = secured(), certify(secured())
    for host in plan.hosts:
        told = configuration(host, made)
        keys = {certificate_file("www"): made.chains["www"]} if host.role == "edge" else {}
        assert told["secrets"] == keys
        assert KEY not in json.dumps(told["files"])
        assert told["files"] == {**host.files, ROOT_FILE: made.root}


def test_programs_in_our_containers_trust_it_by_their_environment():
    client = host_of(secured(), "paris/client")
    assert host_spec(secured(), client, IMAGE).environment["SSL_CERT_FILE"] == ROOT_FILE
    client = host_of(two_region(), "paris/client")
    assert host_spec(two_region(), client, IMAGE).environment.keys() == {
        "NETEMU_HOST", "NETEMU_SITE",
    }  # fmt: skip


def test_a_container_of_the_users_has_the_root_before_it_starts(world):
    lab = world.up()
    assert world.engine.files["two-region", OURS] == {ROOT_FILE: lab.certificates.root.encode()}
    calls = [verb for verb, _, host in world.engine.calls if host == OURS]
    assert calls[:3] == ["create", "put", "start"]


def test_whoever_attaches_boots_an_edge_with_the_same_certificate(world):
    """Another process heals what lost its power."""
    lab = world.up()
    inject(lab, ["us-east"], "power")
    other = attach("two-region", world.engine, lambda *_: world.wan.attach())
    assert other.certificates == lab.certificates
    heal(other, ["us-east"])
    told = [
        arguments["secrets"]
        for host, op, arguments in world.wan.lab.calls
        if (host, op) == ("us-east/edge", "configure")
    ]
    assert told == [{certificate_file("www"): lab.certificates.chains["www"]}] * 2


def test_no_key_is_in_a_labs_history_or_in_what_up_shows(world):
    lab = world.up()
    seen = shown(lab)
    assert seen["root"] == lab.certificates.root
    assert KEY not in json.dumps([seen, world.wan.lab.history])
    assert [(s["name"], s["protocol"]) for s in seen["services"]] == [
        ("www.shop.test", "https"), ("plain.shop.test", "http"),
    ]  # fmt: skip
