"""Checks by https and tcp, of real servers on 127.0.0.1; the certificate is its own authority."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator.clock import NS_PER_MS, MonotonicClock
from emulator.node.dns.checker import SIZE_MAX, check
from emulator.node.dns.values import Checked
from emulator.steering import CheckKind
from tests.dns.endpoint import ANSWERS, Mode, endpoint
from tests.dns.test_checker import PATIENT_S, SHORT_S, WAKE_UP_EARLY_MS, WAKE_UP_LATE_MS

Serve = Callable[[socket.socket], None]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and the certificate that it signed itself, for nobody's name."""
    pem = tmp_path_factory.mktemp("tls") / "pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x"
        f" -days 1 -keyout {pem} -out {pem}.crt".split(),
        check=True,
        capture_output=True,
        timeout=PATIENT_S,
    )
    pem.write_text(pem.read_text() + pem.with_name("pem.crt").read_text())
    return pem


@contextmanager
def serving(serve: Serve) -> Iterator[tuple[tuple[str, int], queue.Queue[str]]]:
    """One connection is served; then its end as the server saw it: FIN, RST or TimeoutError."""
    ends: queue.Queue[str] = queue.Queue()

    def accept() -> None:
        connection, _ = listener.accept()
        connection.settimeout(PATIENT_S)
        try:
            serve(connection)
            while connection.recv(4096):
                pass
            ends.put("FIN")
        except ConnectionResetError:
            ends.put("RST")
        except OSError as error:
            ends.put(repr(error))
        finally:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname(), ends
        thread.join(PATIENT_S)


def ask(kind: CheckKind, at: tuple[str, int], timeout_s: float = PATIENT_S) -> Checked:
    return asyncio.run(check(kind, at, timeout_s, MonotonicClock()))


def tls_server(certificate: Path, mode: Mode, *, is_polite: bool) -> Serve:
    """Answers inside TLS, ends it (close_notify) if polite, and half-closes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        def until_done(step: Callable[[], object]) -> None:
            while True:
                try:
                    step()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(4096))
            connection.sendall(outgoing.read())

        until_done(tls.do_handshake)
        until_done(lambda: tls.read(4096))
        tls.write(ANSWERS[mode])
        if is_polite:
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
        connection.sendall(outgoing.read())
        connection.shutdown(socket.SHUT_WR)

    return serve


@pytest.mark.parametrize("is_polite", [True, False])
@pytest.mark.parametrize(
    ("mode", "ok", "detail"),
    [
        ("good", True, "HTTP 200"),
        ("bad", False, "HTTP 503"),
        ("garbage", False, "not an HTTP answer"),
        ("hangup", False, "closed without an answer"),
    ],
)
def test_https_hears_the_answer_inside_and_leaves_no_rst(
    certificate: Path, mode: Mode, ok: bool, detail: str, is_polite: bool
) -> None:
    """With a certificate that nothing vouches for, and however the peer ends its TLS."""
    with serving(tls_server(certificate, mode, is_polite=is_polite)) as (at, ends):
        checked = ask("https", at)
        assert ends.get(timeout=PATIENT_S) == "FIN"
    assert (checked.ok, checked.detail) == (ok, detail)


def test_a_peer_without_tls_is_bad_and_named() -> None:
    """It is told by an alert, not by a RST."""
    with serving(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as (at, ends):
        # It reads the ClientHello and the alert, and closes once the checker has.
        checked = ask("https", at, SHORT_S)
        assert ends.get(timeout=PATIENT_S) == "FIN"
    assert (checked.ok, checked.detail) == (False, "TLS failed: the peer speaks something else")


def test_a_refused_handshake_is_bad_and_named(certificate: Path) -> None:
    """Nothing in common: the peer wants a TLS that nobody offers any more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA")  # for an RSA key, which it has not

    def serve(connection: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)
        raise ConnectionAbortedError

    with serving(serve) as (at, _):
        checked = ask("https", at)
    assert not checked.ok
    assert checked.detail == "TLS failed: handshake failure"


def test_a_peer_that_closes_in_the_handshake_is_named() -> None:
    """As a port does that forwards to nothing."""
    with serving(lambda connection: connection.shutdown(socket.SHUT_WR)) as (at, ends):
        checked = ask("https", at)
        assert ends.get(timeout=PATIENT_S) == "FIN"
    assert (checked.ok, checked.detail) == (False, "closed in the TLS handshake")


def test_silence_in_the_handshake_times_out_on_time() -> None:
    """The one deadline is for connecting, TLS and the answer together."""
    with endpoint(mode="silent") as silent:
        checked = ask("https", silent.at, SHORT_S)
    assert (checked.ok, checked.detail) == (False, "timed out in the TLS handshake")
    lasted_ms = (checked.end_ns - checked.start_ns) / NS_PER_MS
    assert -WAKE_UP_EARLY_MS <= lasted_ms - SHORT_S * 1000 <= WAKE_UP_LATE_MS


@pytest.mark.parametrize("banner", [b"", b"220 smtp.example ready\r\n"])
def test_tcp_is_good_once_connected_and_leaves_no_rst(banner: bytes) -> None:
    """Also where the peer speaks first: its words are read, not cut off."""
    with serving(lambda connection: connection.sendall(banner)) as (at, ends):
        checked = ask("tcp", at)
        assert ends.get(timeout=PATIENT_S) == "FIN"
    assert (checked.ok, checked.detail) == (True, "connected")


@pytest.mark.parametrize("kind", ["https", "tcp"])
def test_refused_is_bad_for_every_kind(kind: CheckKind) -> None:
    """And told at once."""
    with endpoint() as dead:
        dead.refuse()
        checked = ask(kind, dead.at)
    assert (checked.ok, checked.detail) == (False, "refused")


def test_tcp_cannot_tell_a_program_that_hangs() -> None:
    """The kernel accepts for it: why such a check is called the weakest."""
    with endpoint(mode="silent") as silent:
        checked = ask("tcp", silent.at, SHORT_S)
    assert (checked.ok, checked.detail) == (True, "connected")


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_peer_that_never_ends_is_cut_short(kind: CheckKind) -> None:
    """What it said first counts; reading on and on would hold up every other check."""

    def serve(connection: socket.socket) -> None:
        while True:  # until the checker has closed
            connection.sendall(ANSWERS["good"] + b"x" * SIZE_MAX)

    with serving(serve) as (at, _):
        checked = ask(kind, at)
    assert checked.ok
