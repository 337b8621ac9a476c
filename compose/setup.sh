#!/usr/bin/env bash
# Everything netemu needs on a fresh Debian or Ubuntu machine; says what it does, does nothing twice.
#   setup.sh          Python environment, Docker engine, node image
#   setup.sh python   the Python environment only
#   setup.sh tools    what the tests look with, beside all that
#   setup.sh bench    what `python -m benchmarks dns wan` ask with, compare with and are compiled by
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
PATH=$PATH:/usr/sbin:/sbin # dockerd lives there; a user's PATH may not have it
readonly ENVIRONMENT_ERROR=4 # the exit code of netemu itself for an environment that does not fit
readonly DOCKERD_LOG=/var/log/netemu-dockerd.log

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit "$ENVIRONMENT_ERROR"; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() {
    say "installing $*"
    local log
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "could not install $*; the end of what apt-get said stands above"
    fi
    rm -f "$log"
}

# --- the Python environment ---

python_fits() {
    command -v "$1" >/dev/null &&
        "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if python_fits "$candidate"; then echo "$candidate"; return; fi
    done
}

ensure_python() {
    local python stamp
    stamp=".venv/netemu-$({ pwd; cat requirements.lock pyproject.toml; } | sha256sum | cut -c1-16)"
    if [ -f "$stamp" ]; then say "python environment is up to date: .venv"; return; fi
    python=$(find_python)
    if [ -z "$python" ] && can_install; then
        install_packages python3 python3-venv
        python=$(find_python)
    fi
    [ -n "$python" ] || fail "needs Python 3.11 or later with its venv module" \
        "on Debian 12, Ubuntu 24.04 or later: sudo apt-get install python3-venv"
    say "making .venv with $("$python" --version), versions from requirements.lock"
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    rm -f .venv/netemu-*
    touch "$stamp"
}

# --- the Docker engine ---

# Asked through the SDK, as netemu does, so that DOCKER_HOST means the same to both.
engine_answers() {
    .venv/bin/python -c 'import docker; docker.from_env(timeout=5).ping()' 2>/dev/null
}

lives_as() { # lives_as PID NAME: a process of that name that is no zombie
    local state
    [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] || return 1
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
    [ -n "$state" ] && [ "$state" != Z ]
}

# A daemon that was ended without a goodbye leaves its pid file; the next one then refuses to start
# as soon as any other process has got that number.
remove_stale_pid() { # remove_stale_pid FILE NAME
    if [ -f "$1" ] && ! lives_as "$(cat "$1")" "$2"; then rm -f "$1"; fi
}

dockerd_pid= # of the one that we started ourselves

start_dockerd() {
    if [ -d /run/systemd/system ]; then
        say "starting docker by systemd"
        systemctl start docker || fail "systemctl start docker failed; see: journalctl -u docker"
        return
    fi
    remove_stale_pid /var/run/docker.pid dockerd
    remove_stale_pid /var/run/docker/containerd/containerd.pid containerd
    say "starting dockerd (no init here does it); its log: $DOCKERD_LOG"
    setsid nohup dockerd >>"$DOCKERD_LOG" 2>&1 </dev/null &
    dockerd_pid=$!
}

wait_for_engine() {
    local deadline=$((SECONDS + 60))
    until engine_answers; do
        if [ -n "$dockerd_pid" ] && ! kill -0 "$dockerd_pid" 2>/dev/null; then
            tail -n 15 "$DOCKERD_LOG" >&2
            fail "dockerd ended at once; the end of its log stands above"
        fi
        [ "$SECONDS" -lt "$deadline" ] || fail "dockerd was started but does not answer after 60 s"
        sleep 0.3
    done
}

ensure_engine() {
    if engine_answers; then say "the Docker engine answers"; return; fi
    if [ -n "${DOCKER_HOST:-}" ]; then
        fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST" "start that engine, or unset DOCKER_HOST"
    fi
    can_install || [ "$(id -u)" = 0 ] || fail "no Docker engine answers to $(id -un)" \
        "to start it:    sudo systemctl start docker   (to install it: sudo apt-get install docker.io)" \
        "to be allowed:  sudo usermod -aG docker $(id -un), then log in again" \
        "or run this set-up as root: it installs and starts the engine itself"
    if ! command -v dockerd >/dev/null; then
        can_install || fail "there is no dockerd and no apt-get here; install Docker and run this again"
        install_packages docker.io
    fi
    start_dockerd
    wait_for_engine
    say "the Docker engine answers"
}

# --- the node image ---

ensure_image() {
    if [ "$(.venv/bin/python -m emulator.engine.image source)" = recipe ] &&
        ! command -v mmdebstrap >/dev/null && can_install; then
        say "no image registry can be reached: the base image is made here from Debian's packages"
        install_packages mmdebstrap debian-archive-keyring
    fi
    .venv/bin/python -m emulator.engine.image build
}

ensure_tools() {
    if ! { command -v tcpdump && command -v openssl && command -v ping && command -v curl; } >/dev/null; then
        can_install || fail "the tests need tcpdump, openssl, ping and curl" \
            "install them: sudo apt-get install tcpdump openssl iputils-ping curl"
        install_packages tcpdump openssl iputils-ping curl
    fi
    ensure_netem_kernel
}

# A kernel with netem for the tests of that driver: an ordinary process, 41 MB to fetch. Where it
# cannot be had they are not run, and say so.
ensure_netem_kernel() {
    if command -v linux.uml >/dev/null && command -v cc >/dev/null; then return; fi
    if can_install && apt-cache show user-mode-linux >/dev/null 2>&1; then
        install_packages user-mode-linux gcc libc6-dev
    else
        say "there is no User-mode Linux here: the tests of the netem driver will not be run"
    fi
}

links_statically() { echo 'int main(void) { return 0; }' | gcc -static -x c -o /dev/null - 2>/dev/null; }

ensure_bench() {
    if command -v dnsperf >/dev/null && command -v knotd >/dev/null && links_statically; then return; fi
    can_install || fail "the benchmark dns needs dnsperf and knotd, wan a C compiler" \
        "install them: sudo apt-get install dnsperf knot gcc libc6-dev"
    # Debian starts a service when it is installed; ours is run by the benchmark alone.
    if ! command -v knotd >/dev/null && [ -d /run/systemd/system ]; then systemctl mask --quiet knot; fi
    install_packages dnsperf knot gcc libc6-dev
}

if [ "${1:-all}" = bench ]; then ensure_bench; exit 0; fi
if [ "${1:-all}" = tools ]; then ensure_tools; exit 0; fi
ensure_python
if [ "${1:-all}" = python ]; then exit 0; fi
ensure_engine
ensure_image
