"""proxy: programs of this machine see the service from a city."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import asdict

import click

from emulator.cli.ca import trust_here
from emulator.cli.common import attached, json_option, lab_option
from emulator.controller.inject import host_named
from emulator.controller.lab import WAN, Lab
from emulator.controller.proxy import Connection, Proxy, proxy
from emulator.engine.interactive import running_container
from emulator.errors import Exit, UsageError
from emulator.plan.model import Plan


@click.command("proxy", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Instead of a free one.")
@json_option
@lab_option
def proxy_(
    host: str,
    command: tuple[str, ...],
    port: int,
    as_json: bool,  # noqa: FBT001
    name: str | None,
) -> int:
    """Open SOCKS5 and HTTP on 127.0.0.1, one port for both: what goes through it looks names up
    and connects in HOST, so a program of this machine sees the service as clients there do. A city
    means its client. Ctrl-C ends it.

    \b
    netemu proxy paris
    netemu proxy paris -- curl -s http://www.shop.test/
    netemu proxy paris -- pytest tests/

    With COMMAND it lasts as long as that, which finds it in its environment (http_proxy,
    https_proxy, all_proxy; where a service is tls, also what makes it trust the lab) and whose exit
    code is ours. Without, it says where names lead to, and when that changes.

    --json: a line with lab, host, proxy; then one for each connection: name, port, address, why
    there is none, ms of lookup and connect.
    """
    with attached(name) as lab:
        source = host_named(lab, host)
        if source == WAN:
            raise UsageError("the WAN makes no connections; name a city or a host")
        running_container(lab.name, source)
        if command:
            with proxy(lab, source, port) as opened, trust_here(lab) as trust:
                return _run(command, {**os.environ, **opened.environment, **trust})
        told = _json_lines if as_json else News(lab.plan).tell
        with proxy(lab, source, port, told) as opened:
            _introduce(lab, opened, as_json=as_json)
            opened.ended.result()
        return Exit.PASSED


def _run(command: tuple[str, ...], environment: dict[str, str]) -> int:
    try:
        done = subprocess.run(command, env=environment, check=False)
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from error
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _introduce(lab: Lab, opened: Proxy, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"lab": lab.name, "host": opened.host, "proxy": opened.address}))
        return
    url = lab.plan.services[0].url
    trust = "--cacert root.pem " if url.startswith("https") else ""
    click.echo(f"{opened.host} of {lab.name}: SOCKS5 and HTTP on {opened.address}; Ctrl-C ends it")
    if trust:
        click.echo(f"  netemu ca --lab {lab.name} > root.pem")
    click.echo(f"  curl {trust}-x http://{opened.address} {url}")
    click.echo(f"  chromium --proxy-server=socks5://{opened.address} {url}")
    click.echo(f"  export http_proxy=http://{opened.address} https_proxy=http://{opened.address}")


def _json_lines(connection: Connection) -> None:
    click.echo(json.dumps(asdict(connection)))


class News:
    """What changed, as connections are made: a line where a name leads elsewhere than before."""

    def __init__(self, plan: Plan) -> None:
        self._sites = {
            address.partition("/")[0]: host.site
            for host in plan.hosts
            for address in (*(a for i in host.interfaces for a in i.addresses), *host.loopback)
        }
        self._before: dict[str, str] = {}
        self._began = time.monotonic()

    def tell(self, connection: Connection) -> None:
        line = self.line(connection)
        if line:
            click.echo(f"{time.monotonic() - self._began:7.1f} s  {line}")

    def line(self, connection: Connection) -> str:
        """Empty where it went as the last one of that name and port."""
        what = f"{connection.name}:{connection.port}" if connection.name else "a client"
        now = connection.why or self._place(connection.address)
        before = self._before.get(what)
        self._before[what] = now
        if now == before:
            return ""
        if connection.why:
            return f"{what}: {now}"
        return f"{what} is {now}" + (f"; before: {before}" if before else "")

    def _place(self, address: str) -> str:
        site = self._sites.get(address)
        return f"{site} ({address})" if site else address
